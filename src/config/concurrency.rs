//! How many requests are in flight at a time.

use super::within;
use crate::error::Error;

/// How many requests are in flight at a time, at most. Each has a connection of its own.
///
/// With one, which is the default, a thread's records arrive in the order in which they ended. With more, requests are begun in
/// this order, and arrive as the network and the destination make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concurrency {
    /// So many, 1 to 64.
    Fixed(usize),
    /// From one up to so many, 1 to 64, as long as the destination takes them without letting them wait: one more while the time
    /// of a request stays close to the shortest, fewer when it grows to two and a half times as much, or when requests are
    /// refused.
    Adaptive(usize),
}

impl Default for Concurrency {
    /// One at a time, as the specification has it ("Export will never be called concurrently for the same exporter
    /// instance").
    fn default() -> Self {
        Self::Fixed(1)
    }
}

impl Concurrency {
    /// The most that there ever are.
    pub(crate) fn most(self) -> usize {
        match self {
            Self::Fixed(requests) | Self::Adaptive(requests) => requests,
        }
    }

    /// The same, with no more than a transport takes.
    pub(crate) fn at_most(self, most: usize) -> Self {
        match self {
            Self::Fixed(requests) => Self::Fixed(requests.min(most).max(1)),
            Self::Adaptive(requests) => Self::Adaptive(requests.min(most).max(1)),
        }
    }

    pub(super) fn validate(self) -> Result<(), Error> {
        within("Builder::with_concurrency", self.most(), 1, 64)
    }
}
