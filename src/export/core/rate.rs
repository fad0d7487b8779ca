//! How much is sent a second, at most: in the mean with bursts, or in each window of time.
//!
//! A request is begun when something may be sent, as large as that allows, and is charged for what it holds. Batches consist of
//! whole chunks, so one may be larger by that much; the next one waits as much longer.

use super::super::batch::Size;
use super::Nanos;
use crate::clock::nanos;
use crate::config::RateLimit;
use crate::rate::{Tokens, Window};

/// Bytes are counted in KiB, so that a token takes long enough to be told in nanoseconds.
const KIB: u64 = 1 << 10;

#[derive(Debug, Default)]
pub(super) struct Rate {
    records: Option<Meter>,
    kib: Option<Meter>,
}

#[derive(Debug)]
enum Meter {
    Bucket { tokens: Tokens, full_at: Nanos },
    Window(Window),
}

impl Rate {
    pub(super) fn new(limit: &RateLimit) -> Self {
        let window = limit.window.map(nanos);
        let meter = |per_second: f64| match window {
            Some(length) => Some(Meter::Window(Window::new(per_second, length))),
            None => Tokens::new(per_second, per_second.ceil() as u64)
                .map(|tokens| Meter::Bucket { tokens, full_at: 0 }),
        };
        Self {
            records: limit.records.and_then(meter),
            kib: limit.bytes.and_then(|bytes| meter(bytes / KIB as f64)),
        }
    }

    /// From when on anything may be sent.
    pub(super) fn ready_at(&self) -> Nanos {
        let meters = self.records.iter().chain(&self.kib);
        meters.map(Meter::ready_at).max().unwrap_or(0)
    }

    /// How much may be sent now.
    pub(super) fn bound(&self, now: Nanos, size: Size) -> Size {
        let left = |meter: &Option<Meter>| meter.as_ref().map_or(u64::MAX, |meter| meter.left(now));
        let bytes = usize::try_from(left(&self.kib).saturating_mul(KIB));
        Size {
            records: size.records.min(left(&self.records)),
            bytes: size.bytes.min(bytes.unwrap_or(usize::MAX)),
        }
    }

    /// A request is begun.
    pub(super) fn charge(&mut self, now: Nanos, records: u64, bytes: u64) {
        if let Some(meter) = &mut self.records {
            meter.charge(now, records);
        }
        if let Some(meter) = &mut self.kib {
            meter.charge(now, bytes.div_ceil(KIB));
        }
    }
}

impl Meter {
    fn ready_at(&self) -> Nanos {
        match self {
            Self::Bucket { tokens, full_at } => tokens.ready_at(*full_at),
            Self::Window(window) => window.ready_at(),
        }
    }

    fn left(&self, now: Nanos) -> u64 {
        match self {
            Self::Bucket { tokens, full_at } => tokens.left(*full_at, now),
            Self::Window(window) => window.left(now),
        }
    }

    fn charge(&mut self, now: Nanos, count: u64) {
        match self {
            Self::Bucket { tokens, full_at } => *full_at = tokens.take(*full_at, now, count),
            Self::Window(window) => window.charge(now, count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Nanos = 1_000_000_000;
    const LARGE: Size = Size {
        records: 8192,
        bytes: 1 << 20,
    };

    /// Sends as much as it may, as often as it may, in pieces that exceed the bound by `over` records at most; gives what was sent
    /// when.
    fn run(limit: &RateLimit, seconds: u64, over: &[u64]) -> Vec<(Nanos, u64)> {
        let (mut rate, mut now, mut sent) = (Rate::new(limit), 0, Vec::new());
        let mut over = over.iter().cycle();
        while now < seconds * SECOND {
            now = now.max(rate.ready_at());
            let records = rate.bound(now, LARGE).records + over.next().copied().unwrap_or(0);
            rate.charge(now, records, 100 * records);
            sent.push((now, records));
            now += 1_000_000;
        }
        sent
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// In no span of time, not only from the beginning.
        #[test]
        fn a_bucket_is_never_exceeded_by_more_than_one_piece(
            per_second in 1_u32..100_000,
            over in prop::collection::vec(0_u64..100, 1..5),
        ) {
            let limit = RateLimit::default().with_records(per_second.into());
            let sent = run(&limit, 6, &over);
            for (first, (from, _)) in sent.iter().enumerate().step_by(97) {
                let mut sum = 0;
                for (to, records) in &sent[first..] {
                    sum += records;
                    let time = (to - from) as f64 / SECOND as f64;
                    let most = f64::from(per_second) * (time + 1.0) + 102.0;
                    prop_assert!(sum as f64 <= most, "{sum} in {time} s");
                }
            }
        }

        #[test]
        fn a_window_is_never_exceeded_by_more_than_one_piece(
            per_second in 1_u32..10_000,
            millis in 100_u64..5_000,
            over in prop::collection::vec(0_u64..100, 1..5),
        ) {
            let window = Duration::from_millis(millis);
            let limit = RateLimit::default().with_records(per_second.into()).with_window(window);
            let sent = run(&limit, 6, &over);
            let most = (f64::from(per_second) * window.as_secs_f64()).max(1.0) + 100.0;
            for (to, _) in sent.iter().step_by(97) {
                let is_in = |(at, _): &&(Nanos, u64)| at <= to && at + nanos(window) > *to;
                let sum: u64 = sent.iter().filter(is_in).map(|(_, records)| records).sum();
                prop_assert!(sum as f64 <= most, "{sum} of {most}");
            }
        }

        /// What may be sent is sent: nothing waits for more than the limit asks for.
        #[test]
        fn the_rate_is_used(per_second in 10_u32..5_000, is_window: bool) {
            let limit = RateLimit::default().with_records(per_second.into());
            let limit = if is_window { limit.with_window(Duration::from_secs(1)) } else { limit };
            let sent: u64 = run(&limit, 20, &[0]).iter().map(|(_, records)| records).sum();
            prop_assert!(sent as f64 >= 20.0 * 0.9 * f64::from(per_second), "{sent}");
        }
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut rate = Rate::new(&RateLimit::default());
        rate.charge(7, u64::MAX, u64::MAX);
        assert_eq!(rate.ready_at(), 0);
        assert_eq!(rate.bound(7, LARGE).records, LARGE.records);
    }

    #[test]
    fn records_and_bytes_each_have_their_limit() {
        let limit = RateLimit::default()
            .with_records(1_000.0)
            .with_bytes(102_400.0);
        let mut rate = Rate::new(&limit);
        assert_eq!(rate.bound(0, LARGE).bytes, 102_400);
        rate.charge(0, 10, 204_800);
        assert_eq!(
            rate.ready_at(),
            1_010_000_000,
            "bytes: 100 KiB too many, and one that may be sent"
        );
        rate.charge(0, 4_000, 0);
        assert_eq!(rate.ready_at(), 3_011_000_000, "records");
    }
}
