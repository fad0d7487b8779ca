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

    /// The destination asked not to be called before.
    pub(super) fn throttle(&mut self, now: Nanos, delay: Option<Duration>, random: f64) {
        if let Some(delay) = delay {
            let until = after(now, backoff::asked(delay, random));
            self.asked = self.asked.max(until);
        }
    }

    /// A request failed and will be sent again; gives how long that takes from now.
    pub(super) fn fail(&mut self, now: Nanos, random: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.failing = true;
        self.own = after(now, backoff::own(self.failures, random));
        Duration::from_nanos(self.ready_at().saturating_sub(now))
    }

    /// The destination answers, and refuses what it is sent so many times too often.
    pub(super) fn slow_down(&mut self, now: Nanos, times: u32, random: f64) {
        if times > 0 {
            self.own = after(now, backoff::own(times, random));
        }
    }

    /// As [`Pace::fail`], for as long as a person takes.
    pub(super) fn hold(&mut self, now: Nanos) {
        self.failing = true;
        self.own = after(now, HOLD);
    }

    /// The destination took or refused something; `true` when that ends a series of failures.
    pub(super) fn recover(&mut self) -> bool {
        self.failures = 0;
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
