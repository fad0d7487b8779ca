//! Ids, contexts and headers, ours as theirs and back.

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{self as otel, TraceContextExt};
use tracing_otlp::bridge::opentelemetry_0_33::{self as bridge, ContextPropagator};
use tracing_otlp::{
    Baggage, Context, Propagator, SpanContext, SpanId, TraceFlags, TraceId, TraceState,
};

use interop::Pipeline;

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

#[test]
fn a_propagator_of_theirs_is_one_form_of_a_pipeline() {
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use tracing_otlp::SpanExt;
    use tracing_subscriber::prelude::*;

    let (layer, pipeline) = Pipeline::with(|builder| {
        builder
            .with_propagators([Propagator::Baggage])
            .with_custom_propagator(bridge::propagator(TraceContextPropagator::new()))
    });
    let mut sent = Vec::new();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let came = [
            (
                "Traceparent",
                "00-01010101010101010101010101010101-0202020202020202-01",
            ),
            ("tracestate", "vendor=1"),
            ("baggage", "a=1"),
        ];
        let came = came.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let context = tracing_otlp::extract(&came.to_vec());
        assert!(context.span().unwrap().is_remote());
        let span = tracing::info_span!("span");
        span.set_parent(context).unwrap();
        tracing_otlp::inject(&span, &mut sent);
    });
    let spans = pipeline.spans();
    let span = spans.named("span");
    assert_eq!(span.parent_span_id, SpanId::from_bytes([2; 8]));
    let traceparent = format!("00-{}-{}-01", "01".repeat(16), span.span_id);
    for (key, value) in [
        ("traceparent", &*traceparent),
        ("tracestate", "vendor=1"),
        ("baggage", "a=1"),
    ] {
        let wanted = (key.to_owned(), value.to_owned());
        assert!(sent.contains(&wanted), "{wanted:?} in {sent:?}");
    }
    let fields = ContextPropagator::from(&pipeline.handle());
    let fields: Vec<_> = fields.fields().collect();
    assert_eq!(fields, ["baggage", "traceparent", "tracestate"]);
}
