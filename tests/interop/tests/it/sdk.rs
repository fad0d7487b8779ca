//! Parts of OpenTelemetry's SDK in our pipeline.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    IdGenerator, InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult, ShouldSample,
    SpanData, SpanExporter,
};
use tracing::info_span;
use tracing_otlp::bridge::opentelemetry_0_33::TracerProvider;
use tracing_otlp::bridge::opentelemetry_sdk_0_33::{
    id_generator, resource_attributes, sampler, span_exporter,
};
use tracing_subscriber::prelude::*;

use interop::record_with;

#[derive(Clone, Debug)]
struct ByName;

impl ShouldSample for ByName {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        _: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        let of_parent = parent.map(|parent| parent.span().span_context().clone());
        assert!(of_parent.is_none_or(|parent| parent.trace_id() == trace_id));
        assert_eq!(
            (kind, attributes[0].key.as_str()),
            (&SpanKind::Client, "first")
        );
        SamplingResult {
            decision: if name == "kept" {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: vec![KeyValue::new("by", "theirs")],
            trace_state: TraceState::from_key_value([("k", "v")]).unwrap(),
        }
    }
}

#[test]
fn a_sampler_of_theirs_decides() {
    let spans = record_with(
        |builder| builder.with_location(false).with_sampler(sampler(ByName)),
        |_| {
            let kept = info_span!("kept", first = 1, otel.kind = "client").entered();
            let state = tracing_otlp::SpanExt::context(&*kept)
                .span()
                .map(|span| span.trace_state().to_string());
            assert_eq!(state.as_deref(), Some("k=v"));
            info_span!("dropped", first = 1, otel.kind = "client").in_scope(|| {});
        },
    );
    assert_eq!(spans.names(), ["kept"]);
    assert_eq!(spans[0].attribute("by"), Some(&"theirs".into()));
    let description = sampler(Sampler::TraceIdRatioBased(0.5)).description();
    assert!(
        description.contains("TraceIdRatioBased(0.5)"),
        "{description}"
    );
}

#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl IdGenerator for Counting {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[test]
fn ids_and_resources_are_theirs() {
    let resource = Resource::builder_empty()
        .with_attributes([KeyValue::new("a", 1), KeyValue::new("b", "two")])
        .build();
    let spans = record_with(
        |builder| {
            resource_attributes(&resource)
                .fold(builder, |builder, (key, value)| {
                    builder.with_resource_attribute(key, value)
                })
                .with_id_generator(id_generator(Counting::default()))
        },
        |_| info_span!("span").in_scope(|| {}),
    );
    let span = spans.named("span");
    assert!(u128::from_be_bytes(span.trace_id.to_bytes()) < 10);
    assert!(u64::from_be_bytes(span.span_id.to_bytes()) < 10);
    for (key, value) in [("a", 1.into()), ("b", "two".into())] {
        assert!(span.resource.contains(&(key.to_owned(), value)), "{key}");
    }
}

#[test]
fn an_exporter_of_theirs_gets_all_of_a_span() {
    let exporter = InMemorySpanExporter::default();
    let (layer, guard) = tracing_otlp::layer()
        .with_service_name("shop")
        .with_transport(span_exporter(exporter.clone()))
        .build()
        .unwrap();
    let remote = SpanContext::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("k", "v")]).unwrap(),
    );
    let scope = InstrumentationScope::builder("lib")
        .with_version("1")
        .build();
    let tracer = TracerProvider::from(&guard.handle()).tracer_with_scope(scope.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let parent = Context::new().with_remote_span_context(remote.clone());
        let mut span = tracer
            .span_builder("span")
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("n", 1),
                KeyValue::new("f", 0.5),
                KeyValue::new("t", "x"),
            ])
            .start_with_context(&tracer, &parent);
        span.add_event("event", vec![KeyValue::new("e", true)]);
        span.add_link(remote.clone(), vec![KeyValue::new("l", 1)]);
        span.set_status(Status::error("why"));
        span.end();
        info_span!("other").in_scope(|| {});
    });
    guard
        .handle()
        .flush(std::time::Duration::from_secs(60))
        .unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    let [first, other] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(
        (&*first.name, &first.span_kind),
        ("span", &SpanKind::Server)
    );
    assert_eq!(first.span_context.trace_id(), remote.trace_id());
    assert!(first.span_context.is_sampled() && !first.span_context.is_remote());
    assert_eq!(first.span_context.trace_state().header(), "k=v");
    assert_eq!(
        (first.parent_span_id, first.parent_span_is_remote),
        (remote.span_id(), true)
    );
    assert_eq!(
        first.attributes,
        [
            KeyValue::new("n", 1),
            KeyValue::new("f", 0.5),
            KeyValue::new("t", "x")
        ]
    );
    assert_eq!(
        (&*first.events[0].name, &first.events[0].attributes[..]),
        ("event", &[KeyValue::new("e", true)][..])
    );
    assert_eq!(first.links[0].span_context, remote);
    assert_eq!(first.status, Status::error("why"));
    assert_eq!(first.instrumentation_scope, scope);
    assert!(first.start_time <= first.end_time);
    assert_eq!(other.instrumentation_scope.name(), module_path!());
    assert_eq!(other.parent_span_id, SpanId::INVALID);
}

#[derive(Debug)]
struct Failing(AtomicU64);

impl SpanExporter for Failing {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Err(match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => OTelSdkError::Timeout(std::time::Duration::from_millis(1)),
            _ => OTelSdkError::InternalFailure("no".to_owned()),
        })
    }
}

#[test]
fn a_time_out_is_tried_again_and_a_failure_is_a_rejection() {
    let (layer, guard) = tracing_otlp::layer()
        .with_transport(span_exporter(Failing(AtomicU64::new(0))))
        .build()
        .unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info_span!("span").in_scope(|| {});
    });
    let error = guard
        .handle()
        .flush(std::time::Duration::from_secs(60))
        .unwrap_err();
    assert!(error.is_undelivered(), "{error}");
    let stats = guard.handle().stats();
    assert_eq!((stats.rejected(), stats.retries()), (1, 1), "{stats}");
    assert!(stats.is_balanced());
}
