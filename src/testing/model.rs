//! Spans as plain values.

use crate::id::{SpanId, TraceId};

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
    pub attributes: Vec<(String, Value)>,
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
    pub resource: Vec<(String, Value)>,
}

impl Span {
    /// The attribute of this key.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
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
    pub attributes: Vec<(String, Value)>,
    /// Attributes left out at a limit.
    pub dropped_attributes_count: u32,
}

impl Event {
    /// The attribute of this key.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
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

/// A span's kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanKind {
    /// Not said.
    #[default]
    Unspecified,
    /// Inside a program.
    Internal,
    /// A request is served.
    Server,
    /// A request is made.
    Client,
    /// A message is sent.
    Producer,
    /// A message is received.
    Consumer,
}

/// A span's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Not said.
    #[default]
    Unset,
    /// Said to be well.
    Ok,
    /// Failed, with a description that may be empty.
    Error(String),
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value.
    Empty,
    /// Text.
    Str(String),
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in their order.
    Array(Vec<Self>),
    /// Values by key.
    Map(Vec<(String, Self)>),
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.to_owned())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}
