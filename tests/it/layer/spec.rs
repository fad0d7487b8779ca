//! Rows of the specification checklist that no other file is about. What holds of every span whatever is asserted of all
//! that any test decodes (`support/layer/valid.rs`): 1.1, 1.2, 1.3, 1.5, 1.12, 1.13, 1.14, 1.15, 1.16, 1.17, 7.4, 7.13.

use tracing::{error, info, info_span, warn};

use crate::support::layer::{Attributed, Pipeline, int, record};

#[test]
fn spec_1_16_nothing_recorded_is_nothing_sent() {
    let (layer, pipeline) = Pipeline::new();
    assert_eq!(pipeline.spans().len(), 0);
    drop(layer);
    assert!(pipeline.requests().is_empty());
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
