//! A destination that does not take our signal at all is left in peace: what would be sent is dropped, until one batch
//! tries again.

use std::time::Duration;

use super::{Nanos, after};

const PAUSE: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Nothing is sent before this; then one batch finds out. Kept until an answer says otherwise.
    until: Option<Nanos>,
    /// What the destination said.
    why: String,
}

impl Breaker {
    pub(super) fn is_open(&self, now: Nanos) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Opens it for a while; `true` when it was not open, nor being tried.
    pub(super) fn open(&mut self, now: Nanos, why: String) -> bool {
        self.why = why;
        self.until.replace(after(now, PAUSE)).is_none()
    }

    /// The destination takes the signal, or at least looks at it; `true` when that is news.
    pub(super) fn close(&mut self) -> bool {
        self.until.take().is_some()
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    pub(super) fn pause() -> Duration {
        PAUSE
    }
}
