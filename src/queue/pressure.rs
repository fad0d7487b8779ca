//! How short memory is, as far as that decides about what is recorded: a state with a high and a low mark.

use super::Budget;

/// Of the memory that may be used before the oldest records are given up.
const FULL: (usize, usize) = (7, 8);

/// Percent of it at which new traces of TRACE and DEBUG are shed, and those of INFO too.
const HIGH: u64 = 80;
const HIGHER: u64 = 90;
/// Percent below which all is recorded again.
const LOW: u64 = 60;

/// The worse, the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    /// There is room for everything.
    #[default]
    None,
    /// Less is said in detail.
    High,
    /// Only what is wrong is said.
    Higher,
}

impl Pressure {
    /// What follows when so much of `full` is used.
    pub(crate) fn next(self, used: usize, full: usize) -> Self {
        let percent = (used as u64).saturating_mul(100) / (full as u64).max(1);
        match self {
            _ if percent > HIGHER => Self::Higher,
            Self::Higher if percent > HIGH => Self::Higher,
            _ if percent > HIGH => Self::High,
            Self::Higher | Self::High if percent > LOW => Self::High,
            _ => Self::None,
        }
    }
}

impl Budget {
    /// What follows from what is used now.
    pub(crate) fn pressure(&self, before: Pressure) -> Pressure {
        let (part, of) = FULL;
        before.next(self.used(), self.limit() / of * part)
    }

    /// Whether what is recorded now costs older records.
    pub(crate) fn is_full(&self) -> bool {
        let (part, of) = FULL;
        self.exceeds(part, of)
    }
}

#[cfg(all(test, not(otlp_loom)))]
mod tests;
