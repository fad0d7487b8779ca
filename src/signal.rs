//! The signals: what kinds of records there are.

use std::fmt;

/// What kind of records something is about. Each signal has a queue, a ledger and requests of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
}

impl Signal {
    /// All signals, in the order of their declaration.
    pub const ALL: &[Self] = &[Self::Traces, Self::Logs];

    /// The signal's name, as it stands in the path of OTLP/HTTP: `traces` or `logs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
