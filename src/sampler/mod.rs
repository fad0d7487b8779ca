//! Which spans are recorded (specification, sampling).

use std::fmt;
use std::sync::Arc;

use crate::context::{SpanContext, TraceState};
use crate::id::TraceId;
use crate::model::{SpanKind, Value};

/// What becomes of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// It is not recorded. It has ids, and its trace goes on.
    Drop,
    /// It is recorded and not exported.
    RecordOnly,
    /// It is recorded and exported, and its context says so.
    RecordAndSample,
}

/// A sampler's answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// What becomes of the span.
    pub decision: Decision,
    /// Attributes that the span gets beside its own.
    pub attributes: Vec<(String, Value<'static>)>,
    /// The span's tracestate, where it is not its parent's.
    pub trace_state: Option<TraceState>,
}

impl From<Decision> for Sampling {
    fn from(decision: Decision) -> Self {
        Self {
            decision,
            attributes: Vec::new(),
            trace_state: None,
        }
    }
}

/// A span that is about to begin, as a sampler sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub(crate) parent: Option<&'a SpanContext>,
    pub(crate) trace_id: TraceId,
    /// Whether the trace id is random: it came with W3C's random flag, or was made here.
    pub(crate) is_random: bool,
    pub(crate) name: &'a str,
    pub(crate) kind: SpanKind,
    pub(crate) target: &'a str,
    /// The span's message so far, of which attributes and links are read.
    pub(crate) record: &'a [u8],
}

/// A span's parent, as far as the early decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    None,
    Local { sampled: bool },
    Remote { sampled: bool },
}

/// A sampler of one's own.
pub trait ShouldSample: fmt::Debug + Send + Sync + 'static {
    /// What becomes of this span.
    fn should_sample(&self, span: &Candidate<'_>) -> Sampling;

    /// What the sampler is called, as in `AlwaysOnSampler` or `TraceIdRatioBased{0.000100}`.
    fn description(&self) -> String;
}

/// Which spans are recorded.
#[derive(Clone, Debug)]
pub struct Sampler(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    AlwaysOn,
}

impl Sampler {
    /// The decision, where neither name nor attributes, tracestate or anybody else have a say in it.
    #[inline]
    pub(crate) fn early(&self, _trace_id: TraceId, _parent: Parent) -> Option<Decision> {
        Some(Decision::RecordAndSample)
    }

    /// The decision.
    pub(crate) fn sample(&self, _span: &Candidate<'_>) -> Sampling {
        Decision::RecordAndSample.into()
    }
}

impl Default for Sampler {
    /// As the parent was sampled; a root always (specification, built-in samplers).
    fn default() -> Self {
        Self(Arc::new(Kind::AlwaysOn))
    }
}
