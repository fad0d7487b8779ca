//! The units by tracing-opentelemetry's own calls.

use std::hint::black_box;
use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::by_tracing::{new_server_span, new_span};

static SAMPLED: LazyLock<Context> = LazyLock::new(|| remote(TraceFlags::SAMPLED));
static NOT_SAMPLED: LazyLock<Context> = LazyLock::new(|| remote(TraceFlags::default()));

fn remote(flags: TraceFlags) -> Context {
    Context::new().with_remote_span_context(caller(flags))
}

fn caller(flags: TraceFlags) -> SpanContext {
    let trace = TraceId::from_bytes([0xA1; 16]);
    let span = SpanId::from_bytes([0xB2; 8]);
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

pub(super) fn set_attribute(number: i64) {
    let span = new_span(number);
    span.set_attribute("order.items", number & 7);
    let _span = span.entered();
}

pub(super) fn links(number: i64) {
    let span = new_span(number);
    span.add_link(caller(TraceFlags::SAMPLED));
    span.add_link(caller(TraceFlags::SAMPLED));
    let _span = span.entered();
}

pub(super) fn set_parent(number: i64) {
    let span = new_span(number);
    let _ = black_box(span.set_parent(SAMPLED.clone()));
    let _span = span.entered();
}

pub(super) fn set_server_parent(number: i64) {
    let span = new_server_span(number);
    let _ = black_box(span.set_parent(SAMPLED.clone()));
    let _span = span.entered();
}

pub(super) fn set_unsampled_parent(number: i64) {
    let span = new_server_span(number);
    let _ = black_box(span.set_parent(NOT_SAMPLED.clone()));
    let _span = span.entered();
}

pub(super) fn context(number: i64) {
    let span = new_span(number).entered();
    black_box(span.context());
}

/// Without baggage, which ours looks for too.
pub(super) fn inject(number: i64) {
    let span = new_span(number).entered();
    TraceContextPropagator::new().inject_context(&span.context(), &mut Nowhere);
}

/// A carrier that costs nothing.
struct Nowhere;

impl Injector for Nowhere {
    fn set(&mut self, key: &str, value: String) {
        black_box((key, value));
    }
}
