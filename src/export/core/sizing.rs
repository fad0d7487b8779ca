//! How large a request is made: doubled while the destination answers early in the time that an attempt has, halved when it
//! takes long, and never again quickly as large as what was refused.
//!
//! A size is judged by requests of that size alone: those begun before it was chosen say nothing of it.

use std::time::Duration;

use super::super::batch::Size;
use super::{Nanos, Tuning};
use crate::clock::nanos;
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
        // A small one says nothing of large ones.
        if sample.id < self.since || sample.bytes < self.bytes / 2 {
            return;
        }
        if !self.is_adaptive || sample.took <= self.deadline / 8 {
            self.grow();
            self.since = next;
        } else if sample.bytes <= self.bytes / 8 * 9 && self.adapt_to_slow(sample) {
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

    /// Halves the size where a request of it took so long that an attempt may not have the time for it, and takes that back where it
    /// did not help; `true` where the size was changed.
    fn adapt_to_slow(&mut self, Sample { bytes, took, .. }: Sample) -> bool {
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
        (self.halved, self.in_vain) = (None, None);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Concurrency;
    use crate::signal::Signal;

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    const SECOND: Nanos = 1_000_000_000;

    fn sizing(most: usize, is_adaptive: bool) -> Sizing {
        Sizing::new(&Tuning {
            signal: Signal::Traces,
            size: Size {
                bytes: most,
                records: 7,
            },
            first_bytes: MIB,
            is_adaptive,
            concurrency: Concurrency::Fixed(1),
            rate: crate::config::RateLimit::NONE,
            bytes_in_flight: most,
            timeout: Duration::from_secs(8),
            interval: Duration::ZERO,
            record_bytes: KIB,
            hold_on_config_error: false,
        })
    }

    /// A request of the present size, one after the other.
    fn full(sizing: &Sizing, id: u64, took: Nanos) -> Sample {
        Sample {
            id,
            bytes: sizing.bytes,
            took,
        }
    }

    /// The sizes in KiB after each of some requests of the present size that took so long.
    fn sizes(sizing: &mut Sizing, first: u64, times: &[Nanos]) -> Vec<usize> {
        let answers = (first..).zip(times);
        let after = answers.map(|(id, took)| {
            sizing.taken(full(sizing, id, *took), id + 1);
            sizing.size().bytes / KIB
        });
        after.collect()
    }

    #[test]
    fn it_doubles_in_an_eighth_of_the_time_and_halves_beyond_half_of_it() {
        let mut sizing = sizing(4 * MIB, true);
        assert_eq!(sizes(&mut sizing, 0, &[SECOND; 3]), [2048, 4096, 4096]);
        let between = [SECOND + 1, 4 * SECOND];
        assert_eq!(sizes(&mut sizing, 3, &between), [4096; 2]);
        let slow = [4 * SECOND + 1, 2 * SECOND, 2 * SECOND];
        assert_eq!(sizes(&mut sizing, 5, &slow), [2048; 3]);
        assert_eq!(sizing.ripe().bytes, MIB, "less is worth a request");
        let slow = [7 * SECOND, 5 * SECOND, 3 * SECOND, SECOND];
        assert_eq!(sizes(&mut sizing, 8, &slow), [1024, 512, 512, 1024]);
        assert_eq!(sizing.ripe().bytes, MIB);
    }

    #[test]
    fn it_comes_back_where_half_the_bytes_take_as_long() {
        let mut sizing = sizing(4 * MIB, true);
        let slow = [5 * SECOND; 6];
        assert_eq!(sizes(&mut sizing, 0, &slow)[..2], [512, 1024]);
        assert_eq!(sizing.bytes, MIB);
        // It is tried anew when it takes half as long again, or after it was well.
        let slower = [7 * SECOND, 7 * SECOND + SECOND / 2 + 1, 4 * SECOND];
        assert_eq!(sizes(&mut sizing, 6, &slower), [1024, 512, 512]);
    }

    #[test]
    fn small_requests_and_those_of_another_size_say_nothing() {
        let mut sizing = sizing(4 * MIB, true);
        let mut take = |id, bytes, took, next| {
            sizing.taken(Sample { id, bytes, took }, next);
            sizing.bytes / KIB
        };
        let slow = 7 * SECOND;
        assert_eq!(take(0, 511 * KIB, 1, 4), 1024);
        assert_eq!(take(0, 511 * KIB, slow, 4), 1024);
        assert_eq!(take(1, 512 * KIB, 1, 4), 2048);
        assert_eq!(take(3, 2 * MIB, 1, 5), 2048, "begun before");
        assert_eq!(take(4, 3 * MIB, slow, 5), 2048, "cut before");
        assert_eq!(take(4, 3 * MIB, 1, 5), 4096, "all the better");
    }

    #[test]
    fn what_was_late_is_halved_and_approached_again_from_four_fifths() {
        let mut sizing = sizing(4 * MIB, true);
        let late = |id, bytes| Sample {
            id,
            bytes,
            took: 8 * SECOND,
        };
        assert!(sizing.is_late(late(0, MIB)));
        assert!(!sizing.is_late(Sample {
            took: 7 * SECOND,
            ..late(0, MIB)
        }));
        assert!(sizing.troubled(late(0, MIB), 1));
        assert!(sizing.troubled(late(1, MIB / 2), 2));
        assert_eq!(sizing.bytes, MIB / 4);
        assert!(
            !sizing.troubled(late(2, 2 * CHUNK - 1), 3),
            "halves are chunks"
        );
        // While nothing is taken, nothing is learned but by the first.
        let early = sizes(&mut sizing, 3, &[1; 3]);
        assert_eq!(early, [512, 819, 831]);
        let more = (6..).take_while(|id| {
            sizing.taken(full(&sizing, *id, 1), id + 1);
            sizing.refused.is_some()
        });
        assert!((10..20).contains(&more.count()), "slowly up to 1 MiB");
        let id = 30;
        sizing.taken(full(&sizing, id, 1), id + 1);
        assert!(sizing.bytes > 2 * MIB, "and then quickly");
    }

    #[test]
    fn f_14_what_is_too_large_is_learned_and_felt_for() {
        for is_adaptive in [true, false] {
            let mut sizing = sizing(MIB, is_adaptive);
            sizing.too_large(500_000, 1);
            assert_eq!((sizing.size().bytes, sizing.size().records), (400_000, 7));
            sizing.too_large(900_000, 2);
            assert_eq!(sizing.size().bytes, 400_000, "a larger one teaches nothing");
            sizing.taken(full(&sizing, 2, 1), 3);
            assert_eq!(sizing.size().bytes, 406_250);
            let more = (3..).take_while(|id| {
                sizing.taken(full(&sizing, *id, 1), id + 1);
                sizing.bytes < MIB
            });
            assert!((10..20).contains(&more.count()));
        }
    }

    #[test]
    fn f_14_it_is_never_below_a_chunk() {
        let mut sizing = sizing(MIB, true);
        sizing.too_large(100, 1);
        assert_eq!(sizing.size().bytes, CHUNK);
        for id in 1..50 {
            sizing.taken(full(&sizing, id, 7 * SECOND), id + 1);
            assert!(sizing.size().bytes >= CHUNK);
        }
    }

    #[test]
    fn where_it_is_not_adaptive_times_change_nothing() {
        let mut sizing = sizing(MIB, false);
        let times = [1, 5 * SECOND, 7 * SECOND];
        assert_eq!(sizes(&mut sizing, 0, &times), [1024; 3]);
        let took = 8 * SECOND;
        assert!(!sizing.troubled(full(&sizing, 3, took), 4));
        assert_eq!(sizing.bytes, MIB);
    }
}
