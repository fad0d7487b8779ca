//! Spans of OpenTelemetry's API, beside those of `tracing`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags,
    TraceId, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tracing::info_span;
use tracing_otlp::bridge::opentelemetry_0_33::TracerProvider;
use tracing_otlp::{Handle, Limits, Sampler};

use interop::{Pipeline, record, record_with};

fn tracer(
    handle: &Handle,
) -> impl opentelemetry::trace::Tracer<Span = tracing_otlp::bridge::opentelemetry_0_33::Span> + use<>
{
    TracerProvider::from(handle).tracer("library")
}

fn remote() -> SpanContext {
    let state = TraceState::from_key_value([("a", "1")]).unwrap();
    SpanContext::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        TraceFlags::SAMPLED,
        true,
        state,
    )
}

#[test]
fn spans_of_both_kinds_are_below_each_other() {
    let spans = record(|handle| {
        let tracer = tracer(handle);
        info_span!("request").in_scope(|| {
            tracer.in_span("query", |_| {
                info_span!("work").in_scope(|| {
                    tracer.start("step").end();
                });
            });
        });
        tracer.in_span("root", |_| info_span!("leaf").in_scope(|| {}));
    });
    for (child, parent) in [
        ("query", "request"),
        ("work", "query"),
        ("step", "work"),
        ("leaf", "root"),
    ] {
        spans.assert_child(child, parent);
    }
    spans.assert_root("request");
    spans.assert_root("root");
    assert_eq!(spans.len(), 6, "none is there twice");
}

#[test]
fn all_that_is_said_of_a_span_is_exported() {
    let (start, end) = (
        UNIX_EPOCH + Duration::from_secs(10),
        UNIX_EPOCH + Duration::from_secs(20),
    );
    let at = UNIX_EPOCH + Duration::from_secs(15);
    let spans = record(|handle| {
        let mut span = tracer(handle)
            .span_builder("first name")
            .with_kind(SpanKind::Producer)
            .with_start_time(start)
            .with_attributes([
                KeyValue::new("twice", 1),
                KeyValue::new("twice", 2),
                KeyValue::new(
                    "texts",
                    Value::Array(Array::String(vec![StringValue::from("x")])),
                ),
                KeyValue::new("float", 0.5),
            ])
            .with_events(vec![Event::new(
                "early",
                at,
                vec![KeyValue::new("n", 1)],
                0,
            )])
            .with_links(vec![Link::new(remote(), vec![], 0)])
            .start(&tracer(handle));
        assert!(span.is_recording());
        span.set_attribute(KeyValue::new("late", true));
        span.set_attribute(KeyValue::new("float", 1.5));
        span.add_event_with_timestamp("later", at, vec![]);
        span.add_link(remote(), vec![KeyValue::new("l", 1)]);
        span.update_name("name");
        span.set_status(Status::error("why"));
        span.set_status(Status::Unset);
        span.end_with_timestamp(end);
        assert!(!span.is_recording());
        span.set_attribute(KeyValue::new("too late", 1));
        span.end();
    });
    let span = spans.named("name");
    assert_eq!(spans.len(), 1);
    assert_eq!(span.kind, tracing_otlp::SpanKind::Producer);
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (10_000_000_000, 20_000_000_000)
    );
    let keys: Vec<_> = span.attributes.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["twice", "texts", "late", "float"]);
    assert_eq!(span.attribute("twice"), Some(&2.into()));
    assert_eq!(span.attribute("float"), Some(&1.5.into()));
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| (&*event.name, event.time_unix_nano))
        .collect();
    assert_eq!(
        events,
        [("early", 15_000_000_000), ("later", 15_000_000_000)]
    );
    assert_eq!(span.links.len(), 2);
    assert_eq!(span.status, tracing_otlp::Status::error("why"));
}

#[test]
fn an_ok_status_is_final() {
    let spans = record(|handle| {
        let mut span = tracer(handle).start("span");
        span.set_status(Status::error("first"));
        span.set_status(Status::Ok);
        span.set_status(Status::error("last"));
    });
    assert_eq!(spans.named("span").status, tracing_otlp::Status::Ok);
}

#[test]
fn a_span_ends_when_it_is_dropped_and_not_before_it_began() {
    let spans = record(|handle| {
        let tracer = tracer(handle);
        drop(tracer.start("dropped"));
        let ahead = SystemTime::now() + Duration::from_secs(60);
        drop(
            tracer
                .span_builder("ahead")
                .with_start_time(ahead)
                .start(&tracer),
        );
    });
    for span in spans.iter() {
        assert!(
            span.end_time_unix_nano >= span.start_time_unix_nano,
            "{}",
            span.name
        );
    }
    assert_eq!(spans.len(), 2);
}

#[test]
fn the_callers_trace_goes_on_with_its_state() {
    let spans = record(|handle| {
        let parent = Context::new().with_remote_span_context(remote());
        let span = tracer(handle).start_with_context("span", &parent);
        assert_eq!(span.span_context().trace_id(), TraceId::from_bytes([1; 16]));
        assert_eq!(span.span_context().trace_state().header(), "a=1");
        assert!(span.span_context().is_sampled() && !span.span_context().is_remote());
        let context = parent.with_span(span);
        tracer(handle).start_with_context("child", &context).end();
    });
    assert_eq!(
        spans.named("span").parent_span_id.unwrap().to_bytes(),
        [2; 8]
    );
    spans.assert_child("child", "span");
}

#[test]
fn the_sampler_sees_attributes_and_decides_for_children() {
    #[derive(Debug)]
    struct ByAttribute;
    impl tracing_otlp::ShouldSample for ByAttribute {
        fn should_sample(&self, span: &tracing_otlp::Candidate<'_>) -> tracing_otlp::Sampling {
            assert_eq!(span.target(), "library");
            let decision = if span.attribute("wanted") == Some(true.into()) {
                tracing_otlp::Decision::RecordAndSample
            } else {
                tracing_otlp::Decision::Drop
            };
            tracing_otlp::Sampling::from(decision).with_attribute("by", "sampler")
        }

        fn description(&self) -> String {
            "ByAttribute".to_owned()
        }
    }
    let sampler = Sampler::parent_based(Sampler::custom(ByAttribute));
    let spans = record_with(
        |builder| builder.with_sampler(sampler),
        |handle| {
            let tracer = tracer(handle);
            for wanted in [true, false] {
                let attributes = [KeyValue::new("wanted", wanted)];
                let root = tracer
                    .span_builder(format!("root {wanted}"))
                    .with_attributes(attributes);
                tracer.in_span_with_builder(root, |context| {
                    assert_eq!(context.span().span_context().is_sampled(), wanted);
                    assert_eq!(context.span().is_recording(), wanted);
                    tracer.in_span(format!("child {wanted}"), |_| {
                        info_span!("grandchild").in_scope(|| {})
                    });
                });
            }
        },
    );
    assert_eq!(spans.len(), 3, "{:?}", spans.names());
    spans.assert_child("child true", "root true");
    spans.assert_child("grandchild", "child true");
    assert_eq!(
        spans.named("root true").attribute("by"),
        Some(&"sampler".into())
    );
}

#[test]
fn limits_hold_for_them_as_well() {
    let limits = Limits::default()
        .with_attributes(2)
        .with_events(1)
        .with_links(1)
        .with_value_length(3);
    let spans = record_with(
        |builder| builder.with_limits(limits),
        |handle| {
            let mut span = tracer(handle).start("span");
            for key in ["a", "b", "c"] {
                span.set_attribute(KeyValue::new(key, "long text"));
                span.add_event(key, vec![]);
                span.add_link(remote(), vec![]);
            }
        },
    );
    let span = spans.named("span");
    assert_eq!(
        span.attributes,
        [
            ("a".to_owned(), "lon".into()),
            ("b".to_owned(), "lon".into())
        ]
    );
    assert_eq!(
        (
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count
        ),
        (1, 2, 2)
    );
}

#[test]
fn a_scope_has_all_that_its_tracer_was_made_with() {
    let (_layer, pipeline) = Pipeline::new();
    let provider = TracerProvider::from(&pipeline.handle());
    let scope = || {
        InstrumentationScope::builder("lib")
            .with_version("1.2")
            .with_schema_url("https://opentelemetry.io/schemas/1.30.0")
            .with_attributes([KeyValue::new("k", 1)])
            .build()
    };
    for _ in 0..2 {
        provider.tracer_with_scope(scope()).start("a").end();
    }
    provider.tracer("lib").start("b").end();
    let requests = pipeline.requests();
    let decoded = ExportTraceServiceRequest::decode(&*requests.concat()).unwrap();
    let runs: Vec<_> = decoded
        .resource_spans
        .into_iter()
        .flat_map(|spans| spans.scope_spans)
        .collect();
    let [full, bare] = &runs[..] else {
        panic!("{runs:?}")
    };
    let scope = full.scope.as_ref().unwrap();
    assert_eq!(
        (&*scope.name, &*scope.version, &*scope.attributes[0].key),
        ("lib", "1.2", "k")
    );
    assert_eq!(full.schema_url, "https://opentelemetry.io/schemas/1.30.0");
    assert_eq!(full.spans.len(), 2);
    assert_eq!(bare.scope.as_ref().unwrap().version, "");
}

#[test]
fn disabled_targets_are_scopes_too() {
    let spans = record_with(
        |builder| builder.with_disabled_targets(["noisy*"]),
        |handle| {
            let provider = TracerProvider::from(handle);
            let outer = provider.tracer("library");
            outer.in_span("kept", |_| {
                provider.tracer("noisy-one").in_span("hidden", |context| {
                    assert!(!context.span().is_recording());
                    outer.start("below").end();
                });
            });
        },
    );
    assert_eq!(spans.len(), 2, "{:?}", spans.names());
    spans.assert_child("below", "kept");
}

#[test]
fn nothing_is_recorded_where_telemetry_is_suppressed_or_the_pipeline_is_off() {
    let spans = record(|handle| {
        let _quiet = Context::enter_telemetry_suppressed_scope();
        assert!(!tracer(handle).start("span").is_recording());
    });
    assert!(spans.is_empty());
    let (_layer, guard) = tracing_otlp::layer().with_disabled(true).build().unwrap();
    assert!(!tracer(&guard.handle()).start("span").is_recording());
}

#[test]
fn the_global_ones_are_ours_when_that_is_said() {
    let spans = record(|handle| {
        tracing_otlp::bridge::opentelemetry_0_33::set_global(handle);
        opentelemetry::global::tracer("global").in_span("span", |context| {
            let mut headers = std::collections::HashMap::new();
            opentelemetry::global::get_text_map_propagator(|propagator| {
                propagator.inject_context(&context, &mut headers);
            });
            let expected = context.span().span_context().span_id().to_string();
            assert!(headers["traceparent"].contains(&expected), "{headers:?}");
        });
    });
    assert_eq!(spans.named("span").scope, "global");
}
