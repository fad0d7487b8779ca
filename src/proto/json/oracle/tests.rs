//! Random messages, against a naive writer that makes a tree of prost's types.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Map, Value, json};

use super::tests::{
    any as value_of, attribute as attribute_of, json as written, value as written_value,
};
use super::*;

#[path = "logs/tests.rs"]
mod logs;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z.]{1,12}", any_text(),]
}

fn any_text() -> impl Strategy<Value = String> {
    vec(proptest::char::any(), 0..8).prop_map(String::from_iter)
}

fn doubles() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        prop_oneof![
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::MIN),
            Just(-0.0),
            Just(5e-324)
        ],
    ]
}

fn values() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Any::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Any::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Any::IntValue(value))),
        doubles().prop_map(|value| Some(Any::DoubleValue(value))),
        vec(any::<u8>(), 0..9).prop_map(|bytes| Some(Any::BytesValue(bytes))),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4)
                .prop_map(|values| value_of(Any::ArrayValue(ArrayValue { values }))),
            attributes_of(inner)
                .prop_map(|values| value_of(Any::KvlistValue(KeyValueList { values }))),
        ]
    })
}

fn attributes_of(values: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = (text(), option::of(values));
    vec(
        attribute.prop_map(|(key, value)| attribute_of(&key, value)),
        0..4,
    )
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    attributes_of(values())
}

fn id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 8), vec(any::<u8>(), 16)]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), any::<u32>()]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (any::<u64>(), text(), attributes(), number());
    let event = event.prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    vec(event, 0..3)
}

fn links() -> impl Strategy<Value = Vec<Link>> {
    let link = (id(), id(), text(), attributes(), number(), number());
    let link = link.prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    );
    vec(link, 0..3)
}

fn spans() -> impl Strategy<Value = Span> {
    let status = (text(), -1..4).prop_map(|(message, code)| Status { message, code });
    let ids = (id(), id(), text(), id(), number());
    let plain = (
        text(),
        prop_oneof![Just(0), any::<i32>()],
        any::<u64>(),
        any::<u64>(),
    );
    let many = (
        attributes(),
        number(),
        events(),
        number(),
        links(),
        number(),
    );
    (ids, plain, many, option::of(status)).prop_map(|(ids, plain, many, status)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        trace_state: ids.2,
        parent_span_id: ids.3,
        flags: ids.4,
        name: plain.0,
        kind: plain.1,
        start_time_unix_nano: plain.2,
        end_time_unix_nano: plain.3,
        attributes: many.0,
        dropped_attributes_count: many.1,
        events: many.2,
        dropped_events_count: many.3,
        links: many.4,
        dropped_links_count: many.5,
        status,
    })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    let scope = (text(), text(), attributes(), number());
    scope.prop_map(|scope| InstrumentationScope {
        name: scope.0,
        version: scope.1,
        attributes: scope.2,
        dropped_attributes_count: scope.3,
    })
}

fn resource() -> impl Strategy<Value = Resource> {
    let keys = || vec(text(), 0..3);
    let entity = (text(), text(), keys(), keys()).prop_map(|entity| EntityRef {
        schema_url: entity.0,
        r#type: entity.1,
        id_keys: entity.2,
        description_keys: entity.3,
    });
    (attributes(), number(), vec(entity, 0..3)).prop_map(|resource| Resource {
        attributes: resource.0,
        dropped_attributes_count: resource.1,
        entity_refs: resource.2,
    })
}

fn data() -> impl Strategy<Value = TracesData> {
    let scopes = (option::of(scope()), vec(spans(), 0..3), text());
    let scopes = scopes.prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    });
    let resources = (option::of(resource()), vec(scopes, 0..3), text());
    let resources = resources.prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
        resource,
        scope_spans,
        schema_url,
    });
    vec(resources, 0..3).prop_map(|resource_spans| TracesData { resource_spans })
}

/// The same message with its fields in another order, at every level; those of one number stay in theirs.
fn scattered(table: &Message, encoded: &[u8], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut fields: Vec<(u32, Vec<Vec<u8>>)> = Vec::new();
    let mut reader = Reader::new(encoded);
    while reader.remaining() > 0 {
        let start = encoded.len() - reader.remaining();
        let (number, content) = reader.next().expect("a message").expect("a field");
        let mut raw = encoded[start..encoded.len() - reader.remaining()].to_vec();
        let field = table.fields.iter().find(|field| field.number == number);
        if let (Some(Kind::One(inner) | Kind::Many(inner)), Content::Bytes(content)) =
            (field.map(|field| field.kind), content)
        {
            raw.truncate(raw.len() - content.len());
            raw.extend(scattered(inner, content, random));
        }
        match fields.iter_mut().find(|(known, _)| *known == number) {
            Some((_, list)) => list.push(raw),
            None => fields.push((number, vec![raw])),
        }
    }
    let mut out = Vec::new();
    while !fields.is_empty() {
        let at = random(fields.len());
        out.extend(fields[at].1.remove(0));
        fields.retain(|(_, list)| !list.is_empty());
    }
    out
}

/// Through the same parser on both sides, which may miss a double by its last bit.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

proptest! {
    #[test]
    fn the_json_is_what_a_naive_writer_makes_of_prosts_types(data in data()) {
        let text = written(&data.encode_to_vec());
        prop_assert_eq!(parsed(&text), parsed(&naive_traces(&data).to_string()));
    }

    #[test]
    fn fields_may_stand_in_any_order(data in data(), seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let encoded = scattered(&schema::TRACES, &data.encode_to_vec(), &mut |most| random.usize(..most));
        let decoded = TracesData::decode(&encoded[..]).expect("a message");
        prop_assert_eq!(decoded.encode_to_vec(), data.encode_to_vec());
        prop_assert_eq!(written(&encoded), written(&data.encode_to_vec()));
    }

    /// Of plain fields the last one counts, lists are continued, messages are merged: as prost does it.
    #[test]
    fn fields_that_stand_twice_are_merged(spans in vec(spans(), 1..4)) {
        let encoded: Vec<u8> = spans.iter().flat_map(Span::encode_to_vec).collect();
        let merged = Span::decode(&encoded[..]).expect("a message");
        let mut out = Vec::new();
        put(&schema::SPAN, &encoded, 0, &mut out).expect("it is well-formed");
        let text = String::from_utf8(out).expect("UTF-8");
        prop_assert_eq!(parsed(&text), parsed(&naive_span(&merged).to_string()));
    }

    #[test]
    fn values_that_stand_twice_are_merged(values in vec(values(), 1..5)) {
        let encoded: Vec<u8> = values.iter().flat_map(AnyValue::encode_to_vec).collect();
        let merged = AnyValue::decode(&encoded[..]).expect("a message");
        let mut out = Vec::new();
        put(&schema::ANY_VALUE, &encoded, 0, &mut out).expect("it is well-formed");
        let text = String::from_utf8(out).expect("UTF-8");
        prop_assert_eq!(parsed(&text), parsed(&naive_value(&merged).to_string()));
    }

    #[test]
    fn doubles_come_back(value in doubles().prop_filter("a number", |value| value.is_finite())) {
        let text = written_value(value_of(Any::DoubleValue(value)));
        let digits = text.strip_prefix(r#"{"doubleValue":"#).and_then(|rest| rest.strip_suffix('}'));
        let digits: f64 = digits.expect("a value").parse().expect("a number");
        prop_assert_eq!(digits.to_bits(), value.to_bits());
    }

    #[test]
    fn any_bytes_are_malformed_or_become_json(bytes: Vec<u8>) {
        let mut out = Vec::new();
        if request(Signal::Traces, &bytes, &mut out).is_ok() {
            let parsed: Result<Value, _> = serde_json::from_slice(&out);
            prop_assert!(parsed.is_ok(), "{:?}", parsed);
        }
    }

    #[test]
    fn damaged_messages_are_malformed_or_become_json(data in data(), damage in vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut encoded = data.encode_to_vec();
        for (at, byte) in damage {
            let at = at % encoded.len().max(1);
            encoded.get_mut(at).into_iter().for_each(|old| *old = byte);
        }
        let mut out = Vec::new();
        if request(Signal::Traces, &encoded, &mut out).is_ok() {
            let parsed: Result<Value, _> = serde_json::from_slice(&out);
            prop_assert!(parsed.is_ok(), "{:?}", parsed);
        }
    }
}

/// A message's fields, by the rules of the specification.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, key: &str, value: Value, is_default: bool) {
        if !is_default {
            self.0.insert(key.to_owned(), value);
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        self.put(key, json!(text), text.is_empty());
    }

    fn id(&mut self, key: &str, id: &[u8]) {
        let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.put(key, json!(digits), id.is_empty());
    }

    fn long(&mut self, key: &str, number: u64) {
        self.put(key, json!(number.to_string()), number == 0);
    }

    fn short(&mut self, key: &str, number: u32) {
        self.put(key, json!(number), number == 0);
    }

    fn number(&mut self, key: &str, number: i32) {
        self.put(key, json!(number), number == 0);
    }

    fn list<T>(&mut self, key: &str, items: &[T], naive: impl Fn(&T) -> Value) {
        self.put(key, items.iter().map(naive).collect(), items.is_empty());
    }

    fn one<T>(&mut self, key: &str, item: &Option<T>, naive: impl Fn(&T) -> Value) {
        let value = item.as_ref().map(naive);
        self.put(key, json!(value), value.is_none());
    }
}

fn object(fill: impl FnOnce(&mut Object)) -> Value {
    let mut object = Object::default();
    fill(&mut object);
    Value::Object(object.0)
}

fn naive_traces(data: &TracesData) -> Value {
    object(|o| o.list("resourceSpans", &data.resource_spans, naive_resource_spans))
}

fn naive_resource_spans(spans: &ResourceSpans) -> Value {
    object(|o| {
        o.one("resource", &spans.resource, naive_resource);
        o.list("scopeSpans", &spans.scope_spans, naive_scope_spans);
        o.text("schemaUrl", &spans.schema_url);
    })
}

fn naive_resource(resource: &Resource) -> Value {
    object(|o| {
        o.list("attributes", &resource.attributes, naive_attribute);
        o.short("droppedAttributesCount", resource.dropped_attributes_count);
        o.list("entityRefs", &resource.entity_refs, naive_entity);
    })
}

fn naive_entity(entity: &EntityRef) -> Value {
    object(|o| {
        o.text("schemaUrl", &entity.schema_url);
        o.text("type", &entity.r#type);
        o.list("idKeys", &entity.id_keys, |key| json!(key));
        o.list("descriptionKeys", &entity.description_keys, |key| {
            json!(key)
        });
    })
}

fn naive_scope_spans(spans: &ScopeSpans) -> Value {
    object(|o| {
        o.one("scope", &spans.scope, naive_scope);
        o.list("spans", &spans.spans, naive_span);
        o.text("schemaUrl", &spans.schema_url);
    })
}

fn naive_scope(scope: &InstrumentationScope) -> Value {
    object(|o| {
        o.text("name", &scope.name);
        o.text("version", &scope.version);
        o.list("attributes", &scope.attributes, naive_attribute);
        o.short("droppedAttributesCount", scope.dropped_attributes_count);
    })
}

fn naive_span(span: &Span) -> Value {
    object(|o| {
        o.id("traceId", &span.trace_id);
        o.id("spanId", &span.span_id);
        o.text("traceState", &span.trace_state);
        o.id("parentSpanId", &span.parent_span_id);
        o.short("flags", span.flags);
        o.text("name", &span.name);
        o.number("kind", span.kind);
        o.long("startTimeUnixNano", span.start_time_unix_nano);
        o.long("endTimeUnixNano", span.end_time_unix_nano);
        o.list("attributes", &span.attributes, naive_attribute);
        o.short("droppedAttributesCount", span.dropped_attributes_count);
        o.list("events", &span.events, naive_event);
        o.short("droppedEventsCount", span.dropped_events_count);
        o.list("links", &span.links, naive_link);
        o.short("droppedLinksCount", span.dropped_links_count);
        o.one("status", &span.status, |status| {
            object(|o| {
                o.text("message", &status.message);
                o.number("code", status.code);
            })
        });
    })
}

fn naive_event(event: &Event) -> Value {
    object(|o| {
        o.long("timeUnixNano", event.time_unix_nano);
        o.text("name", &event.name);
        o.list("attributes", &event.attributes, naive_attribute);
        o.short("droppedAttributesCount", event.dropped_attributes_count);
    })
}

fn naive_link(link: &Link) -> Value {
    object(|o| {
        o.id("traceId", &link.trace_id);
        o.id("spanId", &link.span_id);
        o.text("traceState", &link.trace_state);
        o.list("attributes", &link.attributes, naive_attribute);
        o.short("droppedAttributesCount", link.dropped_attributes_count);
        o.short("flags", link.flags);
    })
}

fn naive_attribute(attribute: &KeyValue) -> Value {
    object(|o| {
        o.text("key", &attribute.key);
        o.one("value", &attribute.value, naive_value);
    })
}

fn naive_value(value: &AnyValue) -> Value {
    let Some(value) = &value.value else {
        return json!({});
    };
    match value {
        Any::StringValue(text) => json!({ "stringValue": text }),
        Any::BoolValue(value) => json!({ "boolValue": value }),
        Any::IntValue(value) => json!({ "intValue": value.to_string() }),
        Any::DoubleValue(value) if value.is_nan() => json!({ "doubleValue": "NaN" }),
        Any::DoubleValue(value) if *value == f64::INFINITY => json!({ "doubleValue": "Infinity" }),
        Any::DoubleValue(value) if *value == f64::NEG_INFINITY => {
            json!({ "doubleValue": "-Infinity" })
        }
        Any::DoubleValue(value) => json!({ "doubleValue": value }),
        Any::ArrayValue(array) => {
            json!({ "arrayValue": object(|o| o.list("values", &array.values, naive_value)) })
        }
        Any::KvlistValue(list) => {
            json!({ "kvlistValue": object(|o| o.list("values", &list.values, naive_attribute)) })
        }
        Any::BytesValue(bytes) => json!({ "bytesValue": naive_base64(bytes) }),
        Any::StringValueStrindex(_) => json!({}),
    }
}

/// RFC 4648, three bytes at a time.
fn naive_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| {
            bits << 8 | u32::from(*three.get(at).unwrap_or(&0))
        });
        for at in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * at)) as usize & 0x3F];
            text.push(if at <= three.len() {
                digit as char
            } else {
                '='
            });
        }
    }
    text
}
