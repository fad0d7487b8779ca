use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message as _;
use serde_json::Value;

use super::*;
use crate::proto::wire;

pub(super) fn json(message: &[u8]) -> String {
    let mut out = b"before".to_vec();
    request(Signal::Traces, message, &mut out).expect("it is well-formed");
    let text = String::from_utf8(out).expect("JSON is UTF-8");
    text.strip_prefix("before")
        .expect("it is appended")
        .to_owned()
}

fn of_spans(spans: Vec<Span>) -> TracesData {
    TracesData {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The JSON of one span.
fn span(span: Span) -> String {
    let json = json(&of_spans(vec![span]).encode_to_vec());
    let inner = json.strip_prefix(r#"{"resourceSpans":[{"scopeSpans":[{"spans":["#);
    let inner = inner.and_then(|json| json.strip_suffix("]}]}]}"));
    inner.expect("one span").to_owned()
}

pub(super) fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(super) fn attribute(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

/// The JSON of one value.
pub(super) fn value(value: AnyValue) -> String {
    let json = span(Span {
        attributes: vec![attribute("k", Some(value))],
        ..Span::default()
    });
    let inner = json.strip_prefix(r#"{"attributes":[{"key":"k","value":"#);
    let inner = inner.and_then(|json| json.strip_suffix("}]}"));
    inner.expect("one attribute").to_owned()
}

#[test]
fn spec_1_7_what_is_empty_zero_or_false_is_a_value() {
    for (given, written) in [
        (Any::StringValue(String::new()), r#"{"stringValue":""}"#),
        (Any::BoolValue(false), r#"{"boolValue":false}"#),
        (Any::IntValue(0), r#"{"intValue":"0"}"#),
        (Any::DoubleValue(0.0), r#"{"doubleValue":0.0}"#),
        (
            Any::ArrayValue(ArrayValue::default()),
            r#"{"arrayValue":{}}"#,
        ),
        (
            Any::KvlistValue(KeyValueList::default()),
            r#"{"kvlistValue":{}}"#,
        ),
        (Any::BytesValue(Vec::new()), r#"{"bytesValue":""}"#),
    ] {
        assert_eq!(value(any(given)), written);
    }
    assert_eq!(value(AnyValue::default()), "{}");
    let nothing = ArrayValue {
        values: vec![AnyValue::default(), any(Any::IntValue(1))],
    };
    assert_eq!(
        value(any(Any::ArrayValue(nothing))),
        r#"{"arrayValue":{"values":[{},{"intValue":"1"}]}}"#
    );
}

#[test]
fn spec_1_19_ids_are_hexadecimal_and_other_bytes_base64() {
    let (trace_id, span_id) = ((0xF1..=0xFF).chain([0]).collect(), vec![0x0A; 8]);
    let link = Link {
        trace_id: vec![0xAB; 16],
        span_id: vec![0xCD; 8],
        ..Link::default()
    };
    let bytes = any(Any::BytesValue(vec![0xFB, 0xFF, 0xFE, 0x00]));
    let written = span(Span {
        trace_id,
        span_id,
        parent_span_id: vec![0x90; 8],
        attributes: vec![attribute("bytes", Some(bytes))],
        links: vec![link],
        ..Span::default()
    });
    assert_eq!(
        written,
        concat!(
            r#"{"traceId":"f1f2f3f4f5f6f7f8f9fafbfcfdfeff00","spanId":"0a0a0a0a0a0a0a0a","#,
            r#""parentSpanId":"9090909090909090","#,
            r#""attributes":[{"key":"bytes","value":{"bytesValue":"+//+AA=="}}],"#,
            r#""links":[{"traceId":"abababababababababababababababab","spanId":"cdcdcdcdcdcdcdcd"}]}"#
        )
    );
}

#[test]
fn spec_1_20_enumerations_are_numbers() {
    let status = Status {
        message: "no".to_owned(),
        code: 2,
    };
    let written = span(Span {
        kind: 3,
        status: Some(status),
        ..Span::default()
    });
    assert_eq!(written, r#"{"kind":3,"status":{"message":"no","code":2}}"#);
    let unknown = Span {
        kind: -7,
        ..Span::default()
    };
    assert_eq!(span(unknown), r#"{"kind":-7}"#);
}

#[test]
fn spec_1_21_keys_are_in_lower_camel_case() {
    let written = json(&everything().encode_to_vec());
    let mut keys = Vec::new();
    keys_of(&serde_json::from_str(&written).expect("JSON"), &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        let is_camel = key.starts_with(|c: char| c.is_ascii_lowercase())
            && key.chars().all(|c| c.is_ascii_alphabetic());
        assert!(is_camel, "{key}");
    }
}

fn keys_of(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            keys.push(key.clone());
            keys_of(value, keys);
        }),
        Value::Array(values) => values.iter().for_each(|value| keys_of(value, keys)),
        _ => {}
    }
}

#[test]
fn spec_1_22_integers_of_64_bits_are_strings_and_of_32_bits_numbers() {
    let written = span(Span {
        flags: u32::MAX,
        start_time_unix_nano: u64::MAX,
        end_time_unix_nano: 1,
        dropped_attributes_count: u32::MAX,
        dropped_events_count: 1,
        dropped_links_count: 2,
        ..Span::default()
    });
    assert_eq!(
        written,
        concat!(
            r#"{"flags":4294967295,"startTimeUnixNano":"18446744073709551615","endTimeUnixNano":"1","#,
            r#""droppedAttributesCount":4294967295,"droppedEventsCount":1,"droppedLinksCount":2}"#
        )
    );
    for (given, written) in [
        (i64::MIN, r#"{"intValue":"-9223372036854775808"}"#),
        (-1, r#"{"intValue":"-1"}"#),
        (i64::MAX, r#"{"intValue":"9223372036854775807"}"#),
    ] {
        assert_eq!(value(any(Any::IntValue(given))), written);
    }
}

#[test]
fn spec_1_23_numbers_that_json_has_not_are_strings() {
    for (given, written) in [
        (f64::NAN, r#"{"doubleValue":"NaN"}"#),
        (-f64::NAN, r#"{"doubleValue":"NaN"}"#),
        (f64::INFINITY, r#"{"doubleValue":"Infinity"}"#),
        (f64::NEG_INFINITY, r#"{"doubleValue":"-Infinity"}"#),
        (-0.0, r#"{"doubleValue":-0.0}"#),
        (1.5, r#"{"doubleValue":1.5}"#),
    ] {
        assert_eq!(value(any(Any::DoubleValue(given))), written);
    }
}

#[test]
fn fields_that_the_tables_do_not_know_are_left_out() {
    let mut encoded = of_spans(Vec::new()).encode_to_vec();
    // Field 1000, a string; field 20, a varint.
    encoded.extend_from_slice(&[0xC2, 0x3E, 1, b'x', 0xA0, 1, 7]);
    assert_eq!(json(&encoded), r#"{"resourceSpans":[{"scopeSpans":[{}]}]}"#);
}

#[test]
fn spec_1_26_the_json_is_compact_and_one_line() {
    let text = "a b\n\r\t\u{0}\u{1F}\"\\\u{7F}\u{2028}é😀";
    let written = value(any(Any::StringValue(text.to_owned())));
    assert_eq!(
        written,
        "{\"stringValue\":\"a b\\n\\r\\t\\u0000\\u001f\\\"\\\\\u{7F}\u{2028}é😀\"}"
    );
    let written = json(&everything().encode_to_vec());
    let value: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(
        written.len(),
        value.to_string().len(),
        "no byte more than serde_json's"
    );
    assert!(!written.contains(['\n', ' ']), "{written}");
}

#[test]
fn fields_that_have_their_default_are_left_out() {
    // Written out, which no encoder has to: trace id, name, kind, start, dropped attributes, flags.
    let defaults = [
        &[0x0A, 0, 0x2A, 0, 0x30, 0, 0x39][..],
        &[0; 8],
        &[0x50, 0, 0x85, 1, 0, 0, 0, 0],
    ];
    let kind_before = [&[0x30, 3], &defaults.concat()[..]].concat();
    let mut out = Vec::new();
    assert_eq!(put(&schema::SPAN, &kind_before, 0, &mut out), Ok(()));
    assert_eq!(out, b"{}");
}

#[test]
fn text_that_is_no_utf_8_is_replaced() {
    let name = [0x2A, 3, b'a', 0xFF, b'b'];
    let spans = [&[0x12, name.len() as u8][..], &name].concat();
    let scopes = [&[0x12, spans.len() as u8][..], &spans].concat();
    let resources = [&[0x0A, scopes.len() as u8][..], &scopes].concat();
    assert!(json(&resources).contains("\"name\":\"a\u{FFFD}b\""));
}

/// `depth` arrays, or maps, around a number.
fn nested(depth: usize, is_map: bool) -> AnyValue {
    (0..depth).fold(any(Any::IntValue(1)), |inner, _| {
        any(if is_map {
            let values = vec![attribute("k", Some(inner))];
            Any::KvlistValue(KeyValueList { values })
        } else {
            Any::ArrayValue(ArrayValue {
                values: vec![inner],
            })
        })
    })
}

#[test]
fn values_are_written_so_deep_and_no_deeper() {
    for is_map in [false, true] {
        // In the attributes of an event, which lie deepest.
        let deep = |depth| Event {
            attributes: vec![attribute("k", Some(nested(depth, is_map)))],
            ..Event::default()
        };
        let deep = |depth| {
            let event = Span {
                events: vec![deep(depth)],
                ..Span::default()
            };
            json(&of_spans(vec![event]).encode_to_vec())
        };
        assert!(deep(MOST_NESTED).contains("intValue"));
        for depth in [MOST_NESTED + 1, 1_000] {
            let written = deep(depth);
            assert!(!written.contains("intValue"));
            let _: Value = serde_json::from_str(&written).expect("it is not too deep");
        }
    }
}

#[test]
fn a_hundred_thousand_levels_do_no_harm() {
    // Back to front, so that nothing is moved: each level is `array_value { values { … } }`.
    let mut reversed = Vec::new();
    for _ in 0..100_000 {
        for tag in [0x0A, 0x2A] {
            let mut head = vec![tag];
            wire::put_varint(&mut head, reversed.len() as u64);
            reversed.extend(head.iter().rev());
        }
    }
    let encoded: Vec<u8> = reversed.into_iter().rev().collect();
    let mut out = Vec::new();
    assert_eq!(put(&schema::ANY_VALUE, &encoded, 0, &mut out), Ok(()));
    assert!(out.len() < 2_000);
}

#[test]
fn a_malformed_message_appends_nothing() {
    let encoded = everything().encode_to_vec();
    let mut out = b"before".to_vec();
    assert_eq!(
        request(Signal::Traces, &encoded[..encoded.len() - 1], &mut out),
        Err(Malformed)
    );
    assert_eq!(out, b"before");
}

#[test]
fn the_tables_numbers_have_their_places() {
    fn check(table: &'static Message, known: &mut Vec<*const Message>) {
        if known.contains(&std::ptr::from_ref(table)) {
            return;
        }
        known.push(table);
        for field in table.fields {
            assert!(
                (1..NUMBERS).contains(&(field.number as usize)),
                "{}",
                field.name
            );
            let same = |other: &&Field| other.number == field.number || other.name == field.name;
            assert_eq!(
                table.fields.iter().filter(same).count(),
                1,
                "{}",
                field.name
            );
            if let Kind::One(inner) | Kind::Many(inner) = field.kind {
                check(inner, known);
            }
        }
    }
    let mut known = Vec::new();
    check(&schema::TRACES, &mut known);
    check(&schema::LOGS, &mut known);
    assert_eq!(known.len(), 18);
}

#[test]
fn spec_13_5_a_log_record_is_written_by_the_same_rules() {
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};

    let body = Any::StringValue("paid \"7\"".to_owned());
    let record = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: u64::MAX,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(body) }),
        attributes: vec![KeyValue {
            key: "n".to_owned(),
            value: Some(AnyValue {
                value: Some(Any::IntValue(7)),
            }),
            ..KeyValue::default()
        }],
        dropped_attributes_count: 2,
        flags: 1,
        trace_id: vec![0xAB; 16],
        span_id: vec![0xCD; 8],
        event_name: "order.paid".to_owned(),
    };
    let scope_logs = vec![ScopeLogs {
        log_records: vec![record, LogRecord::default()],
        ..ScopeLogs::default()
    }];
    let data = LogsData {
        resource_logs: vec![ResourceLogs {
            scope_logs,
            ..ResourceLogs::default()
        }],
    };
    let mut out = Vec::new();
    request(Signal::Logs, &data.encode_to_vec(), &mut out).expect("it is well-formed");
    let record = concat!(
        r#"{"timeUnixNano":"1","observedTimeUnixNano":"18446744073709551615","severityNumber":9,"severityText":"INFO","#,
        r#""body":{"stringValue":"paid \"7\""},"attributes":[{"key":"n","value":{"intValue":"7"}}],"droppedAttributesCount":2,"#,
        r#""flags":1,"traceId":"abababababababababababababababab","spanId":"cdcdcdcdcdcdcdcd","eventName":"order.paid"}"#,
    );
    let expected =
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record},{{}}]}}]}}]}}"#);
    assert_eq!(String::from_utf8(out).expect("text"), expected);
}

/// Every field of every message is set.
fn everything() -> TracesData {
    let attributes = || {
        let values = vec![
            any(Any::StringValue("text".to_owned())),
            any(Any::BoolValue(true)),
            any(Any::IntValue(-5)),
            any(Any::DoubleValue(0.25)),
            any(Any::BytesValue(vec![1, 2])),
            nested(2, false),
            nested(2, true),
        ];
        let attributes = values
            .into_iter()
            .map(|value| attribute("key", Some(value)));
        attributes.collect::<Vec<_>>()
    };
    let event = Event {
        time_unix_nano: 3,
        name: "event".to_owned(),
        attributes: attributes(),
        dropped_attributes_count: 4,
    };
    let link = Link {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "a=b".to_owned(),
        attributes: attributes(),
        dropped_attributes_count: 5,
        flags: 0x301,
    };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![3; 8],
        flags: 0x101,
        name: "span".to_owned(),
        kind: 1,
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: attributes(),
        dropped_attributes_count: 6,
        events: vec![event.clone(), event],
        dropped_events_count: 7,
        links: vec![link.clone(), link],
        dropped_links_count: 8,
        status: Some(Status {
            message: "message".to_owned(),
            code: 2,
        }),
    };
    let scope = InstrumentationScope {
        name: "scope".to_owned(),
        version: "1".to_owned(),
        attributes: attributes(),
        dropped_attributes_count: 9,
    };
    let spans = ScopeSpans {
        scope: Some(scope),
        spans: vec![span.clone(), span],
        schema_url: "https://one".to_owned(),
    };
    let resource = Resource {
        attributes: attributes(),
        dropped_attributes_count: 10,
        entity_refs: vec![EntityRef {
            schema_url: "https://three".to_owned(),
            r#type: "host".to_owned(),
            id_keys: vec!["key".to_owned(), String::new()],
            description_keys: vec!["key".to_owned()],
        }],
    };
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![spans.clone(), spans],
            schema_url: "https://two".to_owned(),
        }],
    }
}
