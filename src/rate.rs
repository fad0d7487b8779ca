//! So much a second: a token bucket, kept as one moment in time, or a window of time that has its share.

mod limiter;
mod window;

pub(crate) use self::limiter::Limiter;
pub(crate) use self::window::Window;
use crate::sync::{AtomicU64, Ordering};

const SECOND: f64 = 1e9;

/// How fast tokens come, and how many there are at most (the generic cell rate algorithm): a bucket is the moment at which it will
/// be full again, and whoever takes a token moves that by the time that a token takes to come back. Moments are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    /// Nanoseconds a token, rounded up, so that the rate is never exceeded.
    token: u64,
    /// How far ahead of now the bucket may be full again, before a token is taken: what all but one of its tokens take.
    most: u64,
}

impl Tokens {
    /// `None`: there are none.
    pub(crate) fn new(per_second: f64, burst: u64) -> Option<Self> {
        let token = (per_second > 0.0).then(|| ((SECOND / per_second).ceil() as u64).max(1))?;
        let most = token.saturating_mul(burst.saturating_sub(1));
        Some(Self { token, most })
    }

    /// How many there are.
    pub(crate) fn left(self, full_at: u64, now: u64) -> u64 {
        let left = self.most.checked_sub(full_at.saturating_sub(now));
        left.map_or(0, |left| left / self.token + 1)
    }

    /// From when on there is one.
    pub(crate) fn ready_at(self, full_at: u64) -> u64 {
        full_at.saturating_sub(self.most)
    }

    /// So many are taken, also where there are not as many: then the next one comes later.
    pub(crate) fn take(self, full_at: u64, now: u64, count: u64) -> u64 {
        let time = self.token.saturating_mul(count);
        full_at.max(now).saturating_add(time)
    }
}

/// A bucket that any thread takes from.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: Option<Tokens>,
    /// Nanoseconds of the monotonic clock. Written and read by any thread; Relaxed, since it is one number, changed by
    /// read-modify-writes, and orders nothing else.
    full_at: AtomicU64,
}

impl Bucket {
    pub(crate) fn new(per_second: f64, burst: u32) -> Self {
        Self {
            tokens: Tokens::new(per_second, burst.into()),
            full_at: AtomicU64::new(0),
        }
    }

    /// Takes a token, if there is one `now`.
    pub(crate) fn take(&self, now: u64) -> bool {
        let Some(tokens) = self.tokens else {
            return false;
        };
        let taken = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                // A clock reading that another thread has overtaken is none that gives tokens.
                (tokens.ready_at(full_at) <= now).then(|| tokens.take(full_at, now, 1))
            });
        taken.is_ok()
    }

    /// How many there are.
    fn left(&self, now: u64) -> u64 {
        let full_at = self.full_at.load(Ordering::Relaxed);
        self.tokens.map_or(0, |tokens| tokens.left(full_at, now))
    }

    /// So many are taken, also where there are not as many.
    fn charge(&self, now: u64, count: u64) {
        if let Some(tokens) = self.tokens {
            let taken = |full_at| Some(tokens.take(full_at, now, count));
            let _ = self
                .full_at
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        }
    }
}

#[cfg(test)]
mod tests;
