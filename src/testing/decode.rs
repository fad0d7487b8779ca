//! From a request's bytes to plain spans.

use super::model::{Event, Link, Span};
use crate::id::{SpanId, TraceId};
use crate::model::{SpanKind, Status, Value};
use crate::proto::value::read_attribute;
use crate::proto::wire::{Content, Malformed, Reader};

type Attributes = Vec<(String, Value<'static>)>;

/// The spans of an `ExportTraceServiceRequest`.
pub(super) fn request(message: &[u8]) -> Result<Vec<Span>, Malformed> {
    let mut spans = Vec::new();
    each(message, |field, content| match (field, content) {
        (1, Content::Bytes(resource_spans)) => read_resource_spans(resource_spans, &mut spans),
        _ => Ok(()),
    })?;
    Ok(spans)
}

/// Calls `take` for each field of a message.
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

fn read_resource_spans(message: &[u8], spans: &mut Vec<Span>) -> Result<(), Malformed> {
    let first = spans.len();
    let mut resource = Attributes::new();
    each(message, |field, content| match (field, content) {
        (1, Content::Bytes(bytes)) => each(bytes, |field, content| match (field, content) {
            (1, Content::Bytes(pair)) => {
                resource.push(key_value(pair)?);
                Ok(())
            }
            _ => Ok(()),
        }),
        (2, Content::Bytes(scope_spans)) => read_scope_spans(scope_spans, spans),
        _ => Ok(()),
    })?;
    spans
        .iter_mut()
        .skip(first)
        .for_each(|span| span.resource = resource.clone());
    Ok(())
}

fn read_scope_spans(message: &[u8], spans: &mut Vec<Span>) -> Result<(), Malformed> {
    let first = spans.len();
    let mut scope = String::new();
    each(message, |field, content| match (field, content) {
        (1, Content::Bytes(bytes)) => each(bytes, |field, content| match (field, content) {
            (1, Content::Bytes(name)) => {
                scope = text(name)?;
                Ok(())
            }
            _ => Ok(()),
        }),
        (2, Content::Bytes(bytes)) => {
            spans.push(span(bytes)?);
            Ok(())
        }
        _ => Ok(()),
    })?;
    spans
        .iter_mut()
        .skip(first)
        .for_each(|span| span.scope = scope.clone());
    Ok(())
}

fn span(message: &[u8]) -> Result<Span, Malformed> {
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
    let (mut code, mut description) = (0, String::new());
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
        2 => Status::error(description),
        _ => Status::Unset,
    })
}

fn key_value(message: &[u8]) -> Result<(String, Value<'static>), Malformed> {
    read_attribute(message).map(|(key, value)| (key.to_owned(), value.into_owned()))
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

fn trace_id(bytes: &[u8]) -> Result<TraceId, Malformed> {
    bytes
        .try_into()
        .ok()
        .and_then(TraceId::from_bytes)
        .ok_or(Malformed)
}

fn span_id(bytes: &[u8]) -> Result<SpanId, Malformed> {
    bytes
        .try_into()
        .ok()
        .and_then(SpanId::from_bytes)
        .ok_or(Malformed)
}
