//! A sampler's answer (specification, `ShouldSample`).

use crate::context::TraceState;
use crate::model::Value;

/// What becomes of a span. A span that is exported without being recorded cannot be said (specification, sampling).
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

impl Decision {
    /// Whether the span's context has the sampled flag.
    pub(super) fn is_sampled(self) -> bool {
        self == Self::RecordAndSample
    }

    /// The decision of a sampler that knows yes and no.
    pub(crate) fn from_yes(yes: bool) -> Self {
        if yes {
            Self::RecordAndSample
        } else {
            Self::Drop
        }
    }
}

/// A sampler's answer. Made of a [`Decision`]:
///
/// ```
/// use tracing_otlp::{Decision, Sampling};
///
/// let sampling = Sampling::from(Decision::RecordAndSample).with_attribute("sampling.rule", "checkout");
/// assert_eq!(sampling.attributes.len(), 1);
/// ```
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

impl Sampling {
    /// With a further attribute of the span.
    #[must_use]
    pub fn with_attribute(
        mut self,
        key: impl Into<String>,
        value: impl Into<Value<'static>>,
    ) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// With this as the span's tracestate; an empty one clears it. Without, the span has its parent's.
    #[must_use]
    pub fn with_trace_state(mut self, trace_state: TraceState) -> Self {
        self.trace_state = Some(trace_state);
        self
    }
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
