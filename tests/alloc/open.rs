//! Bytes that open spans hold: whatever they are told, no more than the memory limit and what is stated beside it.

use tracing::{Dispatch, Span, dispatcher, info_span};
use tracing_otlp::{
    Builder, Candidate, Decision, Sampler, Sampling, ShouldSample, SpanExt, TraceState,
};
use tracing_subscriber::prelude::*;

use crate::material::other;
use crate::steady::{Discard, HELD};

const LIMIT: usize = 8 << 20;
const SPANS: usize = 12_000;

/// One that makes buffers exactly full: what comes then has no room.
const TEXT: usize = 1_760;

/// What spans hold while all of them are open, without what the Registry holds for them.
fn held(set: impl FnOnce(Builder) -> Builder, open: impl Fn() -> Span) -> usize {
    let builder = tracing_otlp::layer()
        .with_transport(Discard::default())
        .with_memory_limit(LIMIT);
    let (otlp, _guard) = set(builder).build().unwrap();
    let ours = Dispatch::new(tracing_subscriber::registry().with(otlp));
    let bare = Dispatch::new(tracing_subscriber::registry());
    let [ours, bare] = [ours, bare].map(|dispatch| {
        dispatcher::with_default(&dispatch, || {
            let mut spans = Vec::with_capacity(SPANS);
            let before = HELD.get();
            spans.extend((0..SPANS).map(|_| open()));
            HELD.get() - before
        })
    });
    usize::try_from(ours - bare).unwrap_or(0)
}

fn full() -> Span {
    info_span!(
        "full",
        otel.kind = tracing::field::Empty,
        text = "x".repeat(TEXT)
    )
}

#[test]
fn what_a_full_buffer_grows_by_is_charged() {
    let alone = held(|builder| builder, full);
    let below = held(
        |builder| builder,
        || {
            let span = full();
            let _ = span.set_parent(other(1));
            span
        },
    );
    let late = held(
        |builder| builder,
        || {
            let span = full();
            span.record("otel.kind", "server");
            span
        },
    );
    let (alone, below, late) = (alone >> 10, below >> 10, late >> 10);
    let most = alone + alone / 20;
    assert!(below <= most, "{below} KiB below a parent, {alone} alone");
    assert!(late <= most, "{late} KiB with a late kind, {alone} alone");
}

/// Half a kilobyte, in two entries.
#[derive(Debug)]
struct Carries;

impl ShouldSample for Carries {
    fn should_sample(&self, _: &Candidate<'_>) -> Sampling {
        let state = format!("a={},b={}", "x".repeat(250), "y".repeat(240));
        Sampling::from(Decision::RecordAndSample)
            .with_trace_state(TraceState::parse(&state).unwrap())
    }

    fn description(&self) -> String {
        "Carries".to_owned()
    }
}

#[test]
fn what_a_sampler_has_spans_carry_is_charged() {
    let carrying = |builder: Builder| builder.with_sampler(Sampler::custom(Carries));
    let open = || {
        let span = info_span!(parent: None, "carrying");
        // Where a bridge is built in, the sampler is not asked before it starts.
        span.in_scope(|| {});
        span
    };
    let held = held(carrying, open) >> 10;
    let most = (LIMIT + LIMIT / 4) >> 10;
    assert!(
        held <= most,
        "{held} KiB, of {} that are allowed",
        LIMIT >> 10
    );
}
