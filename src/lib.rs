//! OTLP for [`tracing`](https://docs.rs/tracing): one layer that encodes spans where they happen, and one thread that sends
//! the same bytes to an OpenTelemetry collector.
//!
//! ```no_run
//! fn main() -> Result<(), tracing_otlp::Error> {
//!     let _guard = tracing_otlp::init()?; // OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, RUST_LOG
//!     work(3);
//!     Ok(())
//! }
//!
//! #[tracing::instrument]
//! fn work(items: u64) {
//!     tracing::info!("at work");
//! }
//! ```
//!
//! In a subscriber of one's own:
//!
//! ```no_run
//! use tracing_subscriber::prelude::*;
//!
//! let (otlp, _guard) = tracing_otlp::layer()
//!     .with_service_name("checkout")
//!     .with_endpoint("http://collector:4317")
//!     .build()?;
//! tracing_subscriber::registry().with(otlp).init();
//! # Ok::<(), tracing_otlp::Error>(())
//! ```
//!
//! Over HTTP, with a key and compression:
//!
//! ```no_run
//! # #[cfg(all(feature = "http", feature = "gzip"))] {
//! use tracing_otlp::{Compression, Protocol};
//!
//! let (otlp, _guard) = tracing_otlp::layer()
//!     .with_protocol(Protocol::HttpProtobuf)
//!     .with_endpoint("https://otlp.example.com") // and /v1/traces
//!     .with_header("api-key", std::env::var("API_KEY").unwrap_or_default())
//!     .with_compression(Compression::Gzip)
//!     .build()?;
//! # }
//! # Ok::<(), tracing_otlp::Error>(())
//! ```
//!
//! # How it works
//!
//! ```text
//!  application threads                            lock-free               one exporter thread
//!  #[instrument] -> callbacks                                    (own current_thread runtime)
//!    new_span: ids, constants, fields -> bytes
//!    record:   bytes replaced or appended
//!    event:    bytes into its span, or a log record into the lane of logs
//!    close:    append to this thread's lane ---> ring of chunks ---> batch = list of Bytes, by size
//!              (a chunk of framed records)       (bounded, Bytes)       -> gRPC | HTTP | file | your own
//!                                                                       -> retry or split the same Bytes
//!                          ledger: accepted = delivered + rejected + dropped{reason} + held
//! ```
//!
//! 1. When a span is created, its message begins: ids and start time, then what its callsite knows beforehand (encoded once
//!    and copied), then each field as it is visited. The bytes lie in a store of open spans.
//! 2. Events, late `record`s and links are appended to the message; a field that is recorded again replaces its attribute.
//! 3. When the span closes, its end is written and the message is copied into the thread's chunk: the only copy on the way.
//! 4. A full chunk (32 KiB) becomes `Bytes` and goes to the exporter through a bounded ring. The caller never waits: what does
//!    not fit the memory limit is dropped and counted.
//! 5. The exporter puts a header before as many chunks as make a batch, and sends them as they are. What fails in a way that
//!    may pass is sent again, the same `Bytes`, until it is taken or newer records need its memory; what is too large is split.
//!
//! # What is promised
//!
//! - The host comes first: no panic, no wait, and no more memory than the limit, whatever the application or the collector
//!   does. The exporter needs no runtime of the application, and none of its threads.
//! - Nothing is lost without being counted: [`Handle::stats`] balances, and [`Handle::flush`], [`Handle::shutdown`] and the
//!   [`Guard`] tell what became of the records.
//! - A field whose `Debug` panics costs that field. One that writes 100 MB costs what the limit costs. One that traces is
//!   recorded, four levels deep.
//!
//! # When delivery fails
//!
//! - Nobody answers, or the collector asks to wait: the batch is sent again, after 0.5 to 30 seconds or what was asked for. When the
//!   collector is back, new records go first and what had to wait follows.
//! - The batch is too large: it is split until it fits. A single record that does not is shortened, then dropped.
//! - The collector refuses the batch for good: its records are rejected and counted by the answer ([`Stats::rejections`]), or held
//!   ([`Builder::with_hold_on_config_error`]) where a mistake in the configuration is to blame.
//! - People get a line on stderr that names the endpoint, what was seen and what to do: one when delivery begins to fail and one when it
//!   works again, once a minute at most, and one a minute for what is lost. A program hears everything ([`Builder::with_on_error`]) and can ask
//!   ([`Stats::last_error`]).
//!
//! # What is recorded
//!
//! - Spans, under the instrumentation scope of their target, with `code.file.path`, `code.module.name` and
//!   `code.line.number`, and with `target`, `level`, `thread.id` and `thread.name` on request.
//! - The fields `otel.name`, `otel.kind`, `otel.status_code` and `otel.status_description` set what they say.
//! - Events become span events, with `level` and `target`, log records, both, or nothing ([`Builder::with_events`], and by target and
//!   level [`Builder::with_event_rule`]). A span event is named by its message; a log has that as its body. An event of the level
//!   ERROR sets its span's status in each case, unless that is set.
//! - A log record has a severity, both times, the ids of the event's explicit parent or the current span, and that span's trace flags,
//!   sampled or not; its scope is the target. Where there is no span of this process, the ids are those of [`with_remote_parent`].
//!   Outside of spans, span events are left out, and log records have no ids. [`Logs`] has their limits, a minimum severity, and
//!   the attributes of the spans around them on request.
//! - An event that the program names, by a field `event.name` or by `name:`, has that name: as the log's event name, and as the name
//!   of the span event, whose message is then an attribute.
//! - Records of the crate `log` that come over `tracing-log` have their own target, file, line and module, in logs and span events
//!   alike.
//! - An event with an `error` and no message, as `#[instrument(err)]` makes it, is an exception: it is named so, and describes its
//!   span's status. A span that fails has an `error.type`. A field of type `dyn Error` also gives `<field>.chain`, the texts of its
//!   sources, `exception.message` and `exception.stacktrace`. [`Errors`] has the rules, and a switch for each.
//! - `u64`, `i128` and `u128` are integers where they fit an `i64`, else text; enums are what their `Debug` writes. A field that is
//!   `None` or `Empty` is no attribute, since `tracing` does not tell of it; empty text, 0 and false are. `valuable` is not read,
//!   since it is not stable.
//! - Numbers of attributes, events and links, and the size of values, have [`Limits`].
//! - `follows_from` becomes a link, while the followed span is open.
//! - The resource says who recorded: `service.name`, an id of the process (`service.instance.id`), `telemetry.sdk.*`, what the
//!   environment and [`Builder::with_resource_attribute`] add, and on request what a [`Detector`] finds about the process, host,
//!   container, pod or cloud.
//!
//! Spans that a per-layer filter hides from this layer are skipped: what is recorded inside belongs to their nearest ancestor that
//! is recorded. For events, inside an `Option` or a `Vec` of filtered layers, that holds once a span of this layer was entered;
//! before, such an event is left out, since nothing tells the way up.
//!
//! # Which spans are recorded
//!
//! A [`Sampler`] decides ([`Builder::with_sampler`], `OTEL_TRACES_SAMPLER`). By default a span is sampled if its parent is, and a
//! root always. `Sampler::parent_based(Sampler::ratio(0.1))` samples a tenth of the traces that begin here;
//! there are rules by name, target, kind and field, rate limits, consistent probability by W3C's tracestate, and samplers of one's
//! own. It is asked when a span is created. A root whose callsite declares `otel.kind` will likely get a caller's context and further
//! fields first, so it is recorded until it starts, and decided about then. Any other root that the sampler drops costs no encoding; if
//! it gets a sampled parent all the same, it is recorded from then on, and what it was told before counts in its
//! `dropped_attributes_count`. Before the sampler, [`Builder::with_filter`] and [`Builder::with_disabled_targets`] say which callsites there are at all.
//!
//! # What may leave the process
//!
//! A [`Processor`] sees each value before it is encoded, each span when it begins and when it ends, and each event: it may replace values, add
//! attributes, rename, and discard ([`Builder::with_processor`]). [`Redaction`] is one that is ready-made: headers that carry credentials, bearer
//! tokens and JSON Web Tokens, e-mail addresses, card numbers, and keys of one's own become `[redacted]`, before any byte of them is in a record.
//!
//! ```
//! use tracing_otlp::Redaction;
//!
//! let builder = tracing_otlp::layer().with_processor(Redaction::new().with_keys(["*password*", "*secret*"]));
//! # drop(builder);
//! ```
//!
//! # What is open
//!
//! A span is exported when it ends. What is open can be asked for ([`Handle::open_spans`]), and what stays open for long has a record
//! meanwhile on request ([`Builder::with_long_running`]). [`Builder::with_flush_on_panic`] sends what has ended
//! before a panic goes on.
//!
//! # Which traces are kept
//!
//! A sampler decides when a span begins, and cannot know how it ends. With the feature `tail`, `Builder::with_tail_sampling` has a
//! second word: the spans of a trace in this process are held as bytes, within bounds of room and time, until its first span closes. The
//! trace is kept when a span failed, when it was slow, when a rule holds for a span as it ended, or as one in so many; else it is
//! dropped and counted. `Tail` has the rules, and a table of what happens when. Log records are not held.
//!
//! # Across processes
//!
//! A server takes the caller's context out of the request and puts its span below; a client writes its span's context into the
//! request. Both before the span is entered, for then its place in the trace is fixed.
//!
//! ```
//! use std::collections::HashMap;
//! use tracing::info_span;
//! use tracing_otlp::SpanExt;
//!
//! fn serve(request: &HashMap<String, String>) {
//!     let span = info_span!("serve", otel.kind = "server");
//!     let _ = span.set_parent(tracing_otlp::extract(request)); // fails where the span is disabled
//!     let _entered = span.entered();
//!     call();
//! }
//!
//! fn call() {
//!     let span = info_span!("call", otel.kind = "client");
//!     let mut request = HashMap::<String, String>::new();
//!     tracing_otlp::inject(&span, &mut request);
//!     let _entered = span.entered();
//! }
//! ```
//!
//! [`SpanExt`] has all else that is said to a span or asked of it: attributes, events, links, status, name and ids. Where the
//! server's span may be disabled, [`with_remote_parent`] keeps the trace together.
//!
//! # Other libraries
//!
//! With the feature `opentelemetry-0_33`, spans of this crate and of OpenTelemetry's API are in the same traces, whichever is inside the other; see
//! `bridge::opentelemetry_0_33`. With `tracing-opentelemetry-0_34`, middlewares that use that crate's `OpenTelemetrySpanExt` find spans of this crate;
//! with `tracing-opentelemetry-0_33`, those that are still on the version before do.
//!
//! # Several destinations
//!
//! [`Builder::with_exporter`] may be called more than once: each record is encoded once and goes to every [`Exporter`] that wants its
//! signal, and one that is slow or dead delays no other. [`Handle::stats_of_destination`] has the ledger of one.
//!
//! # Environment
//!
//! Code beats the environment, which beats the default. A wrong value in the code is an error of [`Builder::build`]; one in the
//! environment is named on stderr and ignored (but a proxy that cannot be read, with
//! [`Builder::with_proxy_from_environment`], is an error: traffic must not go around it). The module [`environment`] has the table of the `OTEL_*` variables, and
//! [`Handle::explain`] tells what holds in a pipeline and who said so; `OTEL_LOG_LEVEL=debug` prints that.
//!
//! # Features
//!
//! | Feature | Default | |
//! |---|---|---|
//! | `grpc` | on | OTLP over gRPC |
//! | `http` | on | OTLP over HTTP, as binary protobuf |
//! | `http-json` | off | OTLP over HTTP, as JSON |
//! | `file` | off | `File`: OTLP as lines of JSON, to a file or to stdout |
//! | `gzip` | on | [`Compression::Gzip`] |
//! | `zstd` | off | [`Compression::Zstd`] |
//! | `tls` | on | `https` endpoints, by rustls with ring and the system's roots |
//! | `bundled-roots` | off | `Tls::with_bundled_roots`: Mozilla's roots, for systems that have none |
//! | `aws-lc` | off | aws-lc instead of ring, where the program has not installed a provider |
//! | `fmt` | on | `WithTraceIds`: the ids of a trace on the lines that `tracing_subscriber::fmt` writes |
//! | `init` | on | `init()` and `Builder::init`: a whole subscriber in one line |
//! | `opentelemetry-0_33` | off | `bridge::opentelemetry_0_33`: one trace with what uses the crate `opentelemetry` |
//! | `tracing-opentelemetry-0_34` | off | `bridge::tracing_opentelemetry_0_34`: its `OpenTelemetrySpanExt` on spans of this crate; with `opentelemetry-0_33` |
//! | `tracing-opentelemetry-0_33` | off | `bridge::tracing_opentelemetry_0_33`: the same for what is still on opentelemetry 0.32, beside the newer one or alone |
//! | `opentelemetry-sdk-0_33` | off | `bridge::opentelemetry_sdk_0_33`: parts of OpenTelemetry's SDK in a pipeline, and a pipeline as its exporter |
//! | `tail` | off | `Builder::with_tail_sampling`: traces are kept or dropped when they are over |
//! | `log` | off | with `init()`, records of the crate `log` are recorded too |
//! | `testing` | off | the module `testing`: an in-memory transport that gives decoded spans |
//!
//! A feature adds, and changes nothing that works without it. What needs one that is not enabled is a wrong value, and the
//! error or the warning names the feature.

// The one exception is how the bridge to tracing-opentelemetry answers for its types.
#![cfg_attr(not(feature = "_guest"), forbid(unsafe_code))]
#![cfg_attr(feature = "_guest", deny(unsafe_code))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "_bridge")]
pub mod bridge;
mod cgroup;
mod clock;
mod config;
mod context;
mod env;
mod error;
mod export;
mod id;
mod id_generator;
mod layer;
mod model;
mod pattern;
mod percent;
mod pipeline;
mod problem;
mod proto;
mod queue;
mod quiet;
mod rate;
mod redaction;
mod report;
mod resource;
mod sampler;
mod say;
mod signal;
mod stats;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::config::{
    Balance, Batch, Compression, Concurrency, Errors, Limits, Logs, Protocol, RateLimit, Tls,
};
pub use self::context::{
    Baggage, Context, CustomPropagator, EnvironmentCarrier, Extractor, Injector, Propagator,
    SpanContext, TraceFlags, TraceState,
};
pub use self::env::environment;
pub use self::error::Error;
#[cfg(feature = "file")]
pub use self::export::File;
pub use self::export::{Answer, Failure, Request, Sending, Transport};
pub use self::id::{SpanId, TraceId};
pub use self::id_generator::IdGenerator;
#[cfg(feature = "fmt")]
pub use self::layer::WithTraceIds;
pub use self::layer::{
    EventRule, Events, OtlpLayer, ProcessedRecord as Record, Processor, RecordKind, SpanExt,
    SpanSnapshot, extract, inject, with_remote_parent, with_remote_parent_async,
};
pub use self::model::{Severity, SpanKind, Status, Value};
#[cfg(feature = "init")]
pub use self::pipeline::init;
pub use self::pipeline::{Builder, Explanation, Exporter, Guard, Handle, layer};
pub use self::problem::{Problem, ProblemKind};
pub use self::redaction::{Redaction, Secret};
pub use self::report::Report;
pub use self::resource::Detector;
#[cfg(feature = "tail")]
pub use self::sampler::Tail;
pub use self::sampler::{
    Candidate, Composable, Decision, ParentBased, Rule, Sampler, Sampling, ShouldSample,
};
pub use self::signal::Signal;
pub use self::stats::{DropReason, LastError, Stats};

/// The parsers that read what others wrote, for the fuzz targets.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn response(bytes: &[u8]) {
        let _ = crate::proto::response::decode(bytes);
    }

    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn environment(value: &str) {
        let names = crate::env::NAMES.iter();
        let _ = crate::env::read(names.map(|name| ((*name).to_owned(), value.to_owned())));
    }

    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn headers(list: &str) {
        let name = "OTEL_EXPORTER_OTLP_HEADERS".to_owned();
        let environment = crate::env::read([(name, list.to_owned())]);
        let mut headers = crate::export::Headers::default();
        let read = environment.traces.headers.iter();
        for (name, value) in read.flat_map(|list| list.value.iter()) {
            let _ = headers.insert(name, value, "the fuzz target");
        }
    }

    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn endpoint(text: &str) {
        use crate::Protocol::{Grpc, HttpJson, HttpProtobuf};
        for protocol in [Grpc, HttpProtobuf, HttpJson] {
            for (whole, insecure) in [(true, true), (false, false)] {
                let written = crate::export::Written {
                    signal: crate::Signal::Logs,
                    text,
                    origin: "the fuzz target",
                    whole,
                    insecure,
                };
                let _ = crate::export::Endpoint::parse(written, protocol)
                    .map(|endpoint| endpoint.to_string());
            }
        }
    }

    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn propagators(lines: &str) {
        let all = crate::context::Propagators::new(crate::Propagator::ALL);
        let pairs = all.fields().chain(all.fields()).zip(lines.split('\n'));
        let carrier: Vec<(String, String)> = pairs
            .map(|(name, line)| (name.to_owned(), line.to_owned()))
            .collect();
        let context = all.extract(&carrier);
        let mut written = Vec::new();
        all.inject(&context, &mut written);
        let is_sendable = |byte: u8| matches!(byte, b'\t' | b' '..=b'~');
        for (name, value) in &written {
            let is_text = !value.is_empty() && value.bytes().all(is_sendable);
            assert!(is_text, "{name}: {value:?}");
        }
        let again = all.extract(&written);
        assert_eq!(again.span(), context.span());
        let mut written_again = Vec::new();
        all.inject(&again, &mut written_again);
        assert_eq!(all.extract(&written_again), again);
    }

    #[cfg(feature = "file")]
    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn json(bytes: &[u8]) {
        let mut out = Vec::new();
        if crate::proto::json::request(crate::Signal::Traces, bytes, &mut out).is_ok() {
            let parsed: serde_json::Result<serde_json::Value> = serde_json::from_slice(&out);
            assert!(parsed.is_ok(), "{parsed:?}");
        }
    }

    #[cfg(any(feature = "grpc", feature = "http"))]
    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn retry_after(value: &str) {
        crate::export::fuzz::retry_after(value);
    }

    #[cfg(feature = "grpc")]
    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn grpc_answer(bytes: &[u8]) {
        crate::export::fuzz::grpc(bytes);
    }

    #[cfg(feature = "http")]
    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn http_answer(bytes: &[u8]) {
        crate::export::fuzz::http(bytes);
    }
}

/// The examples of docs/modes.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/modes.md")]
mod modes {}
