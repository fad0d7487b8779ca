//! Trace and span ids: random, never all zero (W3C Trace Context level 2, sections 3.2.2.3 and 3.2.2.4).

use std::cell::Cell;
use std::fmt;

/// The id of a trace: 16 bytes, at least one of them not zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// The id of a span: 8 bytes, at least one of them not zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// No id: what stands where none is known yet.
    pub(crate) const NONE: Self = Self([0; 16]);

    /// The id that these bytes are, unless all of them are zero.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// The bytes, in the order in which they go over the wire.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A new id of which every bit is random, so that the W3C Random flag may be set.
    #[inline]
    pub(crate) fn random() -> Self {
        random().0
    }
}

impl SpanId {
    /// No id: what stands where none is known yet.
    pub(crate) const NONE: Self = Self([0; 8]);

    /// The id that these bytes are, unless all of them are zero.
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// The bytes, in the order in which they go over the wire.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    #[inline]
    pub(crate) fn random() -> Self {
        random_span()
    }
}

thread_local! {
    /// The state of this thread's generator; 0 before it is seeded. Without a destructor, so that a look at it is one load, also while
    /// the thread's other locals are destroyed.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Ids of a new trace and its first span.
#[inline]
pub(crate) fn random() -> (TraceId, SpanId) {
    loop {
        let [high, low, span] = draw();
        if high | low != 0 && span != 0 {
            let trace = u128::from(high) << 64 | u128::from(low);
            return (TraceId(trace.to_be_bytes()), SpanId(span.to_be_bytes()));
        }
    }
}

/// The id of a new span.
#[inline]
pub(crate) fn random_span() -> SpanId {
    loop {
        let [span] = draw();
        if span != 0 {
            return SpanId(span.to_be_bytes());
        }
    }
}

/// So many random numbers. The state is read and written once for all of them.
#[inline(always)]
fn draw<const N: usize>() -> [u64; N] {
    let state = STATE.get();
    let mut generator = fastrand::Rng::with_seed(if state == 0 { seed() } else { state });
    let drawn = std::array::from_fn(|_| generator.u64(..));
    STATE.set(generator.get_seed());
    drawn
}

/// Drawn by fastrand's own generator of this thread, which seeds itself from the thread, the time and an address.
#[cold]
fn seed() -> u64 {
    fastrand::u64(..)
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_id() {
        assert_eq!(TraceId::from_bytes([0; 16]), None);
        assert_eq!(SpanId::from_bytes([0; 8]), None);
    }

    #[test]
    fn hex_is_lower_case_and_of_full_width() {
        let mut bytes = [0; 16];
        bytes[15] = 0xAB;
        let id = TraceId::from_bytes(bytes).map(|id| id.to_string());
        assert_eq!(id.as_deref(), Some("000000000000000000000000000000ab"));
        assert_eq!(SpanId::random().to_string().len(), 16);
    }
}
