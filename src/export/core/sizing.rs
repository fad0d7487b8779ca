//! How large a request is made: doubled while the destination answers early in the time that an attempt has, halved when it
//! takes long, and never again quickly as large as what was refused.
//!
//! A size is judged by requests of that size alone: those begun before it was chosen say nothing of it.

use std::time::Duration;

use super::super::batch::Size;
use super::{Nanos, Tuning, nanos};
use crate::queue::CHUNK;

/// A request on its way: what it says about the destination when it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Requests are numbered as they are begun.
    pub(super) id: u64,
    /// The length of its records.
    pub(super) bytes: usize,
    /// How long it took.
    pub(super) took: Nanos,
}

#[derive(Debug)]
pub(super) struct Sizing {
    most: Size,
    /// A request does not wait for more than this.
    ripe: usize,
    is_adaptive: bool,
    /// The time that an attempt has.
    deadline: Nanos,
    bytes: usize,
    /// So many were refused, or took all the time: four fifths of it are good, and beyond those it is felt for.
    refused: Option<usize>,
    /// Requests begun before this one were of another size.
    since: u64,
    /// Refusals for the size in a row.
    refusals: u32,
    /// Something was refused since anything was last taken.
    is_refused: bool,
    /// Size and time before the size was halved for the time, until it is known whether that helped.
    halved: Option<(usize, Nanos)>,
    /// It did not, when this was the time: it is not in the bytes.
    in_vain: Option<Nanos>,
}

/// More than a batch of 8,192 records takes to come down to one: a destination that refuses more often takes nothing.
const PATIENCE: u32 = 16;

/// For the judgement of times where an attempt has no deadline: that of the specification.
const USUAL_DEADLINE: Duration = Duration::from_secs(10);

impl Sizing {
    pub(super) fn new(tuning: &Tuning) -> Self {
        let deadline = if tuning.timeout.is_zero() {
            USUAL_DEADLINE
        } else {
            tuning.timeout
        };
        let first = tuning.first_bytes.min(tuning.size.bytes);
        Self {
            most: tuning.size,
            ripe: first,
            is_adaptive: tuning.is_adaptive,
            deadline: nanos(deadline),
            bytes: first,
            refused: None,
            since: 0,
            refusals: 0,
            is_refused: false,
            halved: None,
            in_vain: None,
        }
    }

    /// The most that goes with the next request.
    pub(super) fn size(&self) -> Size {
        Size {
            bytes: self.bytes,
            ..self.most
        }
    }

    /// What is worth a request of its own before the interval is over.
    pub(super) fn ripe(&self) -> Size {
        Size {
            bytes: self.bytes.min(self.ripe),
            ..self.most
        }
    }

    /// A request was taken.
    pub(super) fn taken(&mut self, sample: Sample, next: u64) {
        self.refusals = 0;
        self.is_refused = false;
        // A small one says nothing of large ones, and what was cut before is cut no more.
        let usual = self.bytes / 2..=self.bytes / 8 * 9;
        if sample.id < self.since || !usual.contains(&sample.bytes) {
            return;
        }
        if self.is_adaptive && self.is_slow(sample) {
            self.since = next;
        } else if sample.took <= self.deadline / 8 || !self.is_adaptive {
            self.grow();
            self.since = next;
        }
    }

    /// Whether a request took all its time: nine tenths of it, since it is the destination's and the network's share.
    pub(super) fn is_late(&self, sample: Sample) -> bool {
        sample.took >= self.deadline / 10 * 9
    }

    /// A request took all its time, or was refused more than once for no reason of its own; `true` where a smaller one may
    /// fare better.
    pub(super) fn troubled(&mut self, sample: Sample, next: u64) -> bool {
        let least = self.least();
        if !self.is_adaptive || sample.bytes < 2 * least {
            return false;
        }
        if sample.id >= self.since {
            // While nothing is taken, the first size is the one that is known to be good or not: the others are only asked
            // whether anything is taken at all.
            if !std::mem::replace(&mut self.is_refused, true) {
                self.refused = Some(sample.bytes);
            }
            self.bytes = self.bytes.min(sample.bytes / 2);
            self.since = next;
            self.halved = None;
        }
        sample.bytes > self.bytes
    }

    /// So many bytes were too large. Below a chunk nothing is won: a batch has at least one.
    pub(super) fn too_large(&mut self, bytes: usize, next: u64) {
        self.refusals = self.refusals.saturating_add(1);
        let good = good(bytes).max(self.least());
        if good < self.bytes {
            self.bytes = good;
            self.refused = Some(bytes);
            self.since = next;
            self.halved = None;
        }
    }

    /// How often it has refused since it seems to take nothing, for a back-off; zero before.
    pub(super) fn hopeless(&self) -> u32 {
        self.refusals.saturating_sub(PATIENCE)
    }

    /// Whether a request took so long that an attempt may not have the time for it; `true` where the size was changed.
    fn is_slow(&mut self, Sample { bytes, took, .. }: Sample) -> bool {
        if let Some((before, time)) = self.halved.take()
            && took > time / 4 * 3
        {
            // Half the bytes would have taken half the time, if it were for them.
            self.in_vain = Some(took);
            self.bytes = before;
            return true;
        }
        if took <= self.deadline / 4 {
            self.in_vain = None;
        }
        // It may be for them again when it is much longer.
        let known = self.in_vain.is_some_and(|known| took <= known / 2 * 3);
        if took <= self.deadline / 2 || known {
            return false;
        }
        self.halved = Some((self.bytes, took));
        self.bytes = (bytes / 2).clamp(self.least(), self.bytes);
        true
    }

    fn grow(&mut self) {
        let refused = self.refused.unwrap_or(usize::MAX);
        let quickly = (2 * self.bytes).min(good(refused));
        let slowly = self.bytes + (self.bytes / 64).max(1);
        self.bytes = quickly.max(slowly).min(self.most.bytes);
        if self.bytes >= refused.min(self.most.bytes) {
            self.refused = None;
        }
    }

    fn least(&self) -> usize {
        CHUNK.min(self.most.bytes)
    }
}

/// What is taken with some certainty where so many bytes were not.
fn good(refused: usize) -> usize {
    refused / 5 * 4
}
