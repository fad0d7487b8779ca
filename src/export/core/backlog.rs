//! What waits to be sent. After an outage, what had to wait becomes old, and what comes then is live: live goes first, and
//! old has every second request at most.

use std::collections::VecDeque;
use std::rc::Rc;

use super::super::batch::{Batch, Part, Size};
use crate::queue::Sealed;

#[derive(Debug)]
pub(super) struct Backlog {
    live: Line,
    old: Line,
    /// The number that the next chunk gets.
    next: u64,
    /// Live chunks below this number are sent without waiting for a full batch.
    due: u64,
    last: Age,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Live,
    Old,
}

/// Parts in the order in which they came. What is to be sent as it is stands before them, as a stack.
#[derive(Debug, Default)]
struct Line {
    cut: Vec<Batch>,
    parts: VecDeque<Part>,
    /// Of `parts`.
    bytes: usize,
    charge: usize,
    records: u64,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self {
            live: Line::default(),
            old: Line::default(),
            next: 0,
            due: 0,
            last: Age::Old,
        }
    }

    pub(super) fn push(&mut self, chunk: Rc<Sealed>) {
        self.live.push(Part::new(self.next, chunk));
        self.next += 1;
    }

    /// All that has come is due.
    pub(super) fn fall_due(&mut self) {
        self.due = self.next;
    }

    pub(super) fn has_due(&self, ripe: Size) -> bool {
        !self.old.is_empty() || self.live.has_due(self.due, ripe)
    }

    /// What is to be sent next, at most so much, if anything is due: all that is worth a request (`ripe`) is.
    pub(super) fn take(&mut self, ripe: Size, size: Size) -> Option<(Age, Batch)> {
        let live = self.live.has_due(self.due, ripe);
        let age = match (live, !self.old.is_empty()) {
            (false, false) => return None,
            (true, true) if self.last == Age::Live => Age::Old,
            (true, _) => Age::Live,
            (false, true) => Age::Old,
        };
        self.last = age;
        Some((age, self.line(age).take(size)?))
    }

    /// Sends this before anything else of its age.
    pub(super) fn put_back(&mut self, age: Age, batch: Batch) {
        let cut = &mut self.line(age).cut;
        // Of several that were in flight, the oldest goes first, whichever came back last.
        let newer = cut.partition_point(|other| other.oldest() >= batch.oldest());
        cut.insert(newer, batch);
    }

    /// What waits is old from now on.
    pub(super) fn grow_old(&mut self) {
        let live = std::mem::take(&mut self.live);
        self.old.append(live);
        self.last = Age::Old;
    }

    /// Takes out the oldest part, since newer ones need its memory.
    pub(super) fn evict(&mut self) -> Option<Part> {
        self.old.evict().or_else(|| self.live.evict())
    }

    pub(super) fn records(&self) -> u64 {
        self.old.records() + self.live.records()
    }

    /// What it holds of the memory.
    pub(super) fn charge(&self) -> usize {
        self.old.charge() + self.live.charge()
    }

    /// The number of the oldest chunk of which something waits.
    pub(super) fn oldest(&self) -> Option<u64> {
        let lines = [&self.old, &self.live];
        lines.into_iter().filter_map(Line::oldest).min()
    }

    /// The number that the next chunk gets.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    fn line(&mut self, age: Age) -> &mut Line {
        match age {
            Age::Live => &mut self.live,
            Age::Old => &mut self.old,
        }
    }
}

impl Line {
    fn push(&mut self, part: Part) {
        self.bytes += part.bytes();
        self.charge += part.charge();
        self.records += part.records;
        self.parts.push_back(part);
    }

    fn pop(&mut self) -> Option<Part> {
        let part = self.parts.pop_front()?;
        self.bytes -= part.bytes();
        self.charge -= part.charge();
        self.records -= part.records;
        Some(part)
    }

    /// What was cut, else the oldest parts, as many as fit, and at least one.
    fn take(&mut self, size: Size) -> Option<Batch> {
        if let Some(batch) = self.cut.pop() {
            return Some(batch);
        }
        let mut batch = Batch::default();
        while let Some(next) = self.parts.front()
            && batch.fits(next, size)
            && let Some(part) = self.pop()
        {
            batch.push(part);
        }
        batch.oldest().is_some().then_some(batch)
    }

    /// Takes another line behind this one.
    fn append(&mut self, mut newer: Self) {
        newer.cut.append(&mut self.cut);
        self.cut = newer.cut;
        self.parts.append(&mut newer.parts);
        self.bytes += newer.bytes;
        self.charge += newer.charge;
        self.records += newer.records;
    }

    fn evict(&mut self) -> Option<Part> {
        let Some(cut) = self.cut.last_mut() else {
            return self.pop();
        };
        let part = cut.pop();
        if cut.oldest().is_none() {
            self.cut.pop();
        }
        part
    }

    fn has_due(&self, due: u64, size: Size) -> bool {
        !self.cut.is_empty()
            || self.parts.front().is_some_and(|part| part.number < due)
            || self.bytes >= size.bytes
            || self.records >= size.records
    }

    fn is_empty(&self) -> bool {
        self.cut.is_empty() && self.parts.is_empty()
    }

    fn records(&self) -> u64 {
        self.records + self.cut.iter().map(Batch::records).sum::<u64>()
    }

    fn charge(&self) -> usize {
        self.charge + self.cut.iter().map(Batch::charge).sum::<usize>()
    }

    fn oldest(&self) -> Option<u64> {
        let first = self.parts.front().map(|part| part.number);
        self.cut.iter().filter_map(Batch::oldest).chain(first).min()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn sealed(bytes: usize, records: u32) -> Sealed {
        Sealed {
            bytes: Bytes::from(vec![0; bytes]),
            records,
            number: 0,
            charge: bytes,
        }
    }

    proptest! {
        /// The naive model: walk the list and start a new batch whenever the next chunk does not fit.
        #[test]
        fn batches_are_those_of_a_plain_walk(
            chunks in proptest::collection::vec((1_usize..50, 1_u32..20), 0..60),
            bytes in 1_usize..200,
            records in 1_u64..60,
        ) {
            let size = Size { bytes, records };
            let mut backlog = Backlog::new();
            let mut model: Vec<Vec<(usize, u32)>> = Vec::new();
            for (length, count) in chunks {
                backlog.push(Rc::new(sealed(length, count)));
                match model.last_mut() {
                    Some(last)
                        if last.iter().map(|(length, _)| length).sum::<usize>() + length <= bytes
                            && last.iter().map(|(_, count)| u64::from(*count)).sum::<u64>() + u64::from(count)
                                <= records =>
                    {
                        last.push((length, count));
                    }
                    _ => model.push(vec![(length, count)]),
                }
            }
            backlog.fall_due();
            let batches: Vec<Vec<_>> = std::iter::from_fn(|| backlog.take(size, size))
                .map(|(_, batch)| batch.release().iter().map(|chunk| (chunk.bytes.len(), chunk.records)).collect())
                .collect();
            prop_assert_eq!(batches, model);
            prop_assert_eq!((backlog.live.bytes, backlog.live.records, backlog.charge()), (0, 0, 0));
        }
    }
}
