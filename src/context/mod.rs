//! Who a span is to others: its context, and what travels along with it between processes.

mod baggage;
mod propagation;
mod trace_state;

pub use self::baggage::Baggage;
pub(crate) use self::propagation::Propagators;
pub use self::propagation::{Extractor, Injector, Propagator};
pub use self::trace_state::TraceState;
use crate::id::{SpanId, TraceId};

/// The 8 flags of a trace (W3C Trace Context level 2, section 3.2.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// The caller may have recorded the trace.
    pub const SAMPLED: Self = Self(0x01);
    /// The rightmost 7 bytes of the trace id are random.
    pub const RANDOM: Self = Self(0x02);

    /// These bits.
    pub const fn new(bits: u8) -> Self {
        Self(bits)
    }

    /// All 8 bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the sampled flag is set.
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// Whether the random flag is set.
    pub const fn is_random(self) -> bool {
        self.0 & Self::RANDOM.0 != 0
    }
}

/// Who a span is, also in another process: it never changes, and both ids are valid (specification, `SpanContext`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpanContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
    is_remote: bool,
    trace_state: TraceState,
}

impl SpanContext {
    /// The context of a span in another process.
    pub fn remote(
        trace_id: TraceId,
        span_id: SpanId,
        flags: TraceFlags,
        trace_state: TraceState,
    ) -> Self {
        Self {
            trace_id,
            span_id,
            flags,
            is_remote: true,
            trace_state,
        }
    }

    /// The context of a span in this process.
    pub(crate) fn local(
        trace_id: TraceId,
        span_id: SpanId,
        flags: TraceFlags,
        trace_state: TraceState,
    ) -> Self {
        Self {
            trace_id,
            span_id,
            flags,
            is_remote: false,
            trace_state,
        }
    }

    /// The trace's id.
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span's id.
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// All 8 flags.
    pub fn flags(&self) -> TraceFlags {
        self.flags
    }

    /// Whether the sampled flag is set.
    pub fn is_sampled(&self) -> bool {
        self.flags.is_sampled()
    }

    /// Whether it came from another process.
    pub fn is_remote(&self) -> bool {
        self.is_remote
    }

    /// What vendors say of the trace.
    pub fn trace_state(&self) -> &TraceState {
        &self.trace_state
    }
}

/// What travels between processes: a span's context, and baggage. It is cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    span: Option<SpanContext>,
    baggage: Baggage,
    /// B3's debug flag, which is passed on.
    debug: bool,
}

impl Context {
    /// The span's context; `None` where there was none, or it could not be read.
    pub fn span(&self) -> Option<&SpanContext> {
        self.span.as_ref()
    }

    /// The baggage.
    pub fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    pub(crate) fn is_debug(&self) -> bool {
        self.debug
    }

    pub(crate) fn with_debug(mut self, debug: bool) -> Self {
        self.debug = debug;
        self
    }

    /// The same with this baggage.
    #[must_use]
    pub fn with_baggage(mut self, baggage: Baggage) -> Self {
        self.baggage = baggage;
        self
    }

    /// The same with this span.
    #[must_use]
    pub fn with_span(mut self, span: SpanContext) -> Self {
        self.span = Some(span);
        self
    }
}

impl From<SpanContext> for Context {
    fn from(span: SpanContext) -> Self {
        Self::default().with_span(span)
    }
}
