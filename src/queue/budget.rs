//! The memory budget: bytes that all parts of one pipeline hold together.

use crate::sync::{AtomicUsize, Ordering};

/// Reserved before memory is allocated and released after it is freed, so that the sum never exceeds the limit.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    /// Written by all; Relaxed, since it guards a number and publishes nothing.
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
        }
    }

    /// Takes so many bytes, or none.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        self.reserve_up_to(bytes, self.limit)
    }

    /// As [`Budget::reserve`], but leaves what is beyond `limit` to others.
    pub(crate) fn reserve_up_to(&self, bytes: usize, limit: usize) -> bool {
        let fits = |used: usize| {
            used.checked_add(bytes)
                .filter(|sum| *sum <= limit.min(self.limit))
        };
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether more than `part` of `of` equal parts of the budget are used.
    #[inline]
    pub(crate) fn exceeds(&self, part: usize, of: usize) -> bool {
        self.used() > self.limit / of * part
    }

    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}
