//! Values that are no messages, as proto3's JSON mapping and OTLP's exceptions from it have them.

use std::io::Write;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde_json::to_writer;

use super::schema::Kind;
use crate::proto::wire::{Content, Malformed};

/// Malformed where the field's type on the wire is not that of its kind.
pub(super) fn put(kind: Kind, content: Content<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let written = match (kind, content) {
        (Kind::Text, Content::Bytes(text)) => to_writer(out, &*String::from_utf8_lossy(text)),
        (Kind::Id, Content::Bytes(id)) => {
            put_id(id, out);
            Ok(())
        }
        (Kind::Bytes, Content::Bytes(bytes)) => put_bytes(bytes, out),
        (Kind::Bool, Content::Varint(value)) => to_writer(out, &(value != 0)),
        // On the wire it is an int32, whose sign is extended to 64 bits.
        (Kind::Enum, Content::Varint(value)) => to_writer(out, &(value as i32)),
        (Kind::Uint32, Content::Varint(value)) => to_writer(out, &(value as u32)),
        (Kind::Fixed32, Content::Fixed32(value)) => to_writer(out, &value),
        (Kind::Int64, Content::Varint(value)) => quoted(out, |out| to_writer(out, &(value as i64))),
        (Kind::Fixed64, Content::Fixed64(value)) => quoted(out, |out| to_writer(out, &value)),
        (Kind::Double, Content::Fixed64(bits)) => put_double(f64::from_bits(bits), out),
        _ => return Err(Malformed),
    };
    // Nothing fails that is written to memory.
    written.map_err(|_| Malformed)
}

/// "The `traceId` and `spanId` byte arrays are represented as case-insensitive hex-encoded strings": in lower case, as in
/// `traceparent`.
fn put_id(id: &[u8], out: &mut Vec<u8>) {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    out.push(b'"');
    out.extend(
        id.iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]),
    );
    out.push(b'"');
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) -> serde_json::Result<()> {
    let text = Base64Display::new(bytes, &STANDARD);
    write!(out, "\"{text}\"").map_err(serde_json::Error::io)
}

/// "JSON value will be a number or one of the special string values "NaN", "Infinity", and "-Infinity"."
fn put_double(value: f64, out: &mut Vec<u8>) -> serde_json::Result<()> {
    if value.is_finite() {
        to_writer(out, &value)
    } else if value.is_nan() {
        to_writer(out, "NaN")
    } else if value > 0.0 {
        to_writer(out, "Infinity")
    } else {
        to_writer(out, "-Infinity")
    }
}

fn quoted(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    out.push(b'"');
    write(out)?;
    out.push(b'"');
    Ok(())
}
