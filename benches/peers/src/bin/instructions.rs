//! Instructions that the application's thread executes for one unit of work, by callgrind.
//!
//! ```text
//! cargo run --release -p peers --bin instructions [-- --quick] [--workload request]
//! ```
//!
//! Each stack, and the least that a layer can do ([`Stack::Floor`]), runs once under valgrind
//! ([`callgrind`]), and counts after a warm-up. Exporters are sinks; a stack that lost spans is
//! named. Without valgrind the program says so and ends.
//!
//! `instructions run STACK WORKLOAD ITERATIONS` is the program that is measured; it serves other
//! profilers too.

use peers::arguments::Arguments;
use peers::callgrind;
use peers::machine;
use peers::sink::Sink;
use peers::stack::{Destination, Settings, Stack};
use peers::table::{Table, thousands};
use peers::workload::{REQUEST, Workload};

/// Iterations before those that are measured: several batches, so that buffers come back to pools.
const WARM_UP: i64 = 10_000;

fn main() {
    let arguments = Arguments::of_process(&["--quick", "--workload request"]);
    if arguments.role() == Some("run") {
        run(arguments.at(1), &arguments.at::<String>(2), arguments.at(3));
    } else if callgrind::is_there() {
        compare(&arguments);
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
    callgrind::measured(call, iterations);
    let made = (WARM_UP + iterations) as u64 * workload.spans;
    running.finish(made);
    if stack.exports() && sink.spans() < made {
        eprintln!(
            "{stack}: {} of {made} spans reached the exporter",
            sink.spans()
        );
    }
    std::process::exit(0);
}

fn compare(arguments: &Arguments) {
    let name: String = arguments.value("--workload", REQUEST.name.to_owned());
    let workload = Workload::named(&name).expect("the name of a workload");
    let iterations = if arguments.has("--quick") {
        500
    } else {
        10_000
    };
    let measured: Vec<(Stack, f64)> = Stack::with_floor()
        .map(|stack| (stack, instructions(stack, workload, iterations)))
        .collect();
    println!("{}\n", machine::description());
    print!("{}", table(workload, &measured).markdown());
}

/// Instructions of one iteration on the main thread.
fn instructions(stack: Stack, workload: Workload, iterations: u64) -> f64 {
    let arguments = [
        "run".to_owned(),
        stack.name().to_owned(),
        workload.name.to_owned(),
        iterations.to_string(),
    ];
    let total: u64 = callgrind::instructions(&arguments).iter().sum();
    total as f64 / iterations as f64
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
