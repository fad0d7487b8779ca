//! What `SpanExt` says to a span, decoded by prost.

use std::collections::HashSet;
use std::fmt;
use std::iter;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use tracing::field::Empty;
use tracing::{Span, debug_span, info, info_span};
use tracing_otlp::{
    Limits, SpanContext, SpanExt, SpanId, Status, TraceFlags, TraceId, TraceState, Value,
};

use crate::support::layer::{
    Attributed, Pipeline, bytes, double, hiding_debug, int, no_value, record, record_with, text,
    texts, truth,
};

fn remote(byte: u8, flags: TraceFlags, trace_state: &str) -> SpanContext {
    SpanContext::remote(
        TraceId::from_bytes([byte; 16]).unwrap(),
        SpanId::from_bytes([byte; 8]).unwrap(),
        flags,
        TraceState::parse(trace_state).unwrap(),
    )
}

fn limited(limits: impl Fn(Limits) -> Limits, work: impl FnOnce()) -> crate::support::layer::Spans {
    record_with(
        |builder| builder.with_limits(limits(Limits::default())),
        work,
    )
}

#[test]
fn attributes_of_every_type_are_set() {
    let spans = record(|| {
        let span = info_span!("span");
        span.set_attribute("text", "a");
        span.set_attribute("owned", String::from("b"));
        span.set_attribute("int", 1);
        span.set_attribute("large", u64::MAX);
        span.set_attribute("double", 0.5);
        span.set_attribute("truth", true);
        span.set_attribute("bytes", [1_u8, 2].as_slice());
        span.set_attribute("texts", ["a", "b"].as_slice());
        span.set_attribute("none", None::<i64>);
        span.set_attribute("", "no key");
        span.set_attribute(&"k".repeat(300), "long key");
    });
    let span = spans.only();
    assert_eq!(span.value("text"), text("a"));
    assert_eq!(span.value("owned"), text("b"));
    assert_eq!(span.value("int"), int(1));
    assert_eq!(span.value("large"), text(u64::MAX.to_string()));
    assert_eq!(span.value("double"), double(0.5));
    assert_eq!(span.value("truth"), truth(true));
    assert_eq!(span.value("bytes"), bytes(&[1, 2]));
    assert_eq!(span.value("texts"), texts(&["a", "b"]));
    assert_eq!((span.has("none"), span.value("none")), (true, no_value()));
    assert_eq!(span.value(&"k".repeat(300)), text("long key"));
    assert_eq!(span.own_keys().len(), 10);
    assert_eq!(span.dropped_attributes_count, 0);
}

#[test]
fn spec_1_4_an_attribute_is_overwritten_also_at_the_limit() {
    let work = || {
        let span = info_span!("span", field = 1, late = Empty, other = Empty);
        span.set_attribute("a", 1);
        span.set_attribute("field", "by name");
        span.set_attribute("late", 1);
        span.set_attribute("late", "by name");
        span.record("late", 3);
        span.set_attribute("a", "again");
        span.set_attribute("b", 1);
        span.record("other", 1);
    };
    let spans = record_with(|builder| builder.with_location(false), work);
    let span = spans.only();
    assert_eq!(span.value("field"), text("by name"));
    assert_eq!(
        (span.value("late"), span.value("a")),
        (int(3), text("again"))
    );
    assert_eq!(span.keys().len(), 5, "{:?}", span.keys());

    let limits = Limits::default().with_attributes(3);
    let spans = record_with(
        |builder| builder.with_location(false).with_limits(limits),
        work,
    );
    let span = spans.only();
    assert_eq!(span.value("field"), text("by name"));
    assert_eq!(
        (span.value("late"), span.value("a")),
        (int(3), text("again"))
    );
    assert_eq!(span.keys().len(), 3, "{:?}", span.keys());
    assert_eq!(span.dropped_attributes_count, 2);
}

/// Whatever is set by name or by a field, in any order.
#[derive(Clone, Debug)]
enum Step {
    Set(usize, i64),
    Record(usize, i64),
}

const KEYS: [&str; 5] = ["a", "b", "ab", "a.b", "c"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<bool>(), 0..KEYS.len(), any::<i64>()).prop_map(|(by_name, key, value)| {
        if by_name || key > 2 {
            Step::Set(key, value)
        } else {
            Step::Record(key, value)
        }
    });
    vec(step, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The naive model is a list of pairs.
    #[test]
    fn attributes_are_a_map_of_limited_size(steps in steps(), limit in 0_u32..6) {
        let (mut model, mut dropped) = (Vec::<(&str, i64)>::new(), 0);
        for step in &steps {
            let (Step::Set(key, value) | Step::Record(key, value)) = *step;
            let key = KEYS[key];
            let known = model.iter().position(|(other, _)| *other == key);
            known.map(|at| model.remove(at));
            if model.len() < limit as usize {
                model.push((key, value));
            } else {
                dropped += 1;
            }
        }
        let limits = Limits::default().with_attributes(limit);
        let spans = record_with(|builder| builder.with_location(false).with_limits(limits), || {
            let span = info_span!("span", a = Empty, b = Empty, ab = Empty);
            for step in &steps {
                match *step {
                    Step::Set(key, value) => span.set_attribute(KEYS[key], value),
                    Step::Record(key, value) => drop(span.record(KEYS[key], value)),
                }
            }
        });
        let span = spans.only();
        let expected: Vec<_> = model.iter().map(|(key, _)| *key).collect();
        prop_assert_eq!(span.keys(), expected);
        for (key, value) in model {
            prop_assert_eq!(span.value(key), int(value));
        }
        prop_assert_eq!(span.dropped_attributes_count, dropped);
    }
}

/// A key that the layer derives from a field is replaced too, whoever comes last.
#[test]
fn a_derived_key_stands_once() {
    let spans = record(|| {
        let error = std::io::Error::other(fmt::Error);
        let span = info_span!("span", e = Empty);
        span.set_attribute("e.chain", "by name");
        span.record("e", &error as &(dyn std::error::Error + 'static));
    });
    let chains = spans.only().own_keys().into_iter();
    assert_eq!(chains.filter(|key| *key == "e.chain").count(), 1);
}

#[test]
fn spec_7_2_a_name_can_change() {
    let spans = record(|| {
        info_span!("first").update_name("plain");
        let late = info_span!("second", otel.name = Empty);
        late.record("otel.name", "by a field");
        late.update_name("by name");
        let last = info_span!("third", otel.name = "by a field");
        last.update_name("by name, then");
        last.record("otel.name", "by a field again");
        let twice = info_span!("fourth");
        twice.update_name("once");
        twice.update_name("");
    });
    let names = ["plain", "by name", "by a field again", ""];
    // Dropped in the reverse order of their declaration, but for the first one.
    let mut exported = spans.names();
    exported.sort_unstable();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(exported, expected);
}

#[test]
fn spec_7_4_ok_is_final_and_only_an_error_has_a_description() {
    let after = |statuses: &[Status]| {
        let spans = record(|| {
            let span = info_span!("span");
            statuses
                .iter()
                .for_each(|status| span.set_status(status.clone()));
        });
        let (code, description) = spans.only().status();
        (code, description.to_owned())
    };
    let error = Status::error;
    assert_eq!(after(&[Status::Unset]), (0, String::new()));
    assert_eq!(after(&[error("a"), Status::Unset]), (2, "a".to_owned()));
    assert_eq!(after(&[Status::Ok, error("a")]), (1, String::new()));
    assert_eq!(after(&[error("a"), Status::Ok]), (1, String::new()));
    // 7.5: the last one counts.
    assert_eq!(after(&[error("b"), error("a")]), (2, "a".to_owned()));
    assert_eq!(after(&[error("b"), error("")]), (2, String::new()));
}

#[test]
fn spec_7_9_after_its_end_a_span_does_not_change() {
    let (layer, pipeline) = Pipeline::new();
    let subscriber =
        tracing_subscriber::Layer::with_subscriber(layer, tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("ended");
        let other = info_span!("other");
        // As if another one had closed it.
        span.with_subscriber(|(id, dispatch)| dispatch.try_close(id.clone()));
        span.set_attribute("a", 1);
        span.set_status(Status::Ok);
        span.update_name("renamed");
        span.add_event("event", []);
        span.add_link(other.context().span().unwrap(), []);
        assert!(span.set_parent(remote(1, TraceFlags::SAMPLED, "")).is_err());
        assert_eq!(span.context().span(), None);
        std::mem::forget(span);
    });
    let spans = pipeline.spans();
    let span = spans.named("ended");
    assert_eq!((span.own_keys().len(), span.status()), (0, (0, "")));
    assert_eq!((span.events.len(), span.links.len()), (0, 0));
    span.assert_root();
}

#[test]
fn spec_7_10_links_keep_their_order_attributes_and_tracestate() {
    let spans = record(|| {
        let local = info_span!("local");
        let span = info_span!("span");
        let attributes = [("k", 1.into()), ("", 2.into()), ("k", "last".into())];
        span.add_link(&remote(1, TraceFlags::SAMPLED, "a=b,c=d"), attributes);
        span.add_link(local.context().span().unwrap(), []);
        span.follows_from(&local);
        span.add_link(&remote(2, TraceFlags::new(0), ""), [("other", true.into())]);
        span.add_link(&remote(3, TraceFlags::new(0xFF), ""), []);
    });
    let (span, local) = (spans.named("span"), spans.named("local"));
    let links: Vec<_> = span.links.iter().map(|link| &*link.span_id).collect();
    let ids = [
        &[1; 8][..],
        &local.span_id,
        &local.span_id,
        &[2; 8],
        &[3; 8],
    ];
    assert_eq!(links, ids);
    let [first, to_local, follows, second, third] = &span.links[..] else {
        panic!("{links:?}")
    };
    assert_eq!(first.trace_id, [1; 16]);
    assert_eq!((&*first.trace_state, first.keys()), ("a=b,c=d", vec!["k"]));
    assert_eq!(first.value("k"), text("last"));
    assert_eq!(
        (second.value("other"), &*second.trace_state),
        (truth(true), "")
    );
    // 7.13: bit 8 always, bit 9 where the context is remote, and the flags of its own trace.
    let flags = [first, to_local, follows, second, third].map(|link| link.flags);
    assert_eq!(flags, [0x301, 0x103, 0x103, 0x300, 0x3FF]);
    assert_eq!(span.dropped_links_count, 0);
}

#[test]
fn spec_7_12_events_keep_their_order_attributes_and_times() {
    let at = UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123_456_789);
    let (layer, pipeline) = Pipeline::new();
    let subscriber =
        tracing_subscriber::Layer::with_subscriber(layer, tracing_subscriber::registry());
    let before = SystemTime::now();
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("span").entered();
        span.add_event("first", []);
        info!("second");
        let attributes = [("k", 1.into()), ("l", "x".into()), ("k", 2.into())];
        span.add_event_at("third", at, attributes);
        span.add_event_at("before 1970", UNIX_EPOCH - Duration::from_secs(1), []);
        span.add_event("", [("k", 1.into())]);
    });
    pipeline.handle().flush(Duration::from_secs(60)).unwrap();
    let requests = pipeline.requests();
    let request = ExportTraceServiceRequest::decode(&requests[0][..]).unwrap();
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    let names: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["first", "second", "third", "before 1970", ""]);
    let [first, second, third, early, last] = &span.events[..] else {
        panic!("{names:?}")
    };
    assert!(first.keys().is_empty(), "neither level nor target");
    assert_eq!((third.keys(), third.value("k")), (vec!["l", "k"], int(2)));
    assert_eq!(last.value("k"), int(1));
    assert_eq!(third.time_unix_nano, 1_234_567_890_123_456_789);
    assert_eq!(early.time_unix_nano, 0, "unknown");
    let times = [
        span.start_time_unix_nano,
        first.time_unix_nano,
        second.time_unix_nano,
        last.time_unix_nano,
        span.end_time_unix_nano,
    ];
    assert!(times.is_sorted(), "{times:?}");
    let before = before.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    assert!(times[0].abs_diff(before) < 60_000_000_000);
}

#[test]
fn limits_of_number_hold_and_what_is_left_out_is_counted() {
    let few = |limits: Limits| {
        limits
            .with_events(2)
            .with_links(2)
            .with_attributes_per_event(2)
    };
    let spans = limited(few, || {
        let span = info_span!("span");
        for byte in 1..=5 {
            span.add_link(&remote(byte, TraceFlags::SAMPLED, ""), []);
            span.add_event(
                "event",
                [
                    ("a", 1.into()),
                    ("b", 2.into()),
                    ("c", 3.into()),
                    ("a", 4.into()),
                ],
            );
        }
    });
    let span = spans.only();
    assert_eq!((span.links.len(), span.dropped_links_count), (2, 3));
    assert_eq!((span.events.len(), span.dropped_events_count), (2, 3));
    let event = &span.events[0];
    assert_eq!((event.value("a"), event.value("b")), (int(4), int(2)));
    assert_eq!((event.keys().len(), event.dropped_attributes_count), (2, 1));

    let spans = record(|| {
        let span = info_span!("span");
        let keys: Vec<_> = (0..200).map(|number| number.to_string()).collect();
        let attributes = keys.iter().map(|key| (&**key, Value::from(1)));
        span.add_link(&remote(1, TraceFlags::SAMPLED, ""), attributes);
    });
    let link = &spans.only().links[0];
    assert_eq!(
        (link.keys().len(), link.dropped_attributes_count),
        (128, 72)
    );
}

#[test]
fn what_is_too_large_is_cut_or_left_out() {
    let small = |limits: Limits| limits.with_record_bytes(2048);
    let long = "ä".repeat(4000);
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_limits(small(Limits::default())));
    let subscriber =
        tracing_subscriber::Layer::with_subscriber(layer, tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("attribute");
        span.set_attribute("long", &*long);
        span.set_attribute("short", 1);
        span.set_attribute("bytes", long.as_bytes());
        let span = info_span!("event");
        span.add_event(&long, []);
        let span = info_span!("values");
        span.add_event(
            "event",
            [("long", (&*long).into()), ("bytes", long.as_bytes().into())],
        );
        let span = info_span!("link");
        span.add_link(
            &remote(1, TraceFlags::SAMPLED, ""),
            [("long", (&*long).into())],
        );
        let span = info_span!("name");
        span.update_name(&long);
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!((spans.len(), stats.dropped()), (5, 0));
    assert!(stats.truncated() >= 5, "{stats}");
    assert!(spans.iter().all(|span| span.encoded_len() <= 2048 + 32));
    let cut = |value| match value {
        Some(opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(text)) => {
            assert!(
                text.len() > 1000 && text.chars().all(|c| c == 'ä'),
                "{}",
                text.len()
            );
        }
        other => panic!("{other:?}"),
    };
    let span = spans.named("attribute");
    cut(span.value("long"));
    assert!(!span.has("bytes") && span.dropped_attributes_count >= 1);
    assert!(spans.named("event").events[0].name.len() > 1000);
    let event = &spans.named("values").events[0];
    cut(event.value("long"));
    // What is left is cut too, or left out where nothing is left.
    let known = event.keys().len() + event.dropped_attributes_count as usize;
    assert_eq!(known, 2);
    cut(spans.named("link").links[0].value("long"));
    assert_eq!(
        spans
            .iter()
            .filter(|span| span.name.starts_with('ä'))
            .count(),
        1
    );
}

struct Bomb;

impl From<Bomb> for Value<'_> {
    fn from(_: Bomb) -> Self {
        panic!("a value of the test panics")
    }
}

#[test]
fn a_value_that_panics_costs_its_call() {
    let spans = record(|| {
        let span = info_span!("span");
        let to = remote(1, TraceFlags::SAMPLED, "");
        let bomb = || {
            let mut calls = 0;
            iter::from_fn(move || {
                calls += 1;
                assert!(calls < 3, "an iterator of the test panics");
                Some(("k", Value::from(calls)))
            })
        };
        span.set_attribute("before", 1);
        span.set_attribute("before", Bomb);
        span.set_attribute("bomb", Bomb);
        span.add_event("bomb", bomb());
        span.add_link(&to, bomb());
        span.add_event("event", [("k", 1.into())]);
        span.add_link(&to, []);
    });
    let span = spans.only();
    assert_eq!(
        (span.own_keys(), span.value("before")),
        (vec!["before"], int(1))
    );
    assert_eq!((span.event_names(), span.links.len()), (vec!["event"], 1));
}

/// A value that says something to the span that it is recorded in, and to others.
struct Talkative(u32);

impl Talkative {
    fn talk(&self) {
        let span = Span::current();
        span.set_attribute("talked", self.0);
        span.add_event("talked", iter::once(("value", self.0.into())));
        span.update_name("renamed");
        span.set_status(Status::error("talked"));
        let context = span.context();
        assert!(context.span().is_some() && span.traceparent().is_some());
        span.add_link(context.span().unwrap(), []);
        info!("inside");
    }
}

impl fmt::Debug for Talkative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.talk();
        write!(f, "{}", self.0)
    }
}

impl From<Talkative> for Value<'_> {
    fn from(talkative: Talkative) -> Self {
        talkative.talk();
        talkative.0.into()
    }
}

#[test]
fn values_may_talk_to_the_span_that_they_are_recorded_in() {
    let (layer, pipeline) = Pipeline::new();
    let subscriber =
        tracing_subscriber::Layer::with_subscriber(layer, tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("span", late = Empty).entered();
        span.record("late", tracing::field::debug(Talkative(1)));
        span.set_attribute("named", Talkative(2));
        let talk = || {
            Talkative(3).talk();
            ("k", Value::from(3))
        };
        span.add_event("event", iter::once_with(talk));
        span.add_link(&remote(1, TraceFlags::SAMPLED, ""), iter::once_with(talk));
    });
    let spans = pipeline.spans();
    let span = spans.only();
    assert_eq!((&*span.name, span.status()), ("renamed", (2, "talked")));
    assert_eq!(
        (span.value("late"), span.value("named")),
        (text("1"), int(2))
    );
    assert_eq!((span.value("talked"), span.links.len()), (int(3), 5));
    assert_eq!(span.event_names().len(), 9);
}

#[test]
fn eight_threads_talk_to_one_span() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 200;
    let (layer, pipeline) = Pipeline::with(|builder| {
        let limits = Limits::default().with_events(1000).with_links(500);
        builder.with_limits(limits.with_attributes(40))
    });
    let subscriber =
        tracing_subscriber::Layer::with_subscriber(layer, tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("span");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let span = &span;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        span.set_attribute(&format!("shared.{}", round % 10), thread);
                        span.set_attribute(&format!("own.{thread}"), round);
                        span.add_event("event", [("k", round.into())]);
                        span.add_link(&remote(1, TraceFlags::SAMPLED, ""), [("k", thread.into())]);
                        span.set_status(Status::error("e"));
                        span.update_name("renamed");
                    }
                });
            }
        });
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.dropped(), 0);
    let span = spans.only();
    let keys: HashSet<_> = span.own_keys().into_iter().collect();
    assert_eq!((keys.len(), span.own_keys().len()), (18, 18));
    for thread in 0..THREADS {
        assert_eq!(span.value(&format!("own.{thread}")), int(ROUNDS as i64 - 1));
    }
    let all = (THREADS * ROUNDS) as u32;
    assert_eq!(
        (span.events.len(), span.dropped_events_count),
        (1000, all - 1000)
    );
    assert_eq!(
        (span.links.len(), span.dropped_links_count),
        (500, all - 500)
    );
    assert_eq!((&*span.name, span.status()), ("renamed", (2, "e")));
}

#[test]
fn a_disabled_span_is_told_nothing() {
    let work = |_: &tracing::Dispatch| {
        let parent = info_span!("parent").entered();
        for span in [debug_span!("hidden"), Span::none()] {
            span.set_attribute("a", Bomb);
            span.add_event("event", iter::repeat_with(|| panic!("not asked")));
            span.add_link(&remote(1, TraceFlags::SAMPLED, ""), []);
            span.set_status(Status::Ok);
            span.update_name("renamed");
            let error = span
                .set_parent(remote(1, TraceFlags::SAMPLED, ""))
                .unwrap_err();
            assert!(error.is_disabled(), "{error}");
        }
        drop(parent);
    };
    hiding_debug(work, |spans| {
        let span = spans.named("parent");
        assert_eq!((span.own_keys().len(), span.status()), (0, (0, "")));
        assert_eq!((span.events.len(), span.links.len()), (0, 0));
    });
}
