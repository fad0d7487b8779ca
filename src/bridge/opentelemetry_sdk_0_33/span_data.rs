//! From a request's bytes to their `SpanData`.

use std::time::UNIX_EPOCH;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::request::{self, at, pairs, span_id, text};
use crate::bridge::opentelemetry_0_33::kind_of;
use crate::model;
use crate::proto::trace::{self, Code, IS_REMOTE, SAMPLED};
use crate::proto::wire::{Content, Malformed, each};

/// All spans of a request, and its resource.
pub(super) fn read(message: &[u8]) -> Result<(Vec<SpanData>, Resource), Malformed> {
    let (spans, resource) = request::read(message, span)?;
    let spans = spans.into_iter().map(|(span, scope)| SpanData {
        instrumentation_scope: scope,
        ..span
    });
    Ok((spans.collect(), resource))
}

fn span(message: &[u8]) -> Result<SpanData, Malformed> {
    let mut span = SpanData {
        span_context: context(message, [1, 2, 3, 16])?.0,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "".into(),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes: pairs(message, 9)?,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    };
    each(message, |field, content| {
        match (field, content) {
            (4, Content::Bytes(id)) => span.parent_span_id = span_id(id)?,
            (5, Content::Bytes(name)) => span.name = text(name)?.to_owned().into(),
            (6, Content::Varint(kind)) => {
                span.span_kind = kind_of(model::SpanKind::from_number(kind))
            }
            (7, Content::Fixed64(time)) => span.start_time = at(time),
            (8, Content::Fixed64(time)) => span.end_time = at(time),
            (10, Content::Varint(count)) => span.dropped_attributes_count = count as u32,
            (11, Content::Bytes(bytes)) => span.events.events.push(event(bytes)?),
            (12, Content::Varint(count)) => span.events.dropped_count = count as u32,
            (13, Content::Bytes(bytes)) => {
                let (to, dropped) = context(bytes, [1, 2, 3, 6])?;
                span.links
                    .links
                    .push(Link::new(to, pairs(bytes, 4)?, dropped));
            }
            (14, Content::Varint(count)) => span.links.dropped_count = count as u32,
            (15, Content::Bytes(bytes)) => span.status = status(bytes)?,
            (16, Content::Fixed32(flags)) => span.parent_span_is_remote = flags & IS_REMOTE != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(span)
}

/// Ids, tracestate and flags in these fields, and the count in field 5, which a link has.
fn context(message: &[u8], fields: [u32; 4]) -> Result<(SpanContext, u32), Malformed> {
    let (mut trace, mut id, mut state) = (TraceId::INVALID, SpanId::INVALID, TraceState::NONE);
    let (mut flags, mut dropped) = (0, 0);
    each(message, |field, content| {
        match content {
            Content::Bytes(bytes) if field == fields[0] => {
                trace = TraceId::from_bytes(bytes.try_into().map_err(|_| Malformed)?);
            }
            Content::Bytes(bytes) if field == fields[1] => id = span_id(bytes)?,
            Content::Bytes(bytes) if field == fields[2] => {
                state = text(bytes)?.parse().unwrap_or_default();
            }
            Content::Fixed32(bits) if field == fields[3] => flags = bits,
            Content::Varint(count) if field == 5 => dropped = count as u32,
            _ => {}
        }
        Ok(())
    })?;
    // Of a span, the flag says that its parent is remote.
    let is_remote = fields[3] == 6 && flags & IS_REMOTE != 0;
    let flags = TraceFlags::new((flags & (SAMPLED | 0xFE)) as u8);
    Ok((
        SpanContext::new(trace, id, flags, is_remote, state),
        dropped,
    ))
}

fn event(message: &[u8]) -> Result<Event, Malformed> {
    let (mut name, mut time, mut dropped) = ("", 0, 0);
    each(message, |field, content| {
        match (field, content) {
            (1, Content::Fixed64(nanos)) => time = nanos,
            (2, Content::Bytes(bytes)) => name = text(bytes)?,
            (4, Content::Varint(count)) => dropped = count as u32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Event::new(
        name.to_owned(),
        at(time),
        pairs(message, 3)?,
        dropped,
    ))
}

fn status(message: &[u8]) -> Result<Status, Malformed> {
    let (code, description) = trace::read_status(message)?;
    Ok(match code {
        Code::Unset => Status::Unset,
        Code::Ok => Status::Ok,
        Code::Error => Status::error(description.to_owned()),
    })
}
