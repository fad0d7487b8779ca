//! Spans and log records as plain values.

use crate::id::{SpanId, TraceId};
use crate::model::{SpanKind, Status, Value};

/// A span, as a collector would see it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// The trace's id.
    pub trace_id: TraceId,
    /// The span's id.
    pub span_id: SpanId,
    /// The parent's id; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// W3C trace flags, and above them OTLP's own.
    pub flags: u32,
    /// The name.
    pub name: String,
    /// The kind.
    pub kind: SpanKind,
    /// When it began, in UNIX nanoseconds.
    pub start_time_unix_nano: u64,
    /// When it ended, in UNIX nanoseconds.
    pub end_time_unix_nano: u64,
    /// Attributes, as encoded: a key stands once.
    pub attributes: Vec<(String, Value<'static>)>,
    /// Attributes left out at a limit.
    pub dropped_attributes_count: u32,
    /// Events in their order.
    pub events: Vec<Event>,
    /// Events left out at a limit.
    pub dropped_events_count: u32,
    /// Links in their order.
    pub links: Vec<Link>,
    /// Links left out at a limit.
    pub dropped_links_count: u32,
    /// The status.
    pub status: Status,
    /// The instrumentation scope: the `tracing` target.
    pub scope: String,
    /// The resource's attributes.
    pub resource: Vec<(String, Value<'static>)>,
}

impl Span {
    /// The attribute of this key.
    pub fn attribute(&self, key: &str) -> Option<&Value<'static>> {
        self.attributes
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }
}

/// An event of a span.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When it was recorded, in UNIX nanoseconds.
    pub time_unix_nano: u64,
    /// The name: the message, or the callsite's name where there is none.
    pub name: String,
    /// Attributes, as encoded.
    pub attributes: Vec<(String, Value<'static>)>,
    /// Attributes left out at a limit.
    pub dropped_attributes_count: u32,
}

impl Event {
    /// The attribute of this key.
    pub fn attribute(&self, key: &str) -> Option<&Value<'static>> {
        self.attributes
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }
}

/// A link to another span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// The other span's trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
}

/// A log record, as a collector would see it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Log {
    /// When it happened, in UNIX nanoseconds.
    pub time_unix_nano: u64,
    /// When it was noticed, in UNIX nanoseconds.
    pub observed_time_unix_nano: u64,
    /// How severe it is, from 1 to 24; 0 is not known.
    pub severity_number: u32,
    /// How severe it is, by the name that its source has for that.
    pub severity_text: String,
    /// What it says.
    pub body: Option<Value<'static>>,
    /// Attributes, as encoded: a key stands once.
    pub attributes: Vec<(String, Value<'static>)>,
    /// Attributes left out at a limit.
    pub dropped_attributes_count: u32,
    /// W3C trace flags.
    pub flags: u32,
    /// The trace's id, where it was logged in a span.
    pub trace_id: Option<TraceId>,
    /// The span's id, where it was logged in one.
    pub span_id: Option<SpanId>,
    /// What kind of event it is; empty for other log records.
    pub event_name: String,
    /// The instrumentation scope: the `tracing` target.
    pub scope: String,
    /// The resource's attributes.
    pub resource: Vec<(String, Value<'static>)>,
}

impl Log {
    /// The attribute of this key.
    pub fn attribute(&self, key: &str) -> Option<&Value<'static>> {
        self.attributes
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }
}
