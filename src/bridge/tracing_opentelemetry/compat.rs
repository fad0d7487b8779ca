//! The subscriber that their layer believes to be in: it speaks the ids of our spans, and keeps their data in spans of a Registry of
//! its own, which are made when somebody asks.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, Weak};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, Kind, Level, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{Data, LookupSpan};

use super::cells::{CHECK, Cells};
use super::opentelemetry::Context;
use super::opentelemetry::baggage::BaggageExt;
use super::{Whole, api, tracing_opentelemetry};
use crate::layer::{Far, Stub};
use crate::quiet;
use crate::sync::lock;

/// The attribute that tells their tracer which span of ours it starts.
pub(super) const SPAN: &str = "tracing_otlp.span";

/// Lies in the context that a span begins with: nobody has set another parent as long as it is there.
pub(super) struct Untouched(pub(super) u64);

pub(super) struct Compat {
    registry: Registry,
    /// For spans that are not ours, as those that a filter hides from us. They find nothing of theirs in it.
    blank: u64,
    whole: Weak<Whole>,
    cells: Arc<Cells>,
    /// One span is made at a time. No code of the program's runs meanwhile.
    making: Mutex<()>,
}

impl Compat {
    pub(super) fn new(whole: Weak<Whole>, cells: Arc<Cells>) -> Self {
        let mut registry = Registry::default();
        // So that it lets spans be made while a filter decides. In debug builds it panics else.
        let _ = registry.register_filter();
        let blank = make_private(&registry);
        Self {
            registry,
            blank,
            whole,
            cells,
            making: Mutex::default(),
        }
    }

    /// Where their data of a span lie. Who asks first has the span made.
    fn private(&self, id: u64) -> u64 {
        if self.cells.is_being_built(id) {
            // Their lock is held further up on this thread.
            return self.blank;
        }
        let known = self.cells.private(id);
        known.or_else(|| self.make(id)).unwrap_or(self.blank)
    }

    fn make(&self, id: u64) -> Option<u64> {
        let whole = self.whole.upgrade()?;
        let far = if id == CHECK {
            None
        } else {
            Some(self.cells.find(id)?)
        };
        let making = lock(&self.making);
        if let Some(private) = self.cells.private(id) {
            return Some(private);
        }
        let baggage = far.as_ref().map(Far::baggage).unwrap_or_default();
        let private = self.cells.take_free();
        let private = private.unwrap_or_else(|| make_private(&self.registry));
        self.cells.add(id, private, far.clone());
        // What is bidden may be closed from here on, by another thread: then it takes out what was added.
        let has_started = match far.map(|far| far.bid()) {
            None => true,
            Some(Some(has_started)) => has_started,
            Some(None) => {
                self.cells.close(id);
                return None;
            }
        };
        let made = quiet::guarded(|| {
            let mut outer = Context::current();
            if outer.baggage().is_empty() {
                outer = api::convert::with_baggage(outer, &baggage);
            }
            let _marked = outer.with_value(Untouched(id)).attach();
            announce(&whole, id);
        });
        drop(making);
        if made.is_err() {
            self.cells.close(id);
            return None;
        }
        if has_started && let Some(dispatch) = self.cells.dispatch_of(id) {
            // Ours has started, so theirs has.
            let _ = quiet::guarded(|| {
                tracing_opentelemetry::get_otel_context(&Id::from_u64(id), &dispatch)
            });
        }
        Some(private)
    }
}

/// Their layer is told of a new span.
fn announce(whole: &Whole, id: u64) {
    let fields = METADATA.fields();
    let Some(field) = fields.field(SPAN) else {
        return;
    };
    let number = id.cast_signed();
    let values = [(&field, Some(&number as &dyn tracing_core::field::Value))];
    whole.new_span(&Attributes::new(&METADATA, &fields.value_set(&values)));
}

fn make_private(registry: &Registry) -> u64 {
    let values: [(&Field, Option<&dyn tracing_core::field::Value>); 0] = [];
    let values = METADATA.fields().value_set(&values);
    let id = registry.new_span(&Attributes::new_root(&METADATA, &values));
    id.into_u64()
}

impl<'a> LookupSpan<'a> for Compat {
    type Data = Data<'a>;

    /// Never `None`: they take that for an error of theirs, and panic.
    fn span_data(&'a self, id: &Id) -> Option<Data<'a>> {
        let private = self.private(id.into_u64());
        self.registry.span_data(&Id::from_u64(private))
    }
}

/// The span that its attributes name.
struct Named(u64);

impl Visit for Named {
    fn record_i64(&mut self, _: &Field, value: i64) {
        self.0 = value.cast_unsigned();
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl Subscriber for Compat {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut named = Named(CHECK);
        attributes.record(&mut named);
        Id::from_u64(named.0)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn try_close(&self, _: Id) -> bool {
        true
    }

    fn current_span(&self) -> Current {
        Current::none()
    }
}

static SITE: Stub = Stub(|| &METADATA);

static METADATA: Metadata<'static> = tracing_core::metadata! {
    name: "span",
    target: module_path!(),
    level: Level::INFO,
    fields: &["tracing_otlp.span"],
    callsite: &SITE,
    kind: Kind::SPAN
};
