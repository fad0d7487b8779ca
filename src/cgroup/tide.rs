//! How the memory limit falls and rises: no clock, no files.

use super::reading::Reading;

/// Nanoseconds.
type Nanos = u64;

const SECOND: Nanos = 1_000_000_000;

/// The limit is at most this part of the cgroup's: telemetry is not what the container is for.
const PART: u64 = 8;
/// And at least this part of what was configured: less does not get a day's telemetry through.
const LEAST: usize = 8;
/// It rises by this part of what was configured,
const STEP: usize = 16;
/// when for so long nothing has spoken against it.
const CALM: Nanos = 10 * SECOND;
/// What is read is not a second old.
const PAUSE: Nanos = SECOND;
/// Percent of the time that tasks wait for memory: where it is tight, and where it is too late for half measures.
const TIGHT: f64 = 10.0;
const SEVERE: f64 = 40.0;

/// The limit as it is, and what it may be.
#[derive(Clone, Debug)]
pub(super) struct Tide {
    most: usize,
    least: usize,
    limit: usize,
    /// When it was last looked at, and since when it may rise again.
    looked: Option<Nanos>,
    calm_since: Nanos,
}

impl Tide {
    /// `most` is what was configured, `set_aside` what of it is never free.
    pub(super) fn new(most: usize, set_aside: usize, smallest: usize) -> Self {
        Self {
            most,
            least: (most / LEAST).max(set_aside + smallest).min(most),
            limit: most,
            looked: None,
            calm_since: 0,
        }
    }

    /// Whether it is time to read what the next step is decided by.
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        self.looked
            .is_none_or(|looked| now.saturating_sub(looked) >= PAUSE)
    }

    /// What the limit is from now on, since this was read, and so much of it is used.
    pub(super) fn next(&mut self, now: Nanos, used: usize, reading: &Reading) -> usize {
        self.looked = Some(now);
        let most = self.most_within(reading.limit);
        let tight = self.tightened(reading).min(most);
        if tight < self.limit {
            self.limit = tight;
            self.calm_since = now;
        } else if self.has_room_to_rise(used, reading) {
            let raised = self.limit.saturating_add(self.step()).min(most);
            if raised > self.limit && now.saturating_sub(self.calm_since) >= CALM {
                self.limit = raised;
                self.calm_since = now;
            }
        } else {
            self.calm_since = now;
        }
        self.limit
    }

    /// What a limit of the cgroup leaves.
    fn most_within(&self, limit: Option<u64>) -> usize {
        let part = limit.and_then(|limit| usize::try_from(limit / PART).ok());
        part.map_or(self.most, |part| part.clamp(self.least, self.most))
    }

    /// What is left of the limit where memory is tight: half of it, or what is not missing. Where tasks wait most of the time, the least.
    fn tightened(&self, reading: &Reading) -> usize {
        let missing = reading.spare.map_or(0, |spare| spare.min(0).unsigned_abs());
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        let limit = match reading.stalled {
            stalled if stalled >= SEVERE => 0,
            stalled if stalled < TIGHT && missing == 0 => return self.limit,
            _ => (self.limit / 2).min(self.limit.saturating_sub(missing)),
        };
        limit.max(self.least)
    }

    /// Whether the next limit could be used up, and memory would not be tight by that.
    fn has_room_to_rise(&self, used: usize, reading: &Reading) -> bool {
        let unused = self.limit.saturating_add(self.step()).saturating_sub(used);
        let unused = i64::try_from(unused).unwrap_or(i64::MAX);
        let is_calm = reading.stalled < TIGHT / 2.0;
        is_calm && reading.spare.is_none_or(|spare| spare >= unused)
    }

    fn step(&self) -> usize {
        (self.most / STEP).max(1)
    }
}

#[cfg(test)]
mod tests;
