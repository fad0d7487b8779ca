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
