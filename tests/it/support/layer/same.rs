//! `InMemory`'s own decoder against prost, on the same bytes.

use opentelemetry_proto::tonic::common::v1::any_value::Value as ProstValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::{Event as ProstEvent, Link as ProstLink};
use prost::Message;
use tracing_otlp::testing::{Event, Link, Span};
use tracing_otlp::{SpanKind, Status, Value};

use super::exported::{Exported, Spans};

pub(super) fn check(prost: &Spans, own: &[Span]) {
    assert_eq!(prost.len(), own.len());
    prost
        .iter()
        .zip(own)
        .for_each(|(prost, own)| span(prost, own));
}

fn span(prost: &Exported, own: &Span) {
    assert_eq!(prost.trace_id, own.trace_id.to_bytes());
    assert_eq!(prost.span_id, own.span_id.to_bytes());
    let parent = own
        .parent_span_id
        .map_or(Vec::new(), |id| id.to_bytes().to_vec());
    assert_eq!(prost.parent_span_id, parent);
    assert_eq!(prost.flags, own.flags);
    assert_eq!(prost.name, own.name);
    assert_eq!(prost.kind, kind(own.kind));
    assert_eq!(prost.start_time_unix_nano, own.start_time_unix_nano);
    assert_eq!(prost.end_time_unix_nano, own.end_time_unix_nano);
    assert_eq!(
        (
            prost.dropped_attributes_count,
            prost.dropped_events_count,
            prost.dropped_links_count
        ),
        (
            own.dropped_attributes_count,
            own.dropped_events_count,
            own.dropped_links_count
        )
    );
    let status = match &own.status {
        Status::Unset => (0, ""),
        Status::Ok => (1, ""),
        Status::Error(description) => (2, &**description),
        other => panic!("{other:?}"),
    };
    assert_eq!(prost.status(), status);
    assert_eq!(prost.scope, own.scope);
    attributes(&prost.resource.attributes, &own.resource);
    attributes(&prost.attributes, &own.attributes);
    assert_eq!(prost.events.len(), own.events.len());
    prost
        .events
        .iter()
        .zip(&own.events)
        .for_each(|(prost, own)| event(prost, own));
    assert_eq!(prost.links.len(), own.links.len());
    prost
        .links
        .iter()
        .zip(&own.links)
        .for_each(|(prost, own)| link(prost, own));
}

fn kind(kind: SpanKind) -> i32 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
        other => panic!("{other:?}"),
    }
}

fn event(prost: &ProstEvent, own: &Event) {
    assert_eq!(prost.time_unix_nano, own.time_unix_nano);
    assert_eq!(prost.name, own.name);
    assert_eq!(prost.dropped_attributes_count, own.dropped_attributes_count);
    attributes(&prost.attributes, &own.attributes);
}

fn link(prost: &ProstLink, own: &Link) {
    assert_eq!(prost.trace_id, own.trace_id.to_bytes());
    assert_eq!(prost.span_id, own.span_id.to_bytes());
}

/// By their encoding, in which `NaN` equals itself.
fn attributes(prost: &[KeyValue], own: &[(String, Value)]) {
    let own: Vec<_> = own
        .iter()
        .map(|pair| self::pair(pair).encode_to_vec())
        .collect();
    let prost: Vec<_> = prost.iter().map(Message::encode_to_vec).collect();
    assert_eq!(prost, own);
}

fn pair<K: ToString>((key, value): &(K, Value<'_>)) -> KeyValue {
    KeyValue {
        key: key.to_string(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Empty => None,
        Value::Str(text) => Some(ProstValue::StringValue(text.to_string())),
        Value::Bool(truth) => Some(ProstValue::BoolValue(*truth)),
        Value::Int(int) => Some(ProstValue::IntValue(*int)),
        Value::Double(double) => Some(ProstValue::DoubleValue(*double)),
        Value::Bytes(bytes) => Some(ProstValue::BytesValue(bytes.to_vec())),
        Value::Array(values) => Some(ProstValue::ArrayValue(ArrayValue {
            values: values.iter().map(any).collect(),
        })),
        Value::Map(pairs) => Some(ProstValue::KvlistValue(KeyValueList {
            values: pairs.iter().map(pair).collect(),
        })),
        other => panic!("{other:?}"),
    };
    AnyValue { value }
}
