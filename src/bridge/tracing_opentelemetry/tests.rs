//! What their trait leaves behind. What it does is tested from outside, in `tests/interop`.

use tracing::{Span, info_span};
use tracing_subscriber::prelude::*;

use super::opentelemetry::Context;
use super::opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use super::tracing_opentelemetry::OpenTelemetrySpanExt;
use super::*;
use crate::layer::OtlpLayer;
use crate::testing::InMemory;
use crate::{Builder, Redaction, Sampler};

fn with_cells(work: impl FnOnce(&Cells)) {
    with_cells_in(
        |layer| Dispatch::new(tracing_subscriber::registry().with(layer)),
        work,
    );
}

fn with_cells_in(wrap: impl FnOnce(OtlpLayer) -> Dispatch, work: impl FnOnce(&Cells)) {
    with_cells_of(crate::layer(), wrap, work);
}

fn with_cells_of(
    builder: Builder,
    wrap: impl FnOnce(OtlpLayer) -> Dispatch,
    work: impl FnOnce(&Cells),
) {
    let builder = builder.with_transport(InMemory::new());
    let (layer, guard) = builder.build().unwrap();
    let embed = Embed::new();
    let cells = Arc::clone(&embed.cells);
    let layer = layer.hosting(Box::new(embed));
    tracing::dispatcher::with_default(&wrap(layer), || work(&cells));
    drop(guard);
}

#[test]
fn a_span_on_which_nobody_calls_it_makes_nothing() {
    with_cells(|cells| {
        for _ in 0..10_000 {
            let _outer = info_span!("outer").entered();
            info_span!("inner").in_scope(|| tracing::info!("event"));
        }
        assert_eq!(
            (cells.len(), cells.made()),
            (0, 1),
            "but the one that is tried"
        );
    });
}

#[test]
fn a_span_on_which_somebody_does_leaves_nothing() {
    with_cells(|cells| {
        for _ in 0..10_000 {
            let outer = info_span!("outer");
            outer.set_attribute("key", 1);
            outer.in_scope(|| {
                let _ = info_span!("inner").context();
                let _ = Span::current().context();
            });
        }
        assert_eq!(cells.len(), 0);
        assert!(cells.made() <= 2, "{} are used again", cells.made());
    });
}

/// Also where it is not recorded, begins to be or ceases, or goes through a processor.
#[test]
fn whatever_becomes_of_such_a_span_it_leaves_nothing() {
    let off = Sampler::parent_based(Sampler::always_off());
    let caller = |flags| {
        let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
        Context::new().with_remote_span_context(SpanContext::new(
            trace,
            span,
            flags,
            true,
            TraceState::NONE,
        ))
    };
    for builder in [
        crate::layer(),
        crate::layer().with_sampler(off),
        crate::layer().with_processor(Redaction::new()),
    ] {
        let wrap = |layer| Dispatch::new(tracing_subscriber::registry().with(layer));
        with_cells_of(builder, wrap, |cells| {
            for flags in [TraceFlags::SAMPLED, TraceFlags::NOT_SAMPLED] {
                let known = info_span!("known");
                known.set_attribute("key", 1);
                known.set_parent(caller(flags)).unwrap();
                known.in_scope(|| info_span!("inner").context());
                info_span!("never entered").set_attribute("key", 1);
            }
            assert_eq!(cells.len(), 0);
        });
    }
}

#[test]
fn what_their_functions_look_for_is_found() {
    with_cells(|cells| assert!(!cells.is_given_up()));
}

/// It is not told of its subscriber there.
#[test]
fn inside_of_an_option_it_is_tried_when_somebody_asks() {
    let wrap = |layer| Dispatch::new(tracing_subscriber::registry().with(Some(layer)));
    with_cells_in(wrap, |cells| {
        assert!(!cells.has_home());
        let span = info_span!("span");
        assert!(span.context().has_active_span());
        assert!(cells.has_home() && !cells.is_given_up());
        assert_eq!(
            (cells.len(), cells.made()),
            (1, 0),
            "the one that was tried is used again"
        );
    });
}

#[test]
fn given_up_it_answers_nothing() {
    let embed = Embed::new();
    let parts = [TypeId::of::<Compat>(), TypeId::of::<Theirs>()];
    let answers = || parts.map(|part| embed.answer(part).is_some());
    assert_eq!(answers(), [true, true]);
    embed.cells.give_up();
    assert_eq!(answers(), [false, false]);
}
