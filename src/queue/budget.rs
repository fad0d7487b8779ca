//! The memory budget: bytes that all parts of one pipeline hold together.

use crate::sync::{AtomicUsize, Ordering};

/// Reserved before memory is allocated and released after it is freed, so that the sum never exceeds the limit.
///
/// The limit may be lowered while the program runs. Then more may be used than it says, until enough is released; nothing more is
/// reserved meanwhile, but by who read the limit before.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What was configured. The limit is never above it.
    most: usize,
    /// Written by the exporter's thread; Relaxed, since it is a number that publishes nothing.
    limit: AtomicUsize,
    /// Written by all; Relaxed, since it guards a number and publishes nothing.
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            limit: AtomicUsize::new(most),
            used: AtomicUsize::new(0),
        }
    }

    /// Takes so many bytes, or none.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        self.reserve_leaving(bytes, 0)
    }

    /// As [`Budget::reserve`], but leaves so much of the limit to others.
    pub(crate) fn reserve_leaving(&self, bytes: usize, others: usize) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                let most = self.limit().saturating_sub(others);
                used.checked_add(bytes).filter(|sum| *sum <= most)
            })
            .is_ok()
    }

    #[inline]
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// From now on no more than this is reserved, nor more than was configured.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit.min(self.most), Ordering::Relaxed);
    }

    /// What is left of a part of the memory that was configured, where the limit is lower.
    pub(crate) fn scaled(&self, part: usize) -> usize {
        let limit = self.limit();
        if limit == self.most {
            return part;
        }
        let scaled = part as u128 * limit as u128 / self.most.max(1) as u128;
        usize::try_from(scaled).unwrap_or(usize::MAX)
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether more than `part` of `of` equal parts of the budget are used.
    #[inline]
    pub(crate) fn exceeds(&self, part: usize, of: usize) -> bool {
        self.used() > self.limit() / of * part
    }

    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(otlp_loom)))]
mod tests;
