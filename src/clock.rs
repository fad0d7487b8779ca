//! The anchored clock: wall time read once, then a monotonic clock.
//!
//! A span takes the anchor (`epoch`) that holds when its local root starts, and so do its children and events. So the
//! times of one trace in this process are ordered and an end is never before its start, whatever the wall clock does
//! meanwhile; a later trace uses the anchor as corrected by [`Clock::follow_wall`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sync::{AtomicU64, Ordering};

/// How far the wall clock may run away from the anchored one before the anchor follows: NTP slewing stays below.
const STEP: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Clock {
    /// UNIX nanoseconds at the origin of [`monotonic`]. Written by the exporter thread, read by any; Relaxed, since it is one number and
    /// orders nothing else.
    epoch: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            epoch: AtomicU64::new(unix_nanos(SystemTime::now()).saturating_sub(monotonic())),
        }
    }

    /// UNIX nanoseconds now, by the anchor that a trace began with. Before the year 2554 the sum does not wrap.
    #[inline]
    pub(crate) fn at(&self, epoch: u64) -> u64 {
        monotonic().wrapping_add(epoch)
    }

    /// What is added to [`monotonic`] to give UNIX nanoseconds.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Moves the anchor when the wall clock has been stepped.
    pub(crate) fn follow_wall(&self) {
        self.follow(unix_nanos(SystemTime::now()), monotonic());
    }

    fn follow(&self, wall: u64, now: u64) {
        let epoch = wall.saturating_sub(now);
        if epoch.abs_diff(self.epoch()) > STEP.as_nanos() as u64 {
            self.epoch.store(epoch, Ordering::Relaxed);
        }
    }
}

/// Nanoseconds since some moment that is the same for the whole process.
///
/// The clock that `Instant` reads, without `Instant`'s checks: those are 79 instructions a read, and a span has two. The
/// kernel gives whole nanoseconds below a second, so the sum does not wrap before 584 years have passed.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn monotonic() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn monotonic() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static BASE: OnceLock<Instant> = OnceLock::new();
    let since = BASE.get_or_init(Instant::now).elapsed();
    // Cheaper than `as_nanos`, which counts in 128 bits.
    since
        .as_secs()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(since.subsec_nanos().into())
}

/// In nanoseconds; at most as many as there may be.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn unix_nanos(time: SystemTime) -> u64 {
    // A clock before 1970 has no OTLP time; 0 is the specification's "unknown".
    time.duration_since(UNIX_EPOCH).map_or(0, nanos)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_agrees_with_the_standard_librarys_clocks() {
        let clock = Clock::new();
        let (start, earliest) = (Instant::now(), unix_nanos(SystemTime::now()));
        let first = monotonic();
        // Each reading lies between two others, whatever the machine does meanwhile.
        let times: Vec<u64> = (0..10_000).map(|_| monotonic()).collect();
        let (since, latest) = (start.elapsed(), unix_nanos(SystemTime::now()));
        assert!(times.is_sorted() && times.first() >= Some(&first));
        let took = times.last().map_or(0, |last| last - first);
        assert!(u128::from(took) <= since.as_nanos(), "{took} of {since:?}");
        let at = first.saturating_add(clock.epoch());
        let step = STEP.as_nanos() as u64;
        assert!((earliest - step..latest + step).contains(&at), "{at}");
    }

    #[test]
    fn the_anchor_follows_a_step_and_ignores_slewing() {
        let clock = Clock::new();
        let before = clock.epoch();
        clock.follow(before + 1_000_000 + 50, 50);
        assert_eq!(clock.epoch(), before, "one millisecond is slewing");
        clock.follow(before - 3_600_000_000_000, 0);
        assert_eq!(
            clock.epoch(),
            before - 3_600_000_000_000,
            "an hour back is a step"
        );
        clock.follow(0, 10);
        assert_eq!(clock.epoch(), 0, "a wall clock before 1970 does not wrap");
    }
}
