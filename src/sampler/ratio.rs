//! `TraceIdRatioBased`.

use super::Decide;
use super::decision::{Decision, Sampling};
use super::description;
use super::early::{Leaf, Table};
use super::question::Question;
use crate::id::TraceId;

/// Samples where 63 bits of the trace id's last 8 bytes are below a bound, as the SDKs for Go and Rust do: all processes of a trace
/// decide alike, and a higher ratio samples what a lower one does. "The implementation MUST NOT change."
#[derive(Debug)]
pub(super) struct Ratio {
    ratio: f64,
    bound: u64,
}

impl Ratio {
    pub(super) fn new(ratio: f64) -> Self {
        Self {
            ratio,
            bound: bound(ratio),
        }
    }
}

impl Decide for Ratio {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        if question.span.parent.is_some() {
            question.voice.ratio_of_child();
        }
        let yes = is_below(question.span.trace_id, self.bound);
        question.without_threshold(Decision::from_yes(yes))
    }

    fn early(&self) -> Table {
        Table::all(Leaf::Ratio {
            bound: self.bound,
            otherwise: Decision::Drop,
        })
    }

    fn description(&self) -> String {
        format!("TraceIdRatioBased{{{}}}", description::ratio(self.ratio))
    }

    fn problem(&self) -> Option<String> {
        description::problem("Sampler::ratio", self.ratio)
    }
}

/// What the 63 bits are below for this ratio.
pub(super) fn bound(ratio: f64) -> u64 {
    // A cast of what is out of range stops at its ends; of no number, it is 0.
    (ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64
}

#[inline]
pub(super) fn is_below(id: TraceId, bound: u64) -> bool {
    (u128::from_be_bytes(id.to_bytes()) as u64) >> 1 < bound
}
