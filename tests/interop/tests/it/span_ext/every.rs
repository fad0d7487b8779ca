//! tracing-opentelemetry's trait on spans of ours, of whichever version.

use std::thread;

use tracing::{Dispatch, Span, Subscriber, info, info_span};
use tracing_otlp::{OtlpLayer, Sampler, SpanExt};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, Registry, prelude::*, reload};

use interop::{Pipeline, Spans, record, record_with};

use super::opentelemetry::baggage::BaggageExt;
use super::opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use super::opentelemetry::{Context, KeyValue};
use super::tracing_opentelemetry::{self, OpenTelemetrySpanExt, SetParentError, get_otel_context};

fn caller() -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("vendor", "1")]).unwrap(),
    )
}

fn remote() -> Context {
    Context::new()
        .with_baggage(vec![KeyValue::new("user", "7")])
        .with_remote_span_context(caller())
}

/// All that the trait can do, on one span before it is entered and on another inside.
fn use_all() {
    let span = info_span!("before", own = 1);
    OpenTelemetrySpanExt::set_parent(&span, remote()).unwrap();
    say_all(&span);
    let context = OpenTelemetrySpanExt::context(&span);
    assert_eq!(
        context.span().span_context().trace_id(),
        caller().trace_id()
    );
    assert_eq!(
        Some(context.span().span_context().span_id()),
        span.span_id().map(Into::into)
    );
    assert_eq!(
        context.span().span_context().trace_state().header(),
        "vendor=1"
    );
    assert_eq!(
        context.baggage().get("user").map(|value| value.as_str()),
        Some("7")
    );
    assert!(matches!(
        OpenTelemetrySpanExt::set_parent(&span, remote()),
        Err(SetParentError::AlreadyStarted)
    ));
    span.in_scope(|| {
        let inside = info_span!("inside").entered();
        say_all(&Span::current());
        let context = OpenTelemetrySpanExt::context(&*inside);
        assert_eq!(
            context.span().span_context().trace_id(),
            caller().trace_id()
        );
        assert!(matches!(
            OpenTelemetrySpanExt::set_parent(&*inside, remote()),
            Err(SetParentError::AlreadyStarted)
        ));
    });
}

fn say_all(span: &Span) {
    OpenTelemetrySpanExt::set_attribute(span, "theirs", "text");
    OpenTelemetrySpanExt::add_link(span, caller());
    OpenTelemetrySpanExt::add_event(span, "event", vec![KeyValue::new("n", 1)]);
    OpenTelemetrySpanExt::set_status(span, Status::error("why"));
}

fn check_all(spans: &Spans) {
    assert_eq!(spans.len(), 2, "{:?}", spans.names());
    assert_eq!(
        spans.named("before").parent_span_id.unwrap().to_bytes(),
        [2; 8]
    );
    assert_eq!(spans.named("before").flags & 0x301, 0x301);
    spans.assert_child("inside", "before");
    assert_eq!(spans.named("before").attribute("own"), Some(&1.into()));
    for span in spans.iter() {
        assert_eq!(
            span.attribute("theirs"),
            Some(&"text".into()),
            "{}",
            span.name
        );
        assert!(span.attribute("tracing_otlp.span").is_none());
        assert_eq!(span.links.len(), 1);
        assert_eq!(span.events.len(), 1);
        assert_eq!(span.events[0].name, "event");
        assert_eq!(span.status, tracing_otlp::Status::error("why"));
    }
}

fn through(wrap: impl FnOnce(OtlpLayer) -> Dispatch) {
    let (layer, pipeline) = Pipeline::new();
    let dispatch = wrap(layer);
    tracing::dispatcher::with_default(&dispatch, use_all);
    drop(dispatch);
    check_all(&pipeline.spans());
}

fn over<L: Layer<Registry> + Send + Sync>(layer: L) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

#[test]
fn it_does_all_that_it_does_with_theirs() {
    through(over);
}

#[test]
fn it_does_so_through_all_wrappers() {
    through(|layer| over(Some(layer)));
    through(|layer| over(Box::new(layer) as Box<dyn Layer<Registry> + Send + Sync>));
    through(|layer| over(vec![layer]));
    through(|layer| over(layer.with_filter(LevelFilter::INFO)));
    through(|layer| over(Some(layer.with_filter(EnvFilter::new("info")))));
    through(|layer| {
        let (filter, _handle) = reload::Layer::new(LevelFilter::INFO);
        over(layer.with_filter(filter))
    });
    through(|layer| Dispatch::new(Registry::default().with(EnvFilter::new("info")).with(layer)));
}

#[test]
fn the_span_is_found_by_its_id() {
    let spans = record(|_| {
        let span = info_span!("span");
        let dispatch = tracing::dispatcher::get_default(Dispatch::clone);
        let context = get_otel_context(&span.id().unwrap(), &dispatch).unwrap();
        assert_eq!(
            Some(context.span().span_context().span_id()),
            span.span_id().map(Into::into)
        );
        context.span().set_attribute(KeyValue::new("late", 1));
    });
    assert_eq!(spans.named("span").attribute("late"), Some(&1.into()));
}

#[test]
fn what_is_said_before_the_start_is_there_also_when_nobody_asks_again() {
    let spans = record(|_| {
        let never = info_span!("never entered");
        OpenTelemetrySpanExt::set_parent(&never, remote()).unwrap();
        say_all(&never);
        drop(never);
        let parent = info_span!("parent");
        OpenTelemetrySpanExt::set_parent(&parent, remote()).unwrap();
        drop(info_span!(parent: &parent, "child"));
        info!(parent: &parent, "event");
        let entered = info_span!("entered");
        OpenTelemetrySpanExt::set_parent(&entered, remote()).unwrap();
        OpenTelemetrySpanExt::set_attribute(&entered, "theirs", 1);
        entered.in_scope(|| info_span!("below").in_scope(|| {}));
    });
    for name in ["never entered", "parent", "entered"] {
        assert_eq!(
            spans.named(name).parent_span_id.unwrap().to_bytes(),
            [2; 8],
            "{name}"
        );
    }
    assert_eq!(spans.named("never entered").events.len(), 1);
    assert_eq!(spans.named("entered").attribute("theirs"), Some(&1.into()));
    spans.assert_child("child", "parent");
    spans.assert_child("below", "entered");
}

#[test]
fn ours_and_theirs_agree_in_any_order() {
    let spans = record(|_| {
        let span = info_span!("ours first");
        SpanExt::set_attribute(&span, "ours", 1);
        let ours = SpanExt::context(&span);
        let theirs = OpenTelemetrySpanExt::context(&span);
        assert_eq!(tracing_otlp::Context::from(&theirs).span(), ours.span());

        let span = info_span!("theirs first");
        OpenTelemetrySpanExt::set_parent(&span, remote()).unwrap();
        let ours = SpanExt::context(&span);
        assert_eq!(ours.span().unwrap().trace_id().to_bytes(), [1; 16]);
        assert!(
            SpanExt::set_parent(&span, tracing_otlp::Context::from(&remote()))
                .unwrap_err()
                .is_started()
        );
    });
    assert_eq!(spans.len(), 2);
}

/// What was said waits for the span's start in their hands.
#[test]
fn what_is_said_is_there_also_when_our_parent_comes_after_it() {
    for is_entered in [true, false] {
        let spans = record(|_| {
            let span = info_span!("span");
            OpenTelemetrySpanExt::set_attribute(&span, "theirs", 1);
            // Without a tracestate, the sampler decides at once.
            let ids = (caller().trace_id(), caller().span_id());
            let caller =
                SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, true, TraceState::NONE);
            let parent = Context::new().with_remote_span_context(caller);
            SpanExt::set_parent(&span, tracing_otlp::Context::from(&parent)).unwrap();
            if is_entered {
                span.in_scope(|| {});
            }
        });
        let span = spans.named("span");
        assert_eq!(span.attribute("theirs"), Some(&1.into()), "{is_entered}");
        assert_eq!(span.parent_span_id.unwrap().to_bytes(), [2; 8]);
    }
}

/// Nothing of the span was looked at before.
#[test]
fn what_is_said_is_there_also_before_processors() {
    struct Nothing;
    impl tracing_otlp::Processor for Nothing {}
    let spans = record_with(
        |builder| {
            builder
                .with_context_activation(false)
                .with_processor(Nothing)
        },
        |_| {
            let span = info_span!("span");
            OpenTelemetrySpanExt::set_attribute(&span, "theirs", 1);
            info_span!("other").in_scope(|| {});
        },
    );
    assert_eq!(spans.named("span").attribute("theirs"), Some(&1.into()));
}

#[test]
fn the_sampler_sees_what_was_said_by_it() {
    let rule = tracing_otlp::Rule::<Sampler>::new()
        .field("theirs", "text")
        .sampler(Sampler::always_off());
    let sampler = Sampler::parent_based(Sampler::rules([rule], Sampler::always_on()));
    let spans = record_with(
        |builder| builder.with_sampler(sampler),
        |_| {
            let span = info_span!("dropped");
            OpenTelemetrySpanExt::set_attribute(&span, "theirs", "text");
            span.in_scope(|| {
                assert!(
                    !OpenTelemetrySpanExt::context(&span)
                        .span()
                        .span_context()
                        .is_sampled()
                )
            });
            info_span!("kept").in_scope(|| {});
        },
    );
    assert_eq!(spans.names(), ["kept"]);
}

#[test]
fn a_span_that_a_filter_hides_has_no_context_and_does_no_harm() {
    let (layer, pipeline) =
        Pipeline::with(|builder| builder.with_filter(tracing_subscriber::filter::Targets::new()));
    struct Everything;
    impl<S: Subscriber> Layer<S> for Everything {}
    let subscriber = tracing_subscriber::registry().with(layer).with(Everything);
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("hidden");
        let _ = OpenTelemetrySpanExt::set_parent(&span, remote());
        OpenTelemetrySpanExt::set_attribute(&span, "theirs", 1);
        assert!(
            !OpenTelemetrySpanExt::context(&span)
                .span()
                .span_context()
                .is_valid()
        );
        span.in_scope(|| {});
    });
    assert!(pipeline.spans().is_empty());
}

#[test]
fn without_activation_it_works_as_well() {
    let spans = record_with(
        |builder| builder.with_context_activation(false),
        |_| {
            let _other = Context::new().with_remote_span_context(caller()).attach();
            let span = info_span!("root");
            let _ = OpenTelemetrySpanExt::context(&span);
            use_all();
        },
    );
    spans.assert_root("root");
    assert_eq!(
        spans.named("before").parent_span_id.unwrap().to_bytes(),
        [2; 8]
    );
}

#[test]
fn theirs_inside_of_ours_has_traces_of_its_own() {
    let (layer, pipeline) = Pipeline::new();
    let inner = tracing_opentelemetry::layer().with_context_activation(false);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(inner).with(layer));
    tracing::dispatcher::with_default(&dispatch, use_all);
    check_all(&pipeline.spans());
}

#[test]
fn threads_that_call_it_at_once_agree() {
    let (layer, pipeline) = Pipeline::new();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    for _ in 0..200 {
        let span = tracing::dispatcher::with_default(&dispatch, || info_span!("span"));
        OpenTelemetrySpanExt::set_parent(&span, remote()).unwrap();
        thread::scope(|scope| {
            for enters in [true, false, true, false] {
                let span = span.clone();
                scope.spawn(move || {
                    if enters {
                        span.in_scope(|| {});
                    }
                    let context = OpenTelemetrySpanExt::context(&span);
                    assert_eq!(
                        context.span().span_context().trace_id(),
                        caller().trace_id()
                    );
                });
            }
        });
    }
    let spans = pipeline.spans();
    assert_eq!(spans.len(), 200);
    assert!(spans.iter().all(|span| span.parent_span_id.is_some()));
}

/// A sampler that asks for the context of the very span, while their lock is held.
#[test]
fn a_sampler_that_calls_it_does_not_hang() {
    #[derive(Debug)]
    struct Curious;
    impl tracing_otlp::ShouldSample for Curious {
        fn should_sample(&self, _: &tracing_otlp::Candidate<'_>) -> tracing_otlp::Sampling {
            let _ = OpenTelemetrySpanExt::context(&Span::current());
            tracing_otlp::Decision::RecordAndSample.into()
        }

        fn description(&self) -> String {
            "Curious".to_owned()
        }
    }
    let spans = record_with(
        |builder| builder.with_sampler(Sampler::custom(Curious)),
        |_| {
            let span = info_span!("span", otel.kind = "server");
            OpenTelemetrySpanExt::set_parent(&span, remote()).unwrap();
            span.in_scope(|| info_span!("child").in_scope(|| {}));
            let other = info_span!("other", otel.kind = "server");
            OpenTelemetrySpanExt::set_attribute(&other, "theirs", 1);
            let _ = OpenTelemetrySpanExt::context(&other);
        },
    );
    assert_eq!(spans.len(), 3);
    spans.assert_child("child", "span");
}
