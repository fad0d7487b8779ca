//! From a request's bytes to their `SpanData`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::bridge::opentelemetry_0_33::kind_of;
use crate::model::{self, Value};
use crate::proto::trace::{IS_REMOTE, SAMPLED};
use crate::proto::value::read_attribute;
use crate::proto::wire::{Content, Malformed, Reader};

/// All spans of a request, and the resource of the last of its parts.
pub(super) fn read(message: &[u8]) -> Result<(Vec<SpanData>, Resource), Malformed> {
    let mut spans = Vec::new();
    let mut resource = Vec::new();
    each(message, |field, content| {
        let (1, Content::Bytes(part)) = (field, content) else {
            return Ok(());
        };
        each(part, |field, content| match (field, content) {
            (1, Content::Bytes(bytes)) => {
                resource = pairs(bytes, 1)?;
                Ok(())
            }
            (2, Content::Bytes(run)) => read_run(run, &mut spans),
            _ => Ok(()),
        })
    })?;
    let resource = Resource::builder_empty().with_attributes(resource);
    Ok((spans, resource.build()))
}

fn each<'a>(
    message: &'a [u8],
    mut take: impl FnMut(u32, Content<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(message);
    while let Some((field, content)) = reader.next()? {
        take(field, content)?;
    }
    Ok(())
}

/// The attributes of a message, which stand in this field.
fn pairs(message: &[u8], wanted: u32) -> Result<Vec<KeyValue>, Malformed> {
    let mut pairs = Vec::new();
    each(message, |field, content| {
        if let Content::Bytes(bytes) = content
            && field == wanted
        {
            pairs.extend(pair(read_attribute(bytes)?));
        }
        Ok(())
    })?;
    Ok(pairs)
}

/// Theirs have no empty value.
pub(super) fn pair((key, value): (&str, Value<'_>)) -> Option<KeyValue> {
    Some(KeyValue::new(Key::from(key.to_owned()), value_of(value)?))
}

/// Theirs have no bytes, no maps and no mixed lists: these are their text.
fn value_of(value: Value<'_>) -> Option<opentelemetry::Value> {
    Some(match value {
        Value::Empty => return None,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Double(value) => value.into(),
        Value::Str(text) => text.into_owned().into(),
        Value::Array(values) => list(&values).unwrap_or_else(|| format!("{values:?}").into()),
        other => format!("{other:?}").into(),
    })
}

fn list(values: &[Value<'_>]) -> Option<opentelemetry::Value> {
    fn all<T>(values: &[Value<'_>], of: impl Fn(&Value<'_>) -> Option<T>) -> Option<Vec<T>> {
        values.iter().map(of).collect()
    }
    let texts = |value: &Value<'_>| match value {
        Value::Str(text) => Some(StringValue::from(text.to_string())),
        _ => None,
    };
    let array = all(values, texts).map(Array::String);
    let array = array.or_else(|| {
        let of = |value: &Value<'_>| {
            if let Value::Int(value) = value {
                Some(*value)
            } else {
                None
            }
        };
        all(values, of).map(Array::I64)
    });
    let array = array.or_else(|| {
        let of = |value: &Value<'_>| {
            if let Value::Double(value) = value {
                Some(*value)
            } else {
                None
            }
        };
        all(values, of).map(Array::F64)
    });
    let array = array.or_else(|| {
        let of = |value: &Value<'_>| {
            if let Value::Bool(value) = value {
                Some(*value)
            } else {
                None
            }
        };
        all(values, of).map(Array::Bool)
    });
    array.map(opentelemetry::Value::Array)
}

fn read_run(message: &[u8], spans: &mut Vec<SpanData>) -> Result<(), Malformed> {
    let first = spans.len();
    let (mut scope, mut schema) = (&[][..], "");
    each(message, |field, content| {
        match (field, content) {
            (1, Content::Bytes(bytes)) => scope = bytes,
            (2, Content::Bytes(bytes)) => spans.push(span(bytes)?),
            (3, Content::Bytes(bytes)) => schema = text(bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    let (mut name, mut version) = ("", "");
    each(scope, |field, content| {
        match (field, content) {
            (1, Content::Bytes(bytes)) => name = text(bytes)?,
            (2, Content::Bytes(bytes)) => version = text(bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    let mut builder =
        InstrumentationScope::builder(name.to_owned()).with_attributes(pairs(scope, 3)?);
    if !version.is_empty() {
        builder = builder.with_version(version.to_owned());
    }
    if !schema.is_empty() {
        builder = builder.with_schema_url(schema.to_owned());
    }
    let scope = builder.build();
    for span in spans.iter_mut().skip(first) {
        span.instrumentation_scope = scope.clone();
    }
    Ok(())
}

fn span(message: &[u8]) -> Result<SpanData, Malformed> {
    let mut span = SpanData {
        span_context: context(message, [1, 2, 3, 16])?.0,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "".into(),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes: pairs(message, 9)?,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    };
    each(message, |field, content| {
        match (field, content) {
            (4, Content::Bytes(id)) => span.parent_span_id = span_id(id)?,
            (5, Content::Bytes(name)) => span.name = text(name)?.to_owned().into(),
            (6, Content::Varint(kind)) => {
                span.span_kind = kind_of(model::SpanKind::from_number(kind))
            }
            (7, Content::Fixed64(time)) => span.start_time = at(time),
            (8, Content::Fixed64(time)) => span.end_time = at(time),
            (10, Content::Varint(count)) => span.dropped_attributes_count = count as u32,
            (11, Content::Bytes(bytes)) => span.events.events.push(event(bytes)?),
            (12, Content::Varint(count)) => span.events.dropped_count = count as u32,
            (13, Content::Bytes(bytes)) => {
                let (to, dropped) = context(bytes, [1, 2, 3, 6])?;
                span.links
                    .links
                    .push(Link::new(to, pairs(bytes, 4)?, dropped));
            }
            (14, Content::Varint(count)) => span.links.dropped_count = count as u32,
            (15, Content::Bytes(bytes)) => span.status = status(bytes)?,
            (16, Content::Fixed32(flags)) => span.parent_span_is_remote = flags & IS_REMOTE != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(span)
}

/// Ids, tracestate and flags in these fields, and the count in field 5, which a link has.
fn context(message: &[u8], fields: [u32; 4]) -> Result<(SpanContext, u32), Malformed> {
    let (mut trace, mut id, mut state) = (TraceId::INVALID, SpanId::INVALID, TraceState::NONE);
    let (mut flags, mut dropped) = (0, 0);
    each(message, |field, content| {
        match content {
            Content::Bytes(bytes) if field == fields[0] => {
                trace = TraceId::from_bytes(bytes.try_into().map_err(|_| Malformed)?);
            }
            Content::Bytes(bytes) if field == fields[1] => id = span_id(bytes)?,
            Content::Bytes(bytes) if field == fields[2] => {
                state = text(bytes)?.parse().unwrap_or_default();
            }
            Content::Fixed32(bits) if field == fields[3] => flags = bits,
            Content::Varint(count) if field == 5 => dropped = count as u32,
            _ => {}
        }
        Ok(())
    })?;
    // Of a span, the flag says that its parent is remote.
    let is_remote = fields[3] == 6 && flags & IS_REMOTE != 0;
    let flags = TraceFlags::new((flags & (SAMPLED | 0xFE)) as u8);
    Ok((
        SpanContext::new(trace, id, flags, is_remote, state),
        dropped,
    ))
}

fn event(message: &[u8]) -> Result<Event, Malformed> {
    let (mut name, mut time, mut dropped) = ("", 0, 0);
    each(message, |field, content| {
        match (field, content) {
            (1, Content::Fixed64(nanos)) => time = nanos,
            (2, Content::Bytes(bytes)) => name = text(bytes)?,
            (4, Content::Varint(count)) => dropped = count as u32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Event::new(
        name.to_owned(),
        at(time),
        pairs(message, 3)?,
        dropped,
    ))
}

fn status(message: &[u8]) -> Result<Status, Malformed> {
    let (mut code, mut description) = (0, "");
    each(message, |field, content| {
        match (field, content) {
            (2, Content::Bytes(bytes)) => description = text(bytes)?,
            (3, Content::Varint(number)) => code = number,
            _ => {}
        }
        Ok(())
    })?;
    Ok(match code {
        1 => Status::Ok,
        2 => Status::error(description.to_owned()),
        _ => Status::Unset,
    })
}

fn at(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

fn span_id(bytes: &[u8]) -> Result<SpanId, Malformed> {
    Ok(SpanId::from_bytes(bytes.try_into().map_err(|_| Malformed)?))
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}
