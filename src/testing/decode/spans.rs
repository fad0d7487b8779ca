//! A span.

use super::{key_value, span_id, text, trace_id};
use crate::id::{SpanId, TraceId};
use crate::model::{SpanKind, Status};
use crate::proto::trace::{self, Code};
use crate::proto::wire::{Content, Malformed, each};
use crate::testing::model::{Event, Link, Span};

pub(super) fn span(message: &[u8]) -> Result<Span, Malformed> {
    let mut ids = (None, None);
    let mut span = empty();
    each(message, |field, content| {
        match (field, content) {
            (1, Content::Bytes(bytes)) => ids.0 = Some(trace_id(bytes)?),
            (2, Content::Bytes(bytes)) => ids.1 = Some(span_id(bytes)?),
            (4, Content::Bytes(bytes)) => span.parent_span_id = Some(span_id(bytes)?),
            (5, Content::Bytes(bytes)) => span.name = text(bytes)?,
            (6, Content::Varint(kind)) => span.kind = SpanKind::from_number(kind),
            (7, Content::Fixed64(time)) => span.start_time_unix_nano = time,
            (8, Content::Fixed64(time)) => span.end_time_unix_nano = time,
            (9, Content::Bytes(pair)) => span.attributes.push(key_value(pair)?),
            (10, Content::Varint(count)) => span.dropped_attributes_count = count as u32,
            (11, Content::Bytes(bytes)) => span.events.push(event(bytes)?),
            (12, Content::Varint(count)) => span.dropped_events_count = count as u32,
            (13, Content::Bytes(bytes)) => span.links.push(link(bytes)?),
            (14, Content::Varint(count)) => span.dropped_links_count = count as u32,
            (15, Content::Bytes(bytes)) => span.status = status(bytes)?,
            (16, Content::Fixed32(flags)) => span.flags = flags,
            _ => {}
        }
        Ok(())
    })?;
    (span.trace_id, span.span_id) = (ids.0.ok_or(Malformed)?, ids.1.ok_or(Malformed)?);
    Ok(span)
}

fn empty() -> Span {
    Span {
        // Replaced: a span without ids is malformed.
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        parent_span_id: None,
        flags: 0,
        name: String::new(),
        kind: SpanKind::default(),
        start_time_unix_nano: 0,
        end_time_unix_nano: 0,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: Vec::new(),
        dropped_events_count: 0,
        links: Vec::new(),
        dropped_links_count: 0,
        status: Status::default(),
        scope: String::new(),
        resource: Vec::new(),
    }
}

fn event(message: &[u8]) -> Result<Event, Malformed> {
    let mut event = Event::default();
    each(message, |field, content| {
        match (field, content) {
            (1, Content::Fixed64(time)) => event.time_unix_nano = time,
            (2, Content::Bytes(name)) => event.name = text(name)?,
            (3, Content::Bytes(pair)) => event.attributes.push(key_value(pair)?),
            (4, Content::Varint(count)) => event.dropped_attributes_count = count as u32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(event)
}

fn link(message: &[u8]) -> Result<Link, Malformed> {
    let mut ids = (None, None);
    each(message, |field, content| {
        match (field, content) {
            (1, Content::Bytes(bytes)) => ids.0 = Some(trace_id(bytes)?),
            (2, Content::Bytes(bytes)) => ids.1 = Some(span_id(bytes)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Link {
        trace_id: ids.0.ok_or(Malformed)?,
        span_id: ids.1.ok_or(Malformed)?,
    })
}

fn status(message: &[u8]) -> Result<Status, Malformed> {
    let (code, description) = trace::read_status(message)?;
    Ok(match code {
        Code::Unset => Status::Unset,
        Code::Ok => Status::Ok,
        Code::Error => Status::error(description.to_owned()),
    })
}
