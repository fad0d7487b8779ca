//! Version 0.33.

use ::opentelemetry;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_otlp::bridge::opentelemetry_0_33 as bridge;
use tracing_otlp::{Propagator, SpanExt, SpanId};
use tracing_subscriber::prelude::*;

use bridge::ContextPropagator;
use interop::Pipeline;

#[path = "every.rs"]
mod every;

#[test]
fn a_propagator_of_theirs_is_one_form_of_a_pipeline() {
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
