//! Parts of OpenTelemetry's SDK in our pipeline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger, LoggerProvider as _, Severity};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, InstrumentationScope, Key, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::trace::{
    IdGenerator, InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult,
    SdkTracerProvider, ShouldSample, SpanData, SpanExporter,
};
use prost::Message as _;
use tracing::info_span;
use tracing_otlp::bridge::opentelemetry_0_33::TracerProvider;
use tracing_otlp::bridge::opentelemetry_sdk_0_33::{
    PipelineExporter, id_generator, log_exporter, resource_attributes, sampler, span_exporter,
};
use tracing_otlp::testing::InMemory;
use tracing_otlp::{EventRule, Events, Limits, Signal};
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

/// A pipeline of ours beside one of their SDK that ends in ours.
fn exported_by_theirs(
    settings: impl FnOnce(tracing_otlp::Builder) -> tracing_otlp::Builder,
    work: impl FnOnce(&PipelineExporter),
) -> interop::Pipeline {
    let (layer, pipeline) = interop::Pipeline::with(settings);
    work(&PipelineExporter::from(&pipeline.handle()));
    drop(layer);
    pipeline
}

#[test]
fn spans_of_their_sdk_are_exported_as_their_own_exporter_says_them() {
    let theirs = InMemorySpanExporter::default();
    let mut expected = Vec::new();
    let pipeline = exported_by_theirs(
        |builder| builder,
        |exporter| {
            let provider = SdkTracerProvider::builder()
                .with_simple_exporter(exporter.clone())
                .with_simple_exporter(theirs.clone())
                .build();
            everything_of_a_span(&provider);
            provider.force_flush().unwrap();
            expected = theirs.get_finished_spans().unwrap();
            provider.shutdown().unwrap();
        },
    );
    let resource =
        opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema::default();
    let expected = group_spans_by_resource_and_scope(expected, &resource);
    let mut found = Vec::new();
    for request in pipeline.requests() {
        let request = ExportTraceServiceRequest::decode(&request[..]).unwrap();
        found.extend(
            request
                .resource_spans
                .into_iter()
                .flat_map(|part| part.scope_spans),
        );
    }
    let spans = |scopes: &[ScopeSpans]| {
        let mut all: Vec<_> = scopes
            .iter()
            .flat_map(|part| {
                part.spans
                    .iter()
                    .map(|span| (part.scope.clone(), span.clone()))
            })
            .collect();
        all.sort_by_key(|(_, span)| span.name.clone());
        all
    };
    assert_eq!(spans(&found), spans(&expected[0].scope_spans));
    assert_eq!(spans(&found).len(), 2);
}

fn everything_of_a_span(provider: &SdkTracerProvider) {
    let scope = InstrumentationScope::builder("lib")
        .with_version("1")
        .with_attributes([KeyValue::new("of", "scope")])
        .build();
    let tracer = provider.tracer_with_scope(scope);
    let remote = SpanContext::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("k", "v")]).unwrap(),
    );
    let texts = Array::String(vec!["a".into(), "b".into()]);
    let mut span = tracer
        .span_builder("child")
        .with_kind(SpanKind::Server)
        .with_attributes([
            KeyValue::new("n", 1),
            KeyValue::new("f", 0.5),
            KeyValue::new("t", "x"),
            KeyValue::new("a", opentelemetry::Value::Array(texts)),
        ])
        .start_with_context(
            &tracer,
            &Context::new().with_remote_span_context(remote.clone()),
        );
    span.add_event("event", vec![KeyValue::new("e", true)]);
    span.add_link(remote, vec![KeyValue::new("l", 1)]);
    span.set_status(Status::error("why"));
    span.end();
    let mut root = tracer.start("root");
    root.set_status(Status::Ok);
    root.end();
}

#[test]
fn what_their_sdk_exports_is_held_to_the_pipeline_s_limits_and_processors() {
    let limits = Limits::default()
        .with_attributes(3)
        .with_value_length(4)
        .with_events(1);
    let pipeline = exported_by_theirs(
        |builder| {
            builder
                .with_limits(limits)
                .with_processor(tracing_otlp::Redaction::new().with_keys(["secret"]))
        },
        |exporter| {
            let provider = SdkTracerProvider::builder()
                .with_simple_exporter(exporter.clone())
                .build();
            let mut span = provider.tracer("").start("span");
            for (key, value) in [
                ("t", "first"),
                ("secret", "s"),
                ("t", "second"),
                ("u", "3"),
                ("v", "4"),
            ] {
                span.set_attribute(KeyValue::new(key, value));
            }
            span.add_event("one", Vec::new());
            span.add_event("two", Vec::new());
        },
    );
    let spans = pipeline.spans();
    let span = spans.named("span");
    assert_eq!(span.attribute("t"), Some(&"seco".into()));
    assert_ne!(span.attribute("secret"), Some(&"s".into()));
    assert_eq!(span.attribute("u"), Some(&"3".into()));
    assert_eq!(
        (span.attributes.len(), span.dropped_attributes_count),
        (3, 1)
    );
    assert_eq!((span.events.len(), span.dropped_events_count), (1, 1));
    assert_eq!(pipeline.handle().stats().limited(), 1);
}

/// A record of each kind by their API.
fn everything_of_a_log(logger: &impl Logger) {
    let mut record = logger.create_log_record();
    record.set_event_name("event");
    record.set_timestamp(std::time::UNIX_EPOCH + Duration::from_secs(1));
    record.set_observed_timestamp(std::time::UNIX_EPOCH + Duration::from_secs(2));
    record.set_severity_text("WARN");
    record.set_severity_number(Severity::Warn2);
    record.set_body("body".into());
    record.add_attribute("n", 1);
    record.add_attribute("bytes", AnyValue::Bytes(Box::new(vec![1, 2])));
    record.add_attribute("list", AnyValue::from_iter([AnyValue::Int(1), "x".into()]));
    record.add_attribute("map", AnyValue::from_iter([("k", AnyValue::Boolean(true))]));
    record.set_trace_context(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        Some(TraceFlags::SAMPLED),
    );
    logger.emit(record);
    let mut record = logger.create_log_record();
    record.set_target("target");
    record.set_observed_timestamp(std::time::UNIX_EPOCH + Duration::from_secs(3));
    logger.emit(record);
}

/// Their SDK, whose records go through our pipeline to an exporter of theirs.
#[test]
fn log_records_pass_through_both_ways_whole() {
    let (direct, behind) = (
        InMemoryLogExporter::default(),
        InMemoryLogExporter::default(),
    );
    let (_layer, guard) = tracing_otlp::layer()
        .with_events(Events::Logs)
        .with_transport(log_exporter(behind.clone()))
        .build()
        .unwrap();
    let provider = SdkLoggerProvider::builder()
        .with_simple_exporter(PipelineExporter::from(&guard.handle()))
        .with_simple_exporter(direct.clone())
        .build();
    everything_of_a_log(&provider.logger("shop"));
    guard.handle().flush(Duration::from_secs(60)).unwrap();
    let of = |exporter: &InMemoryLogExporter| {
        let logs = exporter.get_emitted_logs().unwrap();
        let logs = logs
            .into_iter()
            .map(|log| (log.instrumentation, log.record));
        logs.collect::<Vec<_>>()
    };
    let [direct, behind] = [of(&direct), of(&behind)];
    assert_eq!(direct.len(), 2);
    let (scope, first) = &behind[0];
    assert_eq!((scope, scope.name()), (&direct[0].0, "shop"));
    // Of a scope's name they make a target, as of a target a scope.
    assert_eq!(first.target().map(|target| &**target), Some("shop"));
    let mut expected = direct[0].1.clone();
    expected.set_target("shop");
    assert_eq!(*first, expected);
    assert_eq!(behind[1].0.name(), "target");
    assert_eq!(behind[1].1, direct[1].1);
    assert!(guard.handle().stats_of(Signal::Logs).is_balanced());
}

#[test]
fn log_records_of_the_layer_reach_an_exporter_of_theirs() {
    let exporter = InMemoryLogExporter::default();
    let (layer, guard) = tracing_otlp::layer()
        .with_service_name("shop")
        .with_events(Events::Logs)
        .with_transport(log_exporter(exporter.clone()))
        .build()
        .unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info_span!("span").in_scope(|| tracing::warn!(n = 1, "body"));
    });
    guard.handle().flush(Duration::from_secs(60)).unwrap();
    let logs = exporter.get_emitted_logs().unwrap();
    let [log] = &logs[..] else { panic!("{logs:?}") };
    assert_eq!(log.record.body(), Some(&AnyValue::from("body")));
    assert_eq!(log.record.severity_number(), Some(Severity::Warn));
    assert_eq!(log.record.severity_text(), Some("WARN"));
    assert_eq!(log.instrumentation.name(), module_path!());
    assert!(log.record.trace_context().is_some());
    let name = Key::from_static_str("service.name");
    assert_eq!(log.resource.get(&name), Some("shop".into()));
    // The exporter takes no spans: nobody waits for them.
    assert_eq!(guard.handle().stats_of(Signal::Traces).held(), 0);
}

/// As docs/migrate.md has it: the appender stays, and its records go through the pipeline.
#[test]
fn the_appender_exports_through_a_pipeline_whose_layer_makes_no_log_records() {
    let memory = InMemory::new();
    let (layer, guard) = tracing_otlp::layer()
        .with_transport(memory.clone())
        .with_events(Events::Logs)
        .with_event_rule(EventRule::new(Events::Off))
        .build()
        .unwrap();
    let loggers = SdkLoggerProvider::builder()
        .with_simple_exporter(PipelineExporter::from(&guard.handle()))
        .build();
    let appender = OpenTelemetryTracingBridge::new(&loggers);
    let subscriber = tracing_subscriber::registry().with(layer).with(appender);
    tracing::subscriber::with_default(subscriber, || {
        info_span!("span").in_scope(|| tracing::warn!(n = 1, "body"));
    });
    loggers.shutdown().unwrap();
    guard.handle().flush(Duration::from_secs(60)).unwrap();
    let (spans, logs) = (memory.spans(), memory.logs());
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    let [log] = &logs[..] else { panic!("{logs:?}") };
    assert!(span.events.is_empty(), "{span:?}");
    assert_eq!(log.body, Some("body".into()));
    assert_eq!(
        (log.trace_id, log.span_id),
        (Some(span.trace_id), Some(span.span_id))
    );
    assert_eq!((&*log.scope, log.severity_number), (module_path!(), 13));
}
