//! The measured process: one stack, one thread that makes requests, one report.

use peers::allocations::Allocations;
use peers::arguments::Arguments;
use peers::machine;
use peers::pace::{self, Pace};
use peers::process::{self, Report};
use peers::receiver::Receiver;
use peers::stack::{Destination, Running, Settings, Stack};
use peers::transport::Transport;
use peers::workload::REQUEST;

use crate::keep::Keep;

/// The first argument that makes the program the application.
pub(crate) const ROLE: &str = "application";

/// Requests before those that are measured: callsites, pools and the connection come up.
const WARM_UP: u64 = 2_000;
const WARM_UP_PACE: Pace = Pace::Even(20_000);

/// What an application does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) transport: Transport,
    pub(crate) requests: u64,
    pub(crate) pace: Pace,
    pub(crate) count_allocations: bool,
    pub(crate) keep: Keep,
}

impl Plan {
    /// Runs it in a process of its own, and adds what arrived to that process's report.
    pub(crate) fn run(self, stack: Stack, receiver: &mut Receiver) -> std::io::Result<Report> {
        receiver.take()?;
        let mut report = process::run(&[
            ROLE.to_owned(),
            stack.name().to_owned(),
            receiver.endpoint(self.transport.protocol),
            self.transport.to_string(),
            self.requests.to_string(),
            self.pace.to_string(),
            self.count_allocations.to_string(),
            self.keep.to_string(),
        ]);
        let arrived = receiver.take()?;
        let delivered = if self.transport.is_countable() {
            arrived.spans as f64
        } else {
            report.get("made") - report.get("dropped")
        };
        report.set("delivered", delivered);
        report.set("messages", arrived.requests as f64);
        report.set("bytes", arrived.bytes as f64);
        Ok(report)
    }
}

/// The application's `main`.
pub(crate) fn run(arguments: &Arguments) {
    let stack: Stack = arguments.at(1);
    let plan = Plan {
        transport: arguments.at(3),
        requests: arguments.at(4),
        pace: arguments.at(5),
        count_allocations: arguments.at(6),
        keep: arguments.at(7),
    };
    let settings = Settings::new(Destination::Collector(arguments.at(2)));
    let running = stack.install(&plan.keep.settings(Settings {
        transport: plan.transport,
        ..settings
    }));
    let call = REQUEST.for_stack(stack);
    pace::run(WARM_UP, WARM_UP_PACE, |number| call(number as i64));
    running.flush();
    measure(plan, call, &*running).print();
}

fn measure(plan: Plan, call: fn(i64), running: &dyn Running) -> Report {
    if plan.count_allocations {
        Allocations::start_counting();
    }
    let process_before = pace::process_cpu_time();
    let paced = pace::run(plan.requests, plan.pace, |number| call(number as i64));
    let allocations = Allocations::now();
    let made = (WARM_UP + plan.requests) * REQUEST.spans;
    running.finish(made);
    let process = pace::process_cpu_time() - process_before;

    let requests = plan.requests as f64;
    let spans = requests * REQUEST.spans as f64;
    let mut report = Report::default();
    report.set("made", made as f64);
    report.set("dropped", running.dropped().unwrap_or(0) as f64);
    report.set("app_ns", paced.thread_cpu.as_nanos() as f64 / requests);
    report.set("process_ns", process.as_nanos() as f64 / requests);
    report.set("spans_per_second", spans / paced.wall.as_secs_f64());
    report.set("app_allocations", allocations.on_thread as f64 / spans);
    report.set("allocations", Allocations::now().in_process as f64 / spans);
    report.set("peak", machine::peak_memory().unwrap_or(0) as f64);
    report
}
