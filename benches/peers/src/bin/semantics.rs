//! Instructions of what a span says, and of whether it is recorded, by callgrind.
//!
//! ```text
//! cargo run --release -p peers --bin semantics [-- --quick]
//! ```
//!
//! Each row is one [`Unit`] of work: what it adds to the same calls with the no-op layer, for ours and for
//! tracing-opentelemetry with the attributes that ours writes, where that has an equal. "of it" is what the unit adds to the
//! one that it stands beside, so the cost of the call, setting or limit alone. Each stack runs once under valgrind for each
//! variant of its settings ([`callgrind`]), and counts after a warm-up; a stack that lost spans is named. Without valgrind the
//! program says so and ends.
//!
//! `semantics run STACK VARIANT WARM_UP ITERATIONS [--unit UNIT]` is the program that is measured; it serves other profilers too, for
//! which one unit can be named.

use std::any::Any;
use std::collections::HashMap;

use peers::arguments::Arguments;
use peers::callgrind;
use peers::machine;
use peers::sink::Sink;
use peers::stack::{Destination, Stack};
use peers::table::{Table, thousands};
use peers::unit::{Unit, Variant};
use tracing::info_span;

const STACKS: [Stack; 3] = [Stack::NoOp, Stack::Ours, Stack::OpenTelemetry];

/// How often a unit runs.
#[derive(Clone, Copy, Debug)]
struct Runs {
    /// Before it counts: several batches, so that buffers come back to pools.
    warm_up: i64,
    counted: i64,
}

impl Runs {
    fn new(arguments: &Arguments) -> Self {
        let (warm_up, counted) = if arguments.has("--quick") {
            (200, 200)
        } else {
            (5_000, 5_000)
        };
        Self { warm_up, counted }
    }

    /// A mean over what chance decides needs more of them.
    fn counted(self, variant: Variant) -> i64 {
        match variant {
            Variant::Hundredth => 20 * self.counted,
            _ => self.counted,
        }
    }
}

/// Instructions of a unit with a stack, on the main thread.
type Measured = HashMap<(&'static str, &'static str), f64>;

fn main() {
    let arguments = Arguments::of_process(&["--quick"]);
    if arguments.role() == Some("run") {
        run(&arguments);
    } else if callgrind::is_there() {
        let measured = compare(Runs::new(&arguments));
        println!("{}\n", machine::description());
        print!("{}", table(&measured).markdown());
    }
}

/// The measured program.
fn run(arguments: &Arguments) {
    let (stack, variant): (Stack, Variant) = (arguments.at(1), arguments.at(2));
    let runs = Runs {
        warm_up: arguments.at(3),
        counted: arguments.at(4),
    };
    let wanted: String = arguments.value("--unit", String::new());
    let sink = Sink::default();
    let settings = variant.settings(Destination::Sink(sink.clone()));
    let running = stack.install(&settings);
    let mut made = 0;
    for unit in Unit::of_process(stack, variant) {
        if wanted.is_empty() || wanted == unit.name {
            made += count(unit, stack, runs) * unit.exported;
            running.flush();
        }
    }
    running.finish(made);
    if stack.exports() && sink.spans() < made {
        let spans = sink.spans();
        eprintln!("{stack}, {variant}: {spans} of {made} spans reached the exporter");
    }
    std::process::exit(0);
}

/// Runs a unit, and returns how often.
fn count(unit: &Unit, stack: Stack, runs: Runs) -> u64 {
    let Some(call) = unit.for_stack(stack) else {
        return 0;
    };
    let _parent: Option<Box<dyn Any>> = match unit.is_below {
        true => Some(Box::new(info_span!("parent").entered())),
        false => None,
    };
    for number in 0..runs.warm_up {
        call(number);
    }
    let counted = runs.counted(unit.variant);
    callgrind::measured(call, counted);
    (runs.warm_up + counted) as u64
}

/// Runs each stack in a process for each variant; the no-op layer, which has no settings, in one.
fn compare(runs: Runs) -> Measured {
    let mut measured = Measured::new();
    for stack in STACKS {
        for variant in Variant::ALL {
            let is_done = stack == Stack::NoOp && variant != Variant::ALL[0];
            let units: Vec<&Unit> = Unit::of_process(stack, variant).collect();
            if is_done || units.is_empty() {
                continue;
            }
            let totals = callgrind::instructions(&[
                "run".to_owned(),
                stack.name().to_owned(),
                variant.name().to_owned(),
                runs.warm_up.to_string(),
                runs.counted.to_string(),
            ]);
            assert_eq!(totals.len(), units.len(), "{stack}, {variant}");
            for (unit, total) in units.into_iter().zip(totals) {
                let each = total as f64 / runs.counted(unit.variant) as f64;
                measured.insert((stack.name(), unit.name), each);
            }
        }
    }
    measured
}

fn table(measured: &Measured) -> Table {
    let mut table = Table::new([
        "instructions added to the no-op layer",
        "tracing-otlp",
        "of it",
        "tracing-opentelemetry",
        "of it",
        "relative",
    ]);
    let added = |stack: Stack, unit: &str| {
        let each = measured.get(&(stack.name(), unit))?;
        let no_op = measured.get(&(Stack::NoOp.name(), unit))?;
        Some(each - no_op)
    };
    let cell = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), thousands);
    for unit in Unit::ALL {
        let cells = |stack| {
            let all = added(stack, unit.name);
            let other = unit.beside.and_then(|other| added(stack, other));
            (all, all.zip(other).map(|(all, other)| all - other))
        };
        let (ours, of_ours) = cells(Stack::Ours);
        let (theirs, of_theirs) = cells(Stack::OpenTelemetry);
        let relative = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
        table.row(vec![
            unit.name.to_owned(),
            cell(ours),
            cell(of_ours),
            cell(theirs),
            cell(of_theirs),
            relative.map_or_else(|| "-".to_owned(), |relative| format!("{relative:.3}")),
        ]);
    }
    table
}
