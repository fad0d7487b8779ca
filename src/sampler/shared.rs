//! [`Sampler`]: one of the kinds, shared by whoever asks it.

use std::fmt;
use std::sync::Arc;

use super::always::{Always, AlwaysRecord};
use super::candidate::{Candidate, Parent};
use super::composable::{Composable, Composite};
use super::custom::Custom;
use super::decision::{Decision, Sampling};
use super::early::{Leaf, Table};
use super::parent_based::ParentBased;
use super::probability::Probability;
use super::question::Question;
use super::rate::Rate;
use super::ratio::{Ratio, is_below};
use super::rules::{Rule, Rules};
use super::voice::Voice;
use super::{Decide, ShouldSample};
use crate::id::TraceId;

/// Which spans are recorded, for [`Builder::with_sampler`](crate::Builder::with_sampler). Cheap to clone; clones share their state,
/// as the tokens of a rate limit.
///
/// ```
/// use tracing_otlp::Sampler;
///
/// // A tenth of the traces that begin here, and of those that go on here what their callers sampled.
/// let sampler = Sampler::parent_based(Sampler::ratio(0.1));
/// assert!(sampler.description().contains("TraceIdRatioBased{0.100000}"));
/// ```
///
/// A sampler that is not parent-based decides about each span by itself: where it says no to a span and yes to its
/// children, these are exported below a parent that is not.
#[derive(Clone)]
pub struct Sampler(Arc<Inner>);

struct Inner {
    early: Table,
    voice: Voice,
    kind: Box<dyn Decide>,
}

impl Sampler {
    /// Every span (specification, `AlwaysOn`).
    pub fn always_on() -> Self {
        Self::of(Always(Decision::RecordAndSample))
    }

    /// No span (specification, `AlwaysOff`).
    pub fn always_off() -> Self {
        Self::of(Always(Decision::Drop))
    }

    /// This part of the traces, from 0 to 1, chosen by the trace id (specification, `TraceIdRatioBased`). It does not look at
    /// the parent, so use it for roots: `Sampler::parent_based(Sampler::ratio(0.1))`. Used for spans with a parent, it says so
    /// once on stderr.
    ///
    /// A number out of range is an error of [`Builder::build`](crate::Builder::build).
    pub fn ratio(ratio: f64) -> Self {
        Self::of(Ratio::new(ratio))
    }

    /// As the parent was sampled; roots by this sampler (specification, `ParentBased`). [`ParentBased`] sets the others.
    #[must_use]
    pub fn parent_based(root: Self) -> Self {
        ParentBased::new(root).into()
    }

    /// As this sampler, but what it drops is recorded without being exported (specification, `AlwaysRecord`).
    #[must_use]
    pub fn always_record(sampler: Self) -> Self {
        Self::of(AlwaysRecord(sampler))
    }

    /// At most so many spans a second, and at once as many as come in a second, at least one. Every span that it is asked about counts:
    /// below [`Sampler::parent_based`] these are roots, so that it limits traces; alone, or for spans with a parent, it
    /// limits spans, and traces have holes.
    ///
    /// What it drops is not sampled, as by any sampler: it is no loss, and not in the ledger. For a limit whose drops are counted, that
    /// spares what is severe and knows of bytes, see [`Builder::with_drop_above`](crate::Builder::with_drop_above).
    ///
    /// The rate may be less than one. A number that is negative or not finite is an error of
    /// [`Builder::build`](crate::Builder::build).
    pub fn rate_limited(per_second: f64) -> Self {
        Self::of(Rate::new(per_second, None))
    }

    /// As [`Sampler::rate_limited`], with so many spans at once, at least one.
    pub fn rate_limited_with_burst(per_second: f64, burst: u32) -> Self {
        Self::of(Rate::new(per_second, Some(burst)))
    }

    /// By the first rule that holds, else by `otherwise`.
    #[must_use]
    pub fn rules(rules: impl IntoIterator<Item = Rule>, otherwise: Self) -> Self {
        Self::of(Rules::new(rules, otherwise))
    }

    /// This part of the traces, from 0 to 1, and each span tells it (specification, `ProbabilitySampler`, in development): the
    /// tracestate of what is sampled gets `ot=th:...`, by which a backend can count what was not sampled. It decides by 56
    /// random bits, of the tracestate (`rv`) or the trace id, and does not look at the parent.
    ///
    /// A probability has four significant digits, and below 2^-56 it is 0. A number out of range is an error of
    /// [`Builder::build`](crate::Builder::build). A span that is sampled costs some allocations for its tracestate.
    pub fn probability(ratio: f64) -> Self {
        Self::of(Probability::new(ratio))
    }

    /// By a composable sampler (specification, `CompositeSampler`, in development). A span that is sampled costs some
    /// allocations for its tracestate and attributes.
    #[must_use]
    pub fn composite(sampler: Composable) -> Self {
        Self::of(Composite(sampler))
    }

    /// A sampler of one's own.
    pub fn custom(sampler: impl ShouldSample) -> Self {
        Self::of(Custom(sampler))
    }

    /// What it is called (specification, `GetDescription`), as in `TraceIdRatioBased{0.000100}`.
    pub fn description(&self) -> String {
        self.0.kind.description()
    }

    /// What is wrong with the values that it was made with.
    pub(crate) fn problem(&self) -> Option<String> {
        self.0.kind.problem()
    }

    /// The decision, where nothing but the trace id and the parent's sampled flag has a say in it; else [`Sampler::sample`] is asked.
    /// Nothing is said and nothing is allocated in it, so that it may be called with a lock.
    ///
    /// What the parent's tracestate says of sampling may have to be changed; where there is none (`has_trace_state`), there is nothing to
    /// change.
    ///
    /// It does not know whether the trace id is random. Where an id generator's are not, ask [`Sampler::sample`] about a root:
    /// it puts randomness into the tracestate (specification, explicit trace randomness).
    #[inline]
    pub(crate) fn early(
        &self,
        trace_id: TraceId,
        parent: Parent,
        has_trace_state: bool,
    ) -> Option<Decision> {
        let decision = match self.0.early.leaf(parent) {
            Leaf::Later => return None,
            Leaf::Fixed(decision) => decision,
            Leaf::Ratio { bound, otherwise } => {
                if parent != Parent::None && !self.0.voice.has_said_ratio_of_child() {
                    return None;
                }
                if is_below(trace_id, bound) {
                    Decision::RecordAndSample
                } else {
                    otherwise
                }
            }
        };
        (!has_trace_state || parent.keeps_state(decision)).then_some(decision)
    }

    /// The decision. User code runs in it, behind a guard.
    pub(crate) fn sample(&self, span: &Candidate<'_>) -> Sampling {
        let question = Question::new(span, &self.0.voice);
        question.complete(self.decide(&question))
    }

    pub(super) fn decide(&self, question: &Question<'_>) -> Sampling {
        self.0.kind.decide(question)
    }

    pub(super) fn table(&self) -> Table {
        self.0.early
    }

    fn of(kind: impl Decide + 'static) -> Self {
        Self(Arc::new(Inner {
            early: kind.early(),
            voice: Voice::default(),
            kind: Box::new(kind),
        }))
    }

    #[cfg(test)]
    pub(super) fn hushed(self) -> Self {
        self.0.voice.hush();
        self
    }

    /// What was said: see [`Voice::said`].
    #[cfg(test)]
    pub(super) fn said(&self) -> [bool; 4] {
        self.0.voice.said()
    }
}

impl Default for Sampler {
    /// As the parent was sampled; a root always (specification, built-in samplers).
    fn default() -> Self {
        Self::parent_based(Self::always_on())
    }
}

impl From<ParentBased> for Sampler {
    fn from(builder: ParentBased) -> Self {
        Self::of(builder)
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}
