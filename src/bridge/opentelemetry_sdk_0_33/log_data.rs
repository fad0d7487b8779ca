//! From a request's bytes to their `SdkLogRecord`.

use std::collections::HashSet;
use std::sync::Mutex;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{InstrumentationScope, Key, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};

use super::request::{self, at, span_id, text};
use crate::model::Value;
use crate::proto::value::{read_any, read_attribute};
use crate::proto::wire::{Content, Malformed, each};
use crate::sync::lock;

/// What their API says of events that have a name, where theirs has no room for it.
const EVENT_NAME: &str = "event.name";

/// Makes their records, which have no public constructor.
#[derive(Debug)]
pub(super) struct Records {
    logger: SdkLogger,
    names: Names,
}

impl Records {
    pub(super) fn new() -> Self {
        let provider = SdkLoggerProvider::builder()
            .with_resource(Resource::builder_empty().build())
            .build();
        Self {
            logger: provider.logger(""),
            names: Names::default(),
        }
    }

    /// All records of a request, and its resource.
    pub(super) fn read(
        &self,
        message: &[u8],
    ) -> Result<(Vec<(SdkLogRecord, InstrumentationScope)>, Resource), Malformed> {
        let (mut records, resource) = request::read(message, |bytes| self.record(bytes))?;
        for (record, scope) in &mut records {
            if is_only_a_name(scope) {
                // As their appender does, whose target exporters take for the scope's name.
                record.set_target(scope.name().to_owned());
            }
        }
        Ok((records, resource))
    }

    fn record(&self, message: &[u8]) -> Result<SdkLogRecord, Malformed> {
        let mut record = self.logger.create_log_record();
        let (mut trace, mut span, mut flags) = (TraceId::INVALID, SpanId::INVALID, None);
        each(message, |field, content| {
            match (field, content) {
                (1, Content::Fixed64(time)) => record.set_timestamp(at(time)),
                (11, Content::Fixed64(time)) => record.set_observed_timestamp(at(time)),
                (2, Content::Varint(number)) => {
                    if let Some(severity) = severity(number) {
                        record.set_severity_number(severity);
                    }
                }
                (3, Content::Bytes(bytes)) => {
                    if let Some(name) = self.names.intern(text(bytes)?) {
                        record.set_severity_text(name);
                    }
                }
                (5, Content::Bytes(value)) => {
                    if let Some(body) = any(read_any(value)?) {
                        record.set_body(body);
                    }
                }
                (6, Content::Bytes(pair)) => {
                    let (key, value) = read_attribute(pair)?;
                    if let Some(value) = any(value) {
                        record.add_attribute(key.to_owned(), value);
                    }
                }
                (8, Content::Fixed32(bits)) => flags = Some(TraceFlags::new(bits as u8)),
                (9, Content::Bytes(bytes)) => {
                    trace = TraceId::from_bytes(bytes.try_into().map_err(|_| Malformed)?);
                }
                (10, Content::Bytes(bytes)) => span = span_id(bytes)?,
                (12, Content::Bytes(bytes)) => {
                    let name = text(bytes)?;
                    match self.names.intern(name) {
                        Some(name) => record.set_event_name(name),
                        None => record.add_attribute(EVENT_NAME, name.to_owned()),
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        if trace != TraceId::INVALID {
            record.set_trace_context(trace, span, flags.or(Some(TraceFlags::NOT_SAMPLED)));
        }
        Ok(record)
    }
}

fn is_only_a_name(scope: &InstrumentationScope) -> bool {
    !scope.name().is_empty()
        && scope.version().is_none()
        && scope.schema_url().is_none()
        && scope.attributes().next().is_none()
}

/// So many names are kept for as long as the process lives, and none that is longer.
const MOST_NAMES: usize = 1024;
const LONGEST_NAME: usize = 256;

/// Texts that theirs want to have for ever. The names of callsites and severities are few; what a program makes up may not be.
#[derive(Debug, Default)]
struct Names(Mutex<HashSet<&'static str>>);

impl Names {
    fn intern(&self, name: &str) -> Option<&'static str> {
        let mut known = lock(&self.0);
        if let Some(name) = known.get(name) {
            return Some(name);
        }
        if known.len() >= MOST_NAMES || name.len() > LONGEST_NAME {
            return None;
        }
        let name = &*Box::leak(Box::<str>::from(name));
        known.insert(name);
        Some(name)
    }
}

fn severity(number: u64) -> Option<Severity> {
    const ALL: [Severity; 24] = [
        Severity::Trace,
        Severity::Trace2,
        Severity::Trace3,
        Severity::Trace4,
        Severity::Debug,
        Severity::Debug2,
        Severity::Debug3,
        Severity::Debug4,
        Severity::Info,
        Severity::Info2,
        Severity::Info3,
        Severity::Info4,
        Severity::Warn,
        Severity::Warn2,
        Severity::Warn3,
        Severity::Warn4,
        Severity::Error,
        Severity::Error2,
        Severity::Error3,
        Severity::Error4,
        Severity::Fatal,
        Severity::Fatal2,
        Severity::Fatal3,
        Severity::Fatal4,
    ];
    let at = usize::try_from(number.checked_sub(1)?).ok()?;
    ALL.get(at).copied()
}

/// Theirs have no empty value.
fn any(value: Value<'_>) -> Option<AnyValue> {
    Some(match value {
        Value::Empty => return None,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Double(value) => value.into(),
        Value::Str(text) => text.into_owned().into(),
        Value::Bytes(bytes) => AnyValue::Bytes(Box::new(bytes.into_owned())),
        Value::Array(values) => {
            AnyValue::ListAny(Box::new(values.into_iter().filter_map(any).collect()))
        }
        Value::Map(pairs) => {
            let pair = |(key, value): (std::borrow::Cow<'_, str>, Value<'_>)| {
                Some((Key::from(key.into_owned()), any(value)?))
            };
            AnyValue::Map(Box::new(pairs.into_iter().filter_map(pair).collect()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_once_and_up_to_a_bound() {
        let names = Names::default();
        let first = names.intern("name").unwrap();
        assert!(std::ptr::eq(first, names.intern("name").unwrap()));
        assert_eq!(names.intern(&"long".repeat(LONGEST_NAME)), None);
        let kept = (0..2 * MOST_NAMES).filter(|name| names.intern(&name.to_string()).is_some());
        assert_eq!(kept.count(), MOST_NAMES - 1);
        assert_eq!(names.intern("name"), Some("name"));
    }

    #[test]
    fn severities_have_their_numbers() {
        for number in 1..=24 {
            assert_eq!(
                severity(number).map(|severity| severity as u64),
                Some(number)
            );
        }
        assert_eq!((severity(0), severity(25)), (None, None));
    }
}
