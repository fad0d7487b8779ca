//! The traces that are held, and what is decided about them.
//!
//! Sharded by the thread that opened the root, as the store is. A shard's lock is held for a copy; what a trace that is kept hands
//! over, it hands over when the locks are free. Locks are taken in this order: a shard of the store, then one of these, one at a
//! time.

use crossbeam_utils::CachePadded;

use super::super::Parts;
use super::room::Room;
use super::shard::{NotHeld, Shard, Trace, discard};
use crate::queue::{Record, Stream};
use crate::sampler::{Judge, Tail};
use crate::stats::DropReason;
use crate::sync::{Mutex, lock};

const SHARDS: usize = 16;

/// As in the store: the bits of an id above these tell the thread.
const THREAD_SHIFT: u32 = 38;

/// Of the room, this part is made free when it is used up.
const FREED: usize = 16;

#[derive(Debug)]
pub(super) struct Traces {
    pub(super) judge: Judge,
    shards: [CachePadded<Mutex<Shard>>; SHARDS],
    room: Room,
    max_age: u64,
    stream: Stream,
}

/// A span that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended<'a> {
    pub(super) root: u64,
    pub(super) is_root: bool,
    /// Whether its trace is kept for what is known of this span.
    pub(super) is_wanted: bool,
    /// In nanoseconds of the process' clock.
    pub(super) now: u64,
    /// `None`: it is not exported in any case.
    pub(super) record: Option<Record<'a>>,
}

/// What is to be done about a trace when the locks are free.
///
/// What was held of a trace that is kept, if any was.
#[derive(Debug)]
#[must_use = "what is kept is lost otherwise"]
pub(in super::super) struct Decided(pub(super) Option<Box<Trace>>);

impl Decided {
    pub(in super::super) const NOTHING: Self = Self(None);
}

impl Traces {
    pub(super) fn new(tail: &Tail, record_bytes: usize, parts: &Parts) -> Self {
        let limit = parts.budget.limit();
        Self {
            judge: tail.judge(),
            shards: std::array::from_fn(|_| CachePadded::new(Mutex::new(Shard::new()))),
            room: Room::new(&parts.budget, record_bytes, tail.room(limit)),
            max_age: tail.max_age(),
            stream: parts.traces.clone(),
        }
    }

    fn shard(&self, root: u64) -> &Mutex<Shard> {
        &self.shards[(root.wrapping_sub(1) >> THREAD_SHIFT) as usize % SHARDS]
    }

    pub(super) fn end(&self, ended: &Ended<'_>) -> Decided {
        if ended.is_root {
            return self.end_of_root(ended);
        }
        if ended.is_wanted {
            ended.record.iter().for_each(|record| self.export(record));
            return Decided(self.note_kept(ended));
        }
        if let Some(record) = &ended.record
            && !self.add(ended, record)
        {
            self.add_to_full(ended, record);
        }
        Decided::NOTHING
    }

    fn end_of_root(&self, ended: &Ended<'_>) -> Decided {
        let mut shard = lock(self.shard(ended.root));
        let (is_kept, mut held) = shard.end(ended.root, &self.room);
        let is_kept = is_kept || ended.is_wanted;
        let mut dropped = 0;
        if !is_kept && let Some(trace) = held.take() {
            dropped = trace.len();
            shard.recycle(trace, &self.room);
        }
        drop(shard);
        match &ended.record {
            Some(record) if is_kept => self.export(record),
            record => dropped += u64::from(record.is_some()),
        }
        self.stream.ledger.sampled_out(dropped);
        Decided(held)
    }

    /// From now on the trace is kept. Returns what was held of it.
    fn note_kept(&self, ended: &Ended<'_>) -> Option<Box<Trace>> {
        let note = || lock(self.shard(ended.root)).keep(ended.root, ended.now, &self.room);
        let noted = note().or_else(|_| {
            self.make_room(ended.now);
            note()
        });
        // Where there is no room after all, what ends later is decided about by itself.
        noted.unwrap_or_default()
    }

    /// A span of which it is not known whether its trace is kept. `false`: there is no room.
    fn add(&self, ended: &Ended<'_>, record: &Record<'_>) -> bool {
        let Ended { root, now, .. } = *ended;
        let added = lock(self.shard(root)).add(root, now, record, &self.room);
        match added {
            Ok(()) => {}
            Err(NotHeld::Kept) => self.export(record),
            Err(NotHeld::Closed) => self.stream.ledger.refuse(DropReason::Shutdown),
            Err(NotHeld::NoRoom) => return false,
        }
        true
    }

    /// Exports what was held of a trace.
    pub(super) fn keep(&self, trace: Box<Trace>) {
        trace.records().for_each(|record| self.export(&record));
        lock(self.shard(trace.root)).recycle(trace, &self.room);
    }

    pub(super) fn export(&self, record: &Record<'_>) {
        self.stream.append(record);
    }

    /// Spans that are held.
    pub(super) fn held(&self) -> u64 {
        self.shards.iter().map(|shard| lock(shard).records).sum()
    }

    /// Decides about what has been held too long, or about all.
    pub(super) fn sweep(&self, now: u64, close: bool) {
        while self.room.is_overdrawn() && self.make_room(now) {}
        let latest = match close {
            true => u64::MAX,
            false => now.saturating_sub(self.max_age),
        };
        for shard in &self.shards {
            {
                let mut shard = lock(shard);
                shard.is_closed |= close;
                if close {
                    shard.forget_kept(latest, &self.room);
                }
            }
            while let Some(trace) = self.take_oldest(shard, latest) {
                if self.judge.is_slow(now.saturating_sub(trace.since)) {
                    self.keep(trace);
                } else {
                    self.stream.ledger.sampled_out(trace.len());
                    lock(shard).recycle(trace, &self.room);
                }
            }
        }
    }

    /// The room is used up: the oldest traces are decided about, until the span is held.
    #[cold]
    fn add_to_full(&self, ended: &Ended<'_>, record: &Record<'_>) {
        // Other threads may be faster and take what was made free, but not for ever.
        for _ in 0..2 * FREED {
            let has_made_room = self.make_room(ended.now);
            if self.add(ended, record) {
                return;
            }
            if !has_made_room {
                break;
            }
        }
        self.stream.ledger.refuse(DropReason::TailOverflow);
    }

    /// Decides about the oldest traces, by what is known. `false`: nothing is there to be made free.
    fn make_room(&self, now: u64) -> bool {
        let forget = |latest| -> usize {
            let shards = self.shards.iter();
            shards
                .map(|shard| lock(shard).forget_kept(latest, &self.room))
                .sum()
        };
        let trim = |shard: &CachePadded<Mutex<Shard>>| lock(shard).trim(&self.room);
        let mut freed: usize = self.shards.iter().map(trim).sum();
        // Of a root that never ends it would be known for ever.
        freed += forget(now.saturating_sub(self.max_age));
        while freed < self.room.limit() / FREED
            && let Some(trace) = self.take_oldest_of_all()
        {
            freed += trace.charge;
            if self.judge.is_slow(now.saturating_sub(trace.since)) {
                trace.records().for_each(|record| self.export(&record));
            } else {
                self.stream
                    .ledger
                    .refuse_all(DropReason::TailOverflow, trace.len());
            }
            discard(trace, &self.room);
        }
        if freed == 0 {
            freed = forget(u64::MAX);
        }
        freed > 0
    }

    fn take_oldest_of_all(&self) -> Option<Box<Trace>> {
        loop {
            let mut oldest = None;
            for shard in &self.shards {
                if let Some(since) = lock(shard).oldest()
                    && oldest.is_none_or(|(earliest, _)| since < earliest)
                {
                    oldest = Some((since, shard));
                }
            }
            let (since, shard) = oldest?;
            // Another thread may have been faster.
            if let Some(trace) = self.take_oldest(shard, since) {
                return Some(trace);
            }
        }
    }

    fn take_oldest(&self, shard: &Mutex<Shard>, latest: u64) -> Option<Box<Trace>> {
        lock(shard).take_oldest(latest)
    }
}

#[cfg(test)]
impl Traces {
    pub(super) fn used(&self) -> usize {
        self.room.used()
    }

    pub(super) fn limit(&self) -> usize {
        self.room.limit()
    }

    pub(super) fn knows_kept(&self, root: u64) -> bool {
        lock(self.shard(root)).knows_kept(root)
    }

    pub(super) fn trim(&self) {
        for shard in &self.shards {
            lock(shard).trim(&self.room);
        }
    }
}
