//! What is held back: where memory is short, and what is sent a second.

use std::time::Duration;

use super::RateLimit;

/// What is held back. Nothing by default: where memory is short, the oldest records go.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Restraint {
    /// Where memory is short, new traces are not recorded, the most detailed first.
    pub(crate) sheds: bool,
    /// There, who begins a span waits for room, at most so long.
    pub(crate) waits: Option<Duration>,
    /// The memory limit follows what the process's cgroup has.
    pub(crate) follows_cgroup: bool,
    /// What exceeds this is not recorded, of spans.
    pub(crate) drop_above: RateLimit,
    /// How much is sent a second, of each signal to each destination.
    pub(crate) rate: RateLimit,
}

impl Restraint {
    /// Whether anybody has to know how short memory is.
    pub(crate) fn minds_memory(self) -> bool {
        self.sheds || self.waits.is_some()
    }
}
