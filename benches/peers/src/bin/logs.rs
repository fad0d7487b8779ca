//! A log: instructions and allocations on the application's thread, and CPU time of the process over gRPC, for ours and for
//! opentelemetry-appender-tracing 0.33 with the SDK's batch log processor.
//!
//! ```text
//! cargo run --release -p peers --bin logs [-- --quick]
//! ```
//!
//! The log has three attributes and a body, and stands outside of spans, where the appender has no ids to look for: what is added to the no-op
//! layer is the price of the log. Both write the same attributes. Each stack runs in a process of its own. `logs run STACK DESTINATION
//! MODE LOGS` is the program that is measured.

use std::time::Duration;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLoggerProvider,
};
use peers::allocations::{Allocations, Counting};
use peers::arguments::Arguments;
use peers::pace::{self, Pace};
use peers::process::{self, Report};
use peers::receiver::{self, Receiver};
use peers::table::{Table, thousands};
use peers::{callgrind, machine};
use tokio::runtime::Runtime;
use tracing_otlp::{Answer, Events, Protocol, Request, Sending, Transport};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::Registry;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STACKS: [(&str, &str); 3] = [
    ("no-op", "Registry and a no-op layer"),
    ("ours", "tracing-otlp"),
    ("appender", "opentelemetry-appender-tracing 0.33, SDK 0.33"),
];
const NOWHERE: &str = "nowhere";
const WARM_UP: u64 = 2_000;
const PACE: Pace = Pace::Even(50_000);

fn log(number: i64) {
    tracing::info!(
        order.id = number,
        payment = "card",
        amount = 12.5,
        "order paid"
    );
}

fn main() {
    let arguments = Arguments::of_process(&["--quick"]);
    match arguments.role() {
        Some("run") => run(&arguments),
        Some(receiver::ROLE) => receiver::serve().expect("the receiver serves"),
        _ => compare(if arguments.has("--quick") {
            20_000
        } else {
            200_000
        }),
    }
}

/// # Panics
///
/// When a process cannot be started: a table with a hole in it would mislead.
fn compare(logs: u64) {
    let mut receiver = Receiver::start().expect("the receiver starts");
    let has_callgrind = callgrind::is_there();
    let mut table = Table::new([
        "Stack",
        "instructions a log",
        "allocations a log",
        "process CPU a log, ns",
        "delivered",
    ]);
    for (stack, title) in STACKS {
        let arguments = |destination: &str, mode: &str, logs: u64| {
            ["run", stack, destination, mode, &logs.to_string()].map(str::to_owned)
        };
        let instructions = has_callgrind.then(|| {
            let counted = 2_000;
            let totals = callgrind::instructions(&arguments(NOWHERE, "instructions", counted));
            totals.last().copied().unwrap_or_default() as f64 / counted as f64
        });
        let counted = process::run(&arguments(NOWHERE, "allocations", logs));
        receiver.take().expect("the receiver answers");
        let endpoint = receiver.endpoint(Protocol::Grpc);
        let spent = process::run(&arguments(&endpoint, "cpu", logs));
        let arrived = receiver.take().expect("the receiver answers").spans;
        table.row(vec![
            title.to_owned(),
            instructions.map_or("-".to_owned(), thousands),
            format!("{:.2}", counted.get("allocations")),
            thousands(spent.get("cpu")),
            format!("{arrived} of {}", logs + WARM_UP),
        ]);
    }
    println!("{}\n", machine::description());
    print!("{}", table.markdown());
}

/// The measured program.
fn run(arguments: &Arguments) {
    let (stack, destination): (String, String) = (arguments.at(1), arguments.at(2));
    let (mode, logs): (String, u64) = (arguments.at(3), arguments.at(4));
    let finish = install(&stack, (destination != NOWHERE).then_some(&*destination));
    let mut report = Report::default();
    pace::run(WARM_UP, PACE, |number| log(number as i64));
    match &*mode {
        "instructions" => callgrind::measured(log, logs as i64),
        "allocations" => {
            Allocations::start_counting();
            let before = Allocations::now().on_thread;
            pace::run(logs, PACE, |number| log(number as i64));
            let made = Allocations::now().on_thread - before;
            report.set("allocations", made as f64 / logs as f64);
        }
        _ => {
            let before = pace::process_cpu_time();
            pace::run(logs, PACE, |number| log(number as i64));
            finish();
            let spent = pace::process_cpu_time() - before;
            report.set("cpu", spent.as_nanos() as f64 / logs as f64);
            return report.print();
        }
    }
    finish();
    report.print();
}

/// Makes a stack this process's own; what it returns delivers the rest.
fn install(stack: &str, endpoint: Option<&str>) -> Box<dyn FnOnce()> {
    match stack {
        "ours" => ours(endpoint),
        "appender" => appender(endpoint),
        _ => {
            set_global(NoOp);
            Box::new(|| {})
        }
    }
}

struct NoOp;

impl<S: tracing::Subscriber> Layer<S> for NoOp {}

fn set_global<L>(layer: L)
where
    L: Layer<tracing_subscriber::layer::Layered<LevelFilter, Registry>> + Send + Sync,
{
    let base = tracing_subscriber::registry().with(LevelFilter::INFO);
    tracing::subscriber::set_global_default(base.with(layer)).expect("once a process");
}

fn ours(endpoint: Option<&str>) -> Box<dyn FnOnce()> {
    let builder = tracing_otlp::layer()
        .with_service_name("logs")
        .with_location(false)
        .with_events(Events::Logs);
    let builder = match endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint),
        None => builder.with_transport(Nowhere),
    };
    let (layer, guard) = builder.build().expect("the configuration is valid");
    set_global(layer);
    Box::new(move || {
        let _ = guard.handle().shutdown(Duration::from_secs(60));
    })
}

fn appender(endpoint: Option<&str>) -> Box<dyn FnOnce()> {
    // As tuned as for spans.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(65_536)
        .with_max_export_batch_size(1_024)
        .build();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let processor = match endpoint {
        Some(endpoint) => BatchLogProcessor::builder(exporter(&runtime, endpoint))
            .with_batch_config(config)
            .build(),
        None => BatchLogProcessor::builder(Nowhere)
            .with_batch_config(config)
            .build(),
    };
    let provider = SdkLoggerProvider::builder()
        .with_resource(Resource::builder().with_service_name("logs").build())
        .with_log_processor(processor)
        .build();
    set_global(OpenTelemetryTracingBridge::new(&provider));
    Box::new(move || {
        let _ = provider.shutdown();
        drop(runtime);
    })
}

fn exporter(runtime: &Runtime, endpoint: &str) -> impl LogExporter + use<> {
    let _entered = runtime.enter();
    opentelemetry_otlp::LogExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .expect("the endpoint is valid")
}

/// Takes everything.
#[derive(Debug)]
struct Nowhere;

impl Transport for Nowhere {
    fn send(&self, _: Request) -> Sending {
        Box::pin(std::future::ready(Ok(Answer::delivered())))
    }
}

impl LogExporter for Nowhere {
    async fn export(&self, _: LogBatch<'_>) -> OTelSdkResult {
        Ok(())
    }
}
