//! What users of tracing-opentelemetry 0.34 rely on, case by case as its own tests go. Where something is different here on
//! purpose, the test's name says so.

mod errors;

use tracing::field::{Empty, display};
use tracing::{Level, Span, debug_span, event, info, info_span, span};
use tracing_otlp::Events;
use tracing_subscriber::prelude::*;

use crate::support::layer::{
    Attributed, Pipeline, Spans, hiding_debug, int, record, record_with, text,
};

// Names and kinds.

#[test]
fn dynamic_span_names() {
    let spans = record(|| {
        drop(info_span!("static", otel.name = "GET http://example.com"));
        drop(info_span!("static", otel.name = %"shown"));
    });
    assert_eq!(spans.names(), ["GET http://example.com", "shown"]);
}

#[test]
fn better_a_name_can_change_after_the_span_was_entered() {
    let spans = record(|| {
        let span = info_span!("static", otel.name = Empty);
        span.in_scope(|| info!("started"));
        span.record("otel.name", "late");
    });
    assert_eq!(spans.names(), ["late"]);
}

#[test]
fn span_kind() {
    let spans = record(|| drop(info_span!("request", otel.kind = "Server")));
    assert_eq!(spans.only().kind, 2);
}

#[test]
fn spec_7_1_better_a_kind_can_change_after_the_span_was_entered() {
    let spans = record(|| {
        let span = info_span!("request", otel.kind = Empty);
        span.in_scope(|| ());
        span.record("otel.kind", "client");
    });
    assert_eq!(spans.only().kind, 3);
}

#[test]
fn spec_7_1_a_kind_that_is_unknown_is_internal() {
    let spans = record(|| drop(info_span!("request", otel.kind = "unknown")));
    assert_eq!(spans.only().kind, 1);
}

// What a callsite adds.

#[test]
fn includes_span_location() {
    let line = i64::from(line!()) + 1;
    let spans = record(|| drop(info_span!("request")));
    let span = spans.only();
    assert_eq!(span.value("code.file.path"), text(file!()));
    assert_eq!(span.value("code.module.name"), text(module_path!()));
    assert_eq!(span.value("code.line.number"), int(line));
}

#[test]
fn excludes_span_location() {
    let spans = record_with(
        |builder| builder.with_location(false),
        || info_span!("request").in_scope(|| info!("event")),
    );
    let location = |key: &&str| key.starts_with("code.");
    assert!(!spans.only().keys().iter().any(location));
    assert!(!spans.only().event("event").keys().iter().any(location));
}

/// `tracing` does not know the function: the convention's name stays free for a field of the user's.
#[test]
fn spec_7_16_the_function_is_the_users_to_name() {
    let spans = record(|| {
        drop(info_span!("none"));
        drop(info_span!("own", code.function.name = "shop::pay"));
    });
    assert!(!spans.named("none").has("code.function.name"));
    let own = spans.named("own").value("code.function.name");
    assert_eq!(own, text("shop::pay"));
}

#[test]
fn includes_thread() {
    let work = || {
        record_with(
            |builder| builder.with_threads(true),
            || drop(info_span!("request")),
        )
    };
    let thread = std::thread::Builder::new().name("named".to_owned());
    let spans = thread.spawn(work).unwrap().join().unwrap();
    assert_eq!(spans.only().value("thread.name"), text("named"));
    assert!(spans.only().has("thread.id"));
}

#[test]
fn spec_7_17_different_threads_are_left_out_by_default() {
    let spans = record(|| drop(info_span!("request")));
    assert!(!spans.only().has("thread.id") && !spans.only().has("thread.name"));
}

#[test]
fn includes_level_on_request() {
    let level = |on| {
        let spans = record_with(
            |builder| builder.with_level(on),
            || drop(debug_span!("request")),
        );
        spans.only().value("level")
    };
    assert_eq!((level(true), level(false)), (text("DEBUG"), None));
}

#[test]
fn different_the_target_is_the_scope_and_an_attribute_on_request() {
    for on in [true, false] {
        let spans = record_with(
            |builder| builder.with_target(on),
            || drop(span!(target: "shop", Level::INFO, "request")),
        );
        assert_eq!(spans.only().scope, "shop");
        assert_eq!(spans.only().has("target"), on);
    }
}

#[test]
fn events_always_have_target_and_level() {
    let spans = record(|| {
        info_span!("request").in_scope(|| event!(target: "shop", Level::WARN, "event"));
    });
    let event = spans.only().event("event");
    assert_eq!(event.value("target"), text("shop"));
    assert_eq!(event.value("level"), text("WARN"));
}

// Fields.

#[test]
fn fields_are_recorded_before_and_after_the_first_enter() {
    let spans = record(|| {
        let span = info_span!(
            "request",
            before = Empty,
            after = Empty,
            never = Empty,
            at_once = 1
        );
        span.record("before", "entering");
        span.in_scope(|| ());
        span.record("after", display("leaving"));
    });
    let span = spans.only();
    assert_eq!(span.own_keys(), ["at_once", "before", "after"]);
    assert_eq!(span.value("before"), text("entering"));
    assert_eq!(span.value("after"), text("leaving"));
}

#[test]
fn better_a_field_recorded_twice_has_the_last_value_and_is_there_once() {
    let spans = record(|| {
        let span = info_span!("request", status = 200);
        span.in_scope(|| ());
        span.record("status", 404);
    });
    assert_eq!(spans.only().own_keys(), ["status"]);
    assert_eq!(spans.only().value("status"), int(404));
}

#[test]
fn better_unsigned_integers_are_integers() {
    let spans = record(|| drop(info_span!("request", a = 7_u64, b = 7_usize, c = 7_u128)));
    for key in ["a", "b", "c"] {
        assert_eq!(spans.only().value(key), int(7), "{key}");
    }
}

/// The namespace is the specification's, but what is not known there is the user's, and not taken away.
#[test]
fn spec_7_18_other_fields_below_otel_are_attributes() {
    let spans = record(|| drop(info_span!("request", otel.other = 1, otel.name = "n")));
    assert_eq!(spans.only().own_keys(), ["otel.other"]);
}

#[test]
fn metric_fields_are_attributes_of_the_event() {
    let spans = record(|| {
        info_span!("request").in_scope(|| info!(monotonic_counter.calls = 1, "event"));
    });
    let event = spans.only().event("event");
    assert_eq!(event.value("monotonic_counter.calls"), int(1));
}

// Events.

#[test]
fn the_message_is_the_events_name() {
    let spans = record(|| {
        info_span!("request").in_scope(|| {
            info!(a = 1, "message {}", 7);
            info!(message = "as a field");
            info!(b = 2);
        });
    });
    let names = spans.only().event_names();
    assert_eq!(names[..2], ["message 7", "as a field"]);
    assert!(names[2].starts_with("event ") && names[2].contains("compat.rs"));
    assert_eq!(spans.only().events[0].own_keys(), ["a"]);
}

#[test]
fn spec_7_12_events_keep_their_order_and_times() {
    let spans = record(|| {
        info_span!("request").in_scope(|| {
            for number in 0..9 {
                info!("{number}");
            }
        });
    });
    let span = spans.only();
    let names: Vec<String> = (0..9).map(|number| number.to_string()).collect();
    assert_eq!(span.event_names(), names);
    let times: Vec<u64> = span
        .events
        .iter()
        .map(|event| event.time_unix_nano)
        .collect();
    assert!(times.is_sorted() && times[0] >= span.start_time_unix_nano);
}

#[test]
fn an_event_has_an_explicit_parent() {
    let spans = record(|| {
        let other = info_span!("other");
        info_span!("current").in_scope(|| info!(parent: &other, "event"));
    });
    assert_eq!(spans.named("other").event_names(), ["event"]);
    assert!(spans.named("current").events.is_empty());
}

#[test]
fn an_event_without_a_parent_is_left_out() {
    let spans = record(|| {
        info_span!("current").in_scope(|| info!(parent: None, "event"));
        info!("outside");
    });
    assert!(spans.only().events.is_empty());
}

#[test]
fn events_can_be_left_out() {
    let spans = record_with(
        |builder| builder.with_events(Events::Off),
        || info_span!("request").in_scope(|| info!("event")),
    );
    assert!(spans.only().events.is_empty());
}

// Parents.

#[test]
fn trace_id_of_the_current_span() {
    let spans = record(|| {
        let _outer = info_span!("outer").entered();
        drop(info_span!("inner"));
    });
    spans.named("inner").assert_child_of(spans.named("outer"));
}

#[test]
fn explicit_parents_of_spans() {
    let spans = record(|| {
        let other = info_span!("other");
        let _current = info_span!("current").entered();
        drop(info_span!(parent: &other, "child"));
        drop(info_span!(parent: None, "root"));
    });
    spans.named("child").assert_child_of(spans.named("other"));
    spans.named("root").assert_root();
}

#[test]
fn better_a_filtered_parent_stands_for_its_own_parent() {
    hiding_debug(
        |_| {
            let outer = info_span!("outer").entered();
            let hidden = debug_span!("hidden");
            hidden.in_scope(|| drop(info_span!("current")));
            drop(info_span!(parent: &hidden, "explicit"));
            hidden.in_scope(|| info!("event"));
            drop(outer);
        },
        |spans| {
            let outer = spans.named("outer");
            spans.named("current").assert_child_of(outer);
            spans.named("explicit").assert_child_of(outer);
            assert_eq!(outer.event_names(), ["event"]);
        },
    );
}

#[test]
fn a_span_below_filtered_ones_only_is_a_root() {
    hiding_debug(
        |_| debug_span!("hidden").in_scope(|| drop(info_span!("span"))),
        |spans| spans.only().assert_root(),
    );
}

// Links.

/// To which spans a span is linked.
fn links<'s>(spans: &'s Spans, name: &str) -> Vec<&'s str> {
    let to = |id: &[u8]| {
        let found = spans.iter().find(|span| span.span_id == id);
        found.map_or("nowhere", |span| &*span.name)
    };
    let links = spans.named(name).links.iter();
    links.map(|link| to(&link.span_id)).collect()
}

#[test]
fn follows_from_adds_a_link() {
    let spans = record(|| {
        let cause = info_span!("cause");
        info_span!("effect").follows_from(&cause);
    });
    assert_eq!(links(&spans, "effect"), ["cause"]);
    assert!(links(&spans, "cause").is_empty());
}

#[test]
fn follows_from_adds_several_links() {
    let spans = record(|| {
        let (first, second) = (info_span!("first"), info_span!("second"));
        let effect = info_span!("effect");
        effect.follows_from(&first);
        effect.in_scope(|| ());
        effect.follows_from(second.id());
    });
    assert_eq!(links(&spans, "effect"), ["first", "second"]);
}

#[test]
fn a_closed_span_is_not_followed() {
    let spans = record(|| {
        let cause = info_span!("cause");
        let id = cause.id();
        drop(cause);
        info_span!("effect").follows_from(id);
    });
    assert!(links(&spans, "effect").is_empty());
}

#[test]
fn a_span_of_another_thread_is_followed() {
    let (layer, pipeline) = Pipeline::new();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    tracing::dispatcher::with_default(&dispatch, || {
        let cause = info_span!("cause");
        let dispatch = dispatch.clone();
        let effect = std::thread::scope(|scope| {
            let work = || {
                tracing::dispatcher::with_default(&dispatch, || {
                    let effect = info_span!("effect");
                    effect.follows_from(&cause);
                    effect
                })
            };
            scope.spawn(work).join().unwrap()
        });
        drop((effect, cause));
    });
    assert_eq!(links(&pipeline.spans(), "effect"), ["cause"]);
}

// Times.

/// There it ends with its last exit.
#[test]
fn spec_7_8_different_a_span_ends_when_it_closes() {
    let spans = record(|| {
        let _root = info_span!("root").entered();
        let span = info_span!("span");
        span.in_scope(|| ());
        drop(info_span!("between"));
        drop(span);
    });
    let (span, between) = (spans.named("span"), spans.named("between"));
    assert!(span.end_time_unix_nano >= between.end_time_unix_nano);
}

#[test]
fn different_busy_and_idle_times_are_left_out_by_default() {
    let spans = record(|| info_span!("span").in_scope(|| ()));
    assert!(!spans.only().has("busy_ns") && !spans.only().has("idle_ns"));
}

#[test]
fn a_span_is_recorded_once_whoever_holds_it() {
    let spans = record(|| {
        let span = info_span!("span");
        let clones: Vec<Span> = (0..3).map(|_| span.clone()).collect();
        clones
            .iter()
            .for_each(|span| span.in_scope(|| info!("event")));
    });
    assert_eq!(spans.only().event_names(), ["event"; 3]);
}
