//! The one way in which the crate talks to people: a line on stderr.

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
        write(format!("tracing-otlp: {line}\n").as_bytes());
    }
}

/// A pipe that nobody reads, or a stderr that another thread has locked, holds up whoever writes there: the exporter, or a guard that has a
/// deadline. So nobody's lock is taken, no more is written at once than what is ready takes, and what is not ready in time gets nothing.
#[cfg(target_os = "linux")]
fn write(text: &[u8]) {
    /// What a pipe that is ready takes at once (`PIPE_BUF`).
    const PIECE: usize = 4096;
    let stderr = std::io::stderr();
    for piece in text.chunks(PIECE) {
        if !is_ready(&stderr) || rustix::io::write(&stderr, piece).is_err() {
            return;
        }
    }
}

/// Waits for 50 ms at most, since a signal ends a turn.
#[cfg(target_os = "linux")]
fn is_ready(stderr: &std::io::Stderr) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    const TURNS: usize = 5;
    const TURN: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    (0..TURNS).any(|_| {
        let mut ready = [PollFd::new(stderr, PollFlags::OUT)];
        poll(&mut ready, Some(&TURN)).is_ok_and(|ready| ready > 0)
    })
}

#[cfg(not(target_os = "linux"))]
fn write(text: &[u8]) {
    use std::io::Write;
    // Not `eprintln!`, which panics where stderr is closed.
    let _ = std::io::stderr().lock().write_all(text);
}
