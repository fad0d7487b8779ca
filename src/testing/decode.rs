//! From a request's bytes to plain spans and log records.

mod logs;
mod spans;

use super::model::{Log, Span};
use crate::id::{SpanId, TraceId};
use crate::model::Value;
use crate::proto::value::read_attribute;
use crate::proto::wire::{Content, Malformed, Reader};

type Attributes = Vec<(String, Value<'static>)>;

/// The spans of an `ExportTraceServiceRequest`.
pub(super) fn spans(message: &[u8]) -> Result<Vec<Span>, Malformed> {
    records(message, |origin, bytes| {
        let span = spans::span(bytes)?;
        Ok(Span {
            scope: origin.scope.clone(),
            resource: origin.resource.clone(),
            ..span
        })
    })
}

/// The log records of an `ExportLogsServiceRequest`.
pub(super) fn logs(message: &[u8]) -> Result<Vec<Log>, Malformed> {
    records(message, |origin, bytes| {
        let log = logs::log(bytes)?;
        Ok(Log {
            scope: origin.scope.clone(),
            resource: origin.resource.clone(),
            ..log
        })
    })
}

/// Where records come from.
#[derive(Default)]
struct Origin {
    scope: String,
    resource: Attributes,
}

/// The records of a request of any signal: the messages around them have the same numbers.
fn records<T>(
    message: &[u8],
    mut read: impl FnMut(&Origin, &[u8]) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut records = Vec::new();
    let mut origin = Origin::default();
    for of_resource in fields(message, 1) {
        let of_resource = of_resource?;
        origin.resource.clear();
        for resource in fields(of_resource, 1) {
            for pair in fields(resource?, 1) {
                origin.resource.push(key_value(pair?)?);
            }
        }
        for of_scope in fields(of_resource, 2) {
            let of_scope = of_scope?;
            origin.scope.clear();
            for scope in fields(of_scope, 1) {
                for name in fields(scope?, 1) {
                    origin.scope = text(name?)?;
                }
            }
            for record in fields(of_scope, 2) {
                records.push(read(&origin, record?)?);
            }
        }
    }
    Ok(records)
}

/// Each content of one field of a message.
fn fields(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    let mut reader = Reader::new(message);
    let all = std::iter::from_fn(move || reader.next().transpose());
    all.filter_map(move |field| match field {
        Ok((known, Content::Bytes(bytes))) if known == number => Some(Ok(bytes)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

fn key_value(message: &[u8]) -> Result<(String, Value<'static>), Malformed> {
    read_attribute(message).map(|(key, value)| (key.to_owned(), value.into_owned()))
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

fn trace_id(bytes: &[u8]) -> Result<TraceId, Malformed> {
    bytes
        .try_into()
        .ok()
        .and_then(TraceId::from_bytes)
        .ok_or(Malformed)
}

fn span_id(bytes: &[u8]) -> Result<SpanId, Malformed> {
    bytes
        .try_into()
        .ok()
        .and_then(SpanId::from_bytes)
        .ok_or(Malformed)
}
