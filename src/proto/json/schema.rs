//! The messages of trace.proto, logs.proto, resource.proto and common.proto, one table each: what the walker knows of them.
//!
//! A name is the field's in lowerCamelCase. Profiles alone use `key_strindex` and `string_value_strindex`.

/// A message's fields, in the order in which they are written.
pub(super) struct Message {
    /// One of the fields is set at most: the last one that stands there. It is written also where it has its default.
    pub(super) is_one_of: bool,
    pub(super) fields: &'static [Field],
}

pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// What a field holds, and so how it is written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `string`.
    Text,
    /// `repeated string`.
    Texts,
    /// `bytes` that are an id: hexadecimal digits.
    Id,
    /// Other `bytes`: base64.
    Bytes,
    Bool,
    /// An enumeration: its number.
    Enum,
    Uint32,
    Fixed32,
    /// 64 bits are decimal digits in a string.
    Int64,
    Fixed64,
    Double,
    One(&'static Message),
    Many(&'static Message),
}

const fn message(fields: &'static [Field]) -> Message {
    Message {
        is_one_of: false,
        fields,
    }
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

/// `TracesData` and `ExportTraceServiceRequest`, which are the same on the wire.
pub(super) static TRACES: Message =
    message(&[field(1, "resourceSpans", Kind::Many(&RESOURCE_SPANS))]);

static RESOURCE_SPANS: Message = message(&[
    field(1, "resource", Kind::One(&RESOURCE)),
    field(2, "scopeSpans", Kind::Many(&SCOPE_SPANS)),
    field(3, "schemaUrl", Kind::Text),
]);

/// `LogsData` and `ExportLogsServiceRequest`, which are the same on the wire.
pub(super) static LOGS: Message = message(&[field(1, "resourceLogs", Kind::Many(&RESOURCE_LOGS))]);

static RESOURCE_LOGS: Message = message(&[
    field(1, "resource", Kind::One(&RESOURCE)),
    field(2, "scopeLogs", Kind::Many(&SCOPE_LOGS)),
    field(3, "schemaUrl", Kind::Text),
]);

static SCOPE_LOGS: Message = message(&[
    field(1, "scope", Kind::One(&SCOPE)),
    field(2, "logRecords", Kind::Many(&LOG_RECORD)),
    field(3, "schemaUrl", Kind::Text),
]);

pub(super) static LOG_RECORD: Message = message(&[
    field(1, "timeUnixNano", Kind::Fixed64),
    field(11, "observedTimeUnixNano", Kind::Fixed64),
    field(2, "severityNumber", Kind::Enum),
    field(3, "severityText", Kind::Text),
    field(5, "body", Kind::One(&ANY_VALUE)),
    field(6, "attributes", Kind::Many(&KEY_VALUE)),
    field(7, "droppedAttributesCount", Kind::Uint32),
    field(8, "flags", Kind::Fixed32),
    field(9, "traceId", Kind::Id),
    field(10, "spanId", Kind::Id),
    field(12, "eventName", Kind::Text),
]);

static RESOURCE: Message = message(&[
    field(1, "attributes", Kind::Many(&KEY_VALUE)),
    field(2, "droppedAttributesCount", Kind::Uint32),
    field(3, "entityRefs", Kind::Many(&ENTITY_REF)),
]);

static ENTITY_REF: Message = message(&[
    field(1, "schemaUrl", Kind::Text),
    field(2, "type", Kind::Text),
    field(3, "idKeys", Kind::Texts),
    field(4, "descriptionKeys", Kind::Texts),
]);

static SCOPE_SPANS: Message = message(&[
    field(1, "scope", Kind::One(&SCOPE)),
    field(2, "spans", Kind::Many(&SPAN)),
    field(3, "schemaUrl", Kind::Text),
]);

static SCOPE: Message = message(&[
    field(1, "name", Kind::Text),
    field(2, "version", Kind::Text),
    field(3, "attributes", Kind::Many(&KEY_VALUE)),
    field(4, "droppedAttributesCount", Kind::Uint32),
]);

pub(super) static SPAN: Message = message(&[
    field(1, "traceId", Kind::Id),
    field(2, "spanId", Kind::Id),
    field(3, "traceState", Kind::Text),
    field(4, "parentSpanId", Kind::Id),
    field(16, "flags", Kind::Fixed32),
    field(5, "name", Kind::Text),
    field(6, "kind", Kind::Enum),
    field(7, "startTimeUnixNano", Kind::Fixed64),
    field(8, "endTimeUnixNano", Kind::Fixed64),
    field(9, "attributes", Kind::Many(&KEY_VALUE)),
    field(10, "droppedAttributesCount", Kind::Uint32),
    field(11, "events", Kind::Many(&EVENT)),
    field(12, "droppedEventsCount", Kind::Uint32),
    field(13, "links", Kind::Many(&LINK)),
    field(14, "droppedLinksCount", Kind::Uint32),
    field(15, "status", Kind::One(&STATUS)),
]);

static EVENT: Message = message(&[
    field(1, "timeUnixNano", Kind::Fixed64),
    field(2, "name", Kind::Text),
    field(3, "attributes", Kind::Many(&KEY_VALUE)),
    field(4, "droppedAttributesCount", Kind::Uint32),
]);

static LINK: Message = message(&[
    field(1, "traceId", Kind::Id),
    field(2, "spanId", Kind::Id),
    field(3, "traceState", Kind::Text),
    field(4, "attributes", Kind::Many(&KEY_VALUE)),
    field(5, "droppedAttributesCount", Kind::Uint32),
    field(6, "flags", Kind::Fixed32),
]);

static STATUS: Message = message(&[
    field(2, "message", Kind::Text),
    field(3, "code", Kind::Enum),
]);

static KEY_VALUE: Message = message(&[
    field(1, "key", Kind::Text),
    field(2, "value", Kind::One(&ANY_VALUE)),
]);

pub(super) static ANY_VALUE: Message = Message {
    is_one_of: true,
    fields: &[
        field(1, "stringValue", Kind::Text),
        field(2, "boolValue", Kind::Bool),
        field(3, "intValue", Kind::Int64),
        field(4, "doubleValue", Kind::Double),
        field(5, "arrayValue", Kind::One(&ARRAY_VALUE)),
        field(6, "kvlistValue", Kind::One(&KEY_VALUE_LIST)),
        field(7, "bytesValue", Kind::Bytes),
    ],
};

static ARRAY_VALUE: Message = message(&[field(1, "values", Kind::Many(&ANY_VALUE))]);

static KEY_VALUE_LIST: Message = message(&[field(1, "values", Kind::Many(&KEY_VALUE))]);
