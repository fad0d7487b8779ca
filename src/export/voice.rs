//! What the exporter tells people: one line on stderr when delivery begins to fail, one when it works again, and at most
//! one a minute for what is lost.

use std::time::{Duration, Instant};

use crate::say::say;

const PAUSE: Duration = Duration::from_secs(60);
/// What a server says is shown so far.
const LONGEST: usize = 300;

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
                printable(why)
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
        say(&format!("{records} records lost: {}", printable(why)));
    }
}

/// A server's text is neither trusted in length nor in control characters.
fn printable(text: &str) -> String {
    text.chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_text_is_escaped_and_cut() {
        let text = printable(&format!("\u{1b}[31m{}", "x".repeat(10_000)));
        assert!(text.starts_with("\\u{1b}[31m") && text.len() < 400);
    }
}
