//! Fields that write more than a record holds: 100 MB.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::info_span;

use super::super::Attributed;
use super::Stage;

const PIECE: usize = 1000;
const PIECES: usize = 100_000;

/// Writes on and on.
#[derive(Default)]
struct Endless {
    /// Whether it goes on when it is told to stop.
    stubborn: bool,
    taken: AtomicUsize,
    refused: AtomicUsize,
}

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let piece = "x".repeat(PIECE);
        for _ in 0..PIECES {
            match f.write_str(&piece) {
                Ok(()) => self.taken.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    if !self.stubborn {
                        return Err(error);
                    }
                    continue;
                }
            };
        }
        Ok(())
    }
}

impl Endless {
    /// Records itself, and tells how often it was taken and refused.
    fn play(self, stage: &impl Stage) -> (usize, usize) {
        let spans = stage.spans(|| drop(info_span!("span", before = 1, endless = ?self)));
        let length = spans.only().encoded()["endless"].len();
        // The default limit of a record.
        assert!((255 << 10..=256 << 10).contains(&length), "{length}");
        assert!(spans.only().has("before"));
        (self.taken.into_inner(), self.refused.into_inner())
    }
}

pub(crate) fn a_value_without_end_stops_at_the_limit(stage: &impl Stage) {
    let (taken, refused) = Endless::default().play(stage);
    assert!(taken <= (256 << 10) / PIECE, "{taken} pieces were taken");
    assert_eq!(refused, 1, "it is stopped once");
}

pub(crate) fn a_value_that_does_not_stop_costs_nothing_more(stage: &impl Stage) {
    let stubborn = Endless {
        stubborn: true,
        ..Endless::default()
    };
    let (taken, refused) = stubborn.play(stage);
    assert!(taken <= (256 << 10) / PIECE, "{taken} pieces were taken");
    assert_eq!(taken + refused, PIECES);
}
