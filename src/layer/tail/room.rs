//! The bytes that held traces may take: a part of the pipeline's memory limit.

use std::sync::Arc;

use super::super::shard::for_chunks;
use crate::queue::Budget;

#[derive(Debug)]
pub(super) struct Room {
    /// Of the whole pipeline.
    budget: Arc<Budget>,
    /// The largest record.
    record: usize,
    own: Budget,
}

impl Room {
    pub(super) fn new(budget: &Arc<Budget>, record: usize, bytes: usize) -> Self {
        Self {
            budget: Arc::clone(budget),
            record,
            own: Budget::new(bytes),
        }
    }

    /// What there is, less where the whole pipeline has less than was configured.
    pub(super) fn limit(&self) -> usize {
        self.budget.scaled(self.own.limit())
    }

    /// Whether more is held than there is room for, since that has become less.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.own.used() > self.limit()
    }

    /// Takes so many bytes, or none.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        if !self
            .own
            .reserve_leaving(bytes, self.own.limit() - self.limit())
        {
            return false;
        }
        // Held traces leave to chunks what open spans leave to them.
        let others = for_chunks(&self.budget, self.record);
        let has_room = self.budget.reserve_leaving(bytes, others);
        if !has_room {
            self.own.release(bytes);
        }
        has_room
    }

    pub(super) fn release(&self, bytes: usize) {
        self.own.release(bytes);
        self.budget.release(bytes);
    }

    /// Whether memory is better given back than kept for later.
    pub(super) fn is_scarce(&self) -> bool {
        self.own.used() > self.limit() / 2 || self.budget.exceeds(1, 4)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.own.used()
    }
}
