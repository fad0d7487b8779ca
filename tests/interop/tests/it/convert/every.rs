//! Ids, contexts and headers, ours as theirs and back, of whichever version.

use std::collections::HashMap;

use tracing_otlp::{
    Baggage, Context, Propagator, SpanContext, SpanId, TraceFlags, TraceId, TraceState,
};

use interop::Pipeline;

use super::bridge::{self, ContextPropagator};
use super::opentelemetry;
use super::opentelemetry::baggage::BaggageExt;
use super::opentelemetry::propagation::TextMapPropagator;
use super::opentelemetry::trace::{self as otel, TraceContextExt};

fn caller() -> SpanContext {
    SpanContext::remote(
        TraceId::from_bytes([1; 16]).unwrap(),
        SpanId::from_bytes([2; 8]).unwrap(),
        TraceFlags::new(3),
        TraceState::parse("vendor=1,other=2").unwrap(),
    )
}

#[test]
fn a_context_is_the_same_there_and_back() {
    let baggage = Baggage::default()
        .with("a", "ü b")
        .with_metadata("b", "2", "ttl=3");
    let ours = Context::from(caller()).with_baggage(baggage);
    let theirs = opentelemetry::Context::from(&ours);
    let span = theirs.span();
    let span = span.span_context();
    assert!(span.is_remote() && span.is_sampled());
    assert_eq!(span.trace_id().to_bytes(), [1; 16]);
    assert_eq!(span.trace_state().header(), "vendor=1,other=2");
    assert_eq!(
        theirs.baggage().get("a").map(|value| value.as_str()),
        Some("ü b")
    );
    assert_eq!(Context::from(&theirs), ours);
}

#[test]
fn ids_that_are_not_valid_are_none() {
    assert_eq!(bridge::trace_id(otel::TraceId::INVALID), None);
    assert_eq!(bridge::span_id(otel::SpanId::INVALID), None);
    assert_eq!(bridge::span_context(&otel::SpanContext::NONE), None);
    assert_eq!(
        Context::from(&opentelemetry::Context::new()),
        Context::default()
    );
    let trace = TraceId::from_bytes([7; 16]).unwrap();
    assert_eq!(bridge::trace_id(trace.into()), Some(trace));
}

#[test]
fn headers_go_through_their_propagator_in_the_forms_of_the_pipeline() {
    let (_layer, pipeline) = Pipeline::with(|builder| {
        builder.with_propagators([
            Propagator::TraceContext,
            Propagator::Baggage,
            Propagator::B3,
        ])
    });
    let propagator = ContextPropagator::from(&pipeline.handle());
    let fields: Vec<_> = propagator.fields().collect();
    assert!(
        fields.contains(&"traceparent") && fields.contains(&"b3"),
        "{fields:?}"
    );

    let ours = Context::from(caller()).with_baggage(Baggage::default().with("k", "v"));
    let mut headers = HashMap::new();
    propagator.inject_context(&(&ours).into(), &mut headers);
    assert_eq!(headers["traceparent"], caller().traceparent());
    assert_eq!(headers["baggage"], "k=v");
    let theirs = propagator.extract(&headers);
    assert_eq!(
        Context::from(&theirs).span().map(SpanContext::span_id),
        ours.span().map(SpanContext::span_id)
    );

    // What theirs cannot say survives as well: B3's debug flag.
    let debug = format!("{}-{}-d", "1".repeat(32), "2".repeat(16));
    let headers = HashMap::from([("b3".to_owned(), debug.clone())]);
    let mut again = HashMap::new();
    propagator.inject_context(&propagator.extract(&headers), &mut again);
    assert_eq!(again["b3"], debug);
}
