//! The highest paced rate at which nothing is lost.

use std::io;

use peers::pace::Pace;
use peers::receiver::Receiver;
use peers::stack::Stack;
use peers::transport::Transport;
use peers::workload::REQUEST;

use crate::application::Plan;
use crate::compare::Options;
use crate::keep::Keep;

/// Spans a second to begin with; every stack is expected to pass it.
const LOWEST: f64 = 2_000.0;

/// A run that makes less than this part of what it was asked for has met the application's limit.
const ON_SCHEDULE: f64 = 0.95;

/// A rate, in spans a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Highest {
    pub(crate) rate: f64,
    /// The thread could not make more; the exporter may be able to take more.
    pub(crate) limited_by_application: bool,
}

/// One step of the search.
#[derive(Clone, Copy, Debug)]
struct Step {
    nothing_lost: bool,
    reached: f64,
}

/// Searches below the speed that the application has without a pause.
pub(crate) fn highest(
    stack: Stack,
    full_speed: f64,
    options: &Options,
    receiver: &mut Receiver,
) -> io::Result<Highest> {
    let mut run = |rate: f64, seconds: f64| step(stack, rate, seconds, receiver);
    let (mut passed, mut failed) = (LOWEST.min(full_speed / 2.0), full_speed);
    while failed / passed > options.precision {
        let rate = (passed * failed).sqrt();
        let step = run(rate, options.step_seconds)?;
        if step.nothing_lost {
            passed = rate;
        } else {
            failed = rate;
        }
    }
    loop {
        let held = run(passed, options.hold_seconds)?;
        let limited_by_application = held.reached < passed * ON_SCHEDULE;
        if held.nothing_lost || passed < LOWEST / 2.0 {
            return Ok(Highest {
                rate: held.reached,
                limited_by_application,
            });
        }
        passed /= options.precision;
    }
}

fn step(stack: Stack, rate: f64, seconds: f64, receiver: &mut Receiver) -> io::Result<Step> {
    let requests_per_second = (rate / REQUEST.spans as f64).max(1.0);
    let plan = Plan {
        transport: Transport::GRPC,
        requests: (requests_per_second * seconds) as u64,
        pace: Pace::Even(requests_per_second as u64),
        count_allocations: false,
        keep: Keep::All,
    };
    let report = plan.run(stack, receiver)?;
    Ok(Step {
        nothing_lost: report.get("delivered") >= report.get("made"),
        reached: report.get("spans_per_second"),
    })
}
