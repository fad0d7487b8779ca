//! Spans that are begun and ended by hand, by another library's API: in a store of their own, with the layer's sampler, limits,
//! encoder and lanes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tracing_core::callsite::Identifier;
use tracing_core::field::FieldSet;
use tracing_core::{Kind, Level, Metadata};

use super::far::Far;
use super::fresh::Start;
use super::scratch::{self, Scratch};
use super::shard::{Bare, Opened};
use super::span::Place;
use super::stub::Stub;
use super::written::Written;
use super::{OtlpLayer, Parts, Routing};
use crate::config::{self, LogSettings};
use crate::context::Context;
use crate::model::{SpanKind, Value};
use crate::proto::value::{self, ValueBounds};
use crate::proto::{scope, trace};
use crate::queue;
use crate::stats::DropReason;
use crate::sync::{AtomicU64, Ordering, lock};

/// A layer that no subscriber has, whose spans are made by hand.
#[derive(Debug)]
pub(crate) struct Manual {
    layer: OtlpLayer,
    /// How many spans there were. Relaxed: a number alone, which any thread adds to.
    begun: AtomicU64,
}

/// Who records, by its instrumentation scope. It lives as long as the process, since records name it by its address.
#[derive(Debug)]
pub(crate) struct Scope {
    run: queue::Scope,
    metadata: Metadata<'static>,
}

/// A span that begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun<'a> {
    pub(crate) scope: &'static Scope,
    pub(crate) name: &'a str,
    pub(crate) kind: SpanKind,
    /// An empty one is that of a root.
    pub(crate) parent: &'a Context,
    /// UNIX nanoseconds.
    pub(crate) start: u64,
}

impl Manual {
    pub(crate) fn new(parts: Parts, record: config::Record, limits: config::Limits) -> Self {
        let record = config::Record {
            location: false,
            target: false,
            level: false,
            threads: false,
            end_at_last_exit: false,
            busy_and_idle: false,
            ..record
        };
        Self {
            layer: OtlpLayer::new(
                parts,
                record,
                limits,
                Routing::default(),
                &LogSettings::default(),
            ),
            begun: AtomicU64::new(0),
        }
    }

    pub(super) fn layer(&self) -> &OtlpLayer {
        &self.layer
    }

    /// Begins a span. `describe` says what a sampler sees beside name and kind; it is not called for a span that is not
    /// recorded in any case. `None`: nothing of this scope is recorded.
    ///
    /// The span has started when this returns: others may be told of it. One that is not recorded has no way to it, and no end.
    pub(crate) fn begin(
        self: &Arc<Self>,
        begun: &Begun<'_>,
        describe: impl FnOnce(&Far),
    ) -> Option<(Context, Option<Far>)> {
        let metadata = &begun.scope.metadata;
        if !self
            .layer
            .parts
            .filter
            .wants(metadata.target(), metadata.level())
        {
            return None;
        }
        let mut place = Place::NOWHERE;
        self.layer.begin(&mut place);
        let id = self.next_id();
        scratch::with(|scratch| self.open(id, begun, &place, scratch));
        // It has not started: it has just been made.
        let _ = self.layer.set_parent(id, begun.parent);
        let far = Far::by_hand(Arc::clone(self), begun.scope, id, place.ids.span);
        if far.is_recording() {
            describe(&far);
            self.layer.begin_open(id);
        }
        let context = self.layer.context_of(id)?;
        if far.is_recording() {
            return Some((context, Some(far)));
        }
        self.layer.close(id);
        Some((context, None))
    }

    fn open(&self, id: u64, begun: &Begun<'_>, place: &Place, scratch: &mut Scratch) {
        let record = &mut scratch.record;
        let mut name = Cow::Borrowed(begun.name);
        if let Some(processors) = &self.layer.parts.processors {
            name = processors.text("otel.name", begun.name, self.layer.bounds.bytes);
        }
        trace::put_head(record, &place.ids, begun.start);
        trace::put_name(record, &name);
        trace::put_kind(record, begun.kind);
        let opened = Opened {
            place,
            start: Start::Undecided,
            extra: None,
            metadata: &begun.scope.metadata,
            is_late: false,
            written: &Written {
                name: true,
                kind: true,
                ..Written::default()
            },
        };
        if self.layer.store.open(id, &opened, record) {
            return;
        }
        self.layer.parts.traces.ledger.refuse(DropReason::OpenSpans);
        let lost = Bare {
            place: Place {
                is_recorded: false,
                ..*place
            },
            start: Start::Undecided,
            metadata: &begun.scope.metadata,
            missed: 0,
            missed_links: 0,
            is_lost: true,
            is_hosted: false,
        };
        self.layer.store.open_bare(id, lost, None);
    }

    /// Ends a span. A second call finds nothing to do.
    pub(super) fn end(&self, id: u64, scope: &Scope, end: u64) {
        if let Some(processors) = &self.layer.parts.processors {
            let scope = Some(scope.run);
            // The clocks of those who say when it began and ended may differ.
            self.layer.close_hooked(processors, id, scope, |span, _| {
                end.max(trace::start_of(&span.record))
            });
            return;
        }
        self.layer.store.close(id, |span, _| {
            self.layer.finish_by_hand(span, scope.run, end);
        });
    }

    /// Ids that follow each other lie in different shards, so that threads seldom meet.
    fn next_id(&self) -> u64 {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        ((number & 63) << super::store::THREAD_SHIFT | number >> 6) + 1
    }
}

/// So many scopes have a name of their own; a program that makes up more of them has an error that must not cost it its memory.
const MOST_SCOPES: usize = 1024;

impl Scope {
    /// The scope with this name, and what else is known of it; texts may be empty.
    pub(crate) fn of<'a>(
        name: &str,
        version: &str,
        attributes: impl Iterator<Item = (&'a str, Value<'a>)>,
        schema_url: &str,
    ) -> &'static Self {
        let bounds = ValueBounds::default();
        let mut encoded = Vec::new();
        for (key, value) in attributes {
            value::put_attribute(&mut encoded, scope::SCOPE_ATTRIBUTE, key, &value, &bounds);
        }
        let mut head = Vec::new();
        scope::put(&mut head, name, version, &encoded, schema_url);
        Self::with_head(name, head)
    }

    /// What runs of its records begin with.
    #[cfg(feature = "opentelemetry-sdk-0_33")]
    pub(crate) fn run(&self) -> queue::Scope {
        self.run
    }

    fn with_head(name: &str, head: Vec<u8>) -> &'static Self {
        static KNOWN: Mutex<Option<HashMap<Vec<u8>, &'static Scope>>> = Mutex::new(None);
        let mut known = lock(&KNOWN);
        let known = known.get_or_insert_default();
        if let Some(scope) = known.get(&head) {
            return scope;
        }
        if known.len() >= MOST_SCOPES {
            return known
                .entry(Vec::new())
                .or_insert_with(|| Self::leak("", Vec::new()));
        }
        let scope = Self::leak(name, head.clone());
        known.insert(head, scope);
        scope
    }

    fn leak(name: &str, head: Vec<u8>) -> &'static Self {
        let target: &'static str = Box::leak(Box::from(name));
        let fields = FieldSet::new(&[], Identifier(&SITE));
        let kind = Kind::SPAN;
        Box::leak(Box::new(Self {
            run: queue::Scope::encoded(Box::leak(head.into_boxed_slice())),
            metadata: Metadata::new("span", target, Level::INFO, None, None, None, fields, kind),
        }))
    }
}

static SITE: Stub = Stub(|| &METADATA);

static METADATA: Metadata<'static> = tracing_core::metadata! {
    name: "by hand",
    target: module_path!(),
    level: Level::INFO,
    fields: &[],
    callsite: &SITE,
    kind: Kind::SPAN
};
