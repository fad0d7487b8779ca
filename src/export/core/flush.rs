//! Flushes, and the shutdown: each is answered when all that came before it is resolved, and at its deadline.

use super::{Action, Core, Nanos};
use crate::report::Report;

#[derive(Debug, Default)]
pub(super) struct Flushes {
    all: Vec<Flush>,
}

#[derive(Debug)]
struct Flush {
    id: u64,
    deadline: Nanos,
    /// Chunks below this number have to be resolved; unknown while a lane owes one.
    barrier: Option<u64>,
    before: Report,
    /// Nobody waits for it: it ends when all that came before it is due.
    is_forgotten: bool,
}

impl Flushes {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        self.all.iter().map(|flush| flush.deadline).min()
    }

    /// Everything below this number belongs to those that did not know yet.
    pub(super) fn set_barrier(&mut self, barrier: u64) {
        self.all.iter_mut().for_each(|flush| {
            flush.barrier.get_or_insert(barrier);
        });
    }
}

impl Core {
    pub(super) fn flush(&mut self, id: u64, deadline: Nanos) {
        self.flushes.all.push(Flush {
            id,
            deadline: self.closing.map_or(deadline, |last| deadline.min(last)),
            barrier: None,
            before: self.tally,
            is_forgotten: false,
        });
        self.sweep = Some(self.closing.is_some());
    }

    /// Nobody waits any more for flushes with these numbers, which are sorted.
    pub(in crate::export) fn forget(&mut self, ids: &[u64]) {
        let flushes = self.flushes.all.iter_mut();
        flushes.for_each(|flush| flush.is_forgotten |= ids.binary_search(&flush.id).is_ok());
    }

    pub(super) fn shut_down(&mut self, now: Nanos, id: u64, deadline: Nanos) {
        match self.closing {
            None => self.pace.last_attempt(now),
            Some(_) => self.pace.hurry(now),
        }
        // Of several, the most patient one says when the exporter goes; a flush keeps it no longer.
        let last = self.closing.map_or(deadline, |known| known.max(deadline));
        self.closing = Some(last);
        let flushes = self.flushes.all.iter_mut();
        flushes.for_each(|flush| flush.deadline = flush.deadline.min(last));
        self.flush(id, deadline);
    }

    /// A flush that is done or out of time.
    pub(super) fn resolve(&mut self, now: Nanos) -> Option<Action> {
        let oldest = self.oldest();
        let is_done = |flush: &Flush| {
            flush
                .barrier
                .is_some_and(|barrier| oldest.is_none_or(|oldest| oldest >= barrier))
        };
        let is_idle = |flush: &Flush| flush.is_forgotten && flush.barrier.is_some();
        let ended = |flush: &Flush| is_done(flush) || is_idle(flush) || now >= flush.deadline;
        let at = self.flushes.all.iter().position(ended)?;
        let flush = self.flushes.all.swap_remove(at);
        let Report {
            delivered,
            rejected,
            dropped,
            ..
        } = flush.before;
        let report = Report {
            delivered: self.tally.delivered - delivered,
            rejected: self.tally.rejected - rejected,
            dropped: self.tally.dropped - dropped,
            // A lane that owes a chunk has at least one record in it.
            unfinished: if is_done(&flush) {
                0
            } else {
                self.holds() + self.owing as u64
            },
        };
        Some(Action::Resolve {
            id: flush.id,
            report,
        })
    }

    /// The number of the oldest chunk that is not resolved in whole, wherever it is.
    fn oldest(&self) -> Option<u64> {
        let flights = self.flights.oldest();
        flights.into_iter().chain(self.backlog.oldest()).min()
    }
}
