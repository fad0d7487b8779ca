//! So many a second: a token bucket in one number.

use super::Decide;
use super::decision::{Decision, Sampling};
use super::question::Question;
use crate::clock;
use crate::sync::{AtomicU64, Ordering};

const SECOND: f64 = 1e9;

#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    burst: u32,
    bucket: Bucket,
}

impl Rate {
    pub(super) fn new(per_second: f64, burst: Option<u32>) -> Self {
        // A second's worth; the cast stops at its ends.
        let burst = burst.unwrap_or(per_second.ceil() as u32).max(1);
        Self {
            per_second,
            burst,
            bucket: Bucket::new(per_second, burst),
        }
    }
}

impl Decide for Rate {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        let yes = self.bucket.take(clock::monotonic());
        question.without_threshold(Decision::from_yes(yes))
    }

    fn description(&self) -> String {
        let Self {
            per_second, burst, ..
        } = self;
        format!("RateLimited{{{per_second}/s,burst:{burst}}}")
    }

    fn problem(&self) -> Option<String> {
        let is_rate = self.per_second.is_finite() && self.per_second >= 0.0;
        (!is_rate).then(|| {
            let rate = self.per_second;
            format!("Sampler::rate_limited({rate}): expected a finite number from 0 on")
        })
    }
}

/// A token bucket, kept as the moment at which it will be full again (the generic cell rate algorithm): whoever takes a token
/// moves it by the time that a token takes to come back.
#[derive(Debug)]
struct Bucket {
    /// Nanoseconds a token, rounded up, so that the rate is never exceeded; `None`: there are no tokens.
    token: Option<u64>,
    /// How far ahead of now the bucket may be full again, before a token is taken: what all but one of its tokens take.
    most: u64,
    /// Nanoseconds of the monotonic clock. Written and read by any thread; Relaxed, since it is one number, changed by
    /// read-modify-writes, and orders nothing else.
    full_at: AtomicU64,
}

impl Bucket {
    fn new(per_second: f64, burst: u32) -> Self {
        let token = (per_second > 0.0).then(|| ((SECOND / per_second).ceil() as u64).max(1));
        let others = u64::from(burst.saturating_sub(1));
        Self {
            token,
            most: token.unwrap_or(0).saturating_mul(others),
            full_at: AtomicU64::new(0),
        }
    }

    /// Whether there is a token `now`.
    fn take(&self, now: u64) -> bool {
        let Some(token) = self.token else {
            return false;
        };
        let taken = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                // A clock reading that another thread has overtaken is none that gives tokens.
                let ahead = full_at.saturating_sub(now);
                (ahead <= self.most).then(|| full_at.max(now).saturating_add(token))
            });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tokens counted in billionths, which come with the time.
    struct Naive {
        tokens: u128,
        most: u128,
        token: u64,
        last: u64,
    }

    impl Naive {
        fn take(&mut self, now: u64) -> bool {
            let token = u128::from(self.token);
            let since = u128::from(now - self.last);
            self.last = now;
            self.tokens = (self.tokens + since).min(self.most * token);
            let has = self.tokens >= token;
            if has {
                self.tokens -= token;
            }
            has
        }
    }

    fn rates() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.1), Just(3.0), Just(1000.0), 0.01_f64..1e6]
    }

    proptest! {
        #[test]
        fn a_bucket_takes_what_a_naive_one_takes(
            rate in rates(),
            burst in 1_u32..50,
            steps in prop::collection::vec(prop_oneof![Just(0), 0..2_000_000_u64, 0..5_000_000_000_u64], 1..200),
        ) {
            let bucket = Bucket::new(rate, burst);
            let token = bucket.token.unwrap();
            let most = u128::from(burst);
            let mut now = 1_000_000_000_000;
            let mut naive = Naive { tokens: most * u128::from(token), most, token, last: now };
            for step in steps {
                now += step;
                prop_assert_eq!(bucket.take(now), naive.take(now));
            }
        }

        /// In every span of time, not only from the beginning.
        #[test]
        fn a_bucket_never_exceeds_rate_times_time_and_burst(
            rate in rates(),
            burst in 1_u32..20,
            steps in prop::collection::vec(0..400_000_000_u64, 1..120),
        ) {
            let bucket = Bucket::new(rate, burst);
            let mut now = 0;
            let mut taken = Vec::new();
            for step in steps {
                now += step;
                if bucket.take(now) {
                    taken.push(now);
                }
            }
            for (first, start) in taken.iter().enumerate() {
                for (last, end) in taken.iter().enumerate().skip(first) {
                    let most = (end - start) as f64 / SECOND * rate + f64::from(burst);
                    prop_assert!((last - first + 1) as f64 <= most + 1e-6);
                }
            }
        }
    }

    #[test]
    fn a_bucket_fills_with_time_up_to_its_burst() {
        let bucket = Bucket::new(2.0, 3);
        let start = 7_000_000_000;
        let take = |times: usize, now: u64| (0..times).filter(|_| bucket.take(now)).count();
        assert_eq!(take(10, start), 3);
        assert_eq!(take(10, start + 499_999_999), 0);
        assert_eq!(take(10, start + 500_000_000), 1);
        assert_eq!(take(10, start + 3_600_000_000_000), 3);
        // A thread that read the clock earlier.
        assert_eq!(take(10, start), 0);
    }

    #[test]
    fn a_rate_of_nothing_takes_nothing_and_edges_do_no_harm() {
        for rate in [0.0, -1.0, f64::NAN] {
            let limit = Rate::new(rate, None);
            assert!(!limit.bucket.take(0) && !limit.bucket.take(u64::MAX));
            assert_eq!(limit.problem().is_some(), rate != 0.0);
        }
        assert!(Rate::new(f64::INFINITY, None).problem().is_some());
        for rate in [f64::INFINITY, 1e300, 1e-300] {
            let limit = Rate::new(rate, Some(u32::MAX));
            assert!(limit.bucket.take(0) && limit.bucket.take(u64::MAX));
        }
    }

    #[test]
    fn threads_share_a_bucket() {
        let bucket = Bucket::new(1.0, 1000);
        let taken = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| bucket.take(5)).count()))
                .collect();
            let counts = threads.into_iter().map(|thread| thread.join().unwrap());
            counts.sum::<usize>()
        });
        assert_eq!(taken, 1000);
    }
}
