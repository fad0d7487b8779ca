//! So much a second: a token bucket, kept as one moment in time.

use crate::sync::{AtomicU64, Ordering};

const SECOND: f64 = 1e9;

/// How fast tokens come, and how many there are at most (the generic cell rate algorithm): a bucket is the moment at which it will
/// be full again, and whoever takes a token moves that by the time that a token takes to come back. Moments are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    /// Nanoseconds a token, rounded up, so that the rate is never exceeded.
    token: u64,
    /// How far ahead of now the bucket may be full again, before a token is taken: what all but one of its tokens take.
    most: u64,
}

impl Tokens {
    /// `None`: there are none.
    pub(crate) fn new(per_second: f64, burst: u64) -> Option<Self> {
        let token = (per_second > 0.0).then(|| ((SECOND / per_second).ceil() as u64).max(1))?;
        let most = token.saturating_mul(burst.saturating_sub(1));
        Some(Self { token, most })
    }

    /// How many there are.
    pub(crate) fn left(self, full_at: u64, now: u64) -> u64 {
        let left = self.most.checked_sub(full_at.saturating_sub(now));
        left.map_or(0, |left| left / self.token + 1)
    }

    /// From when on there is one.
    pub(crate) fn ready_at(self, full_at: u64) -> u64 {
        full_at.saturating_sub(self.most)
    }

    /// So many are taken, also where there are not as many: then the next one comes later.
    pub(crate) fn take(self, full_at: u64, now: u64, count: u64) -> u64 {
        let time = self.token.saturating_mul(count);
        full_at.max(now).saturating_add(time)
    }
}

/// A bucket that any thread takes from.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: Option<Tokens>,
    /// Nanoseconds of the monotonic clock. Written and read by any thread; Relaxed, since it is one number, changed by
    /// read-modify-writes, and orders nothing else.
    full_at: AtomicU64,
}

impl Bucket {
    pub(crate) fn new(per_second: f64, burst: u32) -> Self {
        Self {
            tokens: Tokens::new(per_second, burst.into()),
            full_at: AtomicU64::new(0),
        }
    }

    /// Takes a token, if there is one `now`.
    pub(crate) fn take(&self, now: u64) -> bool {
        let Some(tokens) = self.tokens else {
            return false;
        };
        let taken = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                // A clock reading that another thread has overtaken is none that gives tokens.
                (tokens.ready_at(full_at) <= now).then(|| tokens.take(full_at, now, 1))
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
            let token = bucket.tokens.unwrap().token;
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

    #[test]
    fn edges_do_no_harm() {
        for rate in [0.0, -1.0, f64::NAN] {
            let bucket = Bucket::new(rate, 1);
            assert!(!bucket.take(0) && !bucket.take(u64::MAX));
        }
        for rate in [f64::INFINITY, 1e300, 1e-300] {
            let bucket = Bucket::new(rate, u32::MAX);
            assert!(bucket.take(0) && bucket.take(u64::MAX));
        }
    }

    #[test]
    fn what_is_taken_beyond_what_is_there_is_paid_back() {
        let tokens = Tokens::new(10.0, 10).unwrap();
        let tenth = 100_000_000;
        assert_eq!(tokens.left(0, 0), 10);
        let full_at = tokens.take(0, 0, 25);
        assert_eq!(tokens.left(full_at, 0), 0);
        // 15 too many, and one that is there again.
        assert_eq!(tokens.ready_at(full_at), 16 * tenth);
        assert_eq!(tokens.left(full_at, 16 * tenth), 1);
        assert_eq!(tokens.left(full_at, 3_600 * 10 * tenth), 10);
    }
}
