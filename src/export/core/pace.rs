//! When the next request may be sent: our own back-off, and what the destination asked for.

use std::time::Duration;

use super::super::backoff;
use super::{Nanos, after};

/// How long something is kept that a mistake in the configuration holds up, before it is tried again.
const HOLD: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// In a row, since the last answer that took or refused something, or since somebody wanted to wait no longer.
    failures: u32,
    failing: bool,
    /// Requests begun before this one say nothing of what came after: when it failed, they were on their way.
    since: u64,
    /// Until a request that was begun since then tells more, there is one at a time.
    probing: bool,
    /// Nothing is sent before this by our own choice,
    own: Nanos,
    /// nor before this, since the destination asked for it: for itself, and not for the batch that it refused (OTLP,
    /// "Throttling").
    asked: Nanos,
}

impl Pace {
    pub(super) fn ready_at(&self) -> Nanos {
        self.own.max(self.asked)
    }

    /// Whether a request was begun before the last failure, so that its answer is no news.
    pub(super) fn is_old(&self, id: u64) -> bool {
        id < self.since
    }

    /// Whether a request may be begun beside those that are in flight.
    pub(super) fn allows(&self, mut in_flight: impl Iterator<Item = u64>) -> bool {
        !self.probing || in_flight.all(|id| self.is_old(id))
    }

    /// One request finds out how things stand; the next one that is begun has the number `next`.
    pub(super) fn probe(&mut self, next: u64) {
        self.probing = true;
        self.since = next;
    }

    /// The destination asked not to be called before.
    pub(super) fn throttle(&mut self, now: Nanos, delay: Option<Duration>, random: f64) {
        if let Some(delay) = delay {
            let until = after(now, backoff::asked(delay, random));
            self.asked = self.asked.max(until);
        }
    }

    /// A request failed and will be sent again; gives how long that takes from now. Those that were in flight with one that
    /// failed add nothing to it: the back-off is the destination's.
    pub(super) fn fail(&mut self, now: Nanos, id: u64, next: u64, random: f64) -> Duration {
        if !self.is_old(id) {
            self.failures = self.failures.saturating_add(1);
            self.failing = true;
            self.own = after(now, backoff::own(self.failures, random));
            self.probe(next);
        }
        Duration::from_nanos(self.ready_at().saturating_sub(now))
    }

    /// The destination answers, and refuses what it is sent so many times too often.
    pub(super) fn slow_down(&mut self, now: Nanos, times: u32, next: u64, random: f64) {
        if times > 0 {
            self.own = after(now, backoff::own(times, random));
            self.probe(next);
        }
    }

    /// As [`Pace::fail`], for as long as a person takes.
    pub(super) fn hold(&mut self, now: Nanos, next: u64) {
        self.failing = true;
        self.own = after(now, HOLD);
        self.probe(next);
    }

    /// The destination took or refused something; `true` when that ends a series of failures.
    pub(super) fn recover(&mut self) -> bool {
        self.failures = 0;
        self.probing = false;
        std::mem::take(&mut self.failing)
    }

    /// Whoever flushes does not want to wait for the end of a back-off.
    pub(super) fn hurry(&mut self, now: Nanos) {
        self.failures = 0;
        self.own = self.own.min(now);
    }

    /// One last attempt is better than giving up: it waits for nobody.
    pub(super) fn last_attempt(&mut self, now: Nanos) {
        self.hurry(now);
        self.asked = self.asked.min(now);
    }
}
