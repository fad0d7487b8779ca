//! `LogRecord` (logs.proto).
//!
//! A record is written front to back: times, ids, what its callsite knows, then its fields as they come, and its name and counts
//! last. Protobuf allows any order.

use super::common::STRING_VALUE;
use super::trace::{self, Ids};
use super::wire::{self, Content, FIXED32, FIXED64, LEN, Reader, VARINT, tag};
use crate::model::Severity;

/// "Time when the event occurred."
const TIME: u8 = tag(1, FIXED64);
const SEVERITY_NUMBER: u8 = tag(2, VARINT);
const SEVERITY_TEXT: u8 = tag(3, LEN);
/// "A value containing the body of the log record": an `AnyValue`.
pub(crate) const BODY: u8 = tag(5, LEN);
/// LogRecord.attributes.
pub(crate) const LOG_ATTRIBUTE: u8 = tag(6, LEN);
pub(super) const DROPPED_ATTRIBUTES: u8 = tag(7, VARINT);
const FLAGS: u8 = tag(8, FIXED32);
const TRACE_ID: u8 = tag(9, LEN);
const SPAN_ID: u8 = tag(10, LEN);
/// "Time when the event was observed by the collection system"; never absent.
const OBSERVED_TIME: u8 = tag(11, FIXED64);
/// "A unique identifier of event category/type."
const EVENT_NAME: u8 = tag(12, LEN);

/// Both times: the record is observed when it happens.
#[inline]
pub(crate) fn put_times(out: &mut Vec<u8>, time: u64) {
    let mut head = [0; 18];
    head[0] = TIME;
    head[1..9].copy_from_slice(&time.to_le_bytes());
    head[9] = OBSERVED_TIME;
    head[10..].copy_from_slice(&time.to_le_bytes());
    out.extend_from_slice(&head);
}

/// Times that another clock has read: when it happened, as far as that is known, and when it was observed.
#[cfg(feature = "opentelemetry-sdk-0_33")]
pub(crate) fn put_times_apart(out: &mut Vec<u8>, time: Option<u64>, observed: u64) {
    let times = time.map(|time| (TIME, time));
    for (tag, time) in times.into_iter().chain([(OBSERVED_TIME, observed)]) {
        out.push(tag);
        out.extend_from_slice(&time.to_le_bytes());
    }
}

/// The span that the record belongs to. Flags of zero are left out, as any default.
#[inline]
pub(crate) fn put_ids(out: &mut Vec<u8>, ids: &Ids) {
    let Ids { trace, span, flags } = *ids;
    let mut head = [0; 33];
    head[0..2].copy_from_slice(&[TRACE_ID, 16]);
    head[2..18].copy_from_slice(&trace.to_bytes());
    head[18..20].copy_from_slice(&[SPAN_ID, 8]);
    head[20..28].copy_from_slice(&span.to_bytes());
    head[28] = FLAGS;
    let flags = flags & trace::TRACE_FLAGS;
    head[29..].copy_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&head);
    if flags == 0 {
        out.truncate(out.len() - 5);
    }
}

/// The severity, and what its source calls it.
pub(crate) fn put_severity(out: &mut Vec<u8>, severity: Severity, text: &str) {
    put_severity_number(out, severity.number());
    put_severity_text(out, text);
}

pub(crate) fn put_severity_number(out: &mut Vec<u8>, number: u8) {
    out.extend_from_slice(&[SEVERITY_NUMBER, number]);
}

pub(crate) fn put_severity_text(out: &mut Vec<u8>, text: &str) {
    wire::put_len(out, SEVERITY_TEXT, text.as_bytes());
}

pub(crate) fn put_body(out: &mut Vec<u8>, text: &str) {
    put_body_with(out, |out| out.extend_from_slice(text.as_bytes()));
}

/// A body whose text `write` appends. What it leaves has to be UTF-8.
#[inline]
pub(crate) fn put_body_with(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[BODY, 0, STRING_VALUE, 0]);
    let start = out.len();
    write(out);
    wire::set_len(out, start);
    wire::set_len(out, start - 2);
}

pub(crate) fn put_event_name(out: &mut Vec<u8>, name: &str) {
    wire::put_len(out, EVENT_NAME, name.as_bytes());
}

/// How many attributes were left out, if any were.
#[inline]
pub(crate) fn put_dropped(out: &mut Vec<u8>, dropped: u32) {
    trace::put_count(out, DROPPED_ATTRIBUTES, dropped);
}

/// The event's name, if one is written.
pub(crate) fn event_name_of(record: &[u8]) -> Option<&str> {
    let mut reader = Reader::new(record);
    while let Ok(Some((field, content))) = reader.next() {
        if let (12, Content::Bytes(name)) = (field, content) {
            return std::str::from_utf8(name).ok();
        }
    }
    None
}

/// Cuts the body, if one is written.
pub(crate) fn cut_body(record: &mut Vec<u8>) {
    trace::cut(record, BODY, &[]);
}

/// Cuts the event's name, if one is written.
pub(crate) fn cut_event_name(record: &mut Vec<u8>) {
    trace::cut(record, EVENT_NAME, &[]);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::id::{SpanId, TraceId};

    fn ids(flags: u32) -> Ids {
        Ids {
            trace: TraceId::from_bytes([7; 16]).unwrap(),
            span: SpanId::from_bytes([8; 8]).unwrap(),
            flags,
        }
    }

    fn body(text: &str) -> Option<AnyValue> {
        Some(AnyValue {
            value: Some(Value::StringValue(text.to_owned())),
        })
    }

    proptest! {
        #[test]
        fn prost_reads_what_was_written(time: u64, flags: u32, text in ".{0,300}", name in ".{1,20}", dropped: u32) {
            let mut out = Vec::new();
            put_times(&mut out, time);
            put_ids(&mut out, &ids(flags));
            put_severity(&mut out, Severity::WARN, "WARN");
            put_body(&mut out, &text);
            put_event_name(&mut out, &name);
            put_dropped(&mut out, dropped);
            let expected = LogRecord {
                time_unix_nano: time,
                observed_time_unix_nano: time,
                severity_number: 13,
                severity_text: "WARN".to_owned(),
                body: body(&text),
                attributes: Vec::new(),
                dropped_attributes_count: dropped,
                flags: flags & 0xFF,
                trace_id: vec![7; 16],
                span_id: vec![8; 8],
                event_name: name,
            };
            prop_assert_eq!(LogRecord::decode(&out[..]).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_cut_is_gone() {
        let mut out = Vec::new();
        put_times(&mut out, 1);
        put_body(&mut out, &"long ".repeat(100));
        put_event_name(&mut out, "name");
        put_body(&mut out, "kept");
        cut_body(&mut out);
        cut_event_name(&mut out);
        cut_event_name(&mut out);
        let record = LogRecord::decode(&out[..]).unwrap();
        assert_eq!((record.body, &*record.event_name), (body("kept"), ""));
        assert_eq!(record.time_unix_nano, 1);
    }

    #[test]
    fn flags_of_zero_are_left_out() {
        let mut out = Vec::new();
        put_ids(&mut out, &ids(0x300));
        assert_eq!(
            LogRecord::decode(&out[..]).unwrap().encoded_len(),
            out.len()
        );
    }
}
