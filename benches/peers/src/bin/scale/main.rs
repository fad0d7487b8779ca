//! What a span costs as the program grows: open spans, attributes, threads.
//!
//! ```text
//! cargo run --release -p peers --bin scale [-- --quick] [--runs 5] [--axis open] [--most 1000000]
//! ```
//!
//! Times are CPU time of the threads that trace, in ns a span (made, entered, exited, closed),
//! the median of `--runs` processes, each of which reports the median of its rounds. Exporters
//! are sinks, and the budget of ours holds all that is made: the program ends with an error if
//! ours drops anything. The SDK's queue has no such size, so its losses are shown.

use peers::arguments::Arguments;
use peers::machine;
use peers::process;
use peers::stack::Stack;
use peers::table::{Table, median, thousands};
use peers::workload::ATTRIBUTES;

mod measure;

use measure::{Axis, ROLE};

const OPEN: [usize; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const THREADS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// What the arguments ask for.
#[derive(Clone, Copy, Debug)]
struct Options {
    quick: bool,
    runs: usize,
    /// Points beyond this are left out.
    most: usize,
}

impl Options {
    fn new(arguments: &Arguments) -> Self {
        let quick = arguments.has("--quick");
        let runs: usize = arguments.value("--runs", if quick { 1 } else { 5 });
        Self {
            quick,
            runs: runs.max(1),
            most: arguments.value("--most", usize::MAX),
        }
    }

    /// The first point of an axis is its unit, against which growth is told.
    fn points(self, axis: Axis) -> Vec<usize> {
        let (all, in_quick): (&[usize], usize) = match axis {
            Axis::Open | Axis::Replaced => (&OPEN, 1_000),
            Axis::Attributes => (&ATTRIBUTES, 64),
            Axis::Threads => (&THREADS, 4),
        };
        let most = if self.quick { in_quick } else { self.most };
        all.iter().copied().filter(|point| *point <= most).collect()
    }
}

fn main() {
    let arguments =
        Arguments::of_process(&["--quick", "--runs 5", "--axis open", "--most 1000000"]);
    if arguments.role() == Some(ROLE) {
        measure::run(&arguments);
        return;
    }
    let options = Options::new(&arguments);
    let wanted: String = arguments.value("--axis", String::new());
    println!("{}", machine::description());
    for axis in Axis::ALL {
        if wanted.is_empty() || wanted == axis.name() {
            print!("\n{}", table(axis, options).markdown());
        }
    }
}

/// The stacks whose growth is compared; the first is the base line.
fn stacks() -> Vec<Stack> {
    let compared = Stack::ALL.iter().copied();
    compared
        .filter(|stack| !matches!(stack, Stack::OpenTelemetryDefaults | Stack::Fastrace))
        .collect()
}

/// A row for each point, and for each stack its cost, its growth and its losses.
fn table(axis: Axis, options: Options) -> Table {
    let mut header = vec![axis.title().to_owned()];
    for stack in stacks() {
        header.push(format!("{stack}, ns a span"));
        header.push("growth".into());
        if stack.exports() {
            header.push("lost".into());
        }
    }
    let mut table = Table::new(header);
    let mut units = vec![f64::NAN; stacks().len()];
    for (row, point) in options.points(axis).into_iter().enumerate() {
        let mut cells = vec![thousands(point as f64)];
        for (stack, unit) in stacks().into_iter().zip(&mut units) {
            let (cost, lost) = cost(stack, axis, point, options);
            if row == 0 {
                *unit = cost;
            }
            cells.push(thousands(cost));
            cells.push(format!("{:.2}", cost / *unit));
            if stack.exports() {
                cells.push(format!("{:.1} %", 100.0 * lost));
            }
        }
        table.row(cells);
    }
    table
}

/// The median cost of a span, and the part of the spans that never reached the sink.
fn cost(stack: Stack, axis: Axis, point: usize, options: Options) -> (f64, f64) {
    let arguments = [
        ROLE.to_owned(),
        stack.name().to_owned(),
        axis.name().to_owned(),
        point.to_string(),
        options.quick.to_string(),
    ];
    let reports: Vec<_> = (0..options.runs)
        .map(|_| process::run(&arguments))
        .collect();
    let of = |name: &str| median(reports.iter().map(|report| report.get(name)).collect());
    (of("ns"), of("lost"))
}
