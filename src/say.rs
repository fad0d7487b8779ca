//! The one way in which the crate talks to people: a line on stderr.

use std::io::Write;
use std::sync::OnceLock;

/// How much is said (`OTEL_LOG_LEVEL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

/// The process has one stderr and one environment, so the first pipeline decides for all.
static LEVEL: OnceLock<Level> = OnceLock::new();

/// From now on, nothing above this level is said.
pub(crate) fn set_level(level: Level) {
    let _ = LEVEL.set(level);
}

/// A warning.
pub(crate) fn say(line: &str) {
    tell(Level::Warn, line);
}

pub(crate) fn tell(level: Level, line: &str) {
    if level <= LEVEL.get().copied().unwrap_or(Level::Info) {
        // Not `eprintln!`, which panics where stderr is closed.
        let _ = writeln!(std::io::stderr().lock(), "tracing-otlp: {line}");
    }
}
