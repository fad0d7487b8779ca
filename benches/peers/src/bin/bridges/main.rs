//! What the bridges to OpenTelemetry's API and to tracing-opentelemetry's trait cost, where nobody uses them and where somebody does:
//! instructions, by callgrind, and CPU time of the thread that traces.
//!
//! ```text
//! cargo run --release -p peers --bin bridges [-- --quick]
//! ```
//!
//! The program builds itself three times, without bridges and with them, since what is built in and not used is to cost nothing. Each
//! [`Case`] is a process; CPU times are the medians of rounds that take turns, and say something on a machine that does nothing else.
//! Without valgrind there are CPU times alone.
//!
//! `bridges count CASE WARM_UP ITERATIONS` and `bridges time CASE ITERATIONS` are the programs that are measured.

mod build;
mod case;
mod measured;
mod tables;

use std::collections::HashMap;

use peers::arguments::Arguments;
use peers::table::median;
use peers::{callgrind, machine, process};

use self::build::Programs;
use self::case::{Case, Work};

/// So often each case is timed.
const ROUNDS: usize = 5;

/// What a unit of work took in a case.
pub(crate) type Measured = HashMap<(&'static str, &'static str), f64>;

#[derive(Clone, Copy, Debug)]
struct Runs {
    warm_up: i64,
    counted: i64,
    timed: i64,
    rounds: usize,
}

impl Runs {
    fn new(arguments: &Arguments) -> Self {
        if arguments.has("--quick") {
            Self {
                warm_up: 200,
                counted: 200,
                timed: 200,
                rounds: 1,
            }
        } else {
            Self {
                warm_up: 4_000,
                counted: 2_000,
                timed: 20_000,
                rounds: ROUNDS,
            }
        }
    }
}

fn main() {
    let arguments = Arguments::of_process(&["--quick"]);
    match arguments.role() {
        Some("count") => measured::count(arguments.at(1), arguments.at(2), arguments.at(3)),
        Some("time") => measured::time(arguments.at(1), arguments.at(2)),
        _ => compare(Runs::new(&arguments)),
    }
}

fn compare(runs: Runs) {
    let programs = Programs::build();
    println!("{}\n", machine::description());
    if callgrind::is_there() {
        tables::print("instructions", &count(&programs, runs));
    }
    tables::print("ns of CPU", &time(&programs, runs));
}

fn count(programs: &Programs, runs: Runs) -> Measured {
    let mut measured = Measured::new();
    for case in Case::ALL {
        let arguments = [
            "count".to_owned(),
            case.name.to_owned(),
            runs.warm_up.to_string(),
            runs.counted.to_string(),
        ];
        let totals = callgrind::instructions_of(&programs.of(case), &arguments);
        let all: Vec<&Work> = case.works().collect();
        assert_eq!(totals.len(), all.len(), "{}", case.name);
        for (work, total) in all.into_iter().zip(totals) {
            let each = total as f64 / runs.counted as f64;
            measured.insert((case.name, work.name), each);
        }
    }
    measured
}

/// Nanoseconds; the cases take turns.
fn time(programs: &Programs, runs: Runs) -> Measured {
    let mut times: HashMap<(&str, &str), Vec<f64>> = HashMap::new();
    for _ in 0..runs.rounds {
        for case in Case::ALL {
            let arguments = [
                "time".to_owned(),
                case.name.to_owned(),
                runs.timed.to_string(),
            ];
            let report = process::run_program(programs.of(case), &arguments);
            for (at, work) in case.works().enumerate() {
                let all = times.entry((case.name, work.name)).or_default();
                all.push(report.get(&measured::key(at)));
            }
        }
    }
    times
        .into_iter()
        .map(|(of, all)| (of, median(all)))
        .collect()
}
