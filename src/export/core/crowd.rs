//! How many requests are in flight: a fixed number, or as many as shorten the wait for the destination without queueing there.
//!
//! What queues is told by time: the least that a request takes is the floor, and what it takes beyond that, it has waited for
//! others. One round, as many answers as there may be requests in flight, decides once.

use super::Nanos;
use super::sizing::Sample;
use crate::config::Concurrency;

#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    is_adaptive: bool,
    limit: usize,
    /// The least that a round took.
    floor: Option<Mean>,
    round: Round,
    /// So many were refused, or made requests wait; they are not tried again for some rounds.
    refused: Option<(usize, u32)>,
    /// The limit before the last step up.
    stepped: Option<usize>,
    /// Limit and time before the limit was lowered for the time, until it is known whether that helped.
    lowered: Option<(usize, Nanos)>,
}

/// Answers to requests that were begun under the present limit.
#[derive(Debug, Default)]
struct Round {
    since: u64,
    answers: usize,
    /// Of all answers, what they took, and how long the requests were.
    took: Nanos,
    bytes: usize,
    /// A request more would have been sent, had it been allowed.
    was_full: bool,
}

/// What a request took, and how long it was.
#[derive(Clone, Copy, Debug)]
struct Mean {
    took: Nanos,
    bytes: usize,
}

/// Rounds after which a number that was refused is tried again, and one that made requests wait.
const PATIENCE: u32 = 16;
const PAUSE: u32 = 4;

impl Crowd {
    pub(super) fn new(concurrency: Concurrency) -> Self {
        let (most, is_adaptive) = match concurrency {
            Concurrency::Fixed(requests) => (requests, false),
            Concurrency::Adaptive(most) => (most, true),
        };
        let most = most.max(1);
        Self {
            most,
            is_adaptive,
            limit: if is_adaptive { 1 } else { most },
            floor: None,
            round: Round::default(),
            refused: None,
            stepped: None,
            lowered: None,
        }
    }

    /// So many requests may be in flight now.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// As many were in flight as there may be.
    pub(super) fn note_full(&mut self) {
        self.round.was_full = true;
    }

    /// A request of the usual size was taken.
    pub(super) fn taken(&mut self, sample: Sample, next: u64) {
        if !self.is_adaptive || sample.id < self.round.since {
            return;
        }
        let round = &mut self.round;
        round.answers += 1;
        round.took = round.took.saturating_add(sample.took);
        round.bytes = round.bytes.saturating_add(sample.bytes);
        if round.answers < self.limit {
            return;
        }
        let mean = Mean {
            took: round.took / round.answers as u64,
            bytes: round.bytes / round.answers,
        };
        let limit = self.limit;
        self.judge(mean);
        let since = if self.limit == limit {
            self.round.since
        } else {
            next
        };
        self.begin_round(since);
    }

    /// A request was refused for now, or took all its time.
    pub(super) fn refused(&mut self, id: u64, next: u64) {
        if !self.is_adaptive || id < self.round.since {
            return;
        }
        self.refused = Some((self.limit, PATIENCE));
        // Where that came of the last step, the step is taken back. Else the destination can do less than it could.
        let before = self.stepped.take();
        self.limit = before.unwrap_or(self.limit / 2).max(1);
        self.lowered = None;
        self.begin_round(next);
    }

    fn judge(&mut self, mean: Mean) {
        let limit = self.limit;
        // What was refused and is taken now is no bound any more.
        self.refused = self
            .refused
            .filter(|(refused, _)| limit < *refused)
            .map(|(refused, rounds)| (refused, rounds.saturating_sub(1)));
        let floor = match self.floor {
            // Alone, it waits for none of ours.
            Some(floor) if self.limit > 1 && floor.took < mean.took => floor,
            _ => *self.floor.insert(mean),
        };
        let (took, usual) = (mean.took, floor.of(mean.bytes));
        let good = usual / 4 * 5;
        let stepped = self.stepped.take();
        if let Some((limit, before)) = self.lowered.take()
            && took > before.midpoint(good)
        {
            // With fewer it hardly takes less: it is the destination that has become slower, or farther away.
            self.floor = Some(mean);
            self.limit = limit;
            self.refused = None;
        } else if took > 2 * good {
            self.lowered = Some((self.limit, took));
            self.limit = self.fitting(good, took);
            // What fits is known by now; it is not sought by doubling at once.
            self.refused = Some((self.limit + self.limit / 2 + 1, PAUSE));
        } else if let Some(before) = stepped
            && took > good
        {
            // The step was too large. One more than before keeps the destination busy while an answer is on its way.
            self.limit = self.fitting(good, took).max(before + 1);
        } else if self.round.was_full && took <= usual / 8 * 9 {
            self.step_up();
        }
    }

    fn step_up(&mut self) {
        let bound = match self.refused {
            None => usize::MAX,
            Some((refused, 0)) => refused,
            Some((refused, _)) => refused - 1,
        };
        let limit = (2 * self.limit).min(self.most).min(bound);
        if limit > self.limit {
            self.stepped = Some(self.limit);
            self.limit = limit;
        }
    }

    /// So many take the time that is `good`, if the destination works on them one after the other.
    fn fitting(&self, good: Nanos, took: Nanos) -> usize {
        let share = good as f64 / took.max(1) as f64;
        ((self.limit as f64 * share) as usize).max(1)
    }

    fn begin_round(&mut self, since: u64) {
        self.round = Round {
            since,
            ..Round::default()
        };
    }
}

impl Mean {
    /// What a request of so many bytes takes at most, when nothing is in its way.
    fn of(self, bytes: usize) -> Nanos {
        if bytes <= self.bytes {
            return self.took;
        }
        let longer = bytes as f64 / self.bytes.max(1) as f64;
        (self.took as f64 * longer) as Nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds at which the destination works on so many at a time, with more to send: the limits after each.
    fn rounds(crowd: &mut Crowd, next: &mut u64, at_a_time: usize, times: usize) -> Vec<usize> {
        let one = |_| {
            let limit = crowd.limit();
            for _ in 0..limit {
                let took = 1_000 * limit.max(at_a_time) as u64 / at_a_time as u64;
                let (id, bytes) = (*next, 1_000);
                *next += 1;
                crowd.note_full();
                crowd.taken(Sample { id, bytes, took }, *next);
            }
            crowd.limit()
        };
        (0..times).map(one).collect()
    }

    #[test]
    fn it_grows_by_doubling_and_steps_back_to_a_quarter_of_waiting() {
        let (mut crowd, mut next) = (Crowd::new(Concurrency::Adaptive(64)), 0);
        let limits = rounds(&mut crowd, &mut next, 20, 8);
        assert_eq!(limits, [2, 4, 8, 16, 32, 25, 25, 25]);
        let limits = rounds(&mut crowd, &mut next, 5, 6);
        assert_eq!(limits, [6; 6], "a quarter beyond");
    }

    #[test]
    fn a_single_server_has_one_that_waits() {
        let (mut crowd, mut next) = (Crowd::new(Concurrency::Adaptive(8)), 0);
        assert_eq!(rounds(&mut crowd, &mut next, 1, 6), [2; 6]);
    }

    #[test]
    fn a_refusal_takes_the_last_step_back_or_half() {
        let (mut crowd, mut next) = (Crowd::new(Concurrency::Adaptive(64)), 0);
        assert_eq!(rounds(&mut crowd, &mut next, 64, 3), [2, 4, 8]);
        crowd.refused(next, next + 1);
        assert_eq!(crowd.limit(), 4);
        crowd.refused(next, next + 1);
        assert_eq!(crowd.limit(), 4, "it was begun before");
        next += 2;
        let limits = rounds(&mut crowd, &mut next, 64, 20);
        let before = usize::try_from(PATIENCE).unwrap() - 1;
        assert!(
            limits[..before].iter().all(|limit| *limit == 7),
            "{limits:?}"
        );
        assert!(limits[before..].contains(&16), "{limits:?}");
        assert_eq!(rounds(&mut crowd, &mut next, 64, 3), [64; 3]);
        crowd.refused(next, next + 1);
        assert_eq!(crowd.limit(), 32);
    }

    #[test]
    fn a_fixed_number_stays() {
        let (mut crowd, mut next) = (Crowd::new(Concurrency::Fixed(5)), 0);
        assert_eq!(rounds(&mut crowd, &mut next, 1, 3), [5; 3]);
        crowd.refused(next, next + 1);
        assert_eq!(crowd.limit(), 5);
        assert_eq!(Crowd::new(Concurrency::Fixed(0)).limit(), 1);
    }
}
