//! How long it takes to close a span: the median, and the slowest in a hundred, a thousand, ten thousand, and of all.
//!
//! ```text
//! cargo run --release -p peers --bin latency [-- --quick] [--spans 2000000] [--rate 200000]
//! ```
//!
//! The dropping of the last handle of a span with two attributes is timed, one by one and paced, so the times hold two reads of the
//! clock. Each stack closes spans while its exporter sends them to a receiver in another process, and while it is connected to a
//! collector that reads nothing and answers nothing, for longer than its memory lasts. The row of the no-op layer shows what the
//! machine itself does to a thread: run it on one that has nothing else to do.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use peers::arguments::Arguments;
use peers::machine;
use peers::pace::{self, Pace};
use peers::process::{self, Report};
use peers::receiver::{self, Receiver};
use peers::stack::{Destination, Settings, Stack};
use peers::table::{Table, thousands};
use peers::transport::Transport;
use tracing::info_span;

const APPLICATION: &str = "application";
const STACKS: [Stack; 3] = [Stack::NoOp, Stack::Ours, Stack::OpenTelemetry];

/// What is told of the times, by name and share of them.
const QUANTILES: [(&str, f64); 5] = [
    ("median", 0.5),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("max", 1.0),
];

fn main() -> io::Result<()> {
    let arguments = Arguments::of_process(&["--quick", "--spans 2000000", "--rate 200000"]);
    match arguments.role() {
        Some(receiver::ROLE) => receiver::serve(),
        Some(APPLICATION) => {
            run(&arguments);
            Ok(())
        }
        _ => print(&arguments),
    }
}

fn print(arguments: &Arguments) -> io::Result<()> {
    let quick = arguments.has("--quick");
    let spans: u64 = arguments.value("--spans", if quick { 20_000 } else { 2_000_000 });
    let rate: u64 = arguments.value("--rate", 200_000);
    let receiver = Receiver::start()?;
    // Connections wait in its backlog, for ever.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let collectors = [
        (
            "the exporter works",
            receiver.endpoint(Transport::GRPC.protocol),
        ),
        (
            "the collector hangs",
            format!("http://{}", silent.local_addr()?),
        ),
    ];
    let names = QUANTILES.iter().map(|(name, _)| *name);
    let mut table = Table::new(["closing a span, ns", "while"].into_iter().chain(names));
    for stack in STACKS {
        for (state, endpoint) in &collectors {
            let report = process::run(&[
                APPLICATION.to_owned(),
                stack.name().to_owned(),
                endpoint.clone(),
                spans.to_string(),
                rate.to_string(),
            ]);
            let cells = QUANTILES
                .iter()
                .map(|(name, _)| thousands(report.get(name)));
            let row = [stack.title().to_owned(), (*state).to_owned()];
            table.row(row.into_iter().chain(cells).collect());
        }
    }
    println!("{}\n", machine::description());
    print!("{}", table.markdown());
    Ok(())
}

/// The measured process, which ends without the exporter's farewell: one of the collectors would never let it.
fn run(arguments: &Arguments) {
    let stack: Stack = arguments.at(1);
    let (spans, rate): (u64, u64) = (arguments.at(3), arguments.at(4));
    let _running = stack.install(&Settings::new(Destination::Collector(arguments.at(2))));
    let mut times = Vec::with_capacity(spans as usize);
    pace::run(spans, Pace::Even(rate), |number| {
        let span = info_span!(
            "GET /orders/{id}",
            http.request.method = "GET",
            order.id = number as i64,
        );
        span.in_scope(|| ());
        let begin = Instant::now();
        drop(span);
        times.push(begin.elapsed().as_nanos() as u64);
    });
    report(times).print();
    std::process::exit(0);
}

fn report(mut times: Vec<u64>) -> Report {
    times.sort_unstable();
    let mut report = Report::default();
    let last = times.len().saturating_sub(1);
    for (name, share) in QUANTILES {
        let at = (last as f64 * share) as usize;
        report.set(name, times.get(at).copied().unwrap_or(0) as f64);
    }
    report
}
