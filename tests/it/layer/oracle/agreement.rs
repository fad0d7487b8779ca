//! An event that is a span event and a log says the same as both.

use std::collections::HashMap;

use opentelemetry_proto::tonic::trace::v1::span::Event;

use crate::support::layer::{Attributed, Logged, Logs, Spans};

pub(super) fn check(spans: &Spans, logs: &Logs) {
    for span in spans.iter() {
        let inside = |log: &&Logged| log.span_id == span.span_id;
        let logs: Vec<_> = logs.iter().filter(inside).collect();
        assert_eq!(logs.len(), span.events.len(), "{}", span.name);
        for (event, log) in span.events.iter().zip(logs) {
            log.assert_in(span);
            agree(event, log);
        }
    }
    let inside = logs.iter().filter(|log| !log.has_no_ids()).count();
    let events = spans.iter().map(|span| span.events.len()).sum::<usize>();
    assert_eq!(inside, events, "one of each");
}

fn agree(event: &Event, log: &Logged) {
    assert_eq!(event.time_unix_nano, log.time_unix_nano);
    assert_eq!(
        (event.dropped_attributes_count, log.dropped_attributes_count),
        (0, 0)
    );
    let (mut of_event, mut of_log) = (event.encoded(), log.encoded());
    // What a log says elsewhere.
    let mut elsewhere = |key: &str, said: &str| {
        if !of_log.contains_key(key)
            && let Some(value) = of_event.remove(key)
        {
            assert!(value.ends_with(said.as_bytes()), "{key}");
        }
    };
    elsewhere("level", &log.severity_text);
    elsewhere("target", &log.scope);
    elsewhere("message", log.text());
    if log.body.is_some() && event.has("message") {
        // A callsite may have two messages, of which one is a number; and an attribute that is an error has more of its kind.
        for key in [
            "message",
            "message.chain",
            "exception.message",
            "exception.stacktrace",
        ] {
            of_event.remove(key);
            of_log.remove(key);
        }
    }
    assert_eq!(sorted(&of_event), sorted(&of_log));
    if log.event_name.is_empty() {
        // A callsite that may name its events has the message as an attribute, also where this one has no name.
        let is_attribute = event.has("message");
        let is_named = event.name == log.text() || event.name == "exception";
        assert!(log.body.is_none() || is_attribute || is_named);
    } else {
        assert!(
            [&*log.event_name, "exception"].contains(&&*event.name),
            "{}",
            event.name
        );
    }
}

fn sorted(attributes: &HashMap<String, Vec<u8>>) -> Vec<(&String, &Vec<u8>)> {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort();
    sorted
}
