//! Rows of the specification checklist that no other file is about. What holds of every span whatever is asserted of all
//! that any test decodes (`support/layer/valid.rs`): 1.1, 1.2, 1.3, 1.5, 1.12, 1.13, 1.14, 1.15, 1.16, 1.17, 7.4, 7.13.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::any_value;
use tracing::{error, info, info_span, warn};
use tracing_otlp::{SpanContext, SpanExt, SpanId, TraceFlags, TraceId, TraceState, Value};

use crate::support::layer::{Attributed, Pipeline, int, record};

#[test]
fn spec_1_16_nothing_recorded_is_nothing_sent() {
    let (layer, pipeline) = Pipeline::new();
    assert_eq!(pipeline.spans().len(), 0);
    drop(layer);
    assert!(pipeline.requests().is_empty());
}

/// Bits 0 to 7 are W3C's, 8 and 9 tell of the parent; of W3C's flags only the two that are defined are made here.
#[test]
fn spec_1_14_flags_have_no_bit_that_is_not_defined() {
    let spans = record(|| {
        let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
        let flags = TraceFlags::new(0xFF);
        let caller =
            SpanContext::remote(ids.0.unwrap(), ids.1.unwrap(), flags, TraceState::default());
        let span = info_span!("span");
        span.set_parent(caller.clone()).unwrap();
        span.add_link(&caller, []);
        drop(info_span!(parent: &span, "child"));
        drop(info_span!("root"));
    });
    assert_eq!(spans.named("span").flags, 0x303);
    assert_eq!(spans.named("child").flags, 0x103);
    assert_eq!(spans.named("root").flags, 0x103);
    // A link tells the other's flags as they came.
    assert_eq!(spans.named("span").links[0].flags, 0x3FF);
}

#[test]
fn spec_1_11_the_keys_of_a_map_are_texts_and_stand_once() {
    let spans = record(|| {
        let pair = |key: &'static str, value: i64| (Cow::from(key), Value::from(value));
        let map = Value::Map(vec![pair("1", 1), pair("2", 2), pair("1", 3)]);
        info_span!("span").set_attribute("map", map);
    });
    let Some(any_value::Value::KvlistValue(map)) = spans.only().value("map") else {
        panic!("{:?}", spans.only().value("map"));
    };
    let keys: Vec<&str> = map.values.iter().map(|pair| &*pair.key).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.contains(&"1") && keys.contains(&"2"));
}

/// They are for profiles alone.
#[test]
fn spec_1_17_no_text_is_an_index_into_a_table() {
    let spans = record(|| {
        let _span = info_span!("span", text = "a", number = 1).entered();
        info!(text = "b", "event");
    });
    let span = spans.only();
    let attributes = span.attributes.iter().chain(&span.events[0].attributes);
    for attribute in attributes.chain(&span.resource.attributes) {
        assert_eq!(attribute.key_strindex, 0);
        let value = attribute
            .value
            .as_ref()
            .and_then(|value| value.value.as_ref());
        let is_index = matches!(value, Some(any_value::Value::StringValueStrindex(_)));
        assert!(!is_index, "{attribute:?}");
    }
}

#[test]
fn spec_7_1_a_span_is_internal_by_default() {
    let spans = record(|| drop(info_span!("span")));
    assert_eq!(spans.only().kind, 1);
}

#[test]
fn spec_7_3_the_name_is_the_metadatas() {
    let spans = record(|| {
        drop(info_span!("a name with spaces"));
        drop(info_span!("", "name" = 1));
    });
    assert_eq!(spans.names(), ["a name with spaces", ""]);
}

#[test]
fn spec_7_9_an_ended_span_is_changed_by_nothing() {
    let spans = record(|| {
        let span = info_span!("span", a = 1);
        let id = span.id();
        drop(span);
        info!(parent: id.clone(), "late event");
        let other = info_span!("other");
        other.follows_from(id);
    });
    assert_eq!(spans.named("span").events.len(), 0);
    assert_eq!(spans.named("other").links.len(), 0);
}

#[test]
fn spec_7_10_links_keep_their_order() {
    let spans = record(|| {
        let first = info_span!("first");
        let second = first.in_scope(|| info_span!("second"));
        let span = info_span!("span");
        span.follows_from(&second);
        span.follows_from(first.id());
        span.follows_from(&second);
        span.follows_from(&span);
        first.follows_from(&span);
    });
    let span = spans.named("span");
    let expected = ["second", "first", "second", "span"].map(|name| spans.named(name));
    assert_eq!(span.links.len(), expected.len());
    for (link, to) in span.links.iter().zip(expected) {
        assert_eq!((&link.trace_id, &link.span_id), (&to.trace_id, &to.span_id));
        assert_eq!(link.flags, to.flags);
        assert_eq!((&*link.trace_state, link.attributes.len()), ("", 0));
    }
    assert_eq!(spans.named("first").links[0].span_id, span.span_id);
}

#[test]
fn spec_7_12_events_keep_their_order_and_names() {
    let spans = record(|| {
        let _span = info_span!("span").entered();
        for number in 0..50 {
            info!(number, "event {number}");
        }
        info!(no_message = true);
        info!(message = "as a field", a = 1);
        info!(name: "named", b = 1);
        warn!("");
    });
    let events = &spans.only().events;
    for (number, event) in events.iter().take(50).enumerate() {
        assert_eq!(event.name, format!("event {number}"));
        assert_eq!(event.value("number"), int(number as i64));
    }
    // Without a message, the callsite's name.
    assert!(events[50].name.starts_with("event ") && events[50].name.contains("spec.rs"));
    let names: Vec<_> = events[51..].iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["as a field", "named", ""]);
    assert!(
        events
            .windows(2)
            .all(|pair| pair[0].time_unix_nano <= pair[1].time_unix_nano)
    );
}

/// The reserved namespace: what the fields `otel.*` mean is not sent as attributes, and nothing else is made up.
#[test]
fn spec_7_18_nothing_is_added_below_otel() {
    let spans = record(|| {
        let span = info_span!(
            "span",
            otel.name = "n",
            otel.kind = "server",
            otel.status_code = "ok"
        );
        span.in_scope(|| error!(error = "e"));
    });
    let span = spans.only();
    let mut keys = span.keys();
    keys.extend(span.events[0].keys());
    assert!(keys.iter().all(|key| !key.starts_with("otel.")), "{keys:?}");
}

#[test]
fn spec_7_10_a_span_that_is_followed_is_linked_with_its_tracestate() {
    let spans = record(|| {
        let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
        let state = TraceState::parse("vendor=1").unwrap();
        let caller =
            SpanContext::remote(ids.0.unwrap(), ids.1.unwrap(), TraceFlags::SAMPLED, state);
        let followed = info_span!("followed");
        followed.set_parent(caller).unwrap();
        info_span!("span").follows_from(&followed);
    });
    let link = &spans.named("span").links[0];
    assert_eq!(link.trace_state, "vendor=1");
    assert_eq!(link.span_id, spans.named("followed").span_id);
    assert_eq!(
        link.flags, 0x101,
        "the link leads to a span of this process"
    );
}
