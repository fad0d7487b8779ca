//! `Span`, `Span.Event`, `Span.Link`, `Status` (trace.proto).
//!
//! A span begins with a head of fixed layout, so that ids and flags can be set while it is open; then its fields follow in
//! the order in which they become known. Protobuf allows any order.

use super::wire::{
    self, Content, FIXED32, FIXED64, LEN, Malformed, Reader, VARINT, put_varint, tag,
};
use crate::id::{SpanId, TraceId};
use crate::model::SpanKind;

const TRACE_ID: u8 = tag(1, LEN);
const SPAN_ID: u8 = tag(2, LEN);
const TRACE_STATE: u8 = tag(3, LEN);
const PARENT_SPAN_ID: u8 = tag(4, LEN);
const NAME: u8 = tag(5, LEN);
const KIND: u8 = tag(6, VARINT);
const START_TIME: u8 = tag(7, FIXED64);
const END_TIME: u8 = tag(8, FIXED64);
/// Span.attributes.
pub(crate) const SPAN_ATTRIBUTE: u8 = tag(9, LEN);
pub(super) const DROPPED_ATTRIBUTES: u8 = tag(10, VARINT);
pub(super) const EVENTS: u8 = tag(11, LEN);
pub(super) const DROPPED_EVENTS: u8 = tag(12, VARINT);
pub(crate) const LINKS: u8 = tag(13, LEN);
pub(super) const DROPPED_LINKS: u8 = tag(14, VARINT);
const STATUS: u8 = tag(15, LEN);
/// Span.flags is field 16, whose tag takes two bytes: 16 << 3 | 5 = 133.
const FLAGS: [u8; 2] = [0x85, 0x01];

const EVENT_TIME: u8 = tag(1, FIXED64);
const EVENT_NAME: u8 = tag(2, LEN);
/// Span.Event.attributes.
pub(crate) const EVENT_ATTRIBUTE: u8 = tag(3, LEN);
const EVENT_DROPPED_ATTRIBUTES: u8 = tag(4, VARINT);

const LINK_TRACE_ID: u8 = tag(1, LEN);
const LINK_SPAN_ID: u8 = tag(2, LEN);
const LINK_TRACE_STATE: u8 = tag(3, LEN);
/// Span.Link.attributes.
pub(crate) const LINK_ATTRIBUTE: u8 = tag(4, LEN);
const LINK_DROPPED_ATTRIBUTES: u8 = tag(5, VARINT);
const LINK_FLAGS: u8 = tag(6, FIXED32);

const STATUS_MESSAGE: u8 = tag(2, LEN);
const STATUS_CODE: u8 = tag(3, VARINT);

/// "Bits 8 and 9 are used to represent the remoteness of a context": bit 8 says that bit 9 is known.
pub(crate) const HAS_IS_REMOTE: u32 = 0x100;
/// Bit 9: the parent is in another process.
pub(crate) const IS_REMOTE: u32 = 0x200;
/// The sampled flag of W3C Trace Context.
pub(crate) const SAMPLED: u32 = 0x01;
/// The bits of Span.flags and LogRecord.flags that are the trace's flags: "Bits 0-7 are used for trace flags"; what stands above in a
/// span's is about its parent.
pub(crate) const TRACE_FLAGS: u32 = 0xFF;
/// The random-trace-id flag of W3C Trace Context level 2.
pub(crate) const RANDOM: u32 = 0x02;

/// The length of the head: trace id, span id, flags, start time.
pub(crate) const HEAD: usize = 43;

/// Who a span is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ids {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    /// As they stand in Span.flags.
    pub(crate) flags: u32,
}

/// Status.StatusCode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Code {
    #[default]
    Unset = 0,
    Ok = 1,
    Error = 2,
}

impl Code {
    /// By its name in any case, as the field `otel.status_code` gives it; anything else is unset.
    pub(crate) fn from_name(name: &str) -> Self {
        if name.eq_ignore_ascii_case("ok") {
            Self::Ok
        } else if name.eq_ignore_ascii_case("error") {
            Self::Error
        } else {
            Self::Unset
        }
    }
}

#[inline(always)]
pub(crate) fn put_head(out: &mut Vec<u8>, ids: &Ids, start: u64) {
    let Ids { trace, span, flags } = *ids;
    let mut head = [0; HEAD];
    head[0..2].copy_from_slice(&[TRACE_ID, 16]);
    // By way of a number, so that the bytes stay in registers.
    let trace = u128::from_ne_bytes(trace.to_bytes());
    head[2..18].copy_from_slice(&trace.to_ne_bytes());
    head[18..20].copy_from_slice(&[SPAN_ID, 8]);
    head[20..28].copy_from_slice(&span.to_bytes());
    head[28..30].copy_from_slice(&FLAGS);
    head[30..34].copy_from_slice(&flags.to_le_bytes());
    head[34] = START_TIME;
    head[35..43].copy_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&head);
}

#[inline]
pub(crate) fn put_parent(out: &mut Vec<u8>, parent: SpanId) {
    out.extend_from_slice(&parent_field(parent));
}

#[inline]
fn parent_field(parent: SpanId) -> [u8; 10] {
    let mut field = [PARENT_SPAN_ID, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    field[2..].copy_from_slice(&parent.to_bytes());
    field
}

/// Writes other ids and flags over those of the head, and another parent, or the first one.
pub(crate) fn set_ids(span: &mut Vec<u8>, ids: &Ids, parent: Option<SpanId>) {
    let Some(head) = span.first_chunk_mut::<HEAD>() else {
        return;
    };
    head[2..18].copy_from_slice(&ids.trace.to_bytes());
    head[20..28].copy_from_slice(&ids.span.to_bytes());
    head[30..34].copy_from_slice(&ids.flags.to_le_bytes());
    let Some(parent) = parent else { return };
    if let Some([PARENT_SPAN_ID, 8, known @ ..]) = span.get_mut(HEAD..HEAD + 10) {
        known.copy_from_slice(&parent.to_bytes());
        return;
    }
    // Room for it at the end, and everything behind the head moves up: `splice` would go byte by byte.
    let end = span.len();
    // And no more than that: what a buffer doubles by is charged to nobody.
    span.reserve_exact(10);
    put_parent(span, parent);
    span.copy_within(HEAD..end, HEAD + 10);
    if let Some(place) = span.get_mut(HEAD..HEAD + 10) {
        place.copy_from_slice(&parent_field(parent));
    }
}

/// The start time in the head.
pub(crate) fn start_of(span: &[u8]) -> u64 {
    let time = span
        .get(HEAD - 8..HEAD)
        .and_then(|time| time.try_into().ok());
    time.map_or(0, u64::from_le_bytes)
}

/// The parent, where one stands behind the head.
pub(crate) fn parent_of(span: &[u8]) -> Option<SpanId> {
    match span.get(HEAD..HEAD + 10)? {
        [PARENT_SPAN_ID, 8, id @ ..] => SpanId::from_bytes(id.try_into().ok()?),
        _ => None,
    }
}

/// The name and the kind as far as they are written.
pub(crate) fn name_and_kind(span: &[u8]) -> (Option<&str>, SpanKind) {
    let (mut name, mut kind) = (None, SpanKind::Internal);
    let mut reader = Reader::new(span);
    while let Ok(Some((field, content))) = reader.next() {
        match (field, content) {
            (5, Content::Bytes(text)) => name = std::str::from_utf8(text).ok(),
            (6, Content::Varint(number)) => kind = SpanKind::from_number(number),
            _ => {}
        }
    }
    (name, kind)
}

/// The status and its description, as far as they are written.
pub(crate) fn status_of(span: &[u8]) -> (Code, &str) {
    let status = wire::fields(span, STATUS).last();
    read_status(status.unwrap_or_default()).unwrap_or_default()
}

/// What a `Status` says; a code that is not known is unset.
pub(crate) fn read_status(status: &[u8]) -> Result<(Code, &str), Malformed> {
    let (mut code, mut message) = (Code::Unset, "");
    let mut reader = Reader::new(status);
    while let Some((field, content)) = reader.next()? {
        match (field, content) {
            (2, Content::Bytes(text)) => {
                message = std::str::from_utf8(text).map_err(|_| Malformed)?;
            }
            (3, Content::Varint(number)) => {
                code = match number {
                    1 => Code::Ok,
                    2 => Code::Error,
                    _ => Code::Unset,
                }
            }
            _ => {}
        }
    }
    Ok((code, message))
}

/// Appends the attributes of another span.
pub(crate) fn copy_attributes(out: &mut Vec<u8>, span: &[u8]) {
    for attribute in wire::fields(span, SPAN_ATTRIBUTE) {
        wire::put_len(out, SPAN_ATTRIBUTE, attribute);
    }
}

/// The name of an event, as far as it is written.
pub(crate) fn event_name_of(event: &[u8]) -> Option<&str> {
    let name = wire::fields(event, EVENT_NAME).last()?;
    std::str::from_utf8(name).ok()
}

/// A span's tracestate; nothing where there is none.
pub(crate) fn put_trace_state(out: &mut Vec<u8>, trace_state: &str) {
    if !trace_state.is_empty() {
        wire::put_len(out, TRACE_STATE, trace_state.as_bytes());
    }
}

pub(crate) fn put_name(out: &mut Vec<u8>, name: &str) {
    wire::put_len(out, NAME, name.as_bytes());
}

pub(crate) fn put_kind(out: &mut Vec<u8>, kind: SpanKind) {
    out.extend_from_slice(&[KIND, kind.number()]);
}

/// What a span has that is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
}

#[inline]
pub(crate) fn put_end(out: &mut Vec<u8>, end: u64) {
    out.extend_from_slice(&end_field(end));
}

/// The end time, which as a rule is the last that is known.
#[inline]
pub(crate) fn end_field(end: u64) -> [u8; 9] {
    let mut field = [END_TIME, 0, 0, 0, 0, 0, 0, 0, 0];
    field[1..].copy_from_slice(&end.to_le_bytes());
    field
}

/// What was left out, as far as it is anything.
pub(crate) fn put_dropped(out: &mut Vec<u8>, dropped: &Dropped) {
    put_count(out, DROPPED_ATTRIBUTES, dropped.attributes);
    put_count(out, DROPPED_EVENTS, dropped.events);
    put_count(out, DROPPED_LINKS, dropped.links);
}

pub(crate) fn put_status(out: &mut Vec<u8>, code: Code, message: &str) {
    let message_len = if message.is_empty() {
        0
    } else {
        wire::len_field_len(message.len())
    };
    out.push(STATUS);
    put_varint(out, (message_len + 2) as u64);
    if !message.is_empty() {
        wire::put_len(out, STATUS_MESSAGE, message.as_bytes());
    }
    out.extend_from_slice(&[STATUS_CODE, code as u8]);
}

/// The time of an event, with which it begins.
#[inline]
pub(crate) fn put_event_time(out: &mut Vec<u8>, time: u64) {
    let mut field = [EVENT_TIME, 0, 0, 0, 0, 0, 0, 0, 0];
    field[1..].copy_from_slice(&time.to_le_bytes());
    out.extend_from_slice(&field);
}

pub(crate) fn put_event_name(out: &mut Vec<u8>, name: &str) {
    wire::put_len(out, EVENT_NAME, name.as_bytes());
}

/// An event's name that `write` appends.
#[inline]
pub(crate) fn put_event_name_with(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[EVENT_NAME, 0]);
    let start = out.len();
    write(out);
    wire::set_len(out, start);
}

#[inline]
pub(crate) fn put_event_dropped(out: &mut Vec<u8>, dropped: u32) {
    put_count(out, EVENT_DROPPED_ATTRIBUTES, dropped);
}

/// Appends an encoded event to a span.
#[inline]
pub(crate) fn put_event(span: &mut Vec<u8>, event: &[u8]) {
    wire::put_len(span, EVENTS, event);
}

/// What a link begins with. Its flags are those of the context that it leads to, with bit 9 where that is another process's
/// ("is_remote", trace.proto); the tracestate is left out where it is empty.
pub(crate) fn put_link_head(link: &mut Vec<u8>, to: &Ids, trace_state: &str) {
    link.extend_from_slice(&[LINK_TRACE_ID, 16]);
    link.extend_from_slice(&to.trace.to_bytes());
    link.extend_from_slice(&[LINK_SPAN_ID, 8]);
    link.extend_from_slice(&to.span.to_bytes());
    if !trace_state.is_empty() {
        wire::put_len(link, LINK_TRACE_STATE, trace_state.as_bytes());
    }
    link.push(LINK_FLAGS);
    link.extend_from_slice(&to.flags.to_le_bytes());
}

pub(crate) fn put_link_dropped(link: &mut Vec<u8>, dropped: u32) {
    put_count(link, LINK_DROPPED_ATTRIBUTES, dropped);
}

/// Appends an encoded link to a span.
pub(crate) fn put_encoded_link(span: &mut Vec<u8>, link: &[u8]) {
    wire::put_len(span, LINKS, link);
}

/// Cuts a span's name, if one is written.
pub(crate) fn cut_name(span: &mut Vec<u8>) {
    cut(span, NAME, &[]);
}

/// Cuts a span's kind, if one is written.
pub(crate) fn cut_kind(span: &mut Vec<u8>) {
    cut(span, KIND, &[]);
}

/// Cuts a span's status, if one is written.
pub(crate) fn cut_status(span: &mut Vec<u8>) {
    cut(span, STATUS, &[]);
}

/// Cuts an event's name, if one is written.
pub(crate) fn cut_event_name(event: &mut Vec<u8>) {
    cut(event, EVENT_NAME, &[]);
}

/// Cuts the attribute with this tag and encoded key out of a span, an event or a log record; says whether there was one.
pub(crate) fn cut_attribute(message: &mut Vec<u8>, tag: u8, key: &[u8]) -> bool {
    cut(message, tag, key)
}

/// Cuts the first field with this tag whose content begins so, behind a span's head.
pub(super) fn cut(message: &mut Vec<u8>, tag: u8, beginning: &[u8]) -> bool {
    let start = if has_head(message) { HEAD } else { 0 };
    let Some(found) = message
        .get(start..)
        .and_then(|fields| wire::find(fields, tag, beginning))
    else {
        return false;
    };
    message.drain(start + found.start..start + found.end);
    true
}

/// Whether this is a span as [`put_head`] begins one, and neither an event nor a link.
fn has_head(message: &[u8]) -> bool {
    let Some(head) = message.first_chunk::<HEAD>() else {
        return false;
    };
    let tags = (head[0], head[18], head[34]);
    tags == (TRACE_ID, SPAN_ID, START_TIME) && head[28..30] == FLAGS
}

#[inline]
pub(super) fn put_count(out: &mut Vec<u8>, tag: u8, count: u32) {
    if count > 0 {
        out.push(tag);
        put_varint(out, u64::from(count));
    }
}
