//! Instructions that the application's thread executes for one unit of work, by callgrind.
//!
//! ```text
//! cargo run --release -p peers --bin instructions [-- --quick] [--workload request]
//! ```
//!
//! Each stack runs once under valgrind, with a file of costs for each thread; callgrind collects
//! only inside [`measured`], after a warm-up, and only the main thread's file is read, so neither
//! the start of the program nor the exporter counts. Exporters are sinks; valgrind runs one thread
//! at a time, in turns that are fair, and a stack that lost spans all the same is named. Without
//! valgrind the program says so and ends.
//!
//! `instructions run STACK WORKLOAD ITERATIONS` is the program that is measured; it serves other
//! profilers too.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use peers::arguments::Arguments;
use peers::machine;
use peers::process::this_executable;
use peers::sink::Sink;
use peers::stack::{Destination, Settings, Stack};
use peers::table::{Table, thousands};
use peers::workload::{REQUEST, Workload};

/// Iterations before those that are measured: several batches, so that buffers come back to pools.
const WARM_UP: i64 = 10_000;

fn main() {
    let arguments = Arguments::of_process();
    if arguments.role() == Some("run") {
        run(arguments.at(1), &arguments.at::<String>(2), arguments.at(3));
    } else if valgrind_is_there() {
        compare(&arguments);
    } else {
        println!("valgrind is not installed: instructions are NOT counted");
    }
}

/// The measured program.
fn run(stack: Stack, workload: &str, iterations: i64) {
    let workload = Workload::named(workload).expect("the name of a workload");
    let sink = Sink::default();
    let settings = Settings {
        filtered: workload.needs_filter(),
        ..Settings::new(Destination::Sink(sink.clone()))
    };
    let running = stack.install(&settings);
    let call = workload.for_stack(stack);
    for number in 0..WARM_UP {
        call(number);
    }
    measured(call, iterations);
    let made = (WARM_UP + iterations) as u64 * workload.spans;
    running.finish(made);
    if stack != Stack::NoOp && sink.spans() < made {
        eprintln!(
            "{stack}: {} of {made} spans reached the exporter",
            sink.spans()
        );
    }
    std::process::exit(0);
}

/// Not inlined: callgrind finds it by its name.
#[inline(never)]
fn measured(call: fn(i64), iterations: i64) {
    for number in 0..iterations {
        call(number);
    }
}

fn valgrind_is_there() -> bool {
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--version").stdout(Stdio::null());
    valgrind.status().is_ok_and(|status| status.success())
}

fn compare(arguments: &Arguments) {
    let name: String = arguments.value("--workload", REQUEST.name.to_owned());
    let workload = Workload::named(&name).expect("the name of a workload");
    let iterations = if arguments.has("--quick") {
        500
    } else {
        10_000
    };
    let measured: Vec<(Stack, f64)> = Stack::ALL
        .iter()
        .map(|stack| (*stack, instructions(*stack, workload, iterations)))
        .collect();
    println!("{}\n", machine::description());
    print!("{}", table(workload, &measured).markdown());
}

/// Instructions of one iteration on the main thread.
fn instructions(stack: Stack, workload: Workload, iterations: u64) -> f64 {
    match callgrind(stack, workload, iterations) {
        Ok(total) => total as f64 / iterations as f64,
        Err(error) => panic!("callgrind with {stack}: {error}"),
    }
}

/// Runs callgrind once and reads the main thread's total.
fn callgrind(stack: Stack, workload: Workload, iterations: u64) -> io::Result<u64> {
    let prefix = format!("peers-callgrind-{}-{stack}", std::process::id());
    let output = std::env::temp_dir().join(prefix);
    let status = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--separate-threads=yes",
            "--fair-sched=yes",
            "--quiet",
        ])
        .arg("--toggle-collect=instructions::measured")
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(this_executable().get_program())
        .args(["run", stack.name(), workload.name])
        .arg(iterations.to_string())
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("valgrind ended with {status}")));
    }
    let total = main_thread_total(&output);
    remove_outputs(&output)?;
    total
}

/// Reads the file of the thread that callgrind numbers 1, the main thread.
fn main_thread_total(output: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(format!("{}-01", output.display()))?;
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

fn table(workload: Workload, measured: &[(Stack, f64)]) -> Table {
    let of = |wanted: Stack| {
        measured
            .iter()
            .find(|m| m.0 == wanted)
            .map_or(f64::NAN, |m| m.1)
    };
    let no_op = of(Stack::NoOp);
    let theirs = of(Stack::OpenTelemetry) - no_op;
    let mut table = Table::new([
        &format!("instructions, {}", workload.name),
        "each",
        "added to the no-op layer",
        "added, relative to tracing-opentelemetry",
    ]);
    for (stack, each) in measured {
        let added = each - no_op;
        // fastrace stands on no Registry, so the no-op layer is no part of its cost.
        let (added, relative) = match stack {
            Stack::Fastrace => ("-".into(), "-".into()),
            _ => (thousands(added), format!("{:.3}", added / theirs)),
        };
        table.row(vec![
            stack.title().into(),
            thousands(*each),
            added,
            relative,
        ]);
    }
    table
}
