//! fastrace with its OpenTelemetry reporter, or with a reporter that drops what it is given.
//!
//! Its default, a report once a second or when a queue is half full. The reporter that drops is
//! the cheapest there is: without any reporter fastrace records nothing.

use std::borrow::Cow;

use fastrace::collector::{Config, Reporter, SpanRecord};
use fastrace::prelude::{Span, SpanContext};
use fastrace_opentelemetry::OpenTelemetryReporter;
use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;
use tokio::runtime::Runtime;

use super::opentelemetry::{grpc_exporter, runtime};
use super::{Destination, Running, SERVICE, Settings};
use crate::sink::Sink;

/// The capacity of a thread's queue in fastrace; what is more waits on the thread without bound.
const QUEUE: u64 = 10_240;

/// Most messages that fastrace queues for a span: start, submit, end.
const MESSAGES: u64 = 3;

struct Fastrace {
    _runtime: Option<Runtime>,
}

pub(super) fn install(settings: &Settings) -> Box<dyn Running> {
    let runtime = match &settings.destination {
        Destination::Sink(sink) => {
            fastrace::set_reporter(SinkReporter(sink.clone()), Config::default());
            None
        }
        Destination::Collector(endpoint) => {
            let runtime = runtime();
            fastrace::set_reporter(reporter(&runtime, endpoint), Config::default());
            Some(runtime)
        }
    };
    Box::new(Fastrace { _runtime: runtime })
}

fn reporter(runtime: &Runtime, endpoint: &str) -> OpenTelemetryReporter {
    let resource = Resource::builder().with_service_name(SERVICE).build();
    let scope = InstrumentationScope::builder(SERVICE).build();
    let exporter = grpc_exporter(runtime, endpoint);
    let handle = runtime.handle().clone();
    OpenTelemetryReporter::new(exporter, Cow::Owned(resource), scope)
        .with_block_on(move |export| handle.block_on(export))
}

impl Running for Fastrace {
    fn flush(&self) {
        fastrace::flush();
    }

    /// What did not fit into the thread's queue goes there only when the thread traces again, so
    /// it does: by a root span that is cancelled, which is never reported.
    fn finish(&self, made: u64) {
        for _ in 0..=made * MESSAGES / QUEUE {
            fastrace::flush();
            Span::root("nudge", SpanContext::random()).cancel();
        }
        fastrace::flush();
    }
}

struct SinkReporter(Sink);

impl Reporter for SinkReporter {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        self.0.take(spans.len() as u64);
    }
}
