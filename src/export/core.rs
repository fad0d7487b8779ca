//! What the exporter does next: a state machine without IO, clock or randomness of its own.
//!
//! Events come in, actions go out. Time is a number of nanoseconds, so that tests run years in a moment.

use std::time::Duration;

use super::backoff;
use super::batch::{Backlog, Batch, Size};
use super::transport::{Answer, Failure, Kind, Request};
use crate::queue::Sealed;
use crate::report::Report;

/// Nanoseconds since any moment.
pub(super) type Nanos = u64;

#[derive(Debug)]
pub(super) enum Event {
    /// Chunks out of the ring or the lanes, and how many lanes still owe one.
    Chunks { chunks: Vec<Sealed>, owing: usize },
    /// The request in flight was answered or failed.
    Answered(Result<Answer, Failure>),
    /// The transport panicked.
    Panicked,
    /// Everything accepted so far is to be sent before the deadline.
    Flush { id: u64, deadline: Nanos },
    /// As a flush, and then the exporter stops.
    Shutdown { id: u64, deadline: Nanos },
}

#[derive(Debug)]
pub(super) enum Action {
    /// Collect what lies in the lanes, and close them or not; the answer is [`Event::Chunks`].
    Sweep { close: bool },
    /// Send a request; the answer is [`Event::Answered`].
    Send(Request),
    /// A flush or shutdown is done, in time or not.
    Resolve { id: u64, report: Report },
    /// Nothing is left to do.
    Stop,
}

/// What became of records; the worker adds it to the ledger.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered {
        records: u64,
        rejected: u64,
        message: String,
    },
    Rejected {
        records: u64,
        message: String,
    },
    Retry {
        message: String,
        delay: Duration,
    },
    Panicked {
        records: u64,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    pub(crate) size: Size,
    pub(crate) interval: Duration,
}

#[derive(Debug)]
struct Flush {
    id: u64,
    deadline: Nanos,
    /// Chunks below this number have to be resolved; unknown while a lane owes one.
    barrier: Option<u64>,
    before: Report,
}

#[derive(Debug)]
pub(super) struct Core {
    tuning: Tuning,
    resource: Vec<u8>,
    backlog: Backlog,
    /// The oldest batch: in flight, or waiting to be sent again.
    batch: Option<Batch>,
    in_flight: bool,
    failures: u32,
    not_before: Nanos,
    next_sweep: Nanos,
    /// Chunks below this number are sent without waiting for a full batch.
    due: u64,
    /// What has to be swept, and whether the lanes are closed by it.
    sweep: Option<bool>,
    owing: usize,
    flushes: Vec<Flush>,
    /// The exporter stops, at this moment at the latest.
    closing: Option<Nanos>,
    stopped: bool,
    tally: Report,
}

impl Core {
    pub(super) fn new(tuning: Tuning, resource: Vec<u8>, now: Nanos) -> Self {
        Self {
            tuning,
            resource,
            backlog: Backlog::default(),
            batch: None,
            in_flight: false,
            failures: 0,
            not_before: 0,
            next_sweep: after(now, tuning.interval),
            due: 0,
            sweep: None,
            owing: 0,
            flushes: Vec::new(),
            closing: None,
            stopped: false,
            tally: Report::default(),
        }
    }

    /// Takes an event in. What became of a batch, if that was decided, comes with the batch, whose memory is free again
    /// unless it is to be retried.
    pub(super) fn on(
        &mut self,
        now: Nanos,
        event: Event,
        random: f64,
    ) -> Option<(Outcome, Vec<Sealed>)> {
        match event {
            Event::Chunks { chunks, owing } => {
                chunks
                    .into_iter()
                    .for_each(|chunk| self.backlog.push(chunk));
                self.owing = owing;
                // Not before the sweep that the flush asked for: what lies in the lanes belongs to it.
                if owing == 0 && self.sweep.is_none() {
                    let barrier = self.backlog.next();
                    self.flushes.iter_mut().for_each(|flush| {
                        flush.barrier.get_or_insert(barrier);
                    });
                    self.due = if self.flushes.is_empty() {
                        self.due
                    } else {
                        barrier
                    };
                }
                None
            }
            Event::Answered(answer) => self.answered(now, answer, random),
            Event::Panicked => {
                let batch = self.take_batch()?;
                self.tally.dropped += batch.records;
                // A transport that panics is not called again at once.
                self.wait(now, None, random);
                Some((
                    Outcome::Panicked {
                        records: batch.records,
                    },
                    batch.chunks,
                ))
            }
            Event::Flush { id, deadline } => {
                self.flush(now, id, deadline);
                None
            }
            Event::Shutdown { id, deadline } => {
                // Of several, the most patient one says when the exporter goes; a flush keeps it no longer.
                let last = self.closing.map_or(deadline, |known| known.max(deadline));
                self.closing = Some(last);
                self.flushes
                    .iter_mut()
                    .for_each(|flush| flush.deadline = flush.deadline.min(last));
                self.flush(now, id, deadline);
                None
            }
        }
    }

    /// The next thing to do now, until there is none.
    pub(super) fn act(&mut self, now: Nanos) -> Option<Action> {
        if self.stopped {
            return None;
        }
        if now >= self.next_sweep {
            self.next_sweep = after(now, self.tuning.interval);
            self.sweep.get_or_insert(self.closing.is_some());
        }
        if let Some(close) = self.sweep.take() {
            return Some(Action::Sweep { close });
        }
        if let Some(done) = self
            .flushes
            .iter()
            .position(|flush| self.is_done(flush) || now >= flush.deadline)
        {
            return Some(self.resolve(done));
        }
        if self.closing.is_some() && self.flushes.is_empty() {
            self.stopped = true;
            return Some(Action::Stop);
        }
        self.send(now)
    }

    /// After a timed sweep, all that has come is due.
    pub(super) fn swept(&mut self) {
        self.due = self.backlog.next();
    }

    /// When to come back at the latest.
    pub(super) fn next_wake(&self) -> Nanos {
        let flushes = self.flushes.iter().map(|flush| flush.deadline);
        let retry = (!self.in_flight && self.has_due()).then_some(self.not_before);
        flushes.chain(retry).fold(self.next_sweep, Nanos::min)
    }

    /// Gives up the oldest chunk that is not being sent, since newer ones need its memory.
    pub(super) fn evict(&mut self) -> Option<Sealed> {
        let chunk = self.backlog.pop()?;
        self.tally.dropped += u64::from(chunk.records);
        Some(chunk)
    }

    /// Records that are neither delivered nor given up.
    pub(super) fn holds(&self) -> u64 {
        self.backlog.records() + self.batch.as_ref().map_or(0, |batch| batch.records)
    }

    /// How many lanes owed a chunk when it was last asked.
    pub(super) fn owing(&self) -> usize {
        self.owing
    }

    fn flush(&mut self, now: Nanos, id: u64, deadline: Nanos) {
        self.flushes.push(Flush {
            id,
            deadline: self.closing.map_or(deadline, |last| deadline.min(last)),
            barrier: None,
            before: self.tally,
        });
        self.sweep = Some(self.closing.is_some());
        // Whoever flushes does not want to wait for the end of a back-off.
        self.not_before = now;
        self.failures = 0;
    }

    fn has_due(&self) -> bool {
        self.batch.is_some()
            || self.backlog.first() < self.due
            || self.backlog.fills(self.tuning.size)
    }

    fn send(&mut self, now: Nanos) -> Option<Action> {
        if self.in_flight || now < self.not_before || !self.has_due() {
            return None;
        }
        if self.batch.is_none() {
            self.batch = self.backlog.cut(self.tuning.size);
        }
        let request = self.batch.as_ref()?.request(&self.resource);
        self.in_flight = true;
        Some(Action::Send(request))
    }

    fn take_batch(&mut self) -> Option<Batch> {
        self.in_flight = false;
        self.batch.take()
    }

    fn answered(
        &mut self,
        now: Nanos,
        answer: Result<Answer, Failure>,
        random: f64,
    ) -> Option<(Outcome, Vec<Sealed>)> {
        match answer {
            Ok(Answer {
                rejected, message, ..
            }) => {
                let batch = self.take_batch()?;
                // The server is not trusted to count.
                let rejected = rejected.min(batch.records);
                let records = batch.records - rejected;
                self.tally.delivered += records;
                self.tally.rejected += rejected;
                self.failures = 0;
                Some((
                    Outcome::Delivered {
                        records,
                        rejected,
                        message,
                    },
                    batch.chunks,
                ))
            }
            Err(Failure {
                kind: Kind::Unanswered { .. } | Kind::Busy | Kind::OutOfRange,
                after,
                message,
                ..
            }) => {
                self.in_flight = false;
                let delay = self.wait(now, after, random);
                Some((Outcome::Retry { message, delay }, Vec::new()))
            }
            Err(Failure { message, .. }) => {
                let batch = self.take_batch()?;
                self.tally.rejected += batch.records;
                self.failures = 0;
                Some((
                    Outcome::Rejected {
                        records: batch.records,
                        message,
                    },
                    batch.chunks,
                ))
            }
        }
    }

    fn wait(&mut self, now: Nanos, asked: Option<Duration>, random: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let delay = backoff::delay(self.failures, asked, random);
        self.not_before = after(now, delay);
        delay
    }

    fn is_done(&self, flush: &Flush) -> bool {
        let oldest = self
            .batch
            .as_ref()
            .map_or(self.backlog.first(), |batch| batch.first);
        let nothing_held = self.batch.is_none() && self.backlog.is_empty();
        flush
            .barrier
            .is_some_and(|barrier| nothing_held || oldest >= barrier)
    }

    fn resolve(&mut self, at: usize) -> Action {
        let flush = self.flushes.swap_remove(at);
        let done = self.is_done(&flush);
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
            unfinished: if done {
                0
            } else {
                self.holds() + self.owing as u64
            },
        };
        Action::Resolve {
            id: flush.id,
            report,
        }
    }
}

fn after(now: Nanos, delay: Duration) -> Nanos {
    now.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
