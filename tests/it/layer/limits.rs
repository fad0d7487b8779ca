//! What a span may hold, and the counts of what it could not.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tracing::field::{self, Empty};
use tracing::{Span, error, info, info_span};
use tracing_otlp::{Builder, Limits};

use super::callsite::{self, Shape};
use crate::support::layer::{Attributed, Pipeline, Spans, int, record_with, text};

/// Limits, without the attributes that a callsite adds.
fn limited(limits: Limits) -> impl FnOnce(Builder) -> Builder {
    move |builder| builder.with_location(false).with_limits(limits)
}

fn with_attributes(count: u32, work: impl FnOnce()) -> Spans {
    record_with(limited(Limits::default().with_attributes(count)), work)
}

#[test]
fn spec_5_1_attributes_beyond_the_limit_are_counted() {
    for (limit, kept) in [(0, 0), (1, 1), (3, 3), (4, 4), (5, 4)] {
        let spans = with_attributes(limit, || {
            drop(info_span!("span", a = 1, b = 2, c = 3, d = 4))
        });
        let span = spans.only();
        assert_eq!(span.own_keys(), &["a", "b", "c", "d"][..kept]);
        assert_eq!(span.dropped_attributes_count as usize, 4 - kept);
    }
}

#[test]
fn spec_5_1_the_default_is_128_attributes() {
    let names: Vec<_> = (0..130).map(|at| format!("field{at}")).collect();
    let metadata = Shape::with_fields("span", names.iter().map(|name| &**name)).span();
    let spans = record_with(limited(Limits::default()), || {
        let values = vec![Some(&1 as &dyn field::Value); 130];
        drop(callsite::open(metadata, &values));
    });
    assert_eq!(spans.only().attributes.len(), 128);
    assert_eq!(spans.only().dropped_attributes_count, 2);
}

#[test]
fn spec_1_4_a_value_is_overwritten_at_the_limit() {
    let spans = with_attributes(2, || {
        let span = info_span!("span", a = 1, b = 2, c = 3, d = Empty);
        span.record("a", 10).record("d", 4).record("b", "twenty");
        span.record("c", 30);
    });
    let span = spans.only();
    assert_eq!(span.own_keys(), ["a", "b"]);
    assert_eq!(
        (span.value("a"), span.value("b")),
        (int(10), text("twenty"))
    );
    // c at once and again, and d.
    assert_eq!(span.dropped_attributes_count, 3);
}

#[test]
fn late_attributes_count_too() {
    let spans = with_attributes(2, || {
        let span = info_span!("span", a = Empty, b = Empty, c = Empty, otel.name = Empty);
        span.record("c", 1).record("b", 1).record("a", 1);
        span.record("otel.name", "renamed");
    });
    let span = spans.named("renamed");
    assert_eq!(span.own_keys(), ["c", "b"]);
    assert_eq!(span.dropped_attributes_count, 1);
}

#[test]
fn constant_attributes_come_first_and_count() {
    let settings = |builder: Builder| {
        let limits = Limits::default()
            .with_attributes(3)
            .with_attributes_per_event(1);
        builder
            .with_location(false)
            .with_level(true)
            .with_target(true)
            .with_limits(limits)
    };
    let spans = record_with(settings, || {
        info_span!("span", a = 1, b = 2, level = 3).in_scope(|| info!(a = 1, target = 2, "event"));
    });
    let span = spans.only();
    assert_eq!(
        (span.keys(), span.value("level")),
        (vec!["target", "a", "level"], int(3))
    );
    assert_eq!(span.dropped_attributes_count, 1);
    let event = span.event("event");
    assert_eq!(event.keys(), ["level"]);
    // The target of the callsite, a, and the field that would have replaced the target.
    assert_eq!(event.dropped_attributes_count, 3);
}

#[test]
fn a_threads_attributes_count_one_by_one() {
    for (limit, kept) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
        let limits = Limits::default().with_attributes(limit);
        let settings = |builder: Builder| limited(limits)(builder).with_threads(true);
        let spans = record_with(settings, || drop(info_span!("span")));
        let span = spans.only();
        assert_eq!(span.attributes.len(), kept, "limit {limit}");
        assert_eq!(
            span.dropped_attributes_count as usize,
            2 - kept,
            "limit {limit}"
        );
    }
}

#[test]
fn spec_5_7_dropped_events_and_links_are_counted() {
    for limit in [0, 1, 5] {
        let limits = Limits::default().with_events(limit).with_links(limit);
        let spans = record_with(limited(limits), || {
            let other = info_span!("other");
            let span = info_span!("span").entered();
            for number in 0..7 {
                info!(number, "event");
                span.follows_from(&other);
            }
        });
        let span = spans.named("span");
        let limit = limit as usize;
        assert_eq!((span.events.len(), span.links.len()), (limit, limit));
        assert_eq!(span.dropped_events_count as usize, 7 - limit);
        assert_eq!(span.dropped_links_count as usize, 7 - limit);
        // The first ones are kept, in their order.
        for (number, event) in span.events.iter().enumerate() {
            assert_eq!(event.value("number"), int(number as i64));
        }
    }
}

#[test]
fn spec_5_7_dropped_attributes_of_events_are_counted() {
    let limits = Limits::default().with_attributes_per_event(3);
    let spans = record_with(limited(limits), || {
        info_span!("span").in_scope(|| {
            info!(a = 1, b = 2, c = 3, "event");
            info!(a = 1, a = 2, "again");
        });
    });
    // Level and target are two of them.
    let event = spans.only().event("event");
    assert_eq!(event.own_keys(), ["a"]);
    assert_eq!(event.dropped_attributes_count, 2);
    let again = spans.only().event("again");
    assert_eq!(
        (again.value("a"), again.dropped_attributes_count),
        (int(2), 0)
    );
}

#[test]
fn an_error_event_that_is_dropped_still_fails_its_span() {
    let spans = record_with(limited(Limits::default().with_events(0)), || {
        info_span!("span").in_scope(|| error!("no"));
    });
    assert_eq!(spans.only().status(), (2, ""));
    assert_eq!(spans.only().dropped_events_count, 1);
}

const KIB: usize = 1 << 10;

/// A record's bytes are bounded at one KiB. Returns also how many values were cut.
fn one_kib(work: impl FnOnce()) -> (Spans, u64) {
    use tracing_subscriber::prelude::*;

    let (layer, pipeline) = Pipeline::with(limited(Limits::default().with_record_bytes(KIB)));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.dropped(), 0);
    (spans, stats.truncated())
}

/// The text of an attribute, which begins as the whole does and ends before the limit.
#[track_caller]
fn assert_cut(span: &impl Attributed, key: &str, whole: &str) {
    let Some(Value::StringValue(cut)) = span.value(key) else {
        panic!("{key} is {:?}", span.value(key));
    };
    assert!(whole.starts_with(&cut), "{key} is a beginning");
    let length = cut.len();
    assert!(
        (KIB / 8..=KIB).contains(&length),
        "{key} is cut at {length}"
    );
}

#[test]
fn a_value_is_cut_where_the_record_ends() {
    let long = "x".repeat(5000);
    let (spans, truncated) = one_kib(|| {
        drop(info_span!("str", v = &*long, next = 1));
        drop(info_span!("debug", v = %long, next = 1));
    });
    for span in spans.iter() {
        assert_cut(&**span, "v", &long);
        assert_eq!(span.own_keys(), ["v"]);
        assert_eq!(span.dropped_attributes_count, 1, "what follows has no room");
    }
    assert_eq!(truncated, 2);
}

#[test]
fn bytes_are_cut_where_the_record_ends() {
    let (spans, truncated) = one_kib(|| drop(info_span!("span", v = &[7_u8; 5000][..])));
    let Some(Value::BytesValue(cut)) = spans.only().value("v") else {
        panic!("no bytes");
    };
    assert!(cut.len() <= KIB && cut.iter().all(|byte| *byte == 7));
    assert_eq!(truncated, 1);
}

#[test]
fn a_late_value_is_cut_where_the_record_ends() {
    let long = "x".repeat(5000);
    let (spans, truncated) = one_kib(|| {
        info_span!("str", v = Empty).record("v", &*long);
        info_span!("debug", v = Empty).record("v", field::display(&long));
    });
    for span in spans.iter() {
        assert_cut(&**span, "v", &long);
    }
    assert_eq!(truncated, 2);
}

#[test]
fn an_events_value_is_cut_where_the_record_ends() {
    let long = "x".repeat(5000);
    let (spans, truncated) = one_kib(|| {
        info_span!("str").in_scope(|| info!(v = &*long, "event"));
        info_span!("message").in_scope(|| info!("{long}"));
    });
    assert_cut(spans.named("str").event("event"), "v", &long);
    assert!(long.starts_with(&spans.named("message").events[0].name));
    assert_eq!(truncated, 2);
}

/// Characters of 1, 2, 3 and 4 bytes; prost accepts only whole ones.
#[test]
fn spec_5_2_a_cut_never_splits_a_character() {
    let text: String = "a\u{e9}\u{20ac}\u{1f980}".repeat(500);
    for shift in 0..10 {
        let whole = format!("{}{text}", "x".repeat(shift));
        let (spans, _) = one_kib(|| {
            drop(info_span!("str", v = &*whole));
            drop(info_span!("debug", v = %whole));
            drop(info_span!("name", otel.name = &*whole));
        });
        for span in spans.iter().filter(|span| span.has("v")) {
            assert_cut(&**span, "v", &whole);
        }
        assert!(whole.starts_with(&spans[2].name));
    }
}

/// However it is filled: at once, late, by events, by links.
#[test]
fn a_record_stays_within_its_bytes() {
    use prost::Message;

    let fill = |span: &Span| {
        for round in 0..200 {
            span.record("late", "y".repeat(round));
            span.in_scope(|| info!(round, "some event"));
            span.follows_from(span);
        }
        span.record("otel.name", "z".repeat(300));
    };
    let long = "x".repeat(5000);
    let (spans, _) = one_kib(|| {
        fill(&info_span!("empty", late = Empty, otel.name = Empty));
        fill(&info_span!(
            "full",
            v = &*long,
            late = Empty,
            otel.name = Empty
        ));
    });
    for span in spans.iter() {
        // The end, the counts and the last value's own frame come on top.
        let bytes = span.encoded_len();
        assert!(bytes <= KIB + 64, "{}: {bytes} bytes", span.name);
    }
}

/// What does not fit is counted, whichever way it came.
#[test]
fn what_has_no_room_is_counted() {
    let long = "x".repeat(5000);
    let (spans, _) = one_kib(|| {
        let span = info_span!("span", v = &*long, a = Empty, b = Empty);
        span.record("a", 1);
        tracing::record_all!(span, a = 1, b = 2);
        span.in_scope(|| info!("event"));
        span.follows_from(&span);
    });
    let span = spans.only();
    assert_eq!(span.dropped_attributes_count, 3);
    assert_eq!(
        (span.dropped_events_count, span.dropped_links_count),
        (1, 1)
    );
}

/// All fields of one late record come together, and the first of them takes all the room.
#[test]
fn what_has_no_room_in_one_late_record_is_counted() {
    let long = "x".repeat(5000);
    let (spans, _) = one_kib(|| {
        let span = info_span!("span", v = Empty, a = Empty, b = Empty);
        tracing::record_all!(span, v = &*long, a = 1, b = 2);
    });
    let span = spans.only();
    assert_eq!(
        span.own_keys().len() + span.dropped_attributes_count as usize,
        3
    );
}

#[test]
fn a_failure_is_told_even_where_the_record_is_full() {
    let long = "x".repeat(5000);
    let (spans, _) = one_kib(|| {
        info_span!("event", v = &*long).in_scope(|| error!("no"));
        info_span!("exception", v = &*long).in_scope(|| error!(error = "no"));
        info_span!("code", v = &*long, otel.status_code = "error");
        info_span!("late", v = &*long, otel.status_code = Empty)
            .record("otel.status_code", "error");
    });
    for span in spans.iter() {
        assert_eq!(span.status().0, 2, "{}", span.name);
        // What follows from a failing event has no room either.
        let left_out = u32::from(matches!(&*span.name, "event" | "exception"));
        assert_eq!(span.dropped_attributes_count, left_out, "{}", span.name);
    }
}

/// A kind takes two bytes, and a name that does not fit leaves the old one, or is cut; a span without either is no span.
#[test]
fn name_and_kind_are_there_even_where_the_record_is_full() {
    let long = "x".repeat(5000);
    let (spans, _) = one_kib(|| {
        let span = info_span!("declared", v = &*long, otel.name = Empty, otel.kind = Empty);
        span.record("otel.kind", "server")
            .record("otel.name", &*long);
        drop(span);
        let span = info_span!(
            "declared",
            otel.name = "first",
            otel.kind = "client",
            v = &*long
        );
        span.record("otel.kind", "server")
            .record("otel.name", &*long);
    });
    for (span, old) in spans.iter().zip(["declared", "first"]) {
        assert_eq!(span.kind, 2, "server");
        let is_cut = !span.name.is_empty() && long.starts_with(&span.name);
        assert!(span.name == old || is_cut, "{:?}", span.name);
    }
}

/// Beside the old value, there is no room for the new one; it is cut rather than the old one kept.
#[test]
fn a_value_is_replaced_where_only_the_new_one_fits() {
    let (spans, _) = one_kib(|| {
        let span = info_span!("span", v = "x".repeat(850));
        span.record("v", "y".repeat(800));
    });
    let Some(Value::StringValue(value)) = spans.only().value("v") else {
        panic!("no text");
    };
    assert!(
        value.starts_with('y') && "y".repeat(800).starts_with(&value),
        "{value}"
    );
    assert_eq!(spans.only().dropped_attributes_count, 0);
}
