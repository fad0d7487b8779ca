//! `SpanExt` finds the layer that records a span, whatever stands around it, and disturbs nobody on the way.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use tracing::dispatcher::with_default;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Span, Subscriber, debug_span, info_span};
use tracing_otlp::{OtlpLayer, SpanContext, SpanExt, Status};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Context, Layered};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

use crate::support::layer::{Attributed, Everything, Pipeline, Spans, int, text};

/// Says a bit of everything; what is below INFO may be hidden.
fn talk() {
    let outer = info_span!("outer");
    let context = outer.context();
    let to = context.span().expect("the span is recorded");
    assert_eq!(outer.span_id(), Some(to.span_id()));
    assert_eq!(outer.trace_id(), Some(to.trace_id()));
    let traceparent = format!("00-{}-{}-03", to.trace_id(), to.span_id());
    assert_eq!(outer.traceparent(), Some(traceparent));
    outer.set_attribute("set", 1);
    outer.add_event("event", [("k", "v".into())]);
    outer.add_link(to, [("k", 2.into())]);
    outer.set_status(Status::Ok);
    outer.update_name("renamed");
    assert!(outer.set_parent(to.clone()).unwrap_err().is_started());
    let _entered = outer.enter();
    let hidden = debug_span!("hidden");
    assert!(hidden.context().span().is_some());
    assert_eq!(Span::none().context(), context);
}

fn check(spans: &Spans) {
    let span = spans.named("renamed");
    assert_eq!((span.value("set"), span.status()), (int(1), (1, "")));
    assert_eq!(span.event("event").value("k"), text("v"));
    assert_eq!(span.links.len(), 1);
    assert_eq!(span.links[0].value("k"), int(2));
    assert_eq!(span.links[0].span_id, span.span_id);
    span.assert_root();
}

type Base = Layered<Everything, Registry>;

fn wrapped<L>(wrap: impl FnOnce(OtlpLayer) -> L)
where
    L: Layer<Base> + Send + Sync,
{
    let (layer, pipeline) = Pipeline::new();
    let subscriber = tracing_subscriber::registry()
        .with(Everything)
        .with(wrap(layer));
    with_default(&Dispatch::new(subscriber), talk);
    check(&pipeline.spans());
}

#[test]
fn through_what_the_dispatcher_sees_through() {
    wrapped(|layer| layer);
    wrapped(Some);
    wrapped(|layer| Box::new(layer) as Box<dyn Layer<Base> + Send + Sync>);
    wrapped(|layer| vec![layer]);
    wrapped(|layer| vec![Everything.boxed(), layer.boxed(), None::<OtlpLayer>.boxed()]);
    wrapped(|layer| layer.with_filter(LevelFilter::INFO));
    wrapped(|layer| layer.with_filter(EnvFilter::new("info")));
    wrapped(|layer| layer.with_filter(reload::Layer::new(LevelFilter::INFO).0));
    wrapped(|layer| Some(vec![layer.with_filter(LevelFilter::INFO).boxed()]));
    wrapped(|layer| layer.and_then(Everything));
}

#[test]
fn through_reload_which_hides_it() {
    wrapped(|layer| reload::Layer::new(layer).0);
    wrapped(|layer| reload::Layer::new(Some(layer)).0);
    wrapped(|layer| Some(reload::Layer::new(layer.boxed()).0));
    wrapped(|layer| vec![reload::Layer::new(layer).0.boxed(), Everything.boxed()]);
    wrapped(|layer| Everything.and_then(reload::Layer::new(layer).0));
}

/// A filter passes on what concerns two spans only if it enabled both.
#[test]
fn through_reload_and_filters() {
    wrapped(|layer| reload::Layer::new(layer.with_filter(LevelFilter::INFO)).0);
    wrapped(|layer| reload::Layer::new(layer).0.with_filter(LevelFilter::INFO));
    wrapped(|layer| {
        let filter = Targets::new().with_target("it", LevelFilter::INFO);
        Some(vec![reload::Layer::new(layer).0.with_filter(filter)])
    });
    wrapped(|layer| {
        let filtered = layer.with_filter(EnvFilter::new("info,[outer]=debug"));
        let reloaded = reload::Layer::new(filtered).0;
        reloaded.with_filter(LevelFilter::TRACE).boxed()
    });
}

#[test]
fn in_one_of_two_stacked_subscribers() {
    let (layer, pipeline) = Pipeline::new();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(io::sink)
        .finish()
        .with(reload::Layer::new(layer).0)
        .with(Everything);
    with_default(&Dispatch::new(subscriber), talk);
    check(&pipeline.spans());
}

#[test]
fn on_a_thread_of_which_another_subscriber_is_the_default() {
    for hide in [false, true] {
        let (layer, pipeline) = Pipeline::new();
        let base = tracing_subscriber::registry();
        let dispatch = if hide {
            Dispatch::new(base.with(reload::Layer::new(layer).0.with_filter(LevelFilter::INFO)))
        } else {
            Dispatch::new(base.with(layer))
        };
        let span = with_default(&dispatch, || info_span!("span"));
        drop(dispatch);
        thread::scope(|scope| {
            scope.spawn(|| {
                span.set_attribute("a", 1);
                let (other, _pipeline) = Pipeline::new();
                let other = Dispatch::new(tracing_subscriber::registry().with(other));
                with_default(&other, || span.set_attribute("b", 2));
                assert!(span.context().span().is_some());
            });
        });
        drop(span);
        let spans = pipeline.spans();
        let span = spans.only();
        assert_eq!((span.value("a"), span.value("b")), (int(1), int(2)));
    }
}

#[test]
fn without_a_layer_nothing_happens() {
    let nothing = || {
        let span = info_span!("span");
        span.set_attribute("a", 1);
        span.add_event("event", []);
        assert_eq!(span.context(), tracing_otlp::Context::default());
        assert_eq!((span.trace_id(), span.span_id()), (None, None));
        assert_eq!(span.traceparent(), None);
        let parent = tracing_otlp::Context::default();
        assert!(span.set_parent(parent).unwrap_err().is_disabled());
    };
    nothing();
    let registry = || tracing_subscriber::registry().with(Everything);
    with_default(&Dispatch::new(registry()), nothing);
    let (layer, pipeline) = Pipeline::new();
    drop(layer);
    let filtered = None::<OtlpLayer>.with_filter(LevelFilter::INFO);
    with_default(&Dispatch::new(registry().with(filtered)), nothing);
    with_default(&Dispatch::new(tracing_core_only::Minimal), nothing);
    assert_eq!(pipeline.spans().len(), 0);
}

/// A subscriber that has no Registry, and would be surprised.
mod tracing_core_only {
    use super::*;

    pub(super) struct Minimal;

    impl Subscriber for Minimal {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {
            panic!("nothing was recorded")
        }
        fn record_follows_from(&self, _: &Id, _: &Id) {
            panic!("nothing follows")
        }
        fn event(&self, _: &Event<'_>) {
            panic!("there was no event")
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
}

/// Of two layers the outermost answers and is told.
#[test]
fn of_two_layers_one_answers() {
    let say = || {
        let span = info_span!("span");
        span.set_attribute("a", 1);
        span.span_id().unwrap().to_bytes().to_vec()
    };
    let heard = |pipeline: &Pipeline, id: &[u8]| {
        let spans = pipeline.spans();
        let span = spans.only();
        assert_eq!(span.span_id == id, span.has("a"));
        span.has("a")
    };
    let ((inner, first), (outer, second)) = (Pipeline::new(), Pipeline::new());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(inner).with(outer));
    let id = with_default(&dispatch, say);
    assert_eq!((heard(&first, &id), heard(&second, &id)), (false, true));

    // One that is hidden comes after the others.
    let ((inner, first), (outer, second)) = (Pipeline::new(), Pipeline::new());
    let outer = reload::Layer::new(outer).0;
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(inner).with(outer));
    let id = with_default(&dispatch, say);
    assert_eq!((heard(&first, &id), heard(&second, &id)), (true, false));

    // And one that does not record the span after those that do.
    let ((inner, first), (outer, second)) = (Pipeline::new(), Pipeline::new());
    let outer = outer.with_filter(LevelFilter::OFF);
    let inner = inner.with_filter(LevelFilter::INFO);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(inner).with(outer));
    let id = with_default(&dispatch, say);
    assert!(heard(&first, &id) && second.spans().is_empty());
}

/// A layer as others write them: it believes that every span it is told of exists, and looks for what it left there.
#[derive(Clone, Default)]
struct Suspicious<const N: u8>(Arc<Mutex<Vec<&'static str>>>);

struct Left<const N: u8>;

impl<S: Subscriber + for<'a> LookupSpan<'a>, const N: u8> Layer<S> for Suspicious<N> {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        context.span(id).unwrap().extensions_mut().insert(Left::<N>);
        self.0.lock().unwrap().push(attributes.metadata().name());
    }
    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        self.0.lock().unwrap().push("record");
    }
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.0.lock().unwrap().push("event");
    }
    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let span = context.span(id).expect("the span exists");
        let extensions = span.extensions();
        let Some(Left) = extensions.get::<Left<N>>() else {
            return;
        };
        let Some(follows) = context.span(follows) else {
            return;
        };
        if follows.extensions().get::<Left<N>>().is_some() {
            self.0.lock().unwrap().push("follows");
        }
    }
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        assert!(span.extensions_mut().remove::<Left<N>>().is_some());
        self.0.lock().unwrap().push("close");
    }
}

#[test]
fn other_layers_notice_nothing() {
    let around = |hide: bool| {
        let (layer, pipeline) = Pipeline::new();
        let (inner, outer) = (Suspicious::<0>::default(), Suspicious::<1>::default());
        let filtered = inner.clone().with_filter(LevelFilter::INFO);
        let layer = if hide {
            let layer = reload::Layer::new(layer).0;
            layer.with_filter(LevelFilter::INFO).boxed()
        } else {
            layer.with_filter(LevelFilter::INFO).boxed()
        };
        let subscriber = tracing_subscriber::registry()
            .with(filtered)
            .with(layer)
            .with(outer.clone());
        with_default(&Dispatch::new(subscriber), || {
            talk();
            let _ = tracing_otlp::extract(&Nothing);
        });
        check(&pipeline.spans());
        let noted = (inner.0.lock().unwrap(), outer.0.lock().unwrap());
        (noted.0.clone(), noted.1.clone())
    };
    let (inner, outer) = (
        vec!["outer", "close"],
        vec!["outer", "hidden", "close", "close"],
    );
    assert_eq!(around(false), (inner.clone(), outer.clone()));
    assert_eq!(around(true), (inner, outer));
}

struct Nothing;

impl tracing_otlp::Extractor for Nothing {
    fn get(&self, _: &str) -> Option<std::borrow::Cow<'_, str>> {
        None
    }
    fn keys(&self) -> Vec<std::borrow::Cow<'_, str>> {
        Vec::new()
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_people_read_stays_the_same() {
    let lines = |hide: bool, work: fn(&Span)| {
        let (layer, _pipeline) = Pipeline::new();
        let layer = reload::Layer::new(hide.then_some(layer))
            .0
            .with_filter(LevelFilter::INFO);
        let written = Written::default();
        let writer = written.clone();
        let formatted = tracing_subscriber::fmt::layer()
            .without_time()
            .with_ansi(false)
            .with_span_events(FmtSpan::NEW | FmtSpan::ACTIVE)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer).with(formatted);
        with_default(&Dispatch::new(subscriber), || {
            let span = info_span!("span", field = 1);
            work(&span);
            span.in_scope(|| tracing::info!("event"));
        });
        let written = written.0.lock().unwrap();
        String::from_utf8_lossy(&written).into_owned()
    };
    let said = |span: &Span| {
        (0..10).for_each(|_| {
            span.set_attribute("a", 1);
            span.add_event("event", []);
            let _ = span.context();
        })
    };
    let silent = lines(true, |_| {});
    assert!(
        silent.contains("field=1") && silent.lines().count() >= 3,
        "{silent}"
    );
    assert_eq!(lines(true, said), silent);
    assert_eq!(lines(false, said), silent);
}

/// Someone who, while the question is on its way, asks one of its own about the same span, or panics.
struct Interrupting(fn(&Span));

thread_local! {
    static SPAN: std::cell::RefCell<Option<Span>> = const { std::cell::RefCell::new(None) };
}

impl<S: Subscriber> Layer<S> for Interrupting {
    fn on_follows_from(&self, _: &Id, _: &Id, _: Context<'_, S>) {
        if let Some(span) = SPAN.take() {
            (self.0)(&span);
        }
    }
}

#[test]
fn whoever_is_called_on_the_way_may_ask_too_and_panic() {
    let asks: fn(&Span) = |span| {
        span.set_attribute("asked on the way", 1);
        span.follows_from(span);
    };
    let panics: fn(&Span) = |_| panic!("a layer of the test panics");
    for (interrupts, kept) in [(asks, true), (panics, false)] {
        let (layer, pipeline) = Pipeline::new();
        let subscriber = tracing_subscriber::registry()
            .with(Interrupting(interrupts))
            .with(reload::Layer::new(layer).0);
        with_default(&Dispatch::new(subscriber), || {
            let span = info_span!("span");
            SPAN.set(Some(span.clone()));
            let said = catch_unwind(AssertUnwindSafe(|| span.set_attribute("said", 1)));
            assert_eq!(said.is_ok(), kept);
            // A link to itself is none of the questions.
            span.follows_from(&span);
            span.set_attribute("afterwards", 1);
        });
        let spans = pipeline.spans();
        let span = spans.only();
        assert_eq!(
            (span.has("said"), span.has("asked on the way")),
            (kept, kept)
        );
        assert!(span.has("afterwards"));
        assert_eq!(span.links.len(), 1 + usize::from(kept));
    }
}

#[test]
fn a_hidden_span_has_the_context_of_its_nearest_ancestor() {
    fn nearest(dispatch: &Dispatch) {
        with_default(dispatch, || {
            let root = info_span!("root");
            let upper = debug_span!(parent: &root, "upper");
            let lower = debug_span!(parent: &upper, "lower");
            let context: tracing_otlp::Context = lower.context();
            assert_eq!(context.span().map(SpanContext::span_id), root.span_id());
            assert!(lower.traceparent().is_some());
            assert_eq!(lower.context(), root.context());
            // Nobody's child, so nobody's context.
            assert_eq!(debug_span!(parent: None, "alone").context().span(), None);
            // Elsewhere it is the span's ancestors that count, not the current span.
            let other = info_span!("other").entered();
            assert_eq!(lower.span_id(), root.span_id());
            assert_eq!(Span::none().span_id(), other.span_id());
        });
    }
    for hide in [false, true] {
        let (layer, pipeline) = Pipeline::new();
        let base = tracing_subscriber::registry().with(Everything);
        // The other way about, `reload` would hide the filter from its subscriber, which then took INFO to be everybody's level.
        if hide {
            let layer = reload::Layer::new(layer).0.with_filter(LevelFilter::INFO);
            nearest(&Dispatch::new(base.with(layer)));
        } else {
            nearest(&Dispatch::new(
                base.with(layer.with_filter(LevelFilter::INFO)),
            ));
        }
        assert_eq!(pipeline.spans().len(), 2);
    }
}

#[test]
fn a_layer_that_is_reloaded_away_is_not_found() {
    let (layer, pipeline) = Pipeline::new();
    let (reloaded, handle) = reload::Layer::new(Some(layer));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(reloaded));
    with_default(&dispatch, || {
        let span = info_span!("span");
        assert!(span.context().span().is_some());
        handle.reload(None).unwrap();
        assert_eq!(span.context().span(), None);
        span.set_attribute("a", 1);
    });
    drop(dispatch);
    assert_eq!(pipeline.handle().stats().dropped(), 0);
}
