//! The units by `tracing_otlp`'s own calls.

use std::hint::black_box;
use std::sync::LazyLock;

use tracing_otlp::{
    Context, Injector, SpanContext, SpanExt, SpanId, TraceFlags, TraceId, TraceState,
};

use super::by_tracing::{new_server_span, new_span};

static SAMPLED: LazyLock<Context> = LazyLock::new(|| caller(TraceFlags::SAMPLED));
static NOT_SAMPLED: LazyLock<Context> = LazyLock::new(|| caller(TraceFlags::default()));

/// # Panics
///
/// Never: the ids are valid.
fn caller(flags: TraceFlags) -> Context {
    let trace = TraceId::from_bytes([0xA1; 16]).expect("it is not zero");
    let span = SpanId::from_bytes([0xB2; 8]).expect("it is not zero");
    SpanContext::remote(trace, span, flags, TraceState::default()).into()
}

pub(super) fn set_attribute(number: i64) {
    let span = new_span(number);
    span.set_attribute("order.items", number & 7);
    let _span = span.entered();
}

pub(super) fn links(number: i64) {
    let span = new_span(number);
    if let Some(to) = SAMPLED.span() {
        span.add_link(to, []);
        span.add_link(to, []);
    }
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

pub(super) fn inject(number: i64) {
    let span = new_span(number).entered();
    tracing_otlp::inject(&span, &mut Nowhere);
}

/// A carrier that costs nothing.
struct Nowhere;

impl Injector for Nowhere {
    fn set(&mut self, key: &str, value: &str) {
        black_box((key, value));
    }
}
