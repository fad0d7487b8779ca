//! Their exporters as transports.

use std::sync::{Arc, Mutex};

use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::SpanExporter;

use super::data;
use crate::export::{Answer, Failure, Request, Sending, Transport};
use crate::signal::Signal;
use crate::sync::lock;

/// An exporter of theirs as the way out of a pipeline. Records are decoded on the exporter's thread, which has a current-thread runtime of
/// tokio; one that needs a runtime of its own kind must bring it.
///
/// What it fails with a time-out is sent again; all else is rejected, since theirs do not say what may pass. Log records are not
/// taken.
pub fn span_exporter(theirs: impl SpanExporter + 'static) -> impl Transport {
    Exporter(Mutex::new(State::New(Some(theirs))))
}

struct Exporter<E>(Mutex<State<E>>);

enum State<E> {
    /// It has not been told of its resource yet.
    New(Option<E>),
    Ready(Arc<E>),
}

impl<E: SpanExporter> Exporter<E> {
    fn ready(&self, resource: &opentelemetry_sdk::Resource) -> Option<Arc<E>> {
        let new = match &mut *lock(&self.0) {
            State::Ready(exporter) => return Some(Arc::clone(exporter)),
            State::New(exporter) => exporter.take(),
        };
        let mut exporter = new?;
        // Not under the lock. The exporter's thread alone comes here.
        exporter.set_resource(resource);
        let exporter = Arc::new(exporter);
        *lock(&self.0) = State::Ready(Arc::clone(&exporter));
        Some(exporter)
    }
}

impl<E: SpanExporter + 'static> Transport for Exporter<E> {
    fn send(&self, request: Request) -> Sending {
        if request.signal() != Signal::Traces {
            return Box::pin(async {
                Err(Failure::no_pipeline("an exporter of spans takes no logs"))
            });
        }
        let Ok((spans, resource)) = data::read(&request.to_vec()) else {
            return Box::pin(async { Err(Failure::reject("a request that cannot be read")) });
        };
        let exporter = self.ready(&resource);
        Box::pin(async move {
            let Some(exporter) = exporter else {
                return Err(Failure::reject("the exporter panicked"));
            };
            match exporter.export(spans).await {
                Ok(()) => Ok(Answer::delivered()),
                Err(error @ OTelSdkError::Timeout(_)) => Err(Failure::retry(error.to_string())),
                Err(error) => Err(Failure::reject(error.to_string())),
            }
        })
    }
}
