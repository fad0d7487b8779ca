//! What requests of all signals have around their records, and their attributes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::SpanId;
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue};
use opentelemetry_sdk::Resource;

use crate::model::Value;
use crate::proto::value::read_attribute;
use crate::proto::wire::{Content, Malformed, each};

/// All records of a request, each with its scope, and the resource of the last of its parts.
pub(super) fn read<T>(
    message: &[u8],
    record: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<(Vec<(T, InstrumentationScope)>, Resource), Malformed> {
    let mut records = Vec::new();
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
            (2, Content::Bytes(run)) => {
                let scope = scope(run)?;
                each(run, |field, content| {
                    if let (2, Content::Bytes(bytes)) = (field, content) {
                        records.push((record(bytes)?, scope.clone()));
                    }
                    Ok(())
                })
            }
            _ => Ok(()),
        })
    })?;
    let resource = Resource::builder_empty().with_attributes(resource);
    Ok((records, resource.build()))
}

/// Of the records of one run.
fn scope(run: &[u8]) -> Result<InstrumentationScope, Malformed> {
    let (mut scope, mut schema) = (&[][..], "");
    each(run, |field, content| {
        match (field, content) {
            (1, Content::Bytes(bytes)) => scope = bytes,
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
    Ok(builder.build())
}

/// The attributes of a message, which stand in this field.
pub(super) fn pairs(message: &[u8], wanted: u32) -> Result<Vec<KeyValue>, Malformed> {
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

pub(super) fn at(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

pub(super) fn span_id(bytes: &[u8]) -> Result<SpanId, Malformed> {
    Ok(SpanId::from_bytes(bytes.try_into().map_err(|_| Malformed)?))
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}
