//! How long a span was busy and idle, and when it was left last.
//!
//! A span is busy while it is entered anywhere, however often; else it is idle.

use crate::proto::common::Prefix;
use crate::proto::trace;

/// The attributes that say so.
pub(super) const KEYS: [&str; 2] = ["busy_ns", "idle_ns"];

/// Both, as they begin.
pub(super) fn prefixes() -> Box<[Prefix; 2]> {
    Box::new(KEYS.map(|key| Prefix::new(trace::SPAN_ATTRIBUTE, key)))
}

/// All times in nanoseconds, by the clock of the span's trace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    /// How often it is entered at the moment.
    entered: u32,
    /// When that last became something or nothing.
    since: u64,
    busy: u64,
    idle: u64,
    /// When it was left last, if ever.
    left: Option<u64>,
}

impl Activity {
    pub(super) fn begin(start: u64) -> Self {
        Self {
            since: start,
            ..Self::default()
        }
    }

    pub(super) fn enter(&mut self, now: u64) {
        if self.entered == 0 {
            self.idle = self.idle.saturating_add(now.saturating_sub(self.since));
            self.since = now;
        }
        self.entered = self.entered.saturating_add(1);
    }

    pub(super) fn exit(&mut self, now: u64) {
        self.left = Some(now);
        // A span may be left that was entered before this layer knew it.
        self.entered = self.entered.saturating_sub(1);
        if self.entered == 0 {
            self.busy = self.busy.saturating_add(now.saturating_sub(self.since));
            self.since = now;
        }
    }

    /// When it was left last; `None` where it never was, or still is entered.
    pub(super) fn left(&self) -> Option<u64> {
        self.left.filter(|_| self.entered == 0)
    }

    /// Nanoseconds busy and idle until `end`.
    pub(super) fn until(&self, end: u64) -> (u64, u64) {
        let rest = end.saturating_sub(self.since);
        if self.entered == 0 {
            (self.busy, self.idle.saturating_add(rest))
        } else {
            (self.busy.saturating_add(rest), self.idle)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn busy_and_idle_add_up_however_often_it_is_entered() {
        let mut activity = Activity::begin(100);
        activity.enter(110);
        activity.enter(120);
        activity.exit(130);
        assert_eq!((activity.left(), activity.until(140)), (None, (30, 10)));
        activity.exit(150);
        assert_eq!(activity.left(), Some(150));
        assert_eq!(activity.until(200), (40, 60));
    }

    proptest! {
        /// The naive model looks at each nanosecond.
        #[test]
        fn each_nanosecond_is_busy_or_idle(steps in proptest::collection::vec((any::<bool>(), 0_u64..9), 0..40)) {
            let mut activity = Activity::begin(0);
            let (mut now, mut entered, mut busy) = (0_u64, 0_u32, 0_u64);
            for (enters, wait) in steps {
                busy += if entered > 0 { wait } else { 0 };
                now += wait;
                if enters {
                    activity.enter(now);
                    entered += 1;
                } else if entered > 0 {
                    activity.exit(now);
                    entered -= 1;
                }
            }
            prop_assert_eq!(activity.until(now), (busy, now - busy));
        }
    }
}
