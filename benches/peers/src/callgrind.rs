//! Instructions of the main thread, by callgrind.
//!
//! A program starts itself under valgrind, with a file of costs for each thread. callgrind collects only inside [`measured`],
//! and only the main thread's files are read, so neither the start of the program nor its exporter counts. valgrind runs one
//! thread at a time, in turns that are fair.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::this_executable;

/// The program calls this where instructions count. Not inlined: callgrind finds it by its name.
#[inline(never)]
pub fn measured(call: fn(i64), iterations: i64) {
    for number in 0..iterations {
        call(number);
    }
}

/// Whether there is a valgrind; says so if not.
pub fn is_there() -> bool {
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--version").stdout(Stdio::null());
    let is_there = valgrind.status().is_ok_and(|status| status.success());
    if !is_there {
        println!("valgrind is not installed: instructions are NOT counted");
    }
    is_there
}

/// Runs this executable with these arguments, and returns what each of its calls of [`measured`] took.
///
/// # Panics
///
/// When that fails: a table with a hole in it would mislead.
pub fn instructions(arguments: &[String]) -> Vec<u64> {
    instructions_of(&this_executable(), arguments)
}

/// The same of another program that calls [`measured`].
///
/// # Panics
///
/// As [`instructions`].
pub fn instructions_of(program: &Command, arguments: &[String]) -> Vec<u64> {
    match run(program, arguments) {
        Ok(totals) => totals,
        Err(error) => panic!("callgrind with {arguments:?}: {error}"),
    }
}

fn run(program: &Command, arguments: &[String]) -> io::Result<Vec<u64>> {
    let prefix = format!("peers-callgrind-{}", std::process::id());
    let output = std::env::temp_dir().join(prefix);
    let status = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--separate-threads=yes",
            "--fair-sched=yes",
            "--quiet",
            "--toggle-collect=peers::callgrind::measured",
            "--dump-after=peers::callgrind::measured",
        ])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(program.get_program())
        .args(arguments)
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("valgrind ended with {status}")));
    }
    let totals = main_thread_totals(&output);
    remove_outputs(&output)?;
    totals
}

/// Reads the files of the thread that callgrind numbers 1, the main thread: one for each dump. What is dumped at the end has
/// no number, and nothing in it.
fn main_thread_totals(output: &Path) -> io::Result<Vec<u64>> {
    let dump = |number: usize| PathBuf::from(format!("{}.{number}-01", output.display()));
    let dumps = (1..).map(dump).take_while(|path| path.exists());
    let totals: Vec<u64> = dumps.map(|path| total(&path)).collect::<io::Result<_>>()?;
    if totals.is_empty() {
        return Err(io::Error::other("callgrind dumped nothing"));
    }
    Ok(totals)
}

fn total(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let totals = text.lines().filter_map(|line| line.strip_prefix("totals:"));
    let total: Option<u64> = totals.map(|total| total.trim().parse::<u64>().ok()).sum();
    total.ok_or_else(|| io::Error::other("callgrind wrote no total"))
}

fn remove_outputs(output: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (output.parent(), output.file_name()) else {
        return Ok(());
    };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let its_name = entry.file_name();
        if its_name
            .as_encoded_bytes()
            .starts_with(name.as_encoded_bytes())
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
