//! Who a span is (specification, `SpanContext`; W3C Trace Context level 2, `traceparent`).

use std::fmt;

use super::{TraceState, hex};
use crate::id::{SpanId, TraceId};

/// The 8 flags of a trace (W3C Trace Context level 2, section 3.2.2.5). All of them are kept and passed on as they came; only
/// the two that are defined are ever set for a span that begins here.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
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

    /// The flags of a span below one with these: random as it came, which belongs to the trace id; sampled as decided; and
    /// those that are not defined are zero, as whoever makes flags has to set them.
    pub(crate) const fn of_child(self, is_sampled: bool) -> Self {
        Self(self.0 & Self::RANDOM.0 | is_sampled as u8)
    }
}

/// Two hex digits, as in `traceparent`.
impl fmt::Display for TraceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

impl fmt::Debug for TraceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceFlags({self})")
    }
}

/// Who a span is, also in another process: it never changes, and both ids are valid (specification, `SpanContext`).
///
/// ```
/// use tracing_otlp::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
///
/// let (Some(trace), Some(span)) = (TraceId::from_bytes([0xAB; 16]), SpanId::from_bytes([0xCD; 8])) else {
///     return; // all zero is no id
/// };
/// let caller = SpanContext::remote(trace, span, TraceFlags::SAMPLED, TraceState::default());
/// assert!(caller.is_remote() && caller.is_sampled());
/// assert_eq!(caller.traceparent(), "00-abababababababababababababababab-cdcdcdcdcdcdcdcd-01");
/// ```
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
            is_remote: false,
            ..Self::remote(trace_id, span_id, flags, trace_state)
        }
    }

    /// The context of a span below this one: in this process, of the same trace, with all of its tracestate.
    #[cfg(test)]
    pub(crate) fn child(&self, span_id: SpanId, is_sampled: bool) -> Self {
        let flags = self.flags.of_child(is_sampled);
        Self::local(self.trace_id, span_id, flags, self.trace_state.clone())
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

    /// The value of the header `traceparent`, of version 00: 55 characters, the ids and all 8 flags in lower-case hex.
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        hex::write(&mut text, &self.trace_id.to_bytes());
        text.push('-');
        hex::write(&mut text, &self.span_id.to_bytes());
        text.push('-');
        hex::write(&mut text, &[self.flags.bits()]);
        text
    }
}

/// The value of `traceparent`.
impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.traceparent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(flags: u8) -> SpanContext {
        SpanContext::remote(
            TraceId::from_bytes([0xA1; 16]).unwrap(),
            SpanId::from_bytes([0xB2; 8]).unwrap(),
            TraceFlags::new(flags),
            TraceState::parse("a=1,b=2").unwrap(),
        )
    }

    #[test]
    fn spec_6_1_a_context_is_remote_its_child_is_not_and_no_id_is_zero() {
        let caller = caller(1);
        let child = caller.child(SpanId::random(), true);
        assert!(caller.is_remote() && !child.is_remote());
        assert_eq!(child.trace_id(), caller.trace_id());
        assert_ne!(child.span_id(), caller.span_id());
        assert_eq!(TraceId::from_bytes([0; 16]), None);
        assert_eq!(SpanId::from_bytes([0; 8]), None);
    }

    #[test]
    fn spec_6_2_the_text_is_of_lower_case_hex_in_full_width() {
        let text = caller(0x0A).traceparent();
        assert_eq!(
            text,
            format!("00-{}-{}-0a", "a1".repeat(16), "b2".repeat(8))
        );
        assert_eq!(caller(0x0A).to_string(), text);
        assert_eq!(TraceFlags::new(0xAB).to_string(), "ab");
        assert_eq!(format!("{:?}", TraceFlags::new(3)), "TraceFlags(03)");
    }

    #[test]
    fn spec_6_4_a_child_has_random_as_received_and_no_undefined_flag() {
        for bits in 0..=u8::MAX {
            for is_sampled in [false, true] {
                let flags = caller(bits).child(SpanId::random(), is_sampled).flags();
                assert_eq!(flags.is_random(), bits & 2 != 0);
                assert_eq!(flags.is_sampled(), is_sampled);
                assert_eq!(flags.bits() & !3, 0);
            }
        }
    }

    #[test]
    fn spec_6_19_a_child_inherits_all_tracestate() {
        let child = caller(0).child(SpanId::random(), false);
        assert_eq!(child.trace_state().as_str(), "a=1,b=2");
    }
}
