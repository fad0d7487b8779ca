//! Against a real OpenTelemetry Collector, whose program the variable `OTELCOL` names: each protocol with each compression,
//! plain and over TLS, and a restart under load. What it wrote is compared with what was sent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it does"
)]

#[path = "it/support/certificates.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod certificates;

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use certificates::{Certificates, Flaw};
use serde_json::Value;
use tracing::Dispatch;
use tracing_otlp::{Batch, Compression, Guard, Protocol, Tls};
use tracing_subscriber::prelude::*;

/// Names the Collector's program.
const OTELCOL: &str = "OTELCOL";
/// For a program to start, to write and to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// Spans of one combination, and of one request at most.
const SPANS: u64 = 500;
const BATCH: usize = 64;
/// Spans in a millisecond while it is started anew: a request is under way at almost any moment.
const LOAD: u64 = 10;

fn main() -> ExitCode {
    let Some(program) = std::env::var_os(OTELCOL).filter(|program| !program.is_empty()) else {
        println!(
            "SKIPPED: {OTELCOL} is not set; it names the program of an OpenTelemetry Collector"
        );
        return ExitCode::SUCCESS;
    };
    let mut collector = Collector::new(PathBuf::from(program));
    collector.start();
    everything_arrives_as_it_was_recorded(&mut collector);
    a_restart_under_load_loses_nothing(&mut collector);
    println!("all of it arrived");
    ExitCode::SUCCESS
}

/// A way to the Collector.
#[derive(Clone, Copy, Debug)]
struct Way {
    protocol: Protocol,
    compression: Compression,
    is_tls: bool,
}

fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            ways.extend([false, true].map(|is_tls| Way {
                protocol,
                compression,
                is_tls,
            }));
        }
    }
    ways
}

impl Way {
    fn name(self) -> String {
        let tls = if self.is_tls { "TLS" } else { "plain" };
        format!("{} {} {tls}", self.protocol.name(), self.compression.name())
    }

    fn pipeline(self, collector: &Collector) -> (Dispatch, Guard) {
        let (layer, guard) = tracing_otlp::layer()
            .with_endpoint(collector.endpoint(self))
            .with_protocol(self.protocol)
            .with_compression(self.compression)
            .with_tls(Tls::new().with_ca_file(&collector.ca))
            .with_batch(
                Batch::default()
                    .with_max_records(BATCH)
                    .with_interval(Duration::from_millis(10)),
            )
            .build()
            .expect("a pipeline");
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        (dispatch, guard)
    }
}

fn record(dispatch: &Dispatch, way: &str, number: u64) {
    tracing::dispatcher::with_default(dispatch, || {
        drop(tracing::info_span!(
            "work",
            way,
            number,
            text = "grüße\n\"\u{1F980}\"",
            half = 0.5
        ));
    });
}

fn everything_arrives_as_it_was_recorded(collector: &mut Collector) {
    for way in ways() {
        let name = way.name();
        let (dispatch, guard) = way.pipeline(collector);
        (0..SPANS).for_each(|number| record(&dispatch, &name, number));
        let flushed = guard.handle().flush(PATIENCE);
        let stats = guard.handle().stats();
        assert!(flushed.is_ok(), "{name}: {flushed:?}: {stats}");
        assert_eq!(stats.delivered(), SPANS, "{name}: {stats}");
        assert_eq!(stats.rejected() + stats.dropped(), 0, "{name}: {stats}");
        println!("sent: {name}");
    }
    // What it has taken, it writes before it ends.
    collector.stop();
    let spans = collector.written();
    for way in ways() {
        let name = way.name();
        let arrived = arrived(&spans, &name);
        assert_eq!(arrived.len() as u64, SPANS, "{name}: different numbers");
        for (number, spans) in &arrived {
            assert_eq!(spans.len(), 1, "{name}: {number} arrived more than once");
        }
    }
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), spans.len(), "each span has its own id");
    collector.start();
}

fn a_restart_under_load_loses_nothing(collector: &mut Collector) {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let way = Way {
            protocol,
            compression: Compression::Gzip,
            is_tls: true,
        };
        let name = format!("restart {}", way.name());
        let (dispatch, guard) = way.pipeline(collector);
        let handle = guard.handle();
        let done = AtomicBool::new(false);
        let mut recorded = 0;
        std::thread::scope(|scope| {
            let load = scope.spawn(|| {
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    for _ in 0..LOAD {
                        record(&dispatch, &name, number);
                        number += 1;
                    }
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                number
            });
            wait("load", || handle.stats().delivered() > 100);
            collector.stop();
            collector.start();
            let delivered = handle.stats().delivered();
            wait("delivery", || handle.stats().delivered() > delivered + 100);
            done.store(true, Ordering::Relaxed);
            recorded = load.join().expect("it did not panic");
        });
        let flushed = handle.flush(PATIENCE);
        let stats = handle.stats();
        assert!(flushed.is_ok(), "{name}: {flushed:?}: {stats}");
        assert_eq!(stats.delivered(), recorded, "{name}: {stats}");
        drop(guard);
        collector.stop();
        let spans = collector.written();
        let arrived = arrived(&spans, &name);
        let missing = (0..recorded).find(|number| !arrived.contains_key(number));
        assert_eq!(
            missing, None,
            "{name}: delivered by the ledger, and not written"
        );
        let doubled: usize = arrived.values().map(|spans| spans.len() - 1).sum();
        assert!(doubled <= BATCH, "{name}: {doubled} arrived twice");
        for same in arrived.values() {
            assert!(
                same.iter().all(|span| span.id == same[0].id),
                "{name}: {same:?}"
            );
        }
        println!("restarted: {name}, {recorded} spans, {doubled} twice");
        collector.start();
    }
}

/// The spans of a way, by their numbers; each is as it was recorded.
fn arrived<'a>(spans: &'a [Span], way: &str) -> HashMap<u64, Vec<&'a Span>> {
    let mut arrived: HashMap<u64, Vec<&Span>> = HashMap::new();
    for span in spans {
        let text = |key: &str| {
            span.attributes
                .get(key)
                .and_then(|value| value["stringValue"].as_str())
        };
        if text("way") != Some(way) {
            continue;
        }
        assert_eq!(span.name, "work");
        assert_eq!(span.scope, "collector", "the scope is the target");
        assert_eq!((span.id.len(), span.trace.len()), (16, 32), "{span:?}");
        assert_eq!(text("text"), Some("grüße\n\"\u{1F980}\""));
        assert_eq!(span.attributes["half"]["doubleValue"], 0.5);
        let number = &span.attributes["number"]["intValue"];
        let number = number.as_str().expect("an integer as text");
        let number = number.parse().expect("a number");
        arrived.entry(number).or_default().push(span);
    }
    arrived
}

/// A span as the Collector wrote it.
#[derive(Debug)]
struct Span {
    id: String,
    trace: String,
    name: String,
    scope: String,
    attributes: HashMap<String, Value>,
}

/// The Collector's process, its configuration and its files.
struct Collector {
    program: PathBuf,
    certificates: Certificates,
    ca: PathBuf,
    identity: (PathBuf, PathBuf),
    /// gRPC, HTTP; then both over TLS.
    ports: [u16; 4],
    /// How often it was started: each time it writes another file.
    starts: usize,
    process: Option<Child>,
}

impl Collector {
    fn new(program: PathBuf) -> Self {
        let certificates = Certificates::new();
        let identity = certificates.server(Flaw::None);
        // All are bound at the same time, so that they differ.
        let free = [(); 4].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
        let ports = free.map(|listener| listener.local_addr().expect("an address").port());
        Self {
            program,
            ca: certificates.ca_file(),
            identity: certificates.write_identity(&identity),
            certificates,
            ports,
            starts: 0,
            process: None,
        }
    }

    fn endpoint(&self, way: Way) -> String {
        let is_http = way.protocol != Protocol::Grpc;
        let port = self.ports[usize::from(is_http) + 2 * usize::from(way.is_tls)];
        if way.is_tls {
            format!("https://localhost:{port}")
        } else {
            format!("http://127.0.0.1:{port}")
        }
    }

    fn file(&self, start: usize) -> PathBuf {
        self.certificates
            .folder()
            .join(format!("spans-{start}.json"))
    }

    fn configuration(&self) -> String {
        let [grpc, http, grpc_tls, http_tls] = self.ports;
        let (certificate, key) = &self.identity;
        let tls = format!(
            "{{cert_file: {:?}, key_file: {:?}}}",
            path(certificate),
            path(key)
        );
        let file = self.file(self.starts);
        format!(
            r#"receivers:
  otlp/plain:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"}}
      http: {{endpoint: "127.0.0.1:{http}"}}
  otlp/tls:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc_tls}", tls: {tls}}}
      http: {{endpoint: "127.0.0.1:{http_tls}", tls: {tls}}}
exporters:
  file:
    path: {:?}
    format: json
    flush_interval: 100ms
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp/plain, otlp/tls]
      exporters: [file]
"#,
            path(&file)
        )
    }

    fn start(&mut self) {
        self.starts += 1;
        let folder = self.certificates.folder();
        let configuration = folder.join("collector.yaml");
        std::fs::write(&configuration, self.configuration()).expect("a file");
        let log = std::fs::File::create(folder.join(format!("log-{}", self.starts)));
        let process = Command::new(&self.program)
            .arg("--config")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a file"))
            .spawn();
        self.process = Some(process.unwrap_or_else(|error| panic!("{:?}: {error}", self.program)));
        for port in self.ports {
            let deadline = Instant::now() + PATIENCE;
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                let ended = self
                    .process
                    .as_mut()
                    .and_then(|process| process.try_wait().ok()?);
                let waits = ended.is_none() && Instant::now() < deadline;
                assert!(
                    waits,
                    "it does not listen on {port} ({ended:?}): {}",
                    self.log()
                );
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }

    /// Asks it to end, and waits until it has written what it took.
    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let asked = Command::new("kill").arg(process.id().to_string()).status();
        assert!(
            asked.is_ok_and(|status| status.success()),
            "kill: no signal was sent"
        );
        let mut ended = None;
        wait("the Collector's end", || {
            ended = process.try_wait().expect("our own child");
            ended.is_some()
        });
        assert!(
            ended.is_some_and(|status| status.success()),
            "{ended:?}: {}",
            self.log()
        );
    }

    /// All that it wrote, in all of its lives.
    fn written(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for start in 1..=self.starts {
            let text = std::fs::read_to_string(self.file(start)).unwrap_or_default();
            for line in text.lines().filter(|line| !line.is_empty()) {
                let request: Value = serde_json::from_str(line).expect("a line of JSON");
                read(&request, &mut spans);
            }
        }
        spans
    }

    fn log(&self) -> String {
        let log = self
            .certificates
            .folder()
            .join(format!("log-{}", self.starts));
        std::fs::read_to_string(log).unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            if std::thread::panicking() {
                println!("{}", self.log());
            }
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn read(request: &Value, spans: &mut Vec<Span>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for resource in list(&request["resourceSpans"]) {
        for part in list(&resource["scopeSpans"]) {
            spans.extend(list(&part["spans"]).iter().map(|span| {
                Span {
                    id: text(&span["spanId"]),
                    trace: text(&span["traceId"]),
                    name: text(&span["name"]),
                    scope: text(&part["scope"]["name"]),
                    attributes: list(&span["attributes"])
                        .iter()
                        .map(|attribute| (text(&attribute["key"]), attribute["value"].clone()))
                        .collect(),
                }
            }));
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[track_caller]
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
