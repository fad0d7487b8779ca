//! The order of the runs: all stacks once, then all again, so that a machine that slows down or
//! speeds up meets each stack alike.

use std::io;

use peers::arguments::Arguments;
use peers::pace::Pace;
use peers::process::Report;
use peers::receiver::Receiver;
use peers::stack::Stack;
use peers::table::median;
use peers::transport::Transport;

use crate::application::Plan;
use crate::keep::Keep;
use crate::rate;

/// What the arguments ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) runs: u64,
    pub(crate) paced: Plan,
    pub(crate) allocations: Plan,
    pub(crate) full_speed: Plan,
    pub(crate) step_seconds: f64,
    pub(crate) hold_seconds: f64,
    /// The bisection ends when its bounds are this near, as a ratio.
    pub(crate) precision: f64,
}

impl Options {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let quick = arguments.has("--quick");
        let or = |full: f64, in_quick: f64| if quick { in_quick } else { full };
        let rate: u64 = arguments.value("--rate", 20_000);
        let seconds: f64 = arguments.value("--seconds", or(3.0, 0.2));
        let paced = Plan {
            transport: Transport::GRPC,
            requests: (rate as f64 * seconds) as u64,
            pace: Pace::Bursts(rate),
            count_allocations: false,
            keep: Keep::All,
        };
        Self {
            runs: arguments.value("--runs", or(5.0, 1.0) as u64).max(1),
            paced,
            allocations: Plan {
                count_allocations: true,
                ..paced
            },
            full_speed: Plan {
                transport: Transport::GRPC,
                requests: arguments.value("--requests", or(400_000.0, 10_000.0) as u64),
                pace: Pace::Full,
                count_allocations: false,
                keep: Keep::All,
            },
            step_seconds: arguments.value("--step-seconds", or(2.0, 0.1)),
            hold_seconds: arguments.value("--hold-seconds", or(2.0, 0.1)),
            precision: or(1.05, 4.0),
        }
    }
}

/// All that is known about one stack; each number is a median.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) stack: Stack,
    pub(crate) app_ns: f64,
    pub(crate) process_ns: f64,
    /// Spans that the paced runs lost, which must be 0 for their CPU to mean anything.
    pub(crate) paced_lost: f64,
    /// A span, on the application's thread and in the process.
    pub(crate) allocations: (f64, f64),
    pub(crate) full_speed: f64,
    pub(crate) made: f64,
    pub(crate) delivered: f64,
    pub(crate) peak: f64,
    /// Spans a second; `None` for the stack that exports nothing.
    pub(crate) highest: Option<rate::Highest>,
}

/// Runs everything of each stack.
pub(crate) fn all(options: &Options) -> io::Result<Vec<Outcome>> {
    let mut receiver = Receiver::start()?;
    let paced = rounds(options.runs, options.paced, &mut receiver)?;
    let allocations = rounds(1, options.allocations, &mut receiver)?;
    let full_speed = rounds(options.runs, options.full_speed, &mut receiver)?;
    let mut results = Vec::new();
    for (index, &stack) in Stack::ALL.iter().enumerate() {
        let of = |reports: &[Vec<Report>], name: &str| {
            median(
                reports[index]
                    .iter()
                    .map(|report| report.get(name))
                    .collect(),
            )
        };
        let lost = |report: &Report| report.get("made") - report.get("delivered");
        let speed = of(&full_speed, "spans_per_second");
        let highest = match stack {
            Stack::NoOp => None,
            _ => Some(rate::highest(stack, speed, options, &mut receiver)?),
        };
        results.push(Outcome {
            stack,
            app_ns: of(&paced, "app_ns"),
            process_ns: of(&paced, "process_ns"),
            paced_lost: paced[index].iter().map(lost).sum(),
            allocations: (
                of(&allocations, "app_allocations"),
                of(&allocations, "allocations"),
            ),
            full_speed: speed,
            made: of(&full_speed, "made"),
            delivered: of(&full_speed, "delivered"),
            peak: of(&full_speed, "peak"),
            highest,
        });
    }
    Ok(results)
}

/// Runs a plan with each stack, and that several times; a list of reports for each stack.
fn rounds(runs: u64, plan: Plan, receiver: &mut Receiver) -> io::Result<Vec<Vec<Report>>> {
    let mut reports = vec![Vec::new(); Stack::ALL.len()];
    for _ in 0..runs {
        for (stack, its) in Stack::ALL.iter().zip(&mut reports) {
            its.push(plan.run(*stack, receiver)?);
        }
    }
    Ok(reports)
}
