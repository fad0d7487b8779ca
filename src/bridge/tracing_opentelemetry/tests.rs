//! What their trait leaves behind. What it does is tested from outside, in `tests/interop`.

use tracing::{Span, info_span};
use tracing_subscriber::prelude::*;

use super::tracing_opentelemetry::OpenTelemetrySpanExt;
use super::*;
use crate::testing::InMemory;

fn with_cells(work: impl FnOnce(&Cells)) {
    let builder = crate::layer().with_transport(InMemory::new());
    let (layer, guard) = builder.build().unwrap();
    let embed = Embed::new();
    let cells = Arc::clone(&embed.cells);
    let layer = layer.hosting(Box::new(embed));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || work(&cells));
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

#[test]
fn what_their_functions_look_for_is_found() {
    with_cells(|cells| assert!(!cells.is_given_up()));
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
