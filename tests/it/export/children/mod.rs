//! What variables do, what is said on stderr and what is never shown: each case is a process of its own, since a test cannot
//! change its own environment.
//!
//! A child is a test of this binary that does nothing unless its parent runs it.

mod limits;
mod logs;
mod secrets;
mod stderr;
mod variables;

use std::process::Command;

/// Set in children.
const CHILD: &str = "EXPORT_TEST_CHILD";

/// What a child printed, beside what the harness prints, and what it said on stderr.
struct Ended {
    printed: String,
    said: String,
}

impl Ended {
    /// The lines on stderr that are this crate's.
    fn lines(&self) -> Vec<&str> {
        let lines = self.said.lines();
        lines
            .filter_map(|line| line.strip_prefix("tracing-otlp: "))
            .collect()
    }
}

/// Runs the test `child` of a module with these variables, and none that this process has by chance.
#[track_caller]
fn run(module: &str, variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let path = module.split_once("::").map_or(module, |(_, path)| path);
    command.args(["--exact", &format!("{path}::child"), "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("OTEL_") || text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    let output = command
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .expect("a child");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{printed}\n{said}");
    assert!(printed.contains("1 passed"), "it ran: {printed}");
    Ended { printed, said }
}

/// Whether this process is a child.
fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}
