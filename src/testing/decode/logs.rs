//! A log record.

use super::{key_value, span_id, text, trace_id};
use crate::proto::value::read_any;
use crate::proto::wire::{Content, Malformed, each};
use crate::testing::model::Log;

pub(super) fn log(message: &[u8]) -> Result<Log, Malformed> {
    let mut log = Log::default();
    each(message, |field, content| {
        match (field, content) {
            (1, Content::Fixed64(time)) => log.time_unix_nano = time,
            (11, Content::Fixed64(time)) => log.observed_time_unix_nano = time,
            (2, Content::Varint(number)) => log.severity_number = number as u32,
            (3, Content::Bytes(bytes)) => log.severity_text = text(bytes)?,
            (5, Content::Bytes(value)) => log.body = Some(read_any(value)?.into_owned()),
            (6, Content::Bytes(pair)) => log.attributes.push(key_value(pair)?),
            (7, Content::Varint(count)) => log.dropped_attributes_count = count as u32,
            (8, Content::Fixed32(flags)) => log.flags = flags,
            (9, Content::Bytes(bytes)) => log.trace_id = Some(trace_id(bytes)?),
            (10, Content::Bytes(bytes)) => log.span_id = Some(span_id(bytes)?),
            (12, Content::Bytes(bytes)) => log.event_name = text(bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(log)
}
