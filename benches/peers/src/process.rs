//! A program that starts itself in another role, and reads that role's answer.

use std::collections::HashMap;
use std::process::{Command, Stdio};

/// What a child process reported: one line of `name=value` words.
#[derive(Clone, Debug, Default)]
pub struct Report(HashMap<String, f64>);

impl Report {
    /// A value that the child must have reported.
    ///
    /// # Panics
    ///
    /// When it did not.
    pub fn get(&self, name: &str) -> f64 {
        match self.0.get(name) {
            Some(value) => *value,
            None => panic!("the child did not report {name}"),
        }
    }

    /// Adds a value, as a child does before it prints, or a parent that knows more.
    pub fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    /// Prints the line that [`run`] reads.
    pub fn print(&self) {
        let words: Vec<String> = self.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        println!("{}", words.join(" "));
    }

    fn parse(line: &str) -> Self {
        let mut report = Self::default();
        for (name, value) in line.split_whitespace().filter_map(|w| w.split_once('=')) {
            if let Ok(value) = value.parse() {
                report.set(name, value);
            }
        }
        report
    }
}

/// Runs this executable with these arguments and reads its report.
///
/// # Panics
///
/// When the child cannot be started or fails: a table with a hole in it would mislead.
pub fn run(arguments: &[String]) -> Report {
    run_program(this_executable(), arguments)
}

/// The same of another program.
///
/// # Panics
///
/// As [`run`].
pub fn run_program(mut program: Command, arguments: &[String]) -> Report {
    let output = program
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("this executable starts again");
    assert!(output.status.success(), "{arguments:?} failed");
    let text = String::from_utf8_lossy(&output.stdout);
    Report::parse(text.lines().last().unwrap_or_default())
}

/// A command that runs this executable.
///
/// # Panics
///
/// When the system does not tell where it is.
pub fn this_executable() -> Command {
    Command::new(std::env::current_exe().expect("the path of this executable"))
}
