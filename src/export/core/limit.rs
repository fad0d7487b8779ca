//! How large a request may be: as configured, or less where the destination called one too large.

use super::super::batch::Size;
use crate::queue::CHUNK;

#[derive(Debug)]
pub(super) struct Limit {
    configured: Size,
    learned: Option<usize>,
    /// Refusals in a row.
    refusals: u32,
}

/// More than a batch of 8,192 records takes to come down to one: a destination that refuses more often takes nothing.
const PATIENCE: u32 = 16;

impl Limit {
    pub(super) fn new(configured: Size) -> Self {
        Self {
            configured,
            learned: None,
            refusals: 0,
        }
    }

    pub(super) fn size(&self) -> Size {
        Size {
            bytes: self.learned.unwrap_or(self.configured.bytes),
            ..self.configured
        }
    }

    /// So many bytes were too large. Below a chunk nothing is won: a batch has at least one.
    pub(super) fn refused(&mut self, bytes: usize) {
        self.refusals = self.refusals.saturating_add(1);
        let least = CHUNK.min(self.configured.bytes);
        let most = bytes / 5 * 4;
        self.learned = Some(self.size().bytes.min(most).max(least));
    }

    /// How often it has refused since it seems to take nothing, for a back-off; zero before.
    pub(super) fn hopeless(&self) -> u32 {
        self.refusals.saturating_sub(PATIENCE)
    }

    /// A request was taken: a little more is tried, up to what is configured.
    pub(super) fn taken(&mut self) {
        self.refusals = 0;
        let more = self.learned.map(|bytes| bytes + (bytes / 64).max(1));
        self.learned = more.filter(|bytes| *bytes < self.configured.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Size = Size {
        bytes: 1 << 20,
        records: 7,
    };

    #[test]
    fn f_14_the_limit_is_learned_and_forgotten_slowly() {
        let mut limit = Limit::new(CONFIGURED);
        limit.refused(500_000);
        assert_eq!((limit.size().bytes, limit.size().records), (400_000, 7));
        limit.refused(900_000);
        assert_eq!(limit.size().bytes, 400_000, "a larger one teaches nothing");
        limit.taken();
        assert_eq!(limit.size().bytes, 406_250);
        let more = (0..1000).take_while(|_| {
            limit.taken();
            limit.learned.is_some()
        });
        assert!((50..100).contains(&more.count()));
        assert_eq!(limit.size().bytes, CONFIGURED.bytes);
    }

    #[test]
    fn f_14_the_limit_is_never_below_a_chunk() {
        let mut limit = Limit::new(CONFIGURED);
        limit.refused(100);
        assert_eq!(limit.size().bytes, CHUNK);
    }
}
