//! The open spans: our own store, keyed by the Registry's span id.
//!
//! Shards are chosen by the part of the id that names the thread which opened the span, so threads meet in a shard only
//! where one works on another's span. A lock is held for a copy of some hundred bytes and never while user code runs.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;
use tracing_core::Metadata;

use super::span::{OpenSpan, Place};
use super::table::Table;
use super::written::Written;
use crate::queue::Budget;

const SHARDS: usize = 64;

/// In the Registry's ids (sharded-slab's), the bits above these tell the thread. Another registry's ids may all fall into
/// one shard: slower, and right.
const THREAD_SHIFT: u32 = 38;

/// What an open span costs beside its buffer: itself, and its places in the table.
const FIXED: usize = size_of::<OpenSpan>() + 64;

/// Freed spans keep their buffers up to this size,
const KEPT_BYTES: usize = 4 << 10;
/// and so many of them a shard.
const KEPT: usize = 1024;

#[derive(Debug)]
pub(super) struct Store {
    // Of a known length: no bounds are checked.
    shards: Box<[CachePadded<Mutex<Shard>>; SHARDS]>,
}

#[derive(Debug)]
struct Shard {
    open: Table<Box<OpenSpan>>,
    /// Spans beyond the budget: only their place is known.
    bare: HashMap<u64, Place>,
    #[allow(
        clippy::vec_box,
        reason = "a span moves between here and the table as its box"
    )]
    free: Vec<Box<OpenSpan>>,
    account: Account,
}

/// What a new span brings along.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) place: &'a Place,
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) is_late: bool,
    pub(super) written: &'a Written,
}

impl Store {
    /// `share`: how far open spans may fill the budget.
    pub(super) fn new(budget: &Arc<Budget>, share: usize) -> Self {
        let shard = || Shard {
            open: Table::new(),
            bare: HashMap::new(),
            free: Vec::new(),
            account: Account {
                budget: Arc::clone(budget),
                share,
                reserved: 0,
                used: 0,
            },
        };
        Self {
            shards: Box::new(std::array::from_fn(|_| {
                CachePadded::new(Mutex::new(shard()))
            })),
        }
    }

    #[inline]
    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[(id.wrapping_sub(1) >> THREAD_SHIFT) as usize % SHARDS];
        // What a shard holds is whole after each statement, so a panic of another holder leaves it usable.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a span whose message so far is `record`, in exchange for an empty buffer. `false`: the budget has no room,
    /// and only its place is kept.
    #[inline]
    pub(super) fn open(&self, id: u64, opened: &Opened<'_>, record: &mut Vec<u8>) -> bool {
        let mut shard = self.shard(id);
        let Some(span) = shard.make(opened, record) else {
            return false;
        };
        shard.open.insert(id, span);
        true
    }

    /// Keeps the place of a span that is not recorded, so that its children stay in its trace.
    pub(super) fn open_bare(&self, id: u64, place: Place) {
        let mut shard = self.shard(id);
        shard.bare.insert(id, place);
    }

    #[inline]
    pub(super) fn place(&self, id: u64) -> Option<Place> {
        let shard = self.shard(id);
        match shard.open.get(id) {
            Some(span) => Some(span.place),
            None => shard.bare.get(&id).copied(),
        }
    }

    /// Works on an open span that is recorded.
    #[inline]
    pub(super) fn update<T>(
        &self,
        id: u64,
        work: impl FnOnce(&mut OpenSpan, &mut Account) -> T,
    ) -> Option<T> {
        let mut shard = self.shard(id);
        let Shard { open, account, .. } = &mut *shard;
        open.get_mut(id).map(|span| work(span, account))
    }

    /// Closes a span; `last` sees it if it was recorded.
    #[inline]
    pub(super) fn close(&self, id: u64, last: impl FnOnce(&mut OpenSpan)) {
        let mut shard = self.shard(id);
        match shard.open.remove(id) {
            Some(mut span) => {
                last(&mut span);
                shard.recycle(span);
            }
            None if shard.bare.is_empty() => {}
            None => {
                shard.bare.remove(&id);
                if shard.bare.is_empty() {
                    shard.bare = HashMap::new();
                }
            }
        }
    }
}

impl Shard {
    #[inline]
    fn make(&mut self, opened: &Opened<'_>, record: &mut Vec<u8>) -> Option<Box<OpenSpan>> {
        let Opened {
            place,
            metadata,
            is_late,
            written,
        } = *opened;
        let charge = FIXED + record.capacity();
        let Some(mut span) = self.free.pop() else {
            if !self.account.charge(charge) {
                return None;
            }
            let record = std::mem::take(record);
            return Some(Box::new(OpenSpan {
                place: *place,
                metadata,
                is_late,
                is_limited: false,
                record,
                written: *written,
                events: 0,
                links: 0,
                dropped_events: 0,
                dropped_links: 0,
                charge,
            }));
        };
        if !self.account.exchange(span.charge, charge) {
            self.free.push(span);
            return None;
        }
        std::mem::swap(&mut span.record, record);
        span.place = *place;
        span.metadata = metadata;
        span.is_late = is_late;
        span.is_limited = false;
        span.written = *written;
        (
            span.events,
            span.links,
            span.dropped_events,
            span.dropped_links,
        ) = (0, 0, 0, 0);
        span.charge = charge;
        Some(span)
    }

    #[inline]
    fn recycle(&mut self, mut span: Box<OpenSpan>) {
        let fits = span.record.capacity() <= KEPT_BYTES && self.free.len() < KEPT;
        // Beyond a quarter of the budget, memory is better given back than kept.
        if fits && !self.account.budget.exceeds(1, 4) {
            span.record.clear();
            self.free.push(span);
        } else {
            self.account.refund(span.charge);
        }
    }
}

/// A shard's share of the budget: taken in steps, so that threads seldom meet at the budget's counter.
#[derive(Debug)]
pub(super) struct Account {
    budget: Arc<Budget>,
    /// Open spans leave the rest of the budget to chunks, so that what ends finds room.
    share: usize,
    reserved: usize,
    used: usize,
}

const STEP: usize = 16 << 10;

impl Account {
    #[inline]
    pub(super) fn charge(&mut self, bytes: usize) -> bool {
        if self.used + bytes > self.reserved && !self.reserve(bytes) {
            return false;
        }
        self.used += bytes;
        true
    }

    #[cold]
    fn reserve(&mut self, bytes: usize) -> bool {
        let missing = self.used + bytes - self.reserved;
        let take = |step: &usize| self.budget.reserve_up_to(*step, self.share);
        let Some(step) = [missing.max(STEP), missing].into_iter().find(take) else {
            return false;
        };
        self.reserved += step;
        true
    }

    #[inline]
    fn refund(&mut self, bytes: usize) {
        self.used -= bytes;
        if self.reserved - self.used > 2 * STEP {
            self.budget.release(self.reserved - self.used - STEP);
            self.reserved = self.used + STEP;
        }
    }

    #[inline]
    fn exchange(&mut self, old: usize, new: usize) -> bool {
        if new > old {
            return self.charge(new - old);
        }
        if new < old {
            self.refund(old - new);
        }
        true
    }
}
