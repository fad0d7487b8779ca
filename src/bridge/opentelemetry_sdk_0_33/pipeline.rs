//! A pipeline as an exporter of theirs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::encode::{Encoded, Encoder};
use crate::bridge::opentelemetry_0_33::api::convert::value;
use crate::config::Limits;
use crate::error::Error;
use crate::layer::{Parts, Scope};
use crate::queue::{self, Record, Stream};

type Flush = Arc<dyn Fn(Duration) -> Result<(), Error> + Send + Sync>;

/// So long a flush takes at most where theirs do not say how long.
const FLUSH: Duration = Duration::from_secs(5);

/// A pipeline as a `SpanExporter` and a `LogExporter` of theirs, for programs that keep their SDK: what it exports goes through the
/// pipeline's queue, transport, retries and ledger. Made of a [`Handle`](crate::Handle).
///
/// ```
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tracing_otlp::bridge::opentelemetry_sdk_0_33::PipelineExporter;
/// # use tracing_otlp::{Answer, Request, Sending, Transport};
/// # struct Discard;
/// # impl Transport for Discard {
/// #     fn send(&self, _: Request) -> Sending { Box::pin(async { Ok(Answer::delivered()) }) }
/// # }
///
/// let (_layer, guard) = tracing_otlp::layer().with_transport(Discard).build()?;
/// let provider = SdkTracerProvider::builder()
///     .with_simple_exporter(PipelineExporter::from(&guard.handle()))
///     .build();
/// # drop(provider);
/// # Ok::<(), tracing_otlp::Error>(())
/// ```
///
/// - It takes a batch at once and never waits. A simple processor is enough, since the pipeline makes batches.
/// - Log records need a pipeline that exports some ([`Builder::with_events`](crate::Builder::with_events)). What it does not export, it
///   takes and forgets.
/// - The resource is that of the pipeline ([`resource_attributes`](super::resource_attributes) brings theirs), and so are the limits.
/// - Processors see the values, and no spans that begin or end. Samplers, filters and tail sampling have no say: theirs
///   have had theirs.
/// - Shutting their provider down flushes the pipeline, which its guard shuts down.
#[derive(Clone)]
pub struct PipelineExporter {
    /// `None` where the pipeline exports none.
    traces: Option<Stream>,
    logs: Option<Stream>,
    encoder: Encoder,
    flush: Flush,
}

impl PipelineExporter {
    pub(crate) fn new(parts: Parts, spans: Limits, logs: Limits, flush: Flush) -> Self {
        Self {
            traces: Some(parts.traces).filter(|_| parts.exports_spans),
            logs: parts.logs,
            encoder: Encoder {
                spans,
                logs,
                processors: parts.processors,
            },
            flush,
        }
    }

    fn flush(&self, timeout: Duration) -> OTelSdkResult {
        (self.flush)(timeout).map_err(|error| {
            if error.is_timeout() {
                OTelSdkError::Timeout(timeout)
            } else {
                OTelSdkError::InternalFailure(error.to_string())
            }
        })
    }
}

impl fmt::Debug for PipelineExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineExporter").finish_non_exhaustive()
    }
}

impl SpanExporter for PipelineExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let Some(stream) = &self.traces else {
            return Ok(());
        };
        let mut scopes = Scopes::default();
        let mut invalid = 0_u64;
        for span in &batch {
            match self.encoder.span(span) {
                Some(encoded) => append(stream, scopes.of(&span.instrumentation_scope), &encoded),
                None => invalid += 1,
            }
        }
        if invalid > 0 {
            return Err(OTelSdkError::InternalFailure(format!(
                "{invalid} spans without valid ids"
            )));
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH)
    }
}

impl LogExporter for PipelineExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let Some(stream) = &self.logs else {
            return Ok(());
        };
        let mut scopes = Scopes::default();
        for (log, scope) in batch.iter() {
            let encoded = self.encoder.log(log);
            let run = match log.target() {
                // As their own exporter does.
                Some(target) if !target.is_empty() => named(target),
                _ => scopes.of(scope),
            };
            append(stream, run, &encoded);
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }

    fn event_enabled(&self, _: opentelemetry::logs::Severity, _: &str, _: Option<&str>) -> bool {
        self.logs.is_some()
    }
}

fn append(stream: &Stream, scope: queue::Scope, encoded: &Encoded) {
    let message = &*encoded.message;
    if encoded.truncated > 0 {
        stream.ledger.truncated(encoded.truncated.into());
    }
    if encoded.is_limited {
        stream.ledger.limited();
    }
    stream.append(&Record { scope, message });
}

/// Scopes of a batch, of which most records have the same.
#[derive(Default)]
struct Scopes<'b>(Option<(&'b InstrumentationScope, queue::Scope)>);

impl<'b> Scopes<'b> {
    fn of(&mut self, scope: &'b InstrumentationScope) -> queue::Scope {
        if let Some((known, run)) = self.0
            && known == scope
        {
            return run;
        }
        let attributes = scope
            .attributes()
            .map(|pair| (pair.key.as_str(), value(&pair.value)));
        let run = Scope::of(
            scope.name(),
            scope.version().unwrap_or_default(),
            attributes,
            scope.schema_url().unwrap_or_default(),
        )
        .run();
        self.0 = Some((scope, run));
        run
    }
}

fn named(name: &str) -> queue::Scope {
    Scope::of(name, "", std::iter::empty(), "").run()
}
