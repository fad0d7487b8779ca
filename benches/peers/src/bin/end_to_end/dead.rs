//! What it costs that there is no collector: each attempt is refused, and memory fills up.
//!
//! The budget is full before the clock runs, so that records are dropped as they are in the long
//! run. The back-off is not yet at its longest while the application works: there are more
//! attempts than later, and the cost is an upper bound.

use std::thread;
use std::time::Duration;

use peers::arguments::Arguments;
use peers::machine;
use peers::pace::{self, Pace};
use peers::process::{self, Report};
use peers::stack::{Destination, Running, Settings, Stack};
use peers::table::{Table, thousands};
use peers::workload::REQUEST;

/// The first argument that makes the program the application without a collector.
pub(crate) const ROLE: &str = "without_collector";

/// Below the ports that are given to whoever asks for a free one, and without a service.
const REFUSES: &str = "http://127.0.0.1:1";

/// Of the exporter's threads.
const EXPORTER: &str = "otlp-";

/// Core-seconds a minute that the exporter may take.
const TARGET: f64 = 0.1;

/// Requests that fill any budget: each is more than a hundred bytes.
const FILL: u64 = (32 << 20) / 100;

/// In which the exporter takes in what was made before the clock runs.
const SETTLES: Duration = Duration::from_millis(200);

/// Runs it in a process of its own.
pub(crate) fn table(arguments: &Arguments) -> Table {
    let rate: u64 = arguments.value("--dead-rate", 1_000);
    let quick = arguments.has("--quick");
    let seconds: f64 = arguments.value("--dead-seconds", if quick { 0.5 } else { 20.0 });
    let report = process::run(&[ROLE.to_owned(), rate.to_string(), seconds.to_string()]);
    let mut table = Table::new([
        "tracing-otlp, collector refuses, core-seconds a minute",
        "exporter",
        "target",
        "process",
        "attempts a minute",
        "requests dropped a minute",
    ]);
    for (what, name) in [
        (
            format!("{} requests a second", thousands(rate as f64)),
            "working",
        ),
        ("idle, all memory in use".to_owned(), "idle"),
    ] {
        let value = |of: &str| report.get(&format!("{name}_{of}"));
        table.row(vec![
            what,
            format!("{:.4}", value("exporter")),
            format!("{TARGET:.1}"),
            format!("{:.4}", value("process")),
            format!("{:.1}", value("attempts")),
            thousands(value("dropped") / REQUEST.spans as f64),
        ]);
    }
    table
}

/// The application's `main`.
pub(crate) fn run(arguments: &Arguments) {
    let rate: u64 = arguments.at(1);
    let length = Duration::from_secs_f64(arguments.at(2));
    let running = Stack::Ours.install(&Settings::new(Destination::Collector(REFUSES.into())));
    let call = REQUEST.for_stack(Stack::Ours);
    pace::run(FILL, Pace::Full, |number| call(number as i64));
    thread::sleep(SETTLES);

    let requests = (rate as f64 * length.as_secs_f64()) as u64;
    let mut report = Report::default();
    let before = State::now(&*running);
    let paced = pace::run(requests, Pace::Bursts(rate), |number| call(number as i64));
    thread::sleep(length.saturating_sub(paced.wall));
    before.until_now(&*running, length, "working", &mut report);

    let before = State::now(&*running);
    thread::sleep(length);
    before.until_now(&*running, length, "idle", &mut report);
    report.print();
    // An orderly end would wait for the collector.
    std::process::exit(0);
}

/// Sums since the process began.
#[derive(Clone, Copy, Debug)]
struct State {
    exporter: f64,
    process: f64,
    attempts: f64,
    dropped: f64,
}

impl State {
    fn now(running: &dyn Running) -> Self {
        let exporter = machine::cpu_time_of(EXPORTER);
        Self {
            exporter: exporter.map_or(f64::NAN, |time| time.as_secs_f64()),
            process: pace::process_cpu_time().as_secs_f64(),
            attempts: running.retries().unwrap_or(0) as f64,
            dropped: running.dropped().unwrap_or(0) as f64,
        }
    }

    /// Reports what was added since, for a minute.
    fn until_now(self, running: &dyn Running, length: Duration, name: &str, report: &mut Report) {
        let now = Self::now(running);
        let minutes = length.as_secs_f64() / 60.0;
        let mut set = |what: &str, before: f64, now: f64| {
            report.set(&format!("{name}_{what}"), (now - before) / minutes);
        };
        set("exporter", self.exporter, now.exporter);
        set("process", self.process, now.process);
        set("attempts", self.attempts, now.attempts);
        set("dropped", self.dropped, now.dropped);
    }
}
