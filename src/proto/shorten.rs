//! A record that is too large, made smaller: attributes, events and links that do not fit are left out and counted, and a log
//! record's body is cut when that is not enough.

use super::common::STRING_VALUE;
use super::logs::{self, BODY};
use super::trace::{
    DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS, EVENTS, LINKS, SPAN_ATTRIBUTE, put_count,
};
use super::wire::{self, Content, Reader};
use crate::signal::Signal;

/// What may be left out of a span, and where it is counted.
const OF_SPANS: &[Optional] = &[
    (SPAN_ATTRIBUTE, DROPPED_ATTRIBUTES),
    (EVENTS, DROPPED_EVENTS),
    (LINKS, DROPPED_LINKS),
];
/// As above, of a log record.
const OF_LOGS: &[Optional] = &[(logs::LOG_ATTRIBUTE, logs::DROPPED_ATTRIBUTES)];

/// The tags of fields that may be left out, and of their number.
type Optional = (u8, u8);

/// The counts at most: a tag and 32 bits as a varint each.
const COUNTS: usize = 3 * 6;

/// What a field is to the shortening.
enum Field {
    /// It may be left out; its index among those that may.
    Optional(usize),
    /// What was dropped before.
    Count(usize, u32),
    /// A log record's text.
    Body,
    Fixed,
}

/// The encoded record, with as many of its attributes, events and links as fit `limit` bytes, in their order; all else is kept, but
/// a log record's body is cut where it does not fit by itself. `None` where that leaves nothing out, as for a record that was
/// shortened before, or the bytes are no record.
pub(crate) fn record(signal: Signal, message: &[u8], limit: usize) -> Option<Vec<u8>> {
    let optional = optional_of(signal);
    let (mut dropped, mut fixed) = ([0_u32; 3], COUNTS);
    walk(signal, message, |field, bytes| match field {
        Field::Fixed | Field::Body => fixed += bytes.len(),
        // The last one holds, as for any field that is not repeated.
        Field::Count(index, count) => set(&mut dropped, index, count),
        Field::Optional(_) => {}
    })?;
    let mut room = limit.saturating_sub(fixed);
    let mut excess = fixed.saturating_sub(limit);
    let mut out = Vec::with_capacity(limit.max(fixed).min(message.len() + COUNTS));
    let mut left_out = false;
    walk(signal, message, |field, bytes| match field {
        Field::Body if excess > 0 => {
            let before = out.len();
            put_body(&mut out, bytes, bytes.len().saturating_sub(excess));
            let less = bytes.len() - (out.len() - before);
            excess = excess.saturating_sub(less);
            left_out |= less > 0;
        }
        Field::Fixed | Field::Body => out.extend_from_slice(bytes),
        Field::Optional(_) if bytes.len() <= room => {
            room -= bytes.len();
            out.extend_from_slice(bytes);
        }
        Field::Optional(index) => {
            left_out = true;
            let before = dropped.get(index).copied().unwrap_or_default();
            set(&mut dropped, index, before.saturating_add(1));
        }
        Field::Count(..) => {}
    })?;
    for ((_, tag), count) in optional.iter().zip(dropped) {
        put_count(&mut out, *tag, count);
    }
    left_out.then_some(out)
}

fn optional_of(signal: Signal) -> &'static [Optional] {
    match signal {
        Signal::Traces => OF_SPANS,
        Signal::Logs => OF_LOGS,
    }
}

/// Writes a body, tag included, in at most so many bytes: a text is cut at a character, and other values go as a whole.
fn put_body(out: &mut Vec<u8>, field: &[u8], limit: usize) {
    if field.len() <= limit {
        return out.extend_from_slice(field);
    }
    // A tag and a length of the body, and of the text in it.
    let room = limit.saturating_sub(2 * (1 + 5));
    let Some(text) = text_of(field).filter(|_| room > 0) else {
        return;
    };
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end));
    let text = end.and_then(|end| text.get(..end)).unwrap_or_default();
    out.push(BODY);
    wire::put_varint(out, wire::len_field_len(text.len()) as u64);
    wire::put_len(out, STRING_VALUE, text.as_bytes());
}

/// The text of a body that is one.
fn text_of(field: &[u8]) -> Option<&str> {
    let body = wire::fields(field, BODY).next()?;
    let text = wire::fields(body, STRING_VALUE).next()?;
    std::str::from_utf8(text).ok()
}

/// Shows each field with its bytes, tag included.
fn walk<'a>(
    signal: Signal,
    message: &'a [u8],
    mut visit: impl FnMut(Field, &'a [u8]),
) -> Option<()> {
    let mut reader = Reader::new(message);
    loop {
        let start = message.len() - reader.remaining();
        let Some((number, content)) = reader.next().ok()? else {
            return Some(());
        };
        let bytes = message.get(start..message.len() - reader.remaining())?;
        visit(field(signal, number, content), bytes);
    }
}

fn field(signal: Signal, number: u32, content: Content<'_>) -> Field {
    let optional = optional_of(signal);
    let at = |tag: fn(&Optional) -> u8| {
        optional
            .iter()
            .position(|pair| u32::from(tag(pair) >> 3) == number)
    };
    match content {
        Content::Bytes(_) if signal == Signal::Logs && number == u32::from(BODY >> 3) => {
            Field::Body
        }
        Content::Bytes(_) => at(|pair| pair.0).map_or(Field::Fixed, Field::Optional),
        // A uint32 is the lower half of what is on the wire.
        Content::Varint(count) => {
            at(|pair| pair.1).map_or(Field::Fixed, |index| Field::Count(index, count as u32))
        }
        Content::Fixed64(_) | Content::Fixed32(_) => Field::Fixed,
    }
}

fn set(counts: &mut [u32; 3], index: usize, count: u32) {
    if let Some(known) = counts.get_mut(index) {
        *known = count;
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn shortened(span: &[u8], limit: usize) -> Option<Vec<u8>> {
        record(Signal::Traces, span, limit)
    }

    fn whole() -> impl Strategy<Value = Span> {
        let lens = || vec(0_usize..300, 0..8);
        let dropped = || prop_oneof![Just(0), 1_u32..10, Just(u32::MAX)];
        let counted = (dropped(), dropped(), dropped());
        (lens(), lens(), lens(), counted, 0_usize..200).prop_map(
            |(attributes, events, links, dropped, name)| Span {
                trace_id: vec![7; 16],
                span_id: vec![8; 8],
                parent_span_id: vec![9; 8],
                trace_state: "a=b".to_owned(),
                name: "n".repeat(name),
                kind: 3,
                flags: 0x101,
                start_time_unix_nano: 5,
                end_time_unix_nano: 6,
                status: Some(Status {
                    message: "broken".to_owned(),
                    code: 2,
                }),
                attributes: attributes.into_iter().map(attribute).collect(),
                events: events
                    .into_iter()
                    .map(|len| Event {
                        name: "e".repeat(len),
                        ..Event::default()
                    })
                    .collect(),
                links: links
                    .into_iter()
                    .map(|len| Link {
                        trace_state: "l".repeat(len),
                        ..Link::default()
                    })
                    .collect(),
                dropped_attributes_count: dropped.0,
                dropped_events_count: dropped.1,
                dropped_links_count: dropped.2,
            },
        )
    }

    fn attribute(len: usize) -> KeyValue {
        KeyValue {
            key: "k".repeat(len),
            ..KeyValue::default()
        }
    }

    /// A span without what may be left out.
    fn bare(span: &Span) -> Span {
        Span {
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            ..span.clone()
        }
    }

    /// How many are gone, which are those that were counted in addition.
    fn missing<T: PartialEq>(all: &[T], kept: &[T], before: u32, after: u32) -> usize {
        let mut rest = all.iter();
        assert!(
            kept.iter().all(|one| rest.any(|other| one == other)),
            "in their order"
        );
        let gone = all.len() - kept.len();
        assert_eq!(after, before.saturating_add(gone as u32));
        gone
    }

    proptest! {
        /// F14: the ids and all that a span has once are kept, the counts add up, and it fits or nothing more can go.
        #[test]
        fn f_14_a_shortened_span_fits_and_counts_what_it_lacks(span in whole(), limit in 0_usize..4000) {
            let encoded = span.encode_to_vec();
            let Some(short) = shortened(&encoded, limit) else {
                prop_assert!(encoded.len() <= limit + COUNTS || span.attributes.len() + span.events.len() + span.links.len() == 0);
                return Ok(());
            };
            prop_assert!(shortened(&short, limit).is_none(), "once is enough");
            let after = Span::decode(&short[..]).unwrap();
            prop_assert_eq!(bare(&after), bare(&span));
            let gone = missing(&span.attributes, &after.attributes, span.dropped_attributes_count, after.dropped_attributes_count)
                + missing(&span.events, &after.events, span.dropped_events_count, after.dropped_events_count)
                + missing(&span.links, &after.links, span.dropped_links_count, after.dropped_links_count);
            prop_assert!(gone > 0);
            let left = after.attributes.len() + after.events.len() + after.links.len();
            prop_assert!(short.len() <= limit || left == 0, "{} of {limit}, {left} left", short.len());
        }

        #[test]
        fn any_bytes_do_no_harm(bytes: Vec<u8>, limit in 0_usize..100) {
            for signal in Signal::ALL {
                if let Some(short) = record(*signal, &bytes, limit) {
                    prop_assert!(record(*signal, &short, limit).is_none(), "once is enough");
                }
            }
        }
    }

    proptest! {
        /// F14: attributes go first, then the end of the text; ids, times and severity are kept.
        #[test]
        fn f_14_a_shortened_log_record_fits(
            attributes in vec(0_usize..300, 0..8),
            text in ".{0,300}",
            limit in 0_usize..1000,
        ) {
            let body = AnyValue { value: Some(Value::StringValue(text.clone())) };
            let log = LogRecord {
                time_unix_nano: 7,
                severity_number: 9,
                severity_text: "INFO".to_owned(),
                body: Some(body),
                attributes: attributes.into_iter().map(attribute).collect(),
                trace_id: std::vec![7; 16],
                span_id: std::vec![8; 8],
                ..LogRecord::default()
            };
            let encoded = log.encode_to_vec();
            let Some(short) = record(Signal::Logs, &encoded, limit) else {
                prop_assert!(encoded.len() <= limit + COUNTS || log.attributes.is_empty() && text.is_empty());
                return Ok(());
            };
            prop_assert!(record(Signal::Logs, &short, limit).is_none(), "once is enough");
            let after = LogRecord::decode(&short[..]).unwrap();
            let kept = match after.body.clone().and_then(|body| body.value) {
                Some(Value::StringValue(kept)) => kept,
                _ => String::new(),
            };
            prop_assert!(text.starts_with(&kept));
            prop_assert!(kept == text || after.attributes.is_empty(), "attributes go first");
            let gone = missing(&log.attributes, &after.attributes, 0, after.dropped_attributes_count);
            prop_assert!(gone > 0 || kept.len() < text.len() || after.body.is_none());
            prop_assert!(short.len() <= limit || kept.is_empty(), "{} of {limit}", short.len());
            let bare = |log: &LogRecord| LogRecord {
                body: None,
                attributes: Vec::new(),
                dropped_attributes_count: 0,
                ..log.clone()
            };
            prop_assert_eq!(bare(&after), bare(&log));
        }
    }

    #[test]
    fn what_fits_stays_beside_what_is_too_large() {
        let span = Span {
            attributes: [10, 5000, 20].map(attribute).to_vec(),
            ..Span::default()
        };
        let short = shortened(&span.encode_to_vec(), 100).unwrap();
        let after = Span::decode(&short[..]).unwrap();
        assert_eq!(after.attributes, [10, 20].map(attribute));
        assert_eq!(after.dropped_attributes_count, 1);
    }
}
