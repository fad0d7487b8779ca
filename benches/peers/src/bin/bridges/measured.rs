//! The programs that are measured.

use std::process::exit;

use peers::callgrind;
use peers::process::Report;
use peers::sink::Sink;
use peers::stack::{Destination, Running, Settings};
use rustix::time::{ClockId, clock_gettime};

use super::case::Case;

/// So often a unit is timed; the fastest is reported, since what disturbs makes it slower only.
const TIMES: usize = 7;

/// The name under which a unit's time is reported.
pub(crate) fn key(at: usize) -> String {
    format!("work_{at}")
}

fn install(case: Case) -> Box<dyn Running> {
    let settings = Settings {
        context_activation: case.activation,
        ..Settings::new(Destination::Sink(Sink::default()))
    };
    let running = case.stack.install(&settings);
    running.make_global();
    running
}

/// Runs each unit where callgrind counts.
pub(crate) fn count(case: Case, warm_up: i64, iterations: i64) {
    let running = install(case);
    for work in case.works() {
        let call = work.for_stack(case.stack);
        (0..warm_up).for_each(call);
        running.flush();
        callgrind::measured(call, iterations);
        running.flush();
    }
    exit(0);
}

/// Reports what each unit takes of this thread's CPU, in nanoseconds.
pub(crate) fn time(case: Case, iterations: i64) {
    let running = install(case);
    let mut report = Report::default();
    for (at, work) in case.works().enumerate() {
        let call = work.for_stack(case.stack);
        (0..iterations).for_each(call);
        let times = (0..TIMES).map(|_| {
            running.flush();
            let before = cpu_time();
            (0..iterations).for_each(call);
            (cpu_time() - before) / iterations as f64
        });
        report.set(&key(at), times.fold(f64::INFINITY, f64::min));
        running.flush();
    }
    report.print();
    exit(0);
}

/// Nanoseconds.
fn cpu_time() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}
