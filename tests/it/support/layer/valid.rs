//! What holds of every request, whatever was recorded (specification: wire format, limits, span fields).

use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::{Message, length_delimiter_len};

use super::exported::Attributed;

pub(super) fn check(requests: &[Vec<u8>]) {
    let mut ids = HashSet::new();
    for bytes in requests {
        let request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        assert_eq!(bytes.len(), minimal(&request), "nothing is written twice");
        // 1.16: no empty envelopes.
        assert!(!request.resource_spans.is_empty());
        for resource_spans in &request.resource_spans {
            // 7.14: every span carries the resource and a scope. 1.15: no schema is claimed.
            keys(resource_spans.resource.as_ref().unwrap());
            assert!(resource_spans.schema_url.is_empty());
            assert!(!resource_spans.scope_spans.is_empty());
            for scope_spans in &resource_spans.scope_spans {
                assert!(scope_spans.scope.is_some() && scope_spans.schema_url.is_empty());
                assert!(!scope_spans.spans.is_empty());
                for span in &scope_spans.spans {
                    self::span(span);
                    assert!(ids.insert(span.span_id.clone()), "{} is twice", span.name);
                }
            }
        }
    }
}

/// How long the request is where no field is there twice, no varint is longer than it has to be and no default is
/// written, but for the lengths of runs, which take four bytes, and for empty names.
fn minimal(request: &ExportTraceServiceRequest) -> usize {
    let of_resource = |of: &ResourceSpans| {
        let resource = of.resource.as_ref().map_or(0, Message::encoded_len);
        let runs = of.scope_spans.iter().map(|run| 1 + 4 + minimal_run(run));
        field(field(resource) + runs.sum::<usize>())
    };
    request.resource_spans.iter().map(of_resource).sum()
}

fn minimal_run(run: &ScopeSpans) -> usize {
    let longer = |span: &Span| field(minimal_span(span)) - field(span.encoded_len());
    run.encoded_len() + run.spans.iter().map(longer).sum::<usize>()
}

fn minimal_span(span: &Span) -> usize {
    let longer = |event: &Event| {
        let length = event.encoded_len();
        field(length + empty_name(&event.name)) - field(length)
    };
    let events = span.events.iter().map(longer);
    span.encoded_len() + empty_name(&span.name) + events.sum::<usize>()
}

/// Of a field with a length.
fn field(length: usize) -> usize {
    1 + length_delimiter_len(length) + length
}

fn empty_name(name: &str) -> usize {
    if name.is_empty() { 2 } else { 0 }
}

fn span(span: &Span) {
    let name = &span.name;
    // 1.1, 1.2
    assert!(
        is_id(&span.trace_id, 16) && is_id(&span.span_id, 8),
        "{name}"
    );
    assert!(
        span.parent_span_id.is_empty() || is_id(&span.parent_span_id, 8),
        "{name}"
    );
    // 1.12
    assert!((1..=5).contains(&span.kind), "{name}: kind {}", span.kind);
    // 1.13
    assert!(span.start_time_unix_nano > 0, "{name}");
    assert!(
        span.end_time_unix_nano >= span.start_time_unix_nano,
        "{name}"
    );
    // 1.14, 7.13: W3C flags, HAS_IS_REMOTE, IS_REMOTE; nothing above.
    assert_eq!(span.flags & !0x2FF, 0x100, "{name}");
    // 7.4
    let status = span.status.clone().unwrap_or_default();
    assert!((0..=2).contains(&status.code), "{name}");
    assert!(status.code == 2 || status.message.is_empty(), "{name}");
    keys(span);
    for event in &span.events {
        keys(event);
        assert!(event.time_unix_nano >= span.start_time_unix_nano, "{name}");
        assert!(event.time_unix_nano <= span.end_time_unix_nano, "{name}");
    }
    for link in &span.links {
        keys(link);
        assert!(
            is_id(&link.trace_id, 16) && is_id(&link.span_id, 8),
            "{name}"
        );
        assert_eq!(link.flags & !0x2FF, 0x100, "{name}");
    }
}

/// 1.3: keys are unique; 1.5: and not empty; 1.17: and no indices; each has a value.
fn keys(of: &impl Attributed) {
    let mut seen = HashSet::new();
    for pair in of.pairs() {
        assert!(seen.insert(&*pair.key), "{:?} is twice", pair.key);
        assert!(!pair.key.is_empty(), "an empty key");
        assert_eq!(pair.key_strindex, 0);
        assert!(pair.value.is_some(), "{:?} has no value", pair.key);
    }
}

fn is_id(bytes: &[u8], len: usize) -> bool {
    bytes.len() == len && bytes.iter().any(|byte| *byte != 0)
}
