//! OTLP/JSON, made of the protobuf encoding: one walker over tables of the messages, without a tree in between.
//!
//! "OTLP uses proto3 standard defined JSON Mapping for protobuf", but trace and span ids are hexadecimal, enumerations are
//! numbers and keys are lowerCamelCase. A record's repeated fields stand in the order in which they became known, between
//! others; one pass over a message finds where each begins, and each is then written from there. What is written is one
//! line, as compact as it can be.

mod scalar;
mod schema;

use self::schema::{Field, Kind, Message};
use super::wire::{Content, Malformed, Reader};
use crate::signal::Signal;

/// How deep values may lie in arrays and maps; what lies deeper is written as an empty value. Each level of a map adds four
/// levels of JSON to the twelve above it, and common parsers stop at 128.
const MOST_NESTED: usize = 24;

/// More than the highest number of a field in the tables.
const NUMBERS: usize = 17;

/// Appends an encoded `ExportTraceServiceRequest` or `ExportLogsServiceRequest`, which are `TracesData` and `LogsData` too, as JSON.
/// Nothing is appended where it is malformed.
pub(crate) fn request(signal: Signal, message: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let table = match signal {
        Signal::Traces => &schema::TRACES,
        Signal::Logs => &schema::LOGS,
    };
    let start = out.len();
    let written = put(table, message, 0, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// A field where it stands in its message.
struct Found<'a> {
    /// The message from the first occurrence on.
    from: Reader<'a>,
    times: usize,
    /// The last occurrence: "parsers are expected to accept the last one they see".
    last: Content<'a>,
}

impl<'a> Found<'a> {
    fn count(known: &mut Option<Self>, from: Reader<'a>, last: Content<'a>) {
        match known {
            Some(found) => {
                found.times += 1;
                found.last = last;
            }
            None => {
                *known = Some(Self {
                    from,
                    times: 1,
                    last,
                });
            }
        }
    }

    /// The content of each occurrence.
    fn each(&self, number: u32) -> impl Iterator<Item = Result<&'a [u8], Malformed>> {
        let mut reader = self.from.clone();
        let fields = std::iter::from_fn(move || reader.next().transpose());
        let own = fields.filter_map(move |field| match field {
            Ok((known, _)) if known != number => None,
            Ok((_, Content::Bytes(content))) => Some(Ok(content)),
            Ok(_) | Err(Malformed) => Some(Err(Malformed)),
        });
        own.take(self.times)
    }
}

fn put(table: &Message, message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.push(b'{');
    if table.is_one_of {
        put_set(table, message, depth, out)?;
    } else {
        put_all(table, message, depth, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// The fields of a message, but those that have their default.
fn put_all(
    table: &Message,
    message: &[u8],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let mut found = [const { None }; NUMBERS];
    let mut reader = Reader::new(message);
    let mut from = reader.clone();
    while let Some((number, content)) = reader.next()? {
        if let Some(known) = found.get_mut(number as usize) {
            Found::count(known, from, content);
        }
        from = reader.clone();
    }
    let start = out.len();
    for field in table.fields {
        let Some(Some(found)) = found.get(field.number as usize) else {
            continue;
        };
        if is_default(field.kind, found.last) {
            continue;
        }
        if out.len() > start {
            out.push(b',');
        }
        put_field(field, found, depth, out)?;
    }
    Ok(())
}

/// The one field that is set.
fn put_set(
    table: &Message,
    message: &[u8],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    if depth > MOST_NESTED {
        return Ok(());
    }
    let mut set: Option<(&Field, Option<Found<'_>>)> = None;
    let mut reader = Reader::new(message);
    let mut from = reader.clone();
    while let Some((number, content)) = reader.next()? {
        if let Some(field) = table.fields.iter().find(|field| field.number == number) {
            // Another one clears what was set before.
            match &mut set {
                Some((known, found)) if known.number == number => {
                    Found::count(found, from, content);
                }
                _ => {
                    let mut found = None;
                    Found::count(&mut found, from, content);
                    set = Some((field, found));
                }
            }
        }
        from = reader.clone();
    }
    match &set {
        Some((field, Some(found))) => put_field(field, found, depth + 1, out),
        _ => Ok(()),
    }
}

/// `implicit presence`: a field of a plain type that has its default is as good as none.
fn is_default(kind: Kind, content: Content<'_>) -> bool {
    match (kind, content) {
        (Kind::One(_) | Kind::Many(_) | Kind::Texts, _) => false,
        (Kind::Uint32 | Kind::Enum, Content::Varint(value)) => value as u32 == 0,
        (_, content) => matches!(
            content,
            Content::Varint(0) | Content::Fixed64(0) | Content::Fixed32(0) | Content::Bytes([])
        ),
    }
}

fn put_field(
    field: &Field,
    found: &Found<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    out.push(b'"');
    out.extend_from_slice(field.name.as_bytes());
    out.extend_from_slice(b"\":");
    match (field.kind, found.last) {
        (Kind::Many(_) | Kind::Texts, _) => {
            let mut before = b'[';
            for content in found.each(field.number) {
                out.push(before);
                match field.kind {
                    Kind::Many(table) => put(table, content?, depth, out)?,
                    _ => scalar::put(Kind::Text, Content::Bytes(content?), out)?,
                }
                before = b',';
            }
            out.push(b']');
            Ok(())
        }
        (Kind::One(table), Content::Bytes(message)) if found.times == 1 => {
            put(table, message, depth, out)
        }
        (Kind::One(table), _) => {
            // Several occurrences of one message are merged, which is what their concatenation is. We never write that.
            let all: Result<Vec<_>, _> = found.each(field.number).collect();
            put(table, &all?.concat(), depth, out)
        }
        (kind, content) => scalar::put(kind, content, out),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "oracle/tests.rs"]
mod oracle;
