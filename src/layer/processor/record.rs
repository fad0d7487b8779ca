//! [`Record`]: a span, an event or a log record, as a processor sees and changes it.

use std::fmt;
use std::time::Duration;

use tracing_core::{Level, Metadata};

use super::Processors;
use crate::id::{SpanId, TraceId};
use crate::layer::scratch;
use crate::layer::user;
use crate::layer::written::{ErrorType, Written};
use crate::model::{SpanKind, Status, Value};
use crate::proto::common;
use crate::proto::logs;
use crate::proto::trace::{self, Code, Ids};
use crate::proto::value::{self, ValueBounds};
use crate::proto::wire::{Content, Reader};

/// More than the tags and lengths of an attribute or a name take.
const FRAME: usize = 24;

/// What a [`Record`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// A span.
    Span,
    /// An event of a span.
    Event,
    /// A log record. Its name is that of the event, where it has one; its body went through [`Processor::on_value`](super::Processor)
    /// as `message`.
    Log,
}

/// How a record is encoded.
#[derive(Clone, Copy, Debug)]
pub(in crate::layer) struct Form {
    kind: RecordKind,
    /// The tag of an attribute.
    attribute: u8,
    /// Under which key its name goes through the processors.
    name_key: &'static str,
}

impl Form {
    pub(in crate::layer) const SPAN: Self = Self {
        kind: RecordKind::Span,
        attribute: trace::SPAN_ATTRIBUTE,
        name_key: "otel.name",
    };

    pub(in crate::layer) const EVENT: Self = Self {
        kind: RecordKind::Event,
        attribute: trace::EVENT_ATTRIBUTE,
        name_key: "message",
    };

    pub(in crate::layer) const LOG: Self = Self {
        kind: RecordKind::Log,
        attribute: logs::LOG_ATTRIBUTE,
        name_key: "event.name",
    };
}

/// A record that is being written, outside of any lock.
pub(in crate::layer) struct Draft<'a> {
    pub(in crate::layer) form: Form,
    /// `None` for an event that no callsite has made.
    pub(in crate::layer) metadata: Option<&'static Metadata<'static>>,
    /// Those of the span, or of the span that it is recorded in.
    pub(in crate::layer) ids: Ids,
    /// When a span ends, if it does.
    pub(in crate::layer) end: Option<u64>,
    pub(in crate::layer) message: &'a mut Vec<u8>,
    pub(in crate::layer) written: &'a mut Written,
    pub(in crate::layer) attributes: u32,
    pub(in crate::layer) bytes: usize,
    pub(in crate::layer) value: ValueBounds,
    pub(in crate::layer) spare: &'a mut Spare,
}

/// Buffers of a thread's scratch space.
#[derive(Debug, Default)]
pub(in crate::layer) struct Spare {
    /// One attribute, before it goes into its record.
    attribute: Vec<u8>,
    /// The record before a processor saw it.
    before: Vec<u8>,
}

impl Spare {
    pub(in crate::layer) fn keep_small(&mut self) {
        scratch::keep_small(&mut self.attribute);
        scratch::keep_small(&mut self.before);
    }
}

/// A span, an event or a log record, as a [`Processor`](super::Processor) sees and changes it.
///
/// The limits of [`Limits`](crate::Limits) hold, and the record counts what was left out.
pub struct Record<'a> {
    draft: Draft<'a>,
    processors: &'a Processors,
    written_before: Written,
    is_discarded: bool,
}

impl<'a> Record<'a> {
    pub(super) fn new(draft: Draft<'a>, processors: &'a Processors) -> Self {
        Self {
            written_before: *draft.written,
            draft,
            processors,
            is_discarded: false,
        }
    }

    /// What it is.
    pub fn kind(&self) -> RecordKind {
        self.draft.form.kind
    }

    /// The span's name, or the event's, which is its message.
    pub fn name(&self) -> &str {
        let message = &*self.draft.message;
        let name = match self.kind() {
            RecordKind::Span => trace::name_and_kind(message).0,
            RecordKind::Event => trace::event_name_of(message),
            RecordKind::Log => logs::event_name_of(message),
        };
        let callsite = self.draft.metadata.map(Metadata::name);
        name.or(callsite).unwrap_or_default()
    }

    /// What a span is in its trace; of an event, `None`.
    pub fn span_kind(&self) -> Option<SpanKind> {
        let is_span = self.kind() == RecordKind::Span;
        is_span.then(|| trace::name_and_kind(self.draft.message).1)
    }

    /// The tracing target of the callsite. An event of [`SpanExt::add_event`](crate::SpanExt::add_event) has none.
    pub fn target(&self) -> Option<&'static str> {
        self.draft.metadata.map(Metadata::target)
    }

    /// The tracing level of the callsite. An event of [`SpanExt::add_event`](crate::SpanExt::add_event) has none.
    pub fn level(&self) -> Option<Level> {
        self.draft.metadata.map(|metadata| *metadata.level())
    }

    /// The trace that it belongs to.
    pub fn trace_id(&self) -> TraceId {
        self.draft.ids.trace
    }

    /// The span, or the one that the event is recorded in.
    pub fn span_id(&self) -> SpanId {
        self.draft.ids.span
    }

    /// The span's parent; `None` for a root, and for an event.
    pub fn parent_span_id(&self) -> Option<SpanId> {
        let is_span = self.kind() == RecordKind::Span;
        trace::parent_of(self.draft.message).filter(|_| is_span)
    }

    /// How the span went so far; of an event, [`Status::Unset`].
    pub fn status(&self) -> Status {
        if self.kind() != RecordKind::Span {
            return Status::Unset;
        }
        match trace::status_of(self.draft.message) {
            (Code::Unset, _) => Status::Unset,
            (Code::Ok, _) => Status::Ok,
            (Code::Error, description) => Status::error(description.to_owned()),
        }
    }

    /// How long the span took; `None` while it is open, and for an event.
    pub fn duration(&self) -> Option<Duration> {
        let end = self.draft.end?;
        let start = trace::start_of(self.draft.message);
        Some(Duration::from_nanos(end.saturating_sub(start)))
    }

    /// The attribute of this key. Nothing is allocated unless it is an array or a map.
    pub fn attribute(&self, key: &str) -> Option<Value<'_>> {
        value::attribute(self.draft.message, self.draft.form.attribute, key)
    }

    /// All attributes. Each is decoded as it is asked for.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        value::attributes(self.draft.message, self.draft.form.attribute)
    }

    /// Sets an attribute, in the place of one that has the key. An empty key is ignored.
    pub fn set_attribute<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        let mut value = value.into();
        if key.is_empty() {
            return;
        }
        self.processors.value(key, &mut value, self.draft.bytes);
        self.encode(key, &value);
        self.forget_what_is_known(key);
        let Draft {
            form,
            message,
            written,
            attributes,
            bytes,
            spare: Spare { attribute, .. },
            ..
        } = &mut self.draft;
        let is_known =
            key_in(attribute).is_some_and(|key| trace::cut_attribute(message, form.attribute, key));
        let is_one_more = !is_known && written.attributes >= *attributes;
        let has_room = !attribute.is_empty() && message.len() + attribute.len() <= *bytes;
        written.attributes -= u32::from(is_known);
        if is_one_more || !has_room {
            written.dropped = written.dropped.saturating_add(1);
            return;
        }
        written.attributes += 1;
        message.extend_from_slice(attribute);
    }

    /// Takes an attribute out; says whether there was one.
    pub fn remove_attribute(&mut self, key: &str) -> bool {
        self.encode(key, &Value::Empty);
        let Draft {
            form,
            message,
            written,
            spare,
            ..
        } = &mut self.draft;
        let is_known = key_in(&spare.attribute)
            .is_some_and(|key| trace::cut_attribute(message, form.attribute, key));
        if is_known {
            written.attributes -= 1;
            self.forget_what_is_known(key);
        }
        is_known
    }

    /// Gives it another name; an event another message.
    pub fn set_name(&mut self, name: &str) {
        let Draft { form, bytes, .. } = &self.draft;
        let name = self.processors.text(form.name_key, name, *bytes);
        let Draft {
            form,
            message,
            written,
            bytes,
            ..
        } = &mut self.draft;
        written.name = true;
        match form.kind {
            RecordKind::Span => trace::cut_name(message),
            RecordKind::Event => trace::cut_event_name(message),
            RecordKind::Log => logs::cut_event_name(message),
        }
        let kept = user::fitting(&name, bytes.saturating_sub(message.len() + FRAME));
        written.truncated += u32::from(kept.len() < name.len());
        match form.kind {
            RecordKind::Span => trace::put_name(message, kept),
            RecordKind::Event => trace::put_event_name(message, kept),
            RecordKind::Log => logs::put_event_name(message, kept),
        }
    }

    /// Leaves the record out: no later processor sees it. A span is dropped when it ends, and counted
    /// ([`DropReason::Processor`](crate::DropReason::Processor)); its children are not. An event counts in its span's
    /// `dropped_events_count`.
    pub fn discard(&mut self) {
        self.is_discarded = true;
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.is_discarded
    }

    /// Keeps the record as it is, for the case that a processor panics.
    pub(super) fn remember(&mut self) {
        let before = &mut self.draft.spare.before;
        before.clear();
        before.extend_from_slice(self.draft.message);
        self.written_before = *self.draft.written;
    }

    /// Makes the record what it was.
    pub(super) fn restore(&mut self) {
        self.draft.message.clear();
        self.draft
            .message
            .extend_from_slice(&self.draft.spare.before);
        *self.draft.written = self.written_before;
        self.is_discarded = false;
    }

    /// Encodes an attribute where it does not stand in anything's way yet; nothing where its key alone has no room.
    fn encode(&mut self, key: &str, value: &Value<'_>) {
        let Draft {
            form,
            message,
            written,
            bytes,
            value: bounds,
            spare: Spare { attribute, .. },
            ..
        } = &mut self.draft;
        attribute.clear();
        let bounds = ValueBounds {
            bytes: bytes.saturating_sub(message.len() + FRAME),
            ..*bounds
        };
        let is_cut = value::put_attribute(attribute, form.attribute, key, value, &bounds);
        written.truncated += u32::from(is_cut && !attribute.is_empty());
    }

    /// The key may be that of any field, also of one that is recorded later: from now on each of them is looked for.
    fn forget_what_is_known(&mut self, key: &str) {
        let written = &mut *self.draft.written;
        written.keys = u64::MAX;
        if key == "error.type" {
            written.error_type = ErrorType::Theirs;
        }
    }
}

/// The encoded key of an encoded attribute.
fn key_in(attribute: &[u8]) -> Option<&[u8]> {
    match Reader::new(attribute).next() {
        Ok(Some((_, Content::Bytes(content)))) => Some(common::key_of(content)),
        _ => None,
    }
}

/// The message's bytes say nothing to people.
impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("kind", &self.kind())
            .field("name", &self.name())
            .field("target", &self.target())
            .field("trace_id", &self.trace_id())
            .field("span_id", &self.span_id())
            .finish_non_exhaustive()
    }
}
