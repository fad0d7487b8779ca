//! What the exporter does next: a state machine without IO, clock or randomness of its own.
//!
//! Events come in, actions go out. Time is a number of nanoseconds, so that tests run years in a moment.

mod answers;
mod backlog;
mod breaker;
mod crowd;
mod flights;
mod flush;
mod pace;
mod rate;
mod sizing;

use std::rc::Rc;
use std::time::Duration;

use self::backlog::Backlog;
use self::breaker::Breaker;
use self::crowd::Crowd;
use self::flights::{Flight, Flights};
use self::flush::Flushes;
use self::pace::Pace;
use self::rate::Rate;
use self::sizing::Sizing;
use super::batch::{Batch, Size};
use super::transport::{Answer, Code, Failure, Kind, Request};
use crate::clock::nanos;
use crate::config::{Concurrency, RateLimit};
use crate::queue::Sealed;
use crate::report::Report;
use crate::signal::Signal;
use crate::stats::DropReason;

/// Nanoseconds since any moment.
pub(super) type Nanos = u64;

#[derive(Debug)]
pub(super) enum Event {
    /// Chunks out of the ring or the lanes, and how many lanes still owe one. Other destinations may share them.
    Chunks {
        chunks: Vec<Rc<Sealed>>,
        owing: usize,
    },
    /// A request was answered or failed.
    Answered {
        id: u64,
        answer: Result<Answer, Failure>,
    },
    /// The transport panicked with a request.
    Panicked { id: u64 },
    /// Everything accepted so far is to be sent before the deadline.
    Flush { id: u64, deadline: Nanos },
    /// As a flush, and then the exporter stops.
    Shutdown { id: u64, deadline: Nanos },
}

#[derive(Debug)]
pub(super) enum Action {
    /// Collect what lies in the lanes, and close them or not; the answer is [`Event::Chunks`].
    Sweep { close: bool },
    /// Send a request; the answer is [`Event::Answered`] with its number.
    Send { id: u64, request: Request },
    /// A flush or shutdown is done, in time or not.
    Resolve { id: u64, report: Report },
    /// Nothing to do but to book this.
    Book(Settled),
    /// Nothing is left to do.
    Stop,
}

/// An outcome, and the chunks whose memory is free by it.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) outcome: Outcome,
    pub(super) chunks: Vec<Sealed>,
}

/// What became of records, or of the way to the destination; the worker books and tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The destination took `records` and rejected the others.
    Delivered {
        records: u64,
        rejected: u64,
        message: String,
        /// Its answer could not be read.
        odd: bool,
        /// Bytes of the body.
        sent: u64,
    },
    /// The destination refused them.
    Rejected {
        records: u64,
        code: Option<Code>,
        kind: Kind,
        message: String,
    },
    /// They are given up, for a reason of the destination's.
    Dropped {
        records: u64,
        reason: DropReason,
        message: String,
    },
    /// The request failed for now, and is sent again after `delay`. It may have been taken if it is `ambiguous`. The
    /// destination `asked` for a delay, or did not.
    Retry {
        records: u64,
        message: String,
        delay: Duration,
        ambiguous: bool,
        asked: bool,
    },
    /// The request was too large: its halves are sent, and later ones have at most `limit` bytes for now.
    Split { message: String, limit: usize },
    /// The request's only record was too large: it is sent once more, with some of its content left out.
    Shortened { message: String },
    /// The request failed by a mistake in the configuration, and is kept until that is corrected.
    Held { records: u64, message: String },
    /// For so long nothing is sent, since the destination does not take this signal.
    BreakerOpened { pause: Duration },
    /// The destination takes this signal after all.
    BreakerClosed,
    /// The transport panicked with them.
    Panicked { records: u64 },
}

/// What the exporter was configured to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    pub(crate) signal: Signal,
    /// The largest request.
    pub(crate) size: Size,
    /// How large requests are in the beginning, and what a request waits for.
    pub(crate) first_bytes: usize,
    /// Requests are as large as the destination does well with, and not as large as they may be.
    pub(crate) is_adaptive: bool,
    pub(crate) concurrency: Concurrency,
    pub(crate) rate: RateLimit,
    /// What requests in flight hold together, if there are several.
    pub(crate) bytes_in_flight: usize,
    /// One attempt's deadline; none where it is zero.
    pub(crate) timeout: Duration,
    pub(crate) interval: Duration,
    /// The largest record; one that is too large for the destination is shortened to a quarter of it.
    pub(crate) record_bytes: usize,
    /// Keep what a mistake in the configuration holds up, instead of rejecting it.
    pub(crate) hold_on_config_error: bool,
}

/// What the memory has for requests, in bytes.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// For one,
    request: usize,
    /// and for those in flight together, if there are several.
    in_flight: usize,
}

/// Lanes are not swept more often: else nothing but sweeping would be done.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Core {
    tuning: Tuning,
    resource: Vec<u8>,
    backlog: Backlog,
    flights: Flights,
    pace: Pace,
    rate: Rate,
    sizing: Sizing,
    crowd: Crowd,
    room: Room,
    breaker: Breaker,
    next_sweep: Nanos,
    /// What has to be swept, and whether the lanes are closed by it.
    sweep: Option<bool>,
    owing: usize,
    flushes: Flushes,
    /// The exporter stops, at this moment at the latest.
    closing: Option<Nanos>,
    stopped: bool,
    tally: Report,
}

impl Core {
    pub(super) fn new(tuning: Tuning, resource: Vec<u8>, now: Nanos) -> Self {
        let tuning = Tuning {
            interval: tuning.interval.max(SHORTEST_INTERVAL),
            ..tuning
        };
        Self {
            tuning,
            resource,
            backlog: Backlog::new(),
            flights: Flights::default(),
            pace: Pace::default(),
            rate: Rate::new(&tuning.rate),
            sizing: Sizing::new(&tuning),
            crowd: Crowd::new(tuning.concurrency),
            room: Room {
                request: usize::MAX,
                in_flight: tuning.bytes_in_flight,
            },
            breaker: Breaker::default(),
            next_sweep: after(now, tuning.interval),
            sweep: None,
            owing: 0,
            flushes: Flushes::default(),
            closing: None,
            stopped: false,
            tally: Report::default(),
        }
    }

    /// Takes an event in, and gives what is decided by it.
    pub(super) fn on(&mut self, now: Nanos, event: Event, random: f64) -> Vec<Settled> {
        match event {
            Event::Chunks { chunks, owing } => self.take_in(chunks, owing),
            Event::Answered { id, answer } => return self.answered(now, id, answer, random),
            Event::Panicked { id } => return self.panicked(now, id, random),
            Event::Flush { id, deadline } => {
                self.pace.hurry(now);
                self.flush(id, deadline);
            }
            Event::Shutdown { id, deadline } => self.shut_down(now, id, deadline),
        }
        Vec::new()
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
        if let Some(resolved) = self.resolve(now) {
            return Some(resolved);
        }
        if self.closing.is_some() && self.flushes.is_empty() {
            self.stopped = true;
            return Some(Action::Stop);
        }
        if self.breaker.is_open(now) {
            return self.give_up(now).map(Action::Book);
        }
        self.send(now)
    }

    /// After a timed sweep, all that has come is due.
    pub(super) fn swept(&mut self) {
        self.backlog.fall_due();
    }

    /// When to come back at the latest.
    pub(super) fn next_wake(&self) -> Nanos {
        let send = (self.has_due() && self.has_room()).then_some(self.ready_at());
        let deadline = self.flushes.next_deadline();
        send.into_iter()
            .chain(deadline)
            .fold(self.next_sweep, Nanos::min)
    }

    /// Gives up the oldest records that are not being sent, since newer ones need their memory: how many these are, and the
    /// chunk that is free by it. What waits to be sent again goes last, since nothing is gained before all else has gone.
    pub(super) fn evict(&mut self) -> Option<(u64, Option<Sealed>)> {
        let part = self.backlog.evict().or_else(|| self.flights.evict())?;
        self.tally.dropped += part.records;
        Some((part.records, part.release()))
    }

    /// Records that are neither delivered nor given up.
    pub(super) fn holds(&self) -> u64 {
        self.backlog.records() + self.flights.records()
    }

    /// Those of them that are on their way, or wait to be sent again.
    pub(super) fn in_flight(&self) -> u64 {
        self.flights.records()
    }

    /// The memory limit has changed: so much is left of a part of what was configured.
    pub(super) fn fit(&mut self, scaled: impl Fn(usize) -> usize) {
        self.room = Room {
            request: scaled(self.tuning.size.bytes),
            in_flight: scaled(self.tuning.bytes_in_flight),
        };
    }

    /// What it holds of the memory. A chunk that others hold too counts in whole.
    pub(super) fn charge(&self) -> usize {
        self.backlog.charge() + self.flights.charge()
    }

    /// Whether nothing is left to do, for good.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// How many lanes owed a chunk when it was last asked.
    pub(super) fn owing(&self) -> usize {
        self.owing
    }

    fn take_in(&mut self, chunks: Vec<Rc<Sealed>>, owing: usize) {
        chunks
            .into_iter()
            .for_each(|chunk| self.backlog.push(chunk));
        self.owing = owing;
        // Not before the sweep that the flush asked for: what lies in the lanes belongs to it.
        if owing == 0 && self.sweep.is_none() && !self.flushes.is_empty() {
            self.flushes.set_barrier(self.backlog.next());
            self.backlog.fall_due();
        }
    }

    fn has_due(&self) -> bool {
        self.flights.are_waiting() || self.backlog.has_due(self.ripe())
    }

    /// Whether a request may be begun beside those that are in flight.
    fn has_room(&self) -> bool {
        let count = self.flights.count();
        if count == 0 {
            return true;
        }
        let next = self.flights.next_bytes();
        let bytes = self.flights.bytes() + next.unwrap_or(self.size().bytes);
        count < self.crowd.limit()
            && bytes <= self.room.in_flight
            && self.pace.allows(self.flights.ids())
    }

    /// The most that goes with the next request.
    fn size(&self) -> Size {
        self.sizing.size().at_most(self.room.request)
    }

    /// What is worth a request of its own before the interval is over.
    fn ripe(&self) -> Size {
        self.sizing.ripe().at_most(self.room.request)
    }

    /// When the next request may be begun.
    fn ready_at(&self) -> Nanos {
        self.pace.ready_at().max(self.rate.ready_at())
    }

    /// What is to be sent next: what failed before, else what is due.
    fn take_due(&mut self, now: Nanos) -> Option<Flight> {
        self.flights.resume().or_else(|| {
            let (ripe, size) = (self.ripe(), self.size());
            let size = self.rate.bound(now, size);
            let (age, batch) = self.backlog.take(ripe, size)?;
            Some(Flight::new(age, batch))
        })
    }

    fn send(&mut self, now: Nanos) -> Option<Action> {
        if now < self.ready_at() {
            return None;
        }
        if !self.has_room() {
            if self.flights.count() >= self.crowd.limit() && self.has_due() {
                self.crowd.note_full();
            }
            return None;
        }
        let mut flight = self.take_due(now)?;
        let request = flight.batch.request(self.tuning.signal, &self.resource);
        flight.bytes = request.bytes() as u64;
        self.rate.charge(now, request.records(), flight.bytes);
        let id = self.flights.begin(flight, now);
        Some(Action::Send { id, request })
    }

    /// The breaker is open: what is due goes no further.
    fn give_up(&mut self, now: Nanos) -> Option<Settled> {
        let minutes = Breaker::pause().as_secs() / 60;
        let why = self.breaker.why();
        let message = format!("it is not asked again for {minutes} minutes: {why}");
        let batch = self.take_due(now)?.batch;
        Some(self.drop_batch(batch, DropReason::NoPipeline, message))
    }

    fn drop_batch(&mut self, batch: Batch, reason: DropReason, message: String) -> Settled {
        let records = batch.records();
        self.tally.dropped += records;
        Settled {
            outcome: Outcome::Dropped {
                records,
                reason,
                message,
            },
            chunks: batch.release(),
        }
    }
}

fn after(now: Nanos, delay: Duration) -> Nanos {
    now.saturating_add(nanos(delay))
}

#[cfg(test)]
mod tests;
