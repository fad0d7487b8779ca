//! Buffers for chunks: taken within the budget, used again when their export is done.

use bytes::Bytes;

use super::budget::Budget;
use super::chunk::Sealed;
use crate::sync::{Arc, AtomicUsize, Ordering, Ring};

/// As many buffers as four full requests have, and what is an eighth of the budget at most: what is kept and not used is no room for
/// others.
const KEPT: usize = 128;
const KEPT_PART: usize = 8;
const LEAST_KEPT: usize = 4;

/// Of the budget that may be used before no more buffers are made in advance: where the oldest records go.
const STOCKED: (usize, usize) = (7, 8);

/// Of the budget that may be used before new buffers are smaller, and by how much, where whole ones for all threads take more than this
/// part of it. The ring has room for as many.
const PLENTY: (usize, usize) = (1, 2);
const CROWDED_PART: usize = 4;
const SMALL: usize = 4;

#[derive(Debug)]
pub(crate) struct Pool {
    buffers: Ring<Vec<u8>>,
    budget: Arc<Budget>,
    size: usize,
    /// Each has a buffer, as a rule.
    threads: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(budget: Arc<Budget>, size: usize) -> Self {
        Self {
            buffers: Ring::new(KEPT),
            budget,
            size,
            threads: AtomicUsize::new(0),
        }
    }

    /// There are so many threads that record.
    pub(crate) fn set_threads(&self, threads: usize) {
        self.threads.store(threads, Ordering::Relaxed);
    }

    /// Whether whole buffers for all threads, most of which record little, may be more than there is.
    fn is_crowded(&self) -> bool {
        let (part, of) = PLENTY;
        let of_all = self
            .threads
            .load(Ordering::Relaxed)
            .saturating_mul(self.size);
        of_all > self.budget.limit() / CROWDED_PART && self.budget.exceeds(part, of)
    }

    /// How many buffers are kept, as the limit is now.
    fn most(&self) -> usize {
        let part = self.budget.limit() / KEPT_PART / self.size.max(1);
        part.clamp(LEAST_KEPT, KEPT)
    }

    /// Gives up the buffers that are too many, since the limit was lowered.
    pub(crate) fn trim(&self) {
        while self.buffers.len() > self.most()
            && let Some(buffer) = self.buffers.pop()
        {
            let charge = buffer.capacity();
            drop(buffer);
            self.budget.release(charge);
        }
    }

    /// What is left of a part of the memory that was configured.
    pub(crate) fn scaled(&self, part: usize) -> usize {
        self.budget.scaled(part)
    }

    /// An empty buffer for at least so many bytes; `None` when the budget has no room for it.
    pub(crate) fn take(&self, least: usize) -> Option<Vec<u8>> {
        if least <= self.size
            && let Some(buffer) = self.buffers.pop()
        {
            return Some(buffer);
        }
        let size = if self.is_crowded() {
            self.size / SMALL
        } else {
            self.size
        };
        self.make(least.max(size))
    }

    fn make(&self, size: usize) -> Option<Vec<u8>> {
        if !self.budget.reserve(size) {
            return None;
        }
        let buffer = Vec::with_capacity(size);
        // The charge is the capacity, and `with_capacity` may give more than was asked for.
        let extra = buffer.capacity() - size;
        if extra > 0 && !self.budget.reserve(extra) {
            self.budget.release(size);
            return None;
        }
        Some(buffer)
    }

    /// Sees to it that so many buffers lie ready, as far as memory is not short: with their pages, so that no thread that records waits
    /// for the kernel to find them. Half of those that are kept at most: the other half is for those that come back, which else find no
    /// place, are freed, and are made again the next time.
    pub(crate) fn stock(&self, count: usize) {
        let (part, of) = STOCKED;
        let missing = count
            .min(self.most() / 2)
            .saturating_sub(self.buffers.len());
        for _ in 0..missing {
            if self.budget.exceeds(part, of) {
                return;
            }
            let Some(mut buffer) = self.make(self.size) else {
                return;
            };
            buffer.resize(self.size, 0);
            self.give_back(buffer);
        }
    }

    /// Takes a buffer back that was never sent.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let charge = buffer.capacity();
        if charge == self.size && self.buffers.len() < self.most() {
            match self.buffers.push(buffer) {
                Ok(()) => return,
                Err(buffer) => drop(buffer),
            }
        }
        self.budget.release(charge);
    }

    /// Takes a chunk's buffer back when nobody needs its bytes any more.
    pub(crate) fn recycle(&self, sealed: Sealed) {
        let charge = sealed.charge;
        match sealed.bytes.try_into_mut() {
            Ok(mut bytes) => {
                bytes.clear();
                let buffer = Vec::from(bytes);
                debug_assert_eq!(buffer.capacity(), charge);
                self.give_back(buffer);
            }
            // A transport kept a clone; the memory is its own from here on.
            Err(_shared) => self.budget.release(charge),
        }
    }

    /// Moves a chunk that is nearly empty out of its buffer, so that it holds what it needs and not what it might have
    /// become.
    pub(crate) fn shrink(&self, sealed: Sealed) -> Sealed {
        let len = sealed.bytes.len();
        if len > self.size / 4 {
            return sealed;
        }
        let small = Sealed {
            bytes: Bytes::copy_from_slice(&sealed.bytes),
            charge: len,
            ..sealed.clone()
        };
        if self.budget.reserve(len) {
            self.recycle(sealed);
        } else {
            // Where there is no room for both, the large one is not kept for later.
            let charge = sealed.charge;
            drop(sealed);
            self.budget.release(charge - len);
        }
        small
    }

    /// Frees a chunk's memory for the budget, instead of keeping its buffer.
    pub(crate) fn discard(&self, sealed: Sealed) {
        let charge = sealed.charge;
        drop(sealed);
        self.budget.release(charge);
    }
}

#[cfg(all(test, not(otlp_loom)))]
mod tests {
    use super::*;

    fn pool(limit: usize) -> (Arc<Budget>, Pool) {
        let budget = Arc::new(Budget::new(limit));
        (Arc::clone(&budget), Pool::new(budget, 1024))
    }

    #[test]
    fn what_is_stocked_is_taken_without_asking_for_memory() {
        let (budget, pool) = pool(1 << 20);
        pool.stock(3);
        assert_eq!(budget.used(), 3 * 1024);
        for _ in 0..3 {
            let buffer = pool.take(100).expect("a buffer");
            assert!(buffer.is_empty() && buffer.capacity() >= 1024);
        }
        assert_eq!(budget.used(), 3 * 1024);
    }

    #[test]
    fn stock_is_made_up_to_what_is_asked_for_and_no_more() {
        let (budget, pool) = pool(1 << 20);
        pool.stock(2);
        pool.stock(3);
        pool.stock(1);
        assert_eq!(budget.used(), 3 * 1024);
        pool.stock(10_000);
        assert_eq!(budget.used(), KEPT / 2 * 1024, "half of what is kept");
    }

    /// What is filled comes back once the next is being filled: then nothing is made any more.
    #[test]
    fn what_goes_round_is_not_made_again() {
        let (budget, pool) = pool(1 << 20);
        let take = |count: usize| -> Vec<_> { (0..count).filter_map(|_| pool.take(100)).collect() };
        let made = [(); 4].map(|()| {
            let filled = take(KEPT / 2);
            let before = budget.used();
            pool.stock(filled.len());
            let made = budget.used() - before;
            filled.into_iter().for_each(|buffer| pool.give_back(buffer));
            made / 1024
        });
        assert_eq!(made, [KEPT / 2, 0, 0, 0]);
    }

    #[test]
    fn no_stock_is_made_where_the_oldest_records_would_go_for_it() {
        let (budget, pool) = pool(64 << 10);
        assert!(budget.reserve(55 << 10));
        pool.stock(8);
        // One more than seven eighths: that much was free when it was looked at.
        assert_eq!(budget.used(), 57 << 10);
        assert!(pool.take(100).is_some());
    }
}
