//! The measured process: one stack, one point of one axis.

use std::str::FromStr;
use std::sync::Barrier;
use std::thread;

use peers::arguments::Arguments;
use peers::pace::thread_cpu_time;
use peers::process::Report;
use peers::sink::Sink;
use peers::stack::{Destination, Settings, Stack};
use peers::table::median;
use peers::workload::with_attributes;
use tracing::Span;

/// The first argument that makes the program the measured process.
pub(crate) const ROLE: &str = "measure";

/// Holds a million open spans and whatever waits for the exporter besides.
const ROOMY: usize = 8 << 30;

/// Attributes of a span where they are not the axis.
const SOME: usize = 4;

/// Spans in a round; a round is long beside the clock reads around it.
const ROUND: usize = 1_000;

/// What grows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Axis {
    /// Spans that stay open, beside others that come and go.
    Open,
    /// Spans that stay open until one of them, at random, is closed and another opened: each time
    /// memory that no cache holds any more.
    Replaced,
    Attributes,
    Threads,
}

impl Axis {
    pub(crate) const ALL: [Self; 4] = [Self::Open, Self::Replaced, Self::Attributes, Self::Threads];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replaced => "replaced",
            Self::Attributes => "attributes",
            Self::Threads => "threads",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Open => "open spans",
            Self::Replaced => "open spans, replaced at random",
            Self::Attributes => "attributes",
            Self::Threads => "threads",
        }
    }
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let axis = Self::ALL.into_iter().find(|axis| axis.name() == name);
        axis.ok_or_else(|| format!("no axis is {name}"))
    }
}

/// The process's `main`.
///
/// # Panics
///
/// When ours drops a record, for then its time is not that of spans.
pub(crate) fn run(arguments: &Arguments) {
    let (stack, axis, point): (Stack, Axis, usize) =
        (arguments.at(1), arguments.at(2), arguments.at(3));
    let quick: bool = arguments.at(4);
    let sink = Sink::default();
    let settings = Settings {
        memory_limit: ROOMY,
        ..Settings::new(Destination::Sink(sink.clone()))
    };
    let running = stack.install(&settings);

    let rounds = if quick { 5 } else { 200 };
    let (ns, made) = match axis {
        Axis::Open => with_open(point, rounds),
        Axis::Replaced => replacing(point, rounds),
        Axis::Attributes => (time(rounds, point), rounds * ROUND),
        Axis::Threads => on_threads(point, rounds),
    };
    running.flush();
    assert_eq!(running.dropped().unwrap_or(0), 0, "{stack} dropped spans");
    running.finish(made as u64);

    let mut report = Report::default();
    report.set("ns", ns);
    report.set("lost", 1.0 - sink.spans() as f64 / made as f64);
    report.print();
}

/// The cost of a span beside others that stay open.
fn with_open(open: usize, rounds: usize) -> (f64, usize) {
    let held = hold(open);
    let ns = time(rounds, SOME);
    drop(held);
    (ns, rounds * ROUND + open)
}

/// The cost of a span that takes the place of another.
fn replacing(open: usize, rounds: usize) -> (f64, usize) {
    let mut held = hold(open);
    let mut random: u64 = 1;
    let ns = timed(rounds, |number| {
        // Knuth's generator; its upper half is random enough to miss the caches.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = (random >> 32) as usize % open;
        held[at] = with_attributes(SOME, number);
        held[at].in_scope(|| {});
    });
    (ns, rounds * ROUND + open)
}

fn hold(open: usize) -> Vec<Span> {
    (0..open).map(|n| with_attributes(SOME, n as i64)).collect()
}

/// The cost of a span while this many threads make some, as CPU time of each.
fn on_threads(threads: usize, rounds: usize) -> (f64, usize) {
    // As many spans on many threads as on one, or the sink would be what is measured.
    let rounds = (rounds / threads).max(5);
    let start = Barrier::new(threads);
    let costs = thread::scope(|scope| {
        let work = || {
            start.wait();
            time(rounds, SOME)
        };
        let spawned: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let costs = spawned.into_iter().map(|thread| thread.join());
        costs.map(|cost| cost.expect("no panic")).collect()
    });
    (median(costs), threads * rounds * ROUND)
}

/// The median of the rounds, in ns a span.
fn time(rounds: usize, attributes: usize) -> f64 {
    timed(rounds, |number| {
        let _span = with_attributes(attributes, number).entered();
    })
}

fn timed(rounds: usize, mut span: impl FnMut(i64)) -> f64 {
    let round = |_| {
        let before = thread_cpu_time();
        for number in 0..ROUND {
            span(number as i64);
        }
        (thread_cpu_time() - before).as_nanos() as f64 / ROUND as f64
    };
    median((0..rounds).map(round).collect())
}
