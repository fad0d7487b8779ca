//! What the exporter tells people and the program.
//!
//! The program's hook gets every problem. People get one line on stderr when delivery begins to fail and one when it works again,
//! once a minute at most, and at most one a minute for what is lost: a warning on each request is as bad as silence.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::text::printable;
use crate::problem::{Hook, Origin, Problem, ProblemKind};
use crate::say::{Level, tell};

const PAUSE: Duration = Duration::from_secs(60);
/// What a transport or a server says is shown so far, in characters.
const LONGEST: usize = 1_000;

#[derive(Debug)]
pub(super) struct Voice {
    origin: Origin,
    hook: Option<Hook>,
    /// What lines for people begin with, where there are several destinations.
    label: Option<String>,
    failing: Failing,
    /// What was told last of each kind of loss, and what came since.
    rejected: Losses,
    dropped: Losses,
    warned: Losses,
    limited: Losses,
}

/// Whether people know that delivery fails, and when they were told so last: one that fails and works by turns is told of once a minute.
#[derive(Debug, Default)]
struct Failing {
    is_told: bool,
    told: Option<Instant>,
}

#[derive(Debug, Default)]
struct Losses {
    told: Option<Instant>,
    untold: u64,
}

impl Voice {
    pub(super) fn new(origin: Origin, hook: Option<Hook>, label: Option<String>) -> Self {
        Self {
            origin,
            hook,
            label,
            failing: Failing::default(),
            rejected: Losses::default(),
            dropped: Losses::default(),
            warned: Losses::default(),
            limited: Losses::default(),
        }
    }

    /// A request failed and will be sent again.
    pub(super) fn retrying(&mut self, records: u64, why: &str) {
        let message = printable(why, LONGEST);
        let problem = Problem::new(&self.origin, ProblemKind::Undelivered, records, message);
        if self.failing.begins(Instant::now()) {
            self.tell(Level::Warn, &problem);
        }
        self.call(&problem);
    }

    pub(super) fn delivered(&mut self) {
        if self.failing.ends() {
            self.tell(Level::Info, &"delivery works again");
        }
    }

    pub(super) fn rejected(&mut self, records: u64, why: &str) {
        self.lost(ProblemKind::Rejected, records, why);
    }

    pub(super) fn dropped(&mut self, records: u64, why: &str) {
        self.lost(ProblemKind::Dropped, records, why);
    }

    /// The exporter goes. People are told by who ended it.
    pub(super) fn left_behind(&self, records: u64) {
        if records > 0 {
            let why = "the pipeline was shut down before they were delivered";
            self.call(&Problem::new(
                &self.origin,
                ProblemKind::Dropped,
                records,
                why,
            ));
        }
    }

    /// All was taken, and the collector has something to say.
    pub(super) fn warned(&mut self, why: &str) {
        self.lost(ProblemKind::Warning, 0, why);
    }

    /// Limits left something of records out ("a message [...] at most once per span"): no trouble of the delivery, so the hook is
    /// not called.
    pub(super) fn limited(&mut self, records: u64) {
        if let Some(records) = self.limited.due(records, Instant::now()) {
            let plural = if records == 1 { "" } else { "s" };
            let message = format!(
                "{records} record{plural} exceeded a limit of attributes, events or links; their dropped_*_count tell how much was \
                 left out (Builder::with_limits)"
            );
            self.tell(Level::Warn, &message);
        }
    }

    fn lost(&mut self, kind: ProblemKind, records: u64, why: &str) {
        let losses = match kind {
            ProblemKind::Rejected => &mut self.rejected,
            ProblemKind::Warning => &mut self.warned,
            ProblemKind::Dropped | ProblemKind::Undelivered => &mut self.dropped,
        };
        let message = printable(why, LONGEST);
        if let Some(records) = losses.due(records, Instant::now()) {
            let level = if kind == ProblemKind::Warning {
                Level::Warn
            } else {
                Level::Error
            };
            let told = Problem::new(&self.origin, kind, records, message.as_str());
            self.tell(level, &told);
        }
        self.call(&Problem::new(&self.origin, kind, records, message));
    }

    fn tell(&self, level: Level, text: &dyn fmt::Display) {
        match &self.label {
            None => tell(level, &text.to_string()),
            Some(label) => tell(level, &format!("{label}: {text}")),
        }
    }

    /// The hook is the user's code: it may panic, and what it traces is not recorded.
    fn call(&self, problem: &Problem) {
        if let Some(Hook(hook)) = &self.hook {
            let _ = catch_unwind(AssertUnwindSafe(|| hook(problem)));
        }
    }
}

impl Failing {
    /// A request failed; says whether that is to be told.
    fn begins(&mut self, now: Instant) -> bool {
        let is_new = !self.is_told && !is_recent(self.told, now);
        if is_new {
            (self.is_told, self.told) = (true, Some(now));
        }
        is_new
    }

    /// A request was taken; says whether that is to be told.
    fn ends(&mut self) -> bool {
        std::mem::take(&mut self.is_told)
    }
}

fn is_recent(told: Option<Instant>, now: Instant) -> bool {
    told.is_some_and(|told| now.saturating_duration_since(told) < PAUSE)
}

impl Losses {
    /// The number to tell now, with what was not told before; `None` where it is too early.
    fn due(&mut self, records: u64, now: Instant) -> Option<u64> {
        self.untold += records;
        if is_recent(self.told, now) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::signal::Signal;

    #[test]
    fn people_are_told_once_a_minute_and_of_everything() {
        let mut losses = Losses::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let told = [(1, 0), (2, 1), (3, 59), (4, 60), (5, 61), (6, 120)]
            .map(|(records, seconds)| losses.due(records, at(seconds)));
        assert_eq!(told, [Some(1), None, None, Some(9), None, Some(11)]);
    }

    #[test]
    fn a_destination_that_fails_by_turns_is_told_of_once_a_minute() {
        let mut failing = Failing::default();
        let start = Instant::now();
        let mut lines = Vec::new();
        for second in 0..121 {
            let now = start + Duration::from_secs(second);
            if failing.begins(now) {
                lines.push((second, "fails"));
            }
            // It stays so for a while in the second minute.
            if second < 61 && failing.ends() {
                lines.push((second, "works"));
            }
        }
        assert!(failing.ends() && !failing.ends());
        assert_eq!(
            lines,
            [
                (0, "fails"),
                (0, "works"),
                (60, "fails"),
                (60, "works"),
                (120, "fails")
            ]
        );
    }

    #[test]
    fn the_hook_hears_everything_and_may_panic() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        let hook = Hook(Arc::new(move |problem| {
            assert_eq!(problem.signal(), Signal::Logs);
            assert_eq!(problem.destination(), Some("backup"));
            log.lock()
                .unwrap()
                .push((problem.kind(), problem.records()));
            panic!("as it may");
        }));
        let origin = Origin {
            signal: Signal::Logs,
            destination: Some(Arc::from("backup")),
        };
        let mut voice = Voice::new(origin, Some(hook), None);
        voice.retrying(7, "no");
        voice.retrying(7, "no");
        voice.rejected(3, "bad");
        voice.dropped(2, "full");
        voice.warned("old");
        let expected = [
            (ProblemKind::Undelivered, 7),
            (ProblemKind::Undelivered, 7),
            (ProblemKind::Rejected, 3),
            (ProblemKind::Dropped, 2),
            (ProblemKind::Warning, 0),
        ];
        assert_eq!(
            *heard
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
            expected
        );
    }
}
