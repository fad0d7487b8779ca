//! How long requests took: a histogram of fixed size, eight steps to each doubling.

use std::time::Duration;

/// Steps to each doubling: a quantile is at most an eighth too high.
const STEPS: u32 = 8;
/// From a microsecond to more than an hour.
const DOUBLINGS: u32 = 32;
const BUCKETS: usize = (STEPS * DOUBLINGS) as usize;

#[derive(Clone, PartialEq)]
pub(crate) struct Histogram {
    counts: Box<[u64; BUCKETS]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: Box::new([0; BUCKETS]),
        }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Histogram({} values)", self.counts.iter().sum::<u64>())
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)] += 1;
    }

    /// Takes in the values of another one.
    pub(crate) fn add(&mut self, other: &Self) {
        let counts = self.counts.iter_mut().zip(other.counts.iter());
        counts.for_each(|(count, more)| *count += more);
    }

    /// The shortest time that at least this share of the values does not exceed; `None` where there is no value.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let all: u64 = self.counts.iter().sum();
        let rank = ((all as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let found = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(Duration::from_micros(upper_bound(found)))
    }
}

/// Values below eight have a bucket each; above, each doubling has eight.
fn bucket(micros: u64) -> usize {
    if micros < u64::from(STEPS) {
        return micros as usize;
    }
    let doubling = micros.ilog2() - STEPS.ilog2();
    let step = (micros >> doubling) as u32 - STEPS;
    (((doubling + 1) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The largest value that belongs to the bucket.
fn upper_bound(bucket: usize) -> u64 {
    let (doubling, step) = (bucket as u32 / STEPS, bucket as u64 % u64::from(STEPS));
    match doubling.checked_sub(1) {
        None => step,
        Some(doubling) => ((u64::from(STEPS) + step + 1) << doubling) - 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The naive model: sort, and take the value at the rank.
        #[test]
        fn a_quantile_is_that_of_the_sorted_values_or_an_eighth_more(
            values in proptest::collection::vec(0_u64..3_600_000_000, 1..200),
            share in 0.0_f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            let mut micros: Vec<u64> = values;
            micros.iter().for_each(|value| histogram.record(Duration::from_micros(*value)));
            micros.sort_unstable();
            let rank = ((micros.len() as f64 * share).ceil() as usize).max(1);
            let exact = micros[rank - 1];
            let found = histogram.quantile(share).map(|found| found.as_micros() as u64);
            prop_assert!(found.is_some_and(|found| found >= exact && found <= exact + exact / 8), "{found:?} for {exact}");
        }
    }

    #[test]
    fn what_takes_for_ever_counts_too() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.record(Duration::MAX);
        assert!(
            histogram
                .quantile(1.0)
                .is_some_and(|longest| longest > Duration::from_secs(3600))
        );
    }
}
