//! Ours over each transport, paced as the stacks are.

use std::io;

use peers::process::Report;
use peers::receiver::Receiver;
use peers::stack::Stack;
use peers::table::{Table, median, thousands};
use peers::transport::Transport;
use peers::workload::REQUEST;
use tracing_otlp::{Compression, Protocol};

use crate::application::Plan;
use crate::compare::Options;

/// What HTTP may cost beside gRPC, and gzip beside no compression.
const HTTP_TARGET: f64 = 1.1;
const GZIP_TARGET: f64 = 3.0;

/// The medians of one transport.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    transport: Transport,
    app_ns: f64,
    process_ns: f64,
    lost: f64,
    /// Requests of the application in one of the protocol.
    batch: f64,
    /// Bytes of the bodies for each request of the application.
    bytes: f64,
}

/// Runs each transport once, then all again; one run of the no-op layer with each round.
pub(crate) fn table(options: &Options) -> io::Result<Table> {
    let mut receiver = Receiver::start()?;
    let mut reports = vec![Vec::new(); Transport::ALL.len()];
    let mut no_op = Vec::new();
    for _ in 0..options.runs {
        no_op.push(options.paced.run(Stack::NoOp, &mut receiver)?);
        for (&transport, its) in Transport::ALL.iter().zip(&mut reports) {
            let plan = Plan {
                transport,
                ..options.paced
            };
            its.push(plan.run(Stack::Ours, &mut receiver)?);
        }
    }
    let no_op_ns = middle(&no_op, |report| report.get("process_ns"));
    let outcomes: Vec<Outcome> = Transport::ALL
        .iter()
        .zip(&reports)
        .map(|(transport, reports)| Outcome::new(*transport, reports))
        .collect();
    Ok(in_rows(&outcomes, no_op_ns))
}

impl Outcome {
    fn new(transport: Transport, reports: &[Report]) -> Self {
        let requests = |report: &Report| report.get("made") / REQUEST.spans as f64;
        let lost = |report: &Report| report.get("made") - report.get("delivered");
        Self {
            transport,
            app_ns: middle(reports, |report| report.get("app_ns")),
            process_ns: middle(reports, |report| report.get("process_ns")),
            lost: reports.iter().map(lost).sum(),
            batch: middle(reports, |report| requests(report) / report.get("messages")),
            bytes: middle(reports, |report| report.get("bytes") / requests(report)),
        }
    }

    /// Which ratio is to stay below which number.
    fn target(&self) -> String {
        match (self.transport.protocol, self.transport.compression) {
            (Protocol::HttpProtobuf, Compression::None) => {
                format!("gRPC = 1: {HTTP_TARGET:.1}")
            }
            (_, Compression::Gzip) => format!("uncompressed = 1: {GZIP_TARGET:.1}"),
            _ => "-".into(),
        }
    }
}

/// The ratios are of the process's CPU time: all of it, and that which is not the no-op layer's.
fn in_rows(outcomes: &[Outcome], no_op_ns: f64) -> Table {
    let mut table = Table::new([
        "tracing-otlp by transport, request",
        "app ns",
        "process ns",
        "gRPC = 1",
        "gRPC = 1, without the no-op layer's",
        "uncompressed = 1",
        "uncompressed = 1, without the no-op layer's",
        "target",
        "lost",
        "requests in a batch",
        "bytes",
        "of the uncompressed",
    ]);
    for outcome in outcomes {
        let beside = |transport: Transport| {
            let other = outcomes.iter().find(|other| other.transport == transport);
            let other = other.unwrap_or(outcome);
            let ns = outcome.process_ns / other.process_ns;
            let added = (outcome.process_ns - no_op_ns) / (other.process_ns - no_op_ns);
            (ns, added, outcome.bytes / other.bytes)
        };
        let (by_grpc, added_by_grpc, _) = beside(Transport::GRPC);
        let (by_plain, added_by_plain, bytes) = beside(outcome.transport.uncompressed());
        table.row(vec![
            outcome.transport.to_string(),
            thousands(outcome.app_ns),
            thousands(outcome.process_ns),
            format!("{by_grpc:.2}"),
            format!("{added_by_grpc:.2}"),
            format!("{by_plain:.2}"),
            format!("{added_by_plain:.2}"),
            outcome.target(),
            thousands(outcome.lost),
            thousands(outcome.batch),
            thousands(outcome.bytes),
            format!("{bytes:.3}"),
        ]);
    }
    table
}

fn middle(reports: &[Report], value: impl Fn(&Report) -> f64) -> f64 {
    median(reports.iter().map(value).collect())
}
