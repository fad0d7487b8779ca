//! The one way in which the crate talks to people: a line on stderr.

use std::io::Write;

pub(crate) fn say(line: &str) {
    // Not `eprintln!`, which panics where stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "tracing-otlp: {line}");
}
