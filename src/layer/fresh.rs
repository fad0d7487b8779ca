//! Which spans of a shard have not started yet, and how they start without a lock.
//!
//! Until a span starts, its parent may be set. As a rule it starts a moment after it was created, by being entered, and
//! nobody has set anything. So the span that was created last stands in one atomic number, and who enters it takes it out.
//! Only a span that another one pushes out of that place, or one whose start takes work, is *parked*: it has a mark in the
//! shard, under the shard's lock, and who enters a span while any are parked looks there.
//!
//! The protocol is modelled in `tests/loom`.

use crate::sync::{AtomicU64, AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Fresh {
    /// The span that was created last, if it has not started; 0 is none. Set under the shard's lock; taken out with or without.
    last: AtomicU64,
    /// How many spans are parked. Written under the shard's lock, and raised before a span leaves `last` for its mark: who no longer
    /// finds it there (Acquire) sees that it may be parked.
    parked: AtomicUsize,
}

/// How far a span is from its start, beside what [`Fresh`] knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// It has started, unless it is the last one that was created.
    Plain,
    /// It has not started.
    Parked,
    /// It has not started, and the guests of the layer are told when it does.
    Bidden,
    /// It has not started, and the sampler is asked when it does.
    Undecided,
    /// Both.
    BiddenUndecided,
}

impl Start {
    /// Whether more is to be done than to take note, when a span starts or is closed before.
    #[inline]
    pub(crate) fn takes_work(self) -> bool {
        matches!(self, Self::Bidden | Self::Undecided | Self::BiddenUndecided)
    }

    pub(crate) fn is_undecided(self) -> bool {
        matches!(self, Self::Undecided | Self::BiddenUndecided)
    }

    fn is_bidden(self) -> bool {
        matches!(self, Self::Bidden | Self::BiddenUndecided)
    }

    /// The same of a span about which is decided.
    pub(crate) fn decided(self) -> Self {
        Self::of(self.is_bidden(), false)
    }

    /// The same of a span about which nothing is decided.
    pub(crate) fn undecided(self) -> Self {
        Self::of(self.is_bidden(), true)
    }

    /// The same of a span of whose start the guests are told, or not.
    pub(crate) fn bidden(self, is_bidden: bool) -> Self {
        Self::of(is_bidden, self.is_undecided())
    }

    fn of(is_bidden: bool, is_undecided: bool) -> Self {
        match (is_bidden, is_undecided) {
            (false, false) => Self::Parked,
            (true, false) => Self::Bidden,
            (false, true) => Self::Undecided,
            (true, true) => Self::BiddenUndecided,
        }
    }
}

/// What being entered means for a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It starts with this, and nobody had set its parent.
    Now,
    /// It has started before.
    Before,
    /// It may be parked: the shard knows.
    Look,
}

impl Fresh {
    pub(crate) fn new() -> Self {
        Self {
            last: AtomicU64::new(0),
            parked: AtomicUsize::new(0),
        }
    }

    /// A span was created. Returns the one that it pushes out, which has to be marked as parked. Under the shard's lock.
    #[inline]
    pub(crate) fn created(&self, id: u64) -> Option<u64> {
        if self.last.load(Ordering::Relaxed) == 0 {
            // Only who holds the lock puts anything here.
            self.last.store(id, Ordering::Release);
            return None;
        }
        self.push_out(id)
    }

    #[cold]
    fn push_out(&self, id: u64) -> Option<u64> {
        self.park();
        let pushed_out = self.last.swap(id, Ordering::AcqRel);
        if pushed_out == 0 {
            self.unpark();
            return None;
        }
        Some(pushed_out)
    }

    /// A span is entered, on any thread, with no lock held.
    #[inline]
    pub(crate) fn entered(&self, id: u64) -> Entered {
        if self.last.load(Ordering::Acquire) == id && self.take(id) {
            return Entered::Now;
        }
        if self.parked.load(Ordering::Relaxed) == 0 {
            Entered::Before
        } else {
            Entered::Look
        }
    }

    /// Whether the span is the last one that was created, and has not started. Under the shard's lock: who has started it and looked at
    /// the shard since then is seen.
    #[inline]
    pub(crate) fn is_last(&self, id: u64) -> bool {
        self.last.load(Ordering::Acquire) == id
    }

    /// Takes a span out of the place of the last one; says whether it was there, and so had not started.
    #[inline]
    pub(crate) fn take(&self, id: u64) -> bool {
        self.last
            .compare_exchange(id, 0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// A span starts under the shard's lock.
    #[inline]
    pub(crate) fn start(&self, id: u64) {
        if self.last.load(Ordering::Acquire) == id {
            self.take(id);
        }
    }

    /// A span with this mark is closed. Under the shard's lock.
    #[inline]
    pub(crate) fn closed(&self, id: u64, start: Start) {
        if start == Start::Plain {
            self.start(id);
        } else {
            self.unpark();
        }
    }

    /// Takes a span out of the place of the last one, to be marked as parked; says whether it was there. Under the shard's lock.
    pub(crate) fn take_to_park(&self, id: u64) -> bool {
        self.park();
        let taken = self.take(id);
        if !taken {
            self.unpark();
        }
        taken
    }

    /// One more span will be marked as parked. Under the shard's lock.
    #[inline]
    pub(crate) fn park(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
    }

    /// One span is no longer parked. Under the shard's lock.
    #[inline]
    pub(crate) fn unpark(&self) {
        self.parked.fetch_sub(1, Ordering::Relaxed);
    }
}
