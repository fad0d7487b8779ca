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
//! # How it works
//!
//! ```text
//!  application threads                            lock-free               one exporter thread
//!  #[instrument] -> callbacks                                    (own current_thread runtime)
//!    new_span: ids, constants, fields -> bytes
//!    record:   bytes replaced or appended
//!    event:    bytes into its span
//!    close:    append to this thread's lane ---> ring of chunks ---> batch = list of Bytes, by size
//!              (a chunk of framed records)       (bounded, Bytes)       -> gRPC | your own transport
//!                                                                       -> retry the same Bytes
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
//!    may pass is sent again, the same `Bytes`, until it is taken or newer records need its memory.
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
//! # What is recorded
//!
//! - Spans, under the instrumentation scope of their target, with `code.file.path`, `code.module.name` and
//!   `code.line.number`, and with `target`, `level`, `thread.id` and `thread.name` on request.
//! - The fields `otel.name`, `otel.kind`, `otel.status_code` and `otel.status_description` set what they say.
//! - Events become span events, named by their message, with `level` and `target`. An event of the level ERROR sets its span's
//!   status, unless that is set. Events outside of spans are left out.
//! - `u64`, `i128` and `u128` are integers where they fit an `i64`, else text. A field of type `dyn Error` also gives
//!   `<field>.chain`, the texts of its sources.
//! - `follows_from` becomes a link, while the followed span is open.
//!
//! Spans that a per-layer filter hides from this layer are skipped: what is recorded inside belongs to their nearest ancestor that
//! is recorded. For events, inside an `Option` or a `Vec` of filtered layers, that holds once a span of this layer was entered;
//! before, such an event is left out, since nothing tells the way up.
//!
//! # Environment
//!
//! Code beats the environment, which beats the default. A wrong value is named on stderr and ignored.
//!
//! | Variable | Default | Meaning |
//! |---|---|---|
//! | `OTEL_SERVICE_NAME` | `unknown_service:<executable>` | resource attribute `service.name` |
//! | `OTEL_RESOURCE_ATTRIBUTES` | | further resource attributes, `key=value,key=value`, percent-encoded |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT` | `http://localhost:4317` | where to send |
//! | `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, `OTEL_EXPORTER_OTLP_TIMEOUT` | 10000 | one attempt's deadline, milliseconds; 0 is none |
//! | `OTEL_BSP_SCHEDULE_DELAY` | 5000 | how long a record waits for others, milliseconds |
//! | `OTEL_BSP_MAX_QUEUE_SIZE` | | records that may wait (at least 8); not set, the memory limit bounds them |
//! | `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | 8192 | records of one request |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `OTEL_ATTRIBUTE_COUNT_LIMIT` | 128 | attributes of a span |
//! | `OTEL_SPAN_EVENT_COUNT_LIMIT` | 128 | events of a span |
//! | `OTEL_SPAN_LINK_COUNT_LIMIT` | 128 | links of a span |
//! | `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, `OTEL_ATTRIBUTE_COUNT_LIMIT` | 128 | attributes of an event |
//!
//! # Features
//!
//! | Feature | Default | |
//! |---|---|---|
//! | `grpc` | on | OTLP over gRPC |
//! | `init` | on | `init()` and `Builder::init`: a whole subscriber in one line |
//! | `file` | off | `File`: lines of OTLP/JSON, to a file or to stdout |
//! | `testing` | off | the module `testing`: an in-memory transport that gives decoded spans |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod config;
mod env;
mod error;
mod export;
mod id;
mod layer;
mod pipeline;
mod problem;
mod proto;
mod queue;
mod quiet;
mod report;
mod say;
mod stats;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::config::{Batch, Compression, Limits, Protocol, Tls};
pub use self::error::Error;
#[cfg(feature = "file")]
pub use self::export::File;
pub use self::export::{Answer, Failure, Request, Sending, Transport};
pub use self::id::{SpanId, TraceId};
pub use self::layer::OtlpLayer;
#[cfg(feature = "init")]
pub use self::pipeline::init;
pub use self::pipeline::{Builder, Events, Guard, Handle, layer};
pub use self::problem::{Problem, ProblemKind};
pub use self::report::Report;
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
        let names = [
            "OTEL_RESOURCE_ATTRIBUTES",
            "OTEL_BSP_MAX_QUEUE_SIZE",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
        ];
        let _ = crate::env::read(names.map(|name| (name.to_owned(), value.to_owned())));
    }

    #[cfg(feature = "file")]
    #[allow(missing_docs, reason = "compiled for the fuzz targets only")]
    pub fn json(bytes: &[u8]) {
        let mut out = Vec::new();
        if crate::proto::json::traces(bytes, &mut out).is_ok() {
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
