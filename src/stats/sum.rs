//! The ledgers of several parts of a pipeline, added up.

use super::Stats;

impl Stats {
    /// Adds what another part of the pipeline counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.rejected += other.rejected;
        let dropped = self.dropped.iter_mut().zip(other.dropped);
        dropped.for_each(|(records, more)| *records += more);
        self.held += other.held;
        self.queued += other.queued;
        self.in_flight += other.in_flight;
        self.requests += other.requests;
        self.retries += other.retries;
        self.ambiguous += other.ambiguous;
        self.failovers += other.failovers;
        self.splits += other.splits;
        self.odd_answers += other.odd_answers;
        self.sent_bytes += other.sent_bytes;
        self.records_per_second += other.records_per_second;
        self.bytes_per_second += other.bytes_per_second;
        self.latency.add(&other.latency);
        self.last_success = self.last_success.max(other.last_success);
        let when = |stats: &Self| stats.last_error.as_ref().map(|error| error.when());
        if when(other) > when(self) {
            self.last_error.clone_from(&other.last_error);
        }
        for (answer, records) in &other.rejections {
            match self.rejections.iter_mut().find(|(name, _)| name == answer) {
                Some((_, known)) => *known += records,
                None => self.rejections.push((answer.clone(), *records)),
            }
        }
        self.truncated += other.truncated;
        self.limited += other.limited;
        self.waits += other.waits;
        self.pressure_changes += other.pressure_changes;
        self.memory_limit_changes += other.memory_limit_changes;
        self.panics += other.panics;
        self.processor_panics += other.processor_panics;
    }

    /// A stream's: what the application's threads counted, and what became of it at each destination.
    pub(crate) fn of_stream(layer: &Self, outlets: impl Iterator<Item = Self>) -> Self {
        let mut sum = layer.clone();
        for (number, outlet) in outlets.enumerate() {
            if number > 0 {
                sum.add(&layer.of_records());
            }
            sum.add(&outlet);
        }
        sum
    }

    /// The records alone, which count for each destination; not what was counted when they were written.
    fn of_records(&self) -> Self {
        Self {
            truncated: 0,
            limited: 0,
            waits: 0,
            pressure_changes: 0,
            memory_limit_changes: 0,
            panics: 0,
            processor_panics: 0,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Counts, DropReason, Ledger};
    use super::*;

    #[test]
    fn a_sum_balances_and_knows_what_was_last() {
        let (layer, one, other) = (Ledger::default(), Ledger::default(), Ledger::default());
        layer.refuse(DropReason::QueueFull);
        layer.limited();
        one.delivered(3, 30);
        one.rejected(1, "HTTP 400");
        one.failed("first");
        other.rejected(2, "HTTP 400");
        other.rejected(1, "HTTP 401");
        other.dropped(DropReason::Evicted, 1);
        other.failed("second");
        one.request(Duration::from_millis(1));
        other.request(Duration::from_secs(1));
        let counts = Counts {
            appended: 4,
            ..Counts::default()
        };
        let layer = layer.snapshot(counts);
        let outlets = [one, other].map(|outlet| outlet.snapshot(Counts::default()));
        let of_one = Stats::of_stream(&layer, outlets.clone().into_iter().take(1));
        assert!(of_one.is_balanced() && of_one.accepted() == 5, "{of_one}");
        let sum = Stats::of_stream(&layer, outlets.into_iter());
        assert!(sum.is_balanced(), "{sum}");
        assert_eq!((sum.accepted(), sum.limited(), sum.requests()), (10, 1, 2));
        let rejections = [("HTTP 400".to_owned(), 3), ("HTTP 401".to_owned(), 1)];
        assert_eq!(sum.rejections(), rejections);
        let last = sum.last_error().map(|error| error.message());
        assert_eq!(last, Some("second"));
        assert!(sum.latency_p50() < sum.latency_p99());
        assert!(sum.last_success().is_some());
    }
}
