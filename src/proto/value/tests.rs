//! Values against prost, and their bounds against a naive tree.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::proto::trace::SPAN_ATTRIBUTE;

const UNBOUNDED: ValueBounds = ValueBounds {
    bytes: usize::MAX,
    length: usize::MAX,
    depth: 64,
};

/// What a collector reads of an attribute `k`.
fn read(value: &Value<'_>, bounds: &ValueBounds) -> AnyValue {
    let mut out = Vec::new();
    put_attribute(&mut out, SPAN_ATTRIBUTE, "k", value, bounds);
    let span = Span::decode(&out[..]).unwrap();
    assert_eq!(span.encoded_len(), out.len(), "nothing is written twice");
    let [pair] = &span.attributes[..] else {
        panic!("{:?}", span.attributes);
    };
    assert_eq!(pair.key, "k");
    pair.value.clone().unwrap()
}

/// The same by the book: a tree that is built anew.
fn expected(value: &Value<'_>, bounds: &ValueBounds, level: u32) -> AnyValue {
    let any = match value {
        Value::Empty => None,
        Value::Str(text) => Some(Any::StringValue(text.chars().take(bounds.length).collect())),
        Value::Bool(value) => Some(Any::BoolValue(*value)),
        Value::Int(value) => Some(Any::IntValue(*value)),
        Value::Double(value) => Some(Any::DoubleValue(*value)),
        Value::Bytes(bytes) => Some(Any::BytesValue(
            bytes.iter().copied().take(bounds.length).collect(),
        )),
        Value::Array(_) | Value::Map(_) if level > bounds.depth => None,
        Value::Array(values) => {
            let values = values
                .iter()
                .map(|value| expected(value, bounds, level + 1));
            Some(Any::ArrayValue(ArrayValue {
                values: values.collect(),
            }))
        }
        Value::Map(pairs) => {
            let mut values: Vec<KeyValue> = Vec::new();
            for (key, value) in pairs.iter().filter(|(key, _)| !key.is_empty()) {
                values.retain(|known| known.key != **key);
                values.push(KeyValue {
                    key: key.to_string(),
                    value: Some(expected(value, bounds, level + 1)),
                    ..KeyValue::default()
                });
            }
            Some(Any::KvlistValue(KeyValueList { values }))
        }
    };
    AnyValue { value: any }
}

fn any_value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Empty),
        ".{0,9}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        vec(any::<u8>(), 0..9).prop_map(Value::from),
        Just(Value::from("x".repeat(300))),
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            // Few keys, so that some are there twice; and more pairs than are compared with each other.
            vec(("[ab]{0,2}|[a-z]", inner), 0..20).prop_map(|pairs| {
                let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value));
                Value::Map(pairs.collect())
            }),
        ]
    })
}

proptest! {
    /// 5.2: characters, whole ones; bytes by bytes; recursively; nothing else. 5.3: what lies deeper is empty.
    /// 1.6: keys are unique, recursively.
    #[test]
    fn spec_5_2_and_5_3_and_1_6_bounds_hold_at_any_depth(
        value in any_value(),
        length in prop_oneof![Just(usize::MAX), 0..12_usize],
        depth in 1..6_u32,
    ) {
        let bounds = ValueBounds { length, depth, ..UNBOUNDED };
        prop_assert_eq!(read(&value, &bounds), expected(&value, &bounds, 1));
    }

    #[test]
    fn spec_5_2_a_beginning_has_so_many_characters(text: String, characters in 0..20_usize) {
        let expected: String = text.chars().take(characters).collect();
        prop_assert_eq!(beginning(&text, characters), expected);
    }

    /// P4: what a value costs is bounded by the bytes there are, not by its size.
    #[test]
    fn a_value_takes_about_as_many_bytes_as_there_are(value in any_value(), bytes in 0..400_usize) {
        /// Tags and lengths of what stands around the last text.
        const AROUND: usize = 80;
        let whole = {
            let mut out = Vec::new();
            put_attribute(&mut out, SPAN_ATTRIBUTE, "k", &value, &UNBOUNDED);
            out
        };
        let bounds = ValueBounds { bytes, ..UNBOUNDED };
        let mut out = Vec::new();
        let is_cut = put_attribute(&mut out, SPAN_ATTRIBUTE, "k", &value, &bounds);
        prop_assert!(out.len() <= bytes + AROUND, "{} of {bytes}", out.len());
        prop_assert!(Span::decode(&out[..]).is_ok());
        if !is_cut {
            prop_assert_eq!(out, whole);
        }
    }

    #[test]
    fn what_is_written_is_read_again(value in any_value()) {
        let mut out = Vec::new();
        put_attribute(&mut out, SPAN_ATTRIBUTE, "k", &value, &UNBOUNDED);
        let mut reader = Reader::new(&out);
        let Ok(Some((9, Content::Bytes(pair)))) = reader.next() else {
            panic!("no attribute");
        };
        let (key, read) = read_attribute(pair).unwrap();
        let mut again = Vec::new();
        put_attribute(&mut again, SPAN_ATTRIBUTE, key, &read, &UNBOUNDED);
        prop_assert_eq!(again, out);
    }
}

/// `levels` arrays, or maps, in each other.
fn nested(levels: u32, is_map: bool) -> Value<'static> {
    (0..levels).fold(Value::Int(1), |inner, _| {
        if is_map {
            Value::Map(vec![("k".into(), inner)])
        } else {
            Value::Array(vec![inner])
        }
    })
}

/// How many arrays and maps lie in each other, without the help of a decoder that has a limit of its own.
fn levels(value: &Value<'_>) -> u32 {
    match value {
        Value::Array(values) => 1 + values.iter().map(levels).max().unwrap_or(0),
        Value::Map(pairs) => {
            1 + pairs
                .iter()
                .map(|(_, value)| levels(value))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

#[test]
fn spec_5_3_the_default_is_64_levels_and_the_first_is_the_attributes_own() {
    for (depth, written) in [(1, 1), (2, 2), (64, 64), (63, 63), (65, 64), (500, 64)] {
        for is_map in [false, true] {
            let mut out = Vec::new();
            let value = nested(depth, is_map);
            put_attribute(
                &mut out,
                SPAN_ATTRIBUTE,
                "k",
                &value,
                &ValueBounds::default(),
            );
            let mut reader = Reader::new(&out);
            let Ok(Some((9, Content::Bytes(pair)))) = reader.next() else {
                panic!("no attribute");
            };
            assert_eq!(levels(&read_attribute(pair).unwrap().1), written, "{depth}");
        }
    }
    let one = ValueBounds {
        depth: 1,
        ..UNBOUNDED
    };
    let inner = AnyValue { value: None };
    let values = vec![inner];
    let expected = Some(Any::ArrayValue(ArrayValue { values }));
    assert_eq!(read(&nested(2, false), &one).value, expected);
}

#[test]
fn spec_1_5_an_attribute_without_a_key_is_not_written() {
    let mut out = Vec::new();
    put_attribute(&mut out, SPAN_ATTRIBUTE, "", &Value::Int(1), &UNBOUNDED);
    assert!(out.is_empty());
}

/// A map of a hundred thousand pairs takes no time that grows with their square.
#[test]
fn spec_1_6_a_large_map_has_unique_keys_too() {
    let pairs = (0..100_000_i64).map(|at| (format!("{}", at % 50_000).into(), Value::Int(at)));
    let Some(Any::KvlistValue(map)) = read(&Value::Map(pairs.collect()), &UNBOUNDED).value else {
        panic!("no map");
    };
    assert_eq!(map.values.len(), 50_000);
    assert_eq!(
        map.values[0].value,
        expected(&Value::Int(50_000), &UNBOUNDED, 1).into()
    );
}
