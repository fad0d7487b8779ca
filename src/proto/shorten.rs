//! A span that is too large, made smaller: attributes, events and links that do not fit are left out and counted.

use super::trace::{
    DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS, EVENTS, LINKS, SPAN_ATTRIBUTE, put_count,
};
use super::wire::{Content, Reader};

/// What may be left out, and where it is counted.
const OPTIONAL: [(u8, u8); 3] = [
    (SPAN_ATTRIBUTE, DROPPED_ATTRIBUTES),
    (EVENTS, DROPPED_EVENTS),
    (LINKS, DROPPED_LINKS),
];
/// The three counts at most: a tag and 32 bits as a varint each.
const COUNTS: usize = 3 * 6;

/// What a field is to the shortening.
enum Field {
    /// It may be left out; its index in [`OPTIONAL`].
    Optional(usize),
    /// What was dropped before.
    Count(usize, u32),
    Fixed,
}

/// The encoded span, with as many of its attributes, events and links as fit `limit` bytes, in their order; all else is
/// kept. `None` where that leaves nothing out, as for a span that was shortened before, or the bytes are no span.
pub(crate) fn span(message: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut dropped = [0_u32; 3];
    let mut fixed = COUNTS;
    walk(message, |field, bytes| match field {
        Field::Fixed => fixed += bytes.len(),
        // The last one holds, as for any field that is not repeated.
        Field::Count(index, count) => set(&mut dropped, index, count),
        Field::Optional(_) => {}
    })?;
    let mut room = limit.saturating_sub(fixed);
    let mut out = Vec::with_capacity(limit.max(fixed).min(message.len() + COUNTS));
    let mut left_out = false;
    walk(message, |field, bytes| match field {
        Field::Fixed => out.extend_from_slice(bytes),
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
    for ((_, tag), count) in OPTIONAL.iter().zip(dropped) {
        put_count(&mut out, *tag, count);
    }
    left_out.then_some(out)
}

/// Shows each field with its bytes, tag included.
fn walk<'a>(message: &'a [u8], mut visit: impl FnMut(Field, &'a [u8])) -> Option<()> {
    let mut reader = Reader::new(message);
    loop {
        let start = message.len() - reader.remaining();
        let Some((number, content)) = reader.next().ok()? else {
            return Some(());
        };
        let bytes = message.get(start..message.len() - reader.remaining())?;
        visit(field(number, content), bytes);
    }
}

fn field(number: u32, content: Content<'_>) -> Field {
    let at = |tag: fn(&(u8, u8)) -> u8| {
        OPTIONAL
            .iter()
            .position(|pair| u32::from(tag(pair) >> 3) == number)
    };
    match content {
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
    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

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
            let Some(short) = super::span(&encoded, limit) else {
                prop_assert!(encoded.len() <= limit + COUNTS || span.attributes.len() + span.events.len() + span.links.len() == 0);
                return Ok(());
            };
            prop_assert!(super::span(&short, limit).is_none(), "once is enough");
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
            if let Some(short) = span(&bytes, limit) {
                prop_assert!(span(&short, limit).is_none(), "once is enough");
            }
        }
    }

    #[test]
    fn what_fits_stays_beside_what_is_too_large() {
        let span = Span {
            attributes: [10, 5000, 20].map(attribute).to_vec(),
            ..Span::default()
        };
        let short = super::span(&span.encode_to_vec(), 100).unwrap();
        let after = Span::decode(&short[..]).unwrap();
        assert_eq!(after.attributes, [10, 20].map(attribute));
        assert_eq!(after.dropped_attributes_count, 1);
    }
}
