//! What the tests record with: samplers, limits, contexts, an error and a trace.

use std::error::Error;

use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_otlp::{
    Baggage, Context, IdGenerator, Limits, Rule, Sampler, SpanContext, SpanExt, SpanId, SpanKind,
    Status, TraceFlags, TraceId, TraceState,
};

/// An error without a source.
#[derive(Debug)]
pub(crate) struct Plain;

impl std::fmt::Display for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a plain error")
    }
}

impl Error for Plain {}

/// Limits that the tests reach.
pub(crate) fn tight() -> Limits {
    Limits::default()
        .with_attributes(6)
        .with_events(3)
        .with_links(1)
        .with_attributes_per_event(2)
        .with_attributes_per_link(1)
        .with_value_length(8)
        .with_value_depth(1)
        .with_record_bytes(1 << 10)
}

pub(crate) fn rules() -> Sampler {
    let rules = [
        Rule::new()
            .name("GET /health*")
            .sampler(Sampler::always_off()),
        Rule::new()
            .kind(SpanKind::Client)
            .target("no*thing")
            .sampler(Sampler::always_off()),
        Rule::new()
            .field("http.route", "/checkout/*")
            .sampler(Sampler::always_on()),
    ];
    Sampler::rules(rules, Sampler::always_on())
}

#[derive(Debug)]
pub(crate) struct Random;

impl IdGenerator for Random {
    fn trace_id(&self) -> TraceId {
        other(5).trace_id()
    }

    fn span_id(&self) -> SpanId {
        other(5).span_id()
    }

    fn is_random(&self) -> bool {
        true
    }
}

pub(crate) fn other(byte: u8) -> SpanContext {
    with_state(byte, TraceFlags::SAMPLED, TraceState::default())
}

pub(crate) fn with_state(byte: u8, flags: TraceFlags, state: TraceState) -> SpanContext {
    let trace = TraceId::from_bytes([byte; 16]).unwrap();
    let span = SpanId::from_bytes([byte; 8]).unwrap();
    SpanContext::remote(trace, span, flags, state)
}

/// A context of another process, with tracestate and baggage.
pub(crate) fn caller(flags: TraceFlags) -> Context {
    let state = TraceState::parse("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").unwrap();
    let baggage = Baggage::default()
        .with("user", "Amélie")
        .with("plan", "free");
    Context::from(with_state(1, flags, state)).with_baggage(baggage)
}

/// A trace of five spans: a root and, below it, a child with a grandchild, a client, and a child of which more is said.
pub(crate) fn trace() {
    let _root = info_span!("root", otel.kind = Empty, http.route = "/users").entered();
    info_span!("child", number = 1).in_scope(|| {
        drop(info_span!("grandchild", text = "a").entered());
        info!(rows = 3, "found");
    });
    drop(info_span!("client", otel.kind = "client").entered());
    let span = info_span!("late", late = Empty);
    span.record("late", 1);
    span.set_attribute("set", 1);
    span.add_event("event", [("number", 1.into())]);
    span.set_status(Status::Ok);
}
