//! What a flush or a shutdown came to.

use std::fmt;

/// What a flush or a shutdown came to, in records that were resolved while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub(crate) delivered: u64,
    pub(crate) rejected: u64,
    pub(crate) dropped: u64,
    pub(crate) unfinished: u64,
}

impl Report {
    /// Adds what it came to elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.rejected += other.rejected;
        self.dropped += other.dropped;
        self.unfinished += other.unfinished;
    }

    /// Records that the collector took.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Records that the collector refused for good.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Records that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Records that were neither delivered nor given up when the deadline came.
    pub fn unfinished(&self) -> u64 {
        self.unfinished
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            delivered,
            rejected,
            dropped,
            unfinished,
        } = self;
        write!(
            f,
            "delivered {delivered}, rejected {rejected}, dropped {dropped}, unfinished {unfinished}"
        )
    }
}
