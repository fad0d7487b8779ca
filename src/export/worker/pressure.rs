//! Tells the layer, and people, how short memory is.

use std::fmt;
use std::time::{Duration, Instant};

use crate::queue::{Budget, Pressure};
use crate::say::{Level, tell};
use crate::stats::Ledger;

/// Of what changes while memory is short, people are told so often.
const PAUSE: Duration = Duration::from_secs(60);

/// Who wants to know how short memory is.
pub(crate) struct Pressed {
    /// People and the ledger too.
    pub(crate) is_told: bool,
    /// With nothing: nobody looks any more.
    pub(crate) tell: Box<dyn Fn(Option<Pressure>) + Send>,
}

impl fmt::Debug for Pressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pressed(..)")
    }
}

/// How short memory was when it was last looked at.
#[derive(Debug)]
pub(super) struct Gauge {
    pressed: Option<Pressed>,
    pressure: Pressure,
    /// People know that it is short,
    is_told: bool,
    /// and were told so last.
    told: Option<Instant>,
}

impl Gauge {
    pub(super) fn new(pressed: Option<Pressed>) -> Self {
        Self {
            pressed,
            pressure: Pressure::None,
            is_told: false,
            told: None,
        }
    }

    pub(super) fn look(&mut self, budget: &Budget, ledger: &Ledger) {
        if self.pressed.is_some() {
            self.change(budget.pressure(self.pressure), ledger);
        }
    }

    /// The exporter goes: what is recorded from now on is refused, and nobody waits.
    pub(super) fn leave(&mut self) {
        if let Some(pressed) = self.pressed.take() {
            (pressed.tell)(None);
        }
    }

    fn change(&mut self, now: Pressure, ledger: &Ledger) {
        let before = std::mem::replace(&mut self.pressure, now);
        let Some(pressed) = self.pressed.as_ref().filter(|_| before != now) else {
            return;
        };
        (pressed.tell)(Some(now));
        if !pressed.is_told {
            return;
        }
        ledger.pressure_changed();
        // It may change often, so people are told once a minute, and of the end of what they were told.
        match now {
            Pressure::None if !std::mem::take(&mut self.is_told) => return,
            Pressure::None => {}
            _ if self.told.is_some_and(|told| told.elapsed() < PAUSE) => return,
            _ => (self.is_told, self.told) = (true, Some(Instant::now())),
        }
        let (level, text) = match now {
            Pressure::None => (
                Level::Info,
                "memory suffices again: every trace is recorded",
            ),
            Pressure::High => (
                Level::Warn,
                "memory is short: new traces of TRACE and DEBUG are not recorded (Builder::with_shedding)",
            ),
            Pressure::Higher => (
                Level::Warn,
                "memory is short: new traces of TRACE, DEBUG and INFO are not recorded (Builder::with_shedding)",
            ),
        };
        tell(level, text);
    }
}
