//! Buffers for chunks: taken within the budget, used again when their export is done.

use bytes::Bytes;

use super::budget::Budget;
use super::chunk::Sealed;
use crate::sync::{Arc, Ring};

/// As many buffers as two full requests have, and what is an eighth of the budget at most: what is kept and not used is no room for
/// others.
const KEPT: usize = 64;
const KEPT_PART: usize = 8;
const LEAST_KEPT: usize = 4;

#[derive(Debug)]
pub(crate) struct Pool {
    buffers: Ring<Vec<u8>>,
    budget: Arc<Budget>,
    size: usize,
}

impl Pool {
    pub(crate) fn new(budget: Arc<Budget>, size: usize) -> Self {
        let part = budget.limit() / KEPT_PART / size.max(1);
        Self {
            buffers: Ring::new(KEPT.min(part.max(LEAST_KEPT))),
            budget,
            size,
        }
    }

    /// An empty buffer for at least so many bytes; `None` when the budget has no room for it.
    pub(crate) fn take(&self, least: usize) -> Option<Vec<u8>> {
        if least <= self.size
            && let Some(buffer) = self.buffers.pop()
        {
            return Some(buffer);
        }
        let size = least.max(self.size);
        if !self.budget.reserve(size) {
            return None;
        }
        let buffer = Vec::with_capacity(size);
        // The charge is the capacity, and `with_capacity` may give more than was asked for.
        let extra = buffer.capacity() - size;
        if extra > 0 && !self.budget.reserve(extra) {
            self.budget.release(size);
            return None;
        }
        Some(buffer)
    }

    /// Takes a buffer back that was never sent.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let charge = buffer.capacity();
        if charge == self.size
            && let Ok(()) = self.buffers.push(buffer)
        {
            return;
        }
        self.budget.release(charge);
    }

    /// Takes a chunk's buffer back when nobody needs its bytes any more.
    pub(crate) fn recycle(&self, sealed: Sealed) {
        let charge = sealed.charge;
        match sealed.bytes.try_into_mut() {
            Ok(mut bytes) => {
                bytes.clear();
                let buffer = Vec::from(bytes);
                debug_assert_eq!(buffer.capacity(), charge);
                self.give_back(buffer);
            }
            // A transport kept a clone; the memory is its own from here on.
            Err(_shared) => self.budget.release(charge),
        }
    }

    /// Moves a chunk that is nearly empty out of its buffer, so that it holds what it needs and not what it might have
    /// become.
    pub(crate) fn shrink(&self, sealed: Sealed) -> Sealed {
        let len = sealed.bytes.len();
        if len > self.size / 4 || !self.budget.reserve(len) {
            return sealed;
        }
        let small = Sealed {
            bytes: Bytes::copy_from_slice(&sealed.bytes),
            charge: len,
            ..sealed.clone()
        };
        self.recycle(sealed);
        small
    }

    /// Frees a chunk's memory for the budget, instead of keeping its buffer.
    pub(crate) fn discard(&self, sealed: Sealed) {
        let charge = sealed.charge;
        drop(sealed);
        self.budget.release(charge);
    }
}
