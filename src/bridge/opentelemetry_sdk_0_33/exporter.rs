//! Their exporters as transports.

use std::sync::{Arc, Mutex};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::trace::SpanExporter;

use super::log_data::Records;
use super::span_data;
use crate::export::{Answer, Failure, Request, Sending, Transport};
use crate::signal::Signal;
use crate::sync::lock;

/// An exporter of theirs as a way out for spans; it takes no log records. They are decoded on the exporter's thread, which has a
/// current-thread runtime of tokio; one that needs another runtime must bring it.
///
/// What it fails with a time-out is sent again; all else is rejected, since theirs do not say what may pass.
pub fn span_exporter(theirs: impl SpanExporter + 'static) -> impl Transport {
    Spans(Once::new(theirs))
}

/// As [`span_exporter`], for log records; it takes no spans.
///
/// Their records want the names of events and severities for as long as the process lives: of 1,024, 256 bytes each, they are kept. A
/// further event has its name as the attribute `event.name`.
pub fn log_exporter(theirs: impl LogExporter + 'static) -> impl Transport {
    Logs {
        exporter: Once::new(theirs),
        records: Records::new(),
    }
}

/// An exporter, which is told of its resource once.
struct Once<E>(Mutex<State<E>>);

enum State<E> {
    /// It has not been told.
    New(Option<E>),
    Ready(Arc<E>),
}

impl<E> Once<E> {
    fn new(exporter: E) -> Self {
        Self(Mutex::new(State::New(Some(exporter))))
    }

    /// `None` where it panicked when it was told.
    fn ready(&self, tell: impl FnOnce(&mut E)) -> Option<Arc<E>> {
        let new = match &mut *lock(&self.0) {
            State::Ready(exporter) => return Some(Arc::clone(exporter)),
            State::New(exporter) => exporter.take(),
        };
        let mut exporter = new?;
        // Not under the lock. The exporter's thread alone comes here.
        tell(&mut exporter);
        let exporter = Arc::new(exporter);
        *lock(&self.0) = State::Ready(Arc::clone(&exporter));
        Some(exporter)
    }
}

struct Spans<E>(Once<E>);

impl<E: SpanExporter + 'static> Transport for Spans<E> {
    fn send(&self, request: Request) -> Sending {
        let Ok((spans, resource)) = span_data::read(&request.to_vec()) else {
            return refused("a request that cannot be read");
        };
        let Some(exporter) = self.0.ready(|exporter| exporter.set_resource(&resource)) else {
            return refused("the exporter panicked");
        };
        Box::pin(async move { judge(exporter.export(spans).await) })
    }

    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Traces
    }
}

struct Logs<E> {
    exporter: Once<E>,
    records: Records,
}

impl<E: LogExporter + 'static> Transport for Logs<E> {
    fn send(&self, request: Request) -> Sending {
        let Ok((records, resource)) = self.records.read(&request.to_vec()) else {
            return refused("a request that cannot be read");
        };
        let Some(exporter) = self
            .exporter
            .ready(|exporter| exporter.set_resource(&resource))
        else {
            return refused("the exporter panicked");
        };
        Box::pin(async move {
            let batch: Vec<_> = records
                .iter()
                .map(|(record, scope)| (record, scope))
                .collect();
            judge(exporter.export(LogBatch::new(&batch)).await)
        })
    }

    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Logs
    }
}

fn refused(why: &'static str) -> Sending {
    Box::pin(async move { Err(Failure::reject(why)) })
}

fn judge(result: OTelSdkResult) -> Result<Answer, Failure> {
    match result {
        Ok(()) => Ok(Answer::delivered()),
        Err(error @ OTelSdkError::Timeout(_)) => Err(Failure::retry(error.to_string())),
        Err(error) => Err(Failure::reject(error.to_string())),
    }
}
