//! What the exporter tells people: one line on stderr when delivery begins to fail, one when it works again, and at most
//! one a minute for what is lost.

use std::time::{Duration, Instant};

use super::text::printable;
use crate::say::say;

const PAUSE: Duration = Duration::from_secs(60);
/// What a transport or a server says is shown so far, in characters.
const LONGEST: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Voice {
    failing: bool,
    /// When a loss was last told, and how many records went since.
    last_loss: Option<Instant>,
    untold: u64,
}

impl Voice {
    pub(super) fn retrying(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            say(&format!(
                "cannot deliver, records are kept and sent again: {}",
                printable(why, LONGEST)
            ));
        }
    }

    pub(super) fn delivered(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            say("delivery works again");
        }
    }

    /// Records are lost, or the server warns (with none lost).
    pub(super) fn lost(&mut self, records: u64, why: &str) {
        self.untold += records;
        let now = Instant::now();
        if self
            .last_loss
            .is_some_and(|last| now.duration_since(last) < PAUSE)
        {
            return;
        }
        self.last_loss = Some(now);
        let records = std::mem::take(&mut self.untold);
        say(&format!(
            "{records} records lost: {}",
            printable(why, LONGEST)
        ));
    }
}
