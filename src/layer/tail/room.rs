//! The bytes that held traces may take: a part of the pipeline's memory limit.

use std::sync::Arc;

use crate::queue::Budget;

#[derive(Debug)]
pub(super) struct Room {
    /// Of the whole pipeline.
    budget: Arc<Budget>,
    /// How far held traces may fill it; the rest is for chunks.
    share: usize,
    own: Budget,
}

impl Room {
    pub(super) fn new(budget: &Arc<Budget>, share: usize, bytes: usize) -> Self {
        Self {
            budget: Arc::clone(budget),
            share,
            own: Budget::new(bytes),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.own.limit()
    }

    /// Takes so many bytes, or none.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        if !self.own.reserve(bytes) {
            return false;
        }
        let has_room = self.budget.reserve_up_to(bytes, self.share);
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
        self.own.exceeds(1, 2) || self.budget.exceeds(1, 4)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.own.used()
    }
}
