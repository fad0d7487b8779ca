//! One shard of the held traces.

use std::collections::VecDeque;
use std::mem::size_of;

use super::super::table::Table;
use super::room::Room;
use crate::queue::{Record, Scope};

/// What a trace costs beside its bytes: itself, its places in table and queue.
pub(super) const FIXED: usize = size_of::<Trace>() + 192;

/// The least that a trace has room for: some spans.
const LEAST_BYTES: usize = 2 << 10;
const LEAST_RECORDS: usize = 8;

/// Freed traces keep their buffers up to this size,
const KEPT_BYTES: usize = 32 << 10;
/// and so many of them a shard.
const KEPT: usize = 64;

/// The spans of one local trace, held until it is decided about.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) root: u64,
    /// When the first span came, in nanoseconds of the process' clock.
    pub(super) since: u64,
    bytes: Vec<u8>,
    /// Scope and length of each record.
    records: Vec<(Scope, u32)>,
    /// What it takes of the room.
    pub(super) charge: usize,
}

impl Trace {
    pub(super) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut rest = &self.bytes[..];
        self.records.iter().map_while(move |(scope, len)| {
            let message = rest.split_off(..*len as usize)?;
            Some(Record {
                scope: *scope,
                message,
            })
        })
    }

    /// `false`: there is no room.
    fn push(&mut self, record: &Record<'_>, room: &Room) -> bool {
        let Ok(len) = u32::try_from(record.message.len()) else {
            return false;
        };
        let bytes = self.bytes.len() + record.message.len();
        if (bytes > self.bytes.capacity() || self.records.len() == self.records.capacity())
            && !self.grow(bytes, room)
        {
            return false;
        }
        self.bytes.extend_from_slice(record.message);
        self.records.push((record.scope, len));
        true
    }

    #[cold]
    fn grow(&mut self, bytes: usize, room: &Room) -> bool {
        let bytes = grown(self.bytes.capacity(), bytes, LEAST_BYTES);
        let records = grown(
            self.records.capacity(),
            self.records.len() + 1,
            LEAST_RECORDS,
        );
        let more = (bytes - self.bytes.capacity())
            + (records - self.records.capacity()) * size_of::<(Scope, u32)>();
        if !room.reserve(more) {
            return false;
        }
        self.charge += more;
        self.bytes.reserve_exact(bytes - self.bytes.len());
        self.records.reserve_exact(records - self.records.len());
        true
    }

    fn is_worth_keeping(&self) -> bool {
        self.charge >= FIXED
            && self.bytes.capacity() <= KEPT_BYTES
            && self.records.capacity() <= KEPT_BYTES / 64
    }
}

fn grown(capacity: usize, needed: usize, least: usize) -> usize {
    if needed <= capacity {
        capacity
    } else {
        needed.next_power_of_two().max(least)
    }
}

#[derive(Debug)]
enum Entry {
    Held(Box<Trace>),
    /// Its root is still open, and what ends goes on at once, since this time.
    Kept(u64),
}

/// Why a span is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotHeld {
    /// Its trace is kept.
    Kept,
    NoRoom,
    /// The pipeline is shut down.
    Closed,
}

#[derive(Debug)]
pub(super) struct Shard {
    /// By the id of their roots.
    traces: Table<Entry>,
    /// In the order in which they began to be held.
    held: Order,
    /// In the order in which it became known that they are kept.
    kept: Order,
    /// Records in held traces.
    pub(super) records: u64,
    #[allow(
        clippy::vec_box,
        reason = "a trace moves between here and the table as its box"
    )]
    free: Vec<Box<Trace>>,
    pub(super) is_closed: bool,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            traces: Table::new(8),
            held: Order::default(),
            kept: Order::default(),
            records: 0,
            free: Vec::new(),
            is_closed: false,
        }
    }

    /// Holds a span of this trace.
    pub(super) fn add(
        &mut self,
        root: u64,
        now: u64,
        record: &Record<'_>,
        room: &Room,
    ) -> Result<(), NotHeld> {
        if self.is_closed {
            return Err(NotHeld::Closed);
        }
        let is_held = match self.traces.get_mut(root) {
            Some(Entry::Kept(_)) => return Err(NotHeld::Kept),
            Some(Entry::Held(trace)) => trace.push(record, room),
            None => self.begin(root, now, record, room),
        };
        if !is_held {
            return Err(NotHeld::NoRoom);
        }
        self.records += 1;
        Ok(())
    }

    /// The first span of a trace.
    fn begin(&mut self, root: u64, now: u64, record: &Record<'_>, room: &Room) -> bool {
        let Some(mut trace) = self.make(room) else {
            return false;
        };
        (trace.root, trace.since) = (root, now);
        if !trace.push(record, room) {
            discard(trace, room);
            return false;
        }
        self.traces.insert(root, Entry::Held(trace));
        self.held.push(now, root, |since, root| {
            held_since(&self.traces, root) == Some(since)
        });
        true
    }

    fn make(&mut self, room: &Room) -> Option<Box<Trace>> {
        if let Some(trace) = self.free.pop() {
            return Some(trace);
        }
        let make = || {
            Box::new(Trace {
                charge: FIXED,
                ..Trace::default()
            })
        };
        room.reserve(FIXED).then(make)
    }

    /// From now on the trace is kept. Returns what was held of it. `Err`: nothing was, and there is no room to note it.
    pub(super) fn keep(
        &mut self,
        root: u64,
        now: u64,
        room: &Room,
    ) -> Result<Option<Box<Trace>>, NotHeld> {
        if self.is_closed || matches!(self.traces.get(root), Some(Entry::Kept(_))) {
            return Ok(self.take_held(root));
        }
        let mut trace = self.take_held(root);
        if !room.reserve(FIXED) {
            let Some(trace) = &mut trace else {
                return Err(NotHeld::NoRoom);
            };
            trace.charge -= FIXED;
        }
        self.traces.insert(root, Entry::Kept(now));
        self.kept.push(now, root, |since, root| {
            kept_since(&self.traces, root) == Some(since)
        });
        Ok(trace)
    }

    /// A trace is over: whether it was kept so far, and what was held of it.
    pub(super) fn end(&mut self, root: u64, room: &Room) -> (bool, Option<Box<Trace>>) {
        let held = self.take_held(root);
        (held.is_none() && self.forget(root, room), held)
    }

    /// What is held of a trace is no longer.
    fn take_held(&mut self, root: u64) -> Option<Box<Trace>> {
        let Some(Entry::Held(_)) = self.traces.get(root) else {
            return None;
        };
        let Some(Entry::Held(trace)) = self.traces.remove(root) else {
            return None;
        };
        self.held.left();
        self.records -= trace.len();
        Some(trace)
    }

    /// It is not noted any more that a trace is kept; whether it was.
    fn forget(&mut self, root: u64, room: &Room) -> bool {
        let is_kept = matches!(self.traces.get(root), Some(Entry::Kept(_)));
        if is_kept {
            self.traces.remove(root);
            self.kept.left();
            room.release(FIXED);
        }
        is_kept
    }

    /// When the oldest of the held traces began.
    pub(super) fn oldest(&mut self) -> Option<u64> {
        let (since, _) = self
            .held
            .first(|since, root| held_since(&self.traces, root) == Some(since))?;
        Some(since)
    }

    /// The oldest of the held traces, if it began so early.
    pub(super) fn take_oldest(&mut self, latest: u64) -> Option<Box<Trace>> {
        let (_, root) = self
            .held
            .first(|since, root| held_since(&self.traces, root) == Some(since))
            .filter(|(since, _)| *since <= latest)?;
        self.take_held(root)
    }

    /// Forgets the traces of which it has been known so long that they are kept; returns how many bytes that gave back.
    pub(super) fn forget_kept(&mut self, latest: u64, room: &Room) -> usize {
        let mut freed = 0;
        while let Some((since, root)) = self
            .kept
            .first(|since, root| kept_since(&self.traces, root) == Some(since))
            && since <= latest
        {
            freed += FIXED * usize::from(self.forget(root, room));
        }
        freed
    }

    /// Takes the memory of a trace back that was decided about.
    pub(super) fn recycle(&mut self, mut trace: Box<Trace>, room: &Room) {
        if trace.is_worth_keeping() && self.free.len() < KEPT && !room.is_scarce() {
            trace.bytes.clear();
            trace.records.clear();
            self.free.push(trace);
        } else {
            discard(trace, room);
        }
    }

    #[cfg(test)]
    pub(super) fn knows_kept(&self, root: u64) -> bool {
        kept_since(&self.traces, root).is_some()
    }

    /// Gives back what is kept for later; returns how much it was.
    pub(super) fn trim(&mut self, room: &Room) -> usize {
        let free = std::mem::take(&mut self.free);
        let bytes = free.iter().map(|trace| trace.charge).sum();
        drop(free);
        room.release(bytes);
        bytes
    }
}

/// Frees a trace's memory.
pub(super) fn discard(trace: Box<Trace>, room: &Room) {
    let charge = trace.charge;
    drop(trace);
    room.release(charge);
}

fn held_since(traces: &Table<Entry>, root: u64) -> Option<u64> {
    match traces.get(root)? {
        Entry::Held(trace) => Some(trace.since),
        Entry::Kept(_) => None,
    }
}

fn kept_since(traces: &Table<Entry>, root: u64) -> Option<u64> {
    match traces.get(root)? {
        Entry::Held(_) => None,
        Entry::Kept(since) => Some(*since),
    }
}

/// Roots in the order in which their traces began. Those that have left are skipped when they are met.
#[derive(Debug, Default)]
struct Order {
    all: VecDeque<(u64, u64)>,
    /// How many have not left.
    len: usize,
}

impl Order {
    fn push(&mut self, since: u64, root: u64, is_there: impl Fn(u64, u64) -> bool) {
        self.len += 1;
        if self.all.len() > 2 * self.len + 32 {
            self.all.retain(|(since, root)| is_there(*since, *root));
        }
        self.all.push_back((since, root));
    }

    fn left(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    fn first(&mut self, is_there: impl Fn(u64, u64) -> bool) -> Option<(u64, u64)> {
        while let Some((since, root)) = self.all.front().copied() {
            if is_there(since, root) {
                return Some((since, root));
            }
            self.all.pop_front();
        }
        None
    }
}
