//! What a kind of sampler is asked.

use super::candidate::Candidate;
use super::decision::{Decision, Sampling};
use super::ot::{self, Ot};
use super::voice::Voice;
use crate::context::TraceState;

/// A span about which is decided, and what goes with it through samplers of samplers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) span: &'a Candidate<'a>,
    /// The voice of the sampler that the pipeline asked.
    pub(super) voice: &'a Voice,
    /// Randomness made for a root whose trace id has too little.
    fresh: Option<u64>,
    /// What the parent's tracestate says of sampling.
    pub(super) ot: Ot,
}

impl<'a> Question<'a> {
    pub(super) fn new(span: &'a Candidate<'a>, voice: &'a Voice) -> Self {
        let is_poor = span.parent.is_none() && !span.is_random;
        let ot = span.parent.map(|parent| Ot::of(parent.trace_state()));
        Self {
            span,
            voice,
            fresh: is_poor.then(ot::random),
            ot: ot.unwrap_or_default(),
        }
    }

    /// The 56 random bits of the trace: `rv` of the tracestate, else the last 7 bytes of the trace id, which are presumed to be
    /// random (specification, presumption of trace id randomness).
    pub(super) fn randomness(&self) -> u64 {
        let explicit = self.ot.randomness.or(self.fresh);
        explicit.unwrap_or_else(|| ot::randomness_of(self.span.trace_id))
    }

    /// As [`Question::randomness`], to decide by it: a trace id that perhaps is not random is warned about (specification,
    /// compatibility warnings).
    pub(super) fn randomness_to_decide(&self) -> u64 {
        let is_presumed = self.ot.randomness.is_none() && !self.span.is_random;
        if is_presumed && self.span.parent.is_some() {
            self.voice.presumed_randomness();
        }
        self.randomness()
    }

    /// The answer of a sampler that has not asked for the parent's threshold, or of which the probability is not known:
    /// what the parent says of it no longer holds.
    pub(super) fn without_threshold(&self, decision: Decision) -> Sampling {
        self.with_threshold(decision, None)
    }

    /// The answer with this rejection threshold in the span's tracestate.
    pub(super) fn with_threshold(&self, decision: Decision, threshold: Option<u64>) -> Sampling {
        let written = ot::set_threshold(self.trace_state(), &self.ot, threshold);
        if written.is_cut {
            self.voice.no_room();
        }
        Sampling {
            trace_state: written.changed,
            ..decision.into()
        }
    }

    /// The answer of one that decided as its parent did: a threshold is passed on, unless parent and threshold say two things
    /// (specification, parent-based threshold).
    pub(super) fn as_parent(&self, decision: Decision) -> Sampling {
        let agrees = self
            .ot
            .threshold
            .is_some_and(|threshold| (self.randomness() >= threshold) == decision.is_sampled());
        if agrees || !self.ot.has_threshold {
            return decision.into();
        }
        self.without_threshold(decision)
    }

    /// A root's own randomness goes into its tracestate, unless the sampler put one there ("a root sampler MAY").
    pub(super) fn complete(&self, mut sampling: Sampling) -> Sampling {
        if let Some(fresh) = self.fresh {
            let state = sampling.trace_state.unwrap_or_default();
            sampling.trace_state = Some(ot::with_randomness(state, fresh));
        }
        sampling
    }

    fn trace_state(&self) -> Option<&'a TraceState> {
        self.span.parent.map(|parent| parent.trace_state())
    }
}
