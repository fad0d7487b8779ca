//! Who a span is to others: its context, and what travels along with it between processes (OpenTelemetry specification,
//! `SpanContext`, baggage, propagators).
//!
//! - `span` has contexts and flags, and what of them a child inherits; `trace_state` and `baggage` what travels beside them.
//! - `trace_context` (W3C Trace Context level 2) and `b3` read and write headers; `propagation` is the list of what is used, in
//!   its order, and serves W3C Baggage. What cannot be read is as if it were not there.
//! - `carrier`, `header_map` and `environment` are what headers are read from and written to.
//!
//! What others sent is bounded before it is looked into: by fixed widths, by the lengths that a tracestate or a baggage may have.

mod b3;
mod baggage;
mod carrier;
mod environment;
#[cfg(any(feature = "grpc", feature = "http"))]
mod header_map;
mod hex;
mod propagation;
mod span;
mod trace_context;
mod trace_state;

use self::b3::Wish;
pub use self::baggage::Baggage;
pub use self::carrier::{Extractor, Injector};
pub use self::environment::EnvironmentCarrier;
pub(crate) use self::propagation::Propagators;
pub use self::propagation::{CustomPropagator, Propagator};
pub use self::span::{SpanContext, TraceFlags};
pub use self::trace_state::TraceState;

/// What travels between processes: a span's context, and baggage. It is cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    span: Option<SpanContext>,
    baggage: Baggage,
    /// What B3 says beside the flags, which is passed on.
    wish: Wish,
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

    /// Whether B3's debug flag came with it, or belongs to its trace.
    pub(crate) fn is_debug(&self) -> bool {
        self.wish == Wish::Debug
    }

    /// Whether B3 denied sampling without a span: a trace that begins here is not wanted (`b3: 0`).
    pub(crate) fn is_denied(&self) -> bool {
        self.wish == Wish::Denied
    }

    /// Whether B3 left the decision on this span's trace to whoever receives it. The sampled flag is not set then.
    pub(crate) fn is_deferred(&self) -> bool {
        self.wish == Wish::Deferred
    }

    /// Whether B3 says anything that another form of context cannot.
    #[cfg(feature = "_bridge")]
    pub(crate) fn has_wish(&self) -> bool {
        self.wish != Wish::None
    }

    /// The same with B3's debug flag, or without it.
    pub(crate) fn with_debug(self, debug: bool) -> Self {
        match (debug, self.wish) {
            (true, _) => self.with_wish(Wish::Debug),
            (false, Wish::Debug) => self.with_wish(Wish::None),
            (false, _) => self,
        }
    }

    fn with_wish(mut self, wish: Wish) -> Self {
        self.wish = wish;
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
        // Debug belongs to a trace; what else was said was said of another span, or of none.
        let debug = self.is_debug();
        self.with_wish(Wish::None).with_debug(debug)
    }
}

impl From<SpanContext> for Context {
    fn from(span: SpanContext) -> Self {
        Self::default().with_span(span)
    }
}
