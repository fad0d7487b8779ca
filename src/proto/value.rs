//! Attributes whose key and value are known only at run time: a [`Value`] written, and read again.
//!
//! What a callsite's fields say goes a faster way (see [`super::common`]).

use std::borrow::Cow;
use std::collections::HashMap;

use super::common::{
    ARRAY_VALUE, ARRAY_VALUES, BOOL_VALUE, BYTES_VALUE, DOUBLE_VALUE, INT_VALUE, KEY, KVLIST_VALUE,
    KVLIST_VALUES, STRING_VALUE, VALUE,
};
use super::wire::{self, Content, Malformed, Reader, put_varint};
use crate::model::Value;

/// What an attribute's value is held to (specification, attribute limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueBounds {
    /// Characters of a text, and bytes of a byte sequence; `usize::MAX` is no bound.
    pub(crate) length: usize,
    /// Levels of arrays and maps, of which the attribute's own value is the first.
    pub(crate) depth: u32,
    /// Bytes that the attribute's contents may take, about: what lies beyond is not even looked at. `usize::MAX` is no bound.
    pub(crate) bytes: usize,
}

impl Default for ValueBounds {
    /// "Default=Infinity" and 64 levels.
    fn default() -> Self {
        Self {
            length: usize::MAX,
            depth: 64,
            bytes: usize::MAX,
        }
    }
}

/// Appends an attribute with this tag, unless its key is empty, or longer than there are bytes for; what exceeds the bounds is
/// cut. Says whether anything was for want of bytes.
pub(crate) fn put_attribute(
    out: &mut Vec<u8>,
    tag: u8,
    key: &str,
    value: &Value<'_>,
    bounds: &ValueBounds,
) -> bool {
    if key.is_empty() || key.len() > bounds.bytes {
        return !key.is_empty();
    }
    let mut pen = Pen {
        bounds,
        end: out.len().saturating_add(bounds.bytes),
        is_cut: false,
    };
    pen.put_pair(out, tag, key, value, 1);
    pen.is_cut
}

/// Appends a value in a field with this tag, cut as an attribute's is; says whether it was for want of bytes.
#[cfg(feature = "opentelemetry-sdk-0_33")]
pub(crate) fn put_value(
    out: &mut Vec<u8>,
    tag: u8,
    value: &Value<'_>,
    bounds: &ValueBounds,
) -> bool {
    let mut pen = Pen {
        bounds,
        end: out.len().saturating_add(bounds.bytes),
        is_cut: false,
    };
    put_nested(out, tag, |out| pen.put_any(out, value, 1));
    pen.is_cut
}

/// Writes one attribute.
struct Pen<'b> {
    bounds: &'b ValueBounds,
    /// No more is written when `out` is so long.
    end: usize,
    is_cut: bool,
}

impl Pen<'_> {
    fn put_pair(&mut self, out: &mut Vec<u8>, tag: u8, key: &str, value: &Value<'_>, level: u32) {
        put_nested(out, tag, |out| {
            wire::put_len(out, KEY, key.as_bytes());
            put_nested(out, VALUE, |out| self.put_any(out, value, level));
        });
    }

    /// The content of an `AnyValue`.
    fn put_any(&mut self, out: &mut Vec<u8>, value: &Value<'_>, level: u32) {
        match value {
            Value::Empty => {}
            Value::Str(text) => {
                let kept = beginning(text, self.bounds.length);
                let fitting = fitting(kept, self.room(out, kept.len()));
                wire::put_len(out, STRING_VALUE, fitting.as_bytes());
            }
            Value::Bool(value) => out.extend_from_slice(&[BOOL_VALUE, u8::from(*value)]),
            Value::Int(value) => {
                out.push(INT_VALUE);
                put_varint(out, *value as u64);
            }
            Value::Double(value) => {
                out.push(DOUBLE_VALUE);
                out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
            Value::Bytes(bytes) => {
                let kept = bytes.get(..self.bounds.length).unwrap_or(bytes);
                let fitting = kept.get(..self.room(out, kept.len())).unwrap_or(kept);
                wire::put_len(out, BYTES_VALUE, fitting);
            }
            // "If the depth limit is exceeded, the value is replaced by an empty one."
            Value::Array(_) | Value::Map(_) if level > self.bounds.depth => {}
            Value::Array(values) => put_nested(out, ARRAY_VALUE, |out| {
                for value in values {
                    if self.is_full(out) {
                        break;
                    }
                    put_nested(out, ARRAY_VALUES, |out| self.put_any(out, value, level + 1));
                }
            }),
            Value::Map(pairs) => put_nested(out, KVLIST_VALUE, |out| {
                // None of those behind would fit: each takes some bytes.
                let fitting = pairs
                    .get(..self.end.saturating_sub(out.len()))
                    .unwrap_or(pairs);
                self.is_cut |= fitting.len() < pairs.len();
                for (key, value) in distinct(fitting) {
                    if self.is_full(out) {
                        break;
                    }
                    self.put_pair(out, KVLIST_VALUES, key, value, level + 1);
                }
            }),
        }
    }

    /// As many of so many bytes as there is room for.
    fn room(&mut self, out: &[u8], wanted: usize) -> usize {
        let room = self.end.saturating_sub(out.len());
        self.is_cut |= room < wanted;
        room.min(wanted)
    }

    fn is_full(&mut self, out: &[u8]) -> bool {
        let is_full = out.len() >= self.end;
        self.is_cut |= is_full;
        is_full
    }
}

/// So many pairs are compared with each other; more are looked up in a table.
const FEW: usize = 16;

/// The pairs of which no later one has the key, less those without a key: "the keys of a map are unique".
pub(crate) fn distinct<'v>(
    pairs: &'v [(Cow<'_, str>, Value<'_>)],
) -> impl Iterator<Item = (&'v str, &'v Value<'v>)> {
    let mut last = HashMap::new();
    if pairs.len() > FEW {
        last.extend(pairs.iter().enumerate().map(|(at, (key, _))| (&**key, at)));
    }
    let is_last = move |at: usize, key: &str| match last.get(key) {
        Some(last) => *last == at,
        None => pairs.iter().skip(at + 1).all(|(later, _)| later != key),
    };
    let kept = pairs
        .iter()
        .enumerate()
        .filter(move |(at, (key, _))| !key.is_empty() && is_last(*at, key));
    kept.map(|(_, (key, value))| (&**key, value))
}

/// The first so many characters of a text.
#[inline]
pub(crate) fn beginning(text: &str, characters: usize) -> &str {
    // A character has a byte at least, so most texts need not be looked at.
    if text.len() <= characters {
        return text;
    }
    let end = text.char_indices().nth(characters);
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// As much of a text as fits so many bytes, cut between two characters.
pub(crate) fn fitting(text: &str, bytes: usize) -> &str {
    let cut = (0..=bytes.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.get(..cut.unwrap_or(0)).unwrap_or_default()
}

/// A message of which the length is known when it is written.
fn put_nested(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[tag, 0]);
    let start = out.len();
    write(out);
    wire::set_len(out, start);
}

/// A message's attribute of this key, which is written first in its `KeyValue`.
pub(crate) fn attribute<'a>(message: &'a [u8], tag: u8, key: &str) -> Option<Value<'a>> {
    let has_key = |pair: &&[u8]| {
        let first = Reader::new(pair).next();
        matches!(first, Ok(Some((1, Content::Bytes(bytes)))) if bytes == key.as_bytes())
    };
    let (_, value) = read_attribute(wire::fields(message, tag).find(has_key)?).ok()?;
    Some(value)
}

/// All attributes of a message. Each is decoded as it is asked for.
pub(crate) fn attributes(message: &[u8], tag: u8) -> impl Iterator<Item = (&str, Value<'_>)> {
    wire::fields(message, tag).filter_map(|pair| read_attribute(pair).ok())
}

/// The key and the value of a `KeyValue`.
pub(crate) fn read_attribute(message: &[u8]) -> Result<(&str, Value<'_>), Malformed> {
    let (mut key, mut value) = ("", Value::Empty);
    let mut reader = Reader::new(message);
    while let Some((field, content)) = reader.next()? {
        match (field, content) {
            (1, Content::Bytes(bytes)) => key = text(bytes)?,
            (2, Content::Bytes(bytes)) => value = read_any(bytes)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `AnyValue`.
pub(crate) fn read_any(message: &[u8]) -> Result<Value<'_>, Malformed> {
    let mut value = Value::Empty;
    let mut reader = Reader::new(message);
    while let Some((field, content)) = reader.next()? {
        value = match (field, content) {
            (1, Content::Bytes(bytes)) => Value::Str(Cow::Borrowed(text(bytes)?)),
            (2, Content::Varint(bit)) => Value::Bool(bit != 0),
            (3, Content::Varint(bits)) => Value::Int(bits as i64),
            (4, Content::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            (5, Content::Bytes(bytes)) => Value::Array(each(bytes, read_any)?),
            (6, Content::Bytes(bytes)) => {
                let pair = |pair| read_attribute(pair).map(|(key, value)| (key.into(), value));
                Value::Map(each(bytes, pair)?)
            }
            (7, Content::Bytes(bytes)) => Value::Bytes(Cow::Borrowed(bytes)),
            _ => continue,
        };
    }
    Ok(value)
}

/// The items of an array or a map.
fn each<'a, T>(
    message: &'a [u8],
    read: impl Fn(&'a [u8]) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut items = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((field, content)) = reader.next()? {
        if let (1, Content::Bytes(bytes)) = (field, content) {
            items.push(read(bytes)?);
        }
    }
    Ok(items)
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests;
