//! A pipeline that exports spans and logs into memory, and what it exported as prost decodes it.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tracing_otlp::{
    Answer, Builder, Events, Guard, Handle, OtlpLayer, Request, Sending, Signal, Transport,
};
use tracing_subscriber::prelude::*;

use super::exported::{Attributed, Exported, Spans, decode};
use super::valid;

const PATIENCE: Duration = Duration::from_secs(60);

/// A log record with what stands around it.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    record: LogRecord,
    pub(crate) scope: String,
    pub(crate) resource: Resource,
}

impl Deref for Logged {
    type Target = LogRecord;

    fn deref(&self) -> &LogRecord {
        &self.record
    }
}

impl Attributed for LogRecord {
    fn pairs(&self) -> &[KeyValue] {
        &self.attributes
    }
}

impl Logged {
    /// The body; empty where there is none, or one that is no text.
    pub(crate) fn text(&self) -> &str {
        match self.body.as_ref().and_then(|body| body.value.as_ref()) {
            Some(Value::StringValue(text)) => text,
            _ => "",
        }
    }

    #[track_caller]
    pub(crate) fn assert_in(&self, span: &Exported) {
        assert_eq!(self.trace_id, span.trace_id);
        assert_eq!(self.span_id, span.span_id);
        assert_eq!(self.flags, span.flags & 0xFF);
    }

    pub(crate) fn has_no_ids(&self) -> bool {
        self.trace_id.is_empty() && self.span_id.is_empty() && self.flags == 0
    }
}

/// Logs in the order of their export.
#[derive(Clone, Debug)]
pub(crate) struct Logs(Vec<Logged>);

impl Deref for Logs {
    type Target = [Logged];

    fn deref(&self) -> &[Logged] {
        &self.0
    }
}

impl Logs {
    /// The one with this body.
    #[track_caller]
    pub(crate) fn of(&self, body: &str) -> &Logged {
        let mut found = self.iter().filter(|log| log.text() == body);
        match (found.next(), found.next()) {
            (Some(log), None) => log,
            _ => panic!("not one log {body:?} in {:?}", self.texts()),
        }
    }

    #[track_caller]
    pub(crate) fn only(&self) -> &Logged {
        match &self.0[..] {
            [log] => log,
            _ => panic!("not one log: {:?}", self.texts()),
        }
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        self.iter().map(Logged::text).collect()
    }
}

/// Keeps the requests of each signal.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<Encoded>>>);

type Encoded = (Signal, Vec<u8>);

impl Transport for Kept {
    fn send(&self, request: Request) -> Sending {
        let kept = (request.signal(), request.to_vec());
        self.0.lock().unwrap().push(kept);
        Box::pin(async { Ok(Answer::delivered()) })
    }
}

pub(crate) struct Signals {
    kept: Kept,
    guard: Guard,
}

impl Signals {
    pub(crate) fn with(settings: impl FnOnce(Builder) -> Builder) -> (OtlpLayer, Self) {
        let kept = Kept::default();
        let builder = tracing_otlp::layer()
            .with_service_name("test")
            .with_transport(kept.clone());
        let (layer, guard) = settings(builder).build().unwrap();
        (layer, Self { kept, guard })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.guard.handle()
    }

    pub(crate) fn requests(&self, signal: Signal) -> Vec<Vec<u8>> {
        let kept = self.kept.0.lock().unwrap();
        let of_signal = kept.iter().filter(|(of, _)| *of == signal);
        of_signal.map(|(_, request)| request.clone()).collect()
    }

    /// Everything that was exported: valid, and as many of each as the ledgers say. Nothing was dropped.
    pub(crate) fn exported(&self) -> (Spans, Logs) {
        self.handle().flush(PATIENCE).unwrap();
        let requests = self.requests(Signal::Traces);
        valid::check(&requests);
        let spans = decode(&requests);
        let logs = decode_logs(&self.requests(Signal::Logs));
        let signals = [(Signal::Traces, spans.len()), (Signal::Logs, logs.len())];
        for (signal, records) in signals {
            let stats = self.handle().stats_of(signal);
            assert!(stats.is_balanced(), "{stats}");
            assert_eq!(stats.delivered(), records as u64, "{signal}: {stats}");
            assert_eq!((stats.dropped(), stats.held()), (0, 0), "{signal}: {stats}");
        }
        (spans, logs)
    }
}

/// What becomes of the spans and events that `work` makes, under a Registry with the layer and nothing else.
pub(crate) fn exported_with(
    settings: impl FnOnce(Builder) -> Builder,
    work: impl FnOnce(),
) -> (Spans, Logs) {
    let (layer, signals) = Signals::with(settings);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    signals.exported()
}

/// As [`exported_with`], where events are logs.
pub(crate) fn logged(work: impl FnOnce()) -> (Spans, Logs) {
    exported_with(|builder| builder.with_events(Events::Logs), work)
}

/// The logs of these requests, which are valid.
pub(crate) fn decode_logs(requests: &[Vec<u8>]) -> Logs {
    let mut logs = Vec::new();
    for bytes in requests {
        let request = ExportLogsServiceRequest::decode(&bytes[..]).unwrap();
        for resource_logs in request.resource_logs {
            let resource = resource_logs.resource.unwrap();
            assert!(!resource_logs.scope_logs.is_empty());
            for scope_logs in resource_logs.scope_logs {
                let scope = scope_logs.scope.unwrap();
                // 8.7: "do not set scope attributes".
                assert!(scope.attributes.is_empty() && scope.version.is_empty());
                assert!(!scope_logs.log_records.is_empty());
                logs.extend(scope_logs.log_records.into_iter().map(|record| Logged {
                    record,
                    scope: scope.name.clone(),
                    resource: resource.clone(),
                }));
            }
        }
    }
    logs.iter().for_each(check);
    Logs(logs)
}

/// What holds of every log.
fn check(log: &Logged) {
    // 8.3, 8.4: both times, and they are one.
    assert!(log.time_unix_nano > 0);
    assert_eq!(log.time_unix_nano, log.observed_time_unix_nano);
    // 8.1
    let severities = [
        (1, "TRACE"),
        (5, "DEBUG"),
        (9, "INFO"),
        (13, "WARN"),
        (17, "ERROR"),
    ];
    assert!(severities.contains(&(log.severity_number, &*log.severity_text)));
    // 8.6: ids are there or not, and are not zero; a span's id goes with its trace's.
    let is_id = |id: &[u8], len| id.len() == len && id.iter().any(|byte| *byte != 0);
    let has_ids = is_id(&log.trace_id, 16) && is_id(&log.span_id, 8);
    assert!(has_ids || log.has_no_ids(), "{log:?}");
    assert!(log.flags <= 0xFF);
    // 8.12: unique keys, none of them empty, each with a value.
    let mut seen = HashSet::new();
    for KeyValue { key, value, .. } in log.pairs() {
        assert!(seen.insert(key) && !key.is_empty(), "{key:?} in {log:?}");
        assert!(matches!(value, Some(AnyValue { value: Some(_) })), "{key}");
    }
}
