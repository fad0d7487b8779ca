//! What was delivered in the last minute, for the throughput.

use std::time::Duration;

const SLOTS: usize = 12;
const SLOT: Duration = Duration::from_secs(5);

/// A ring of slots of five seconds each; times are since the pipeline began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    /// The number of the slot, and what was delivered in it.
    slots: [(u64, u64, u64); SLOTS],
}

impl Recent {
    pub(crate) fn add(&mut self, now: Duration, records: u64, bytes: u64) {
        let number = slot(now);
        let slot = &mut self.slots[number as usize % SLOTS];
        if slot.0 != number {
            *slot = (number, 0, 0);
        }
        slot.1 += records;
        slot.2 += bytes;
    }

    /// Records and bytes a second, over the last minute or since the beginning.
    pub(crate) fn rate(&self, now: Duration) -> (f64, f64) {
        let last = slot(now);
        let first = (last + 1).saturating_sub(SLOTS as u64);
        let recent = self
            .slots
            .iter()
            .filter(|slot| (first..=last).contains(&slot.0));
        let (records, bytes) = recent.fold((0, 0), |sum, slot| (sum.0 + slot.1, sum.1 + slot.2));
        let seconds = (now - SLOT * u32::try_from(first).unwrap_or(0))
            .as_secs_f64()
            .max(1.0);
        (records as f64 / seconds, bytes as f64 / seconds)
    }
}

fn slot(time: Duration) -> u64 {
    time.as_secs() / SLOT.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let mut recent = Recent::default();
        let at = Duration::from_secs;
        assert_eq!(recent.rate(at(0)), (0.0, 0.0));
        recent.add(at(1), 100, 1000);
        assert_eq!(recent.rate(at(2)), (50.0, 500.0));
        (60..120).for_each(|second| recent.add(at(second), 10, 20));
        assert_eq!(recent.rate(at(120)).0.round(), 10.0);
        assert_eq!(recent.rate(at(500)), (0.0, 0.0));
    }

    #[test]
    fn the_first_moment_divides_by_a_second() {
        let mut recent = Recent::default();
        recent.add(Duration::ZERO, 7, 7);
        assert_eq!(recent.rate(Duration::from_millis(1)), (7.0, 7.0));
    }
}
