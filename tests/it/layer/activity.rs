//! When a span was busy, when it was left last, and panics that leave it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tracing::dispatcher::with_default;
use tracing::{Dispatch, info, info_span};
use tracing_otlp::Builder;
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Exported, Pipeline, record, record_with};

fn nanoseconds(span: &Exported, key: &str) -> u64 {
    match span.value(key) {
        Some(Value::IntValue(value)) => u64::try_from(value).unwrap(),
        other => panic!("{key}: {other:?}"),
    }
}

fn busy_and_idle(builder: Builder) -> Builder {
    builder.with_busy_and_idle(true)
}

/// Until the clock has moved on.
fn wait() {
    let start = std::time::Instant::now();
    while start.elapsed().as_micros() < 50 {}
}

#[test]
fn busy_and_idle_are_the_whole_duration() {
    let spans = record_with(busy_and_idle, || {
        let span = info_span!("span");
        span.in_scope(wait);
        wait();
        span.in_scope(|| span.in_scope(wait));
    });
    let span = spans.only();
    let (busy, idle) = (nanoseconds(span, "busy_ns"), nanoseconds(span, "idle_ns"));
    assert_eq!(
        busy + idle,
        span.end_time_unix_nano - span.start_time_unix_nano
    );
    assert!(busy >= 100_000 && idle >= 50_000, "{busy} {idle}");
}

#[test]
fn a_span_that_is_never_entered_is_idle() {
    let spans = record_with(busy_and_idle, || drop(info_span!("span")));
    let span = spans.only();
    assert_eq!(nanoseconds(span, "busy_ns"), 0);
    assert_eq!(
        nanoseconds(span, "idle_ns"),
        span.end_time_unix_nano - span.start_time_unix_nano
    );
}

/// Threads that are inside at once count once.
#[test]
fn a_span_is_busy_while_it_is_entered_anywhere() {
    let (layer, pipeline) = Pipeline::with(busy_and_idle);
    let dispatch = &Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(dispatch, || {
        let span = info_span!("span");
        thread::scope(|threads| {
            for _ in 0..4 {
                let span = span.clone();
                threads.spawn(move || with_default(dispatch, || span.in_scope(wait)));
            }
        });
    });
    let spans = pipeline.spans();
    let span = spans.only();
    let (busy, idle) = (nanoseconds(span, "busy_ns"), nanoseconds(span, "idle_ns"));
    assert_eq!(
        busy + idle,
        span.end_time_unix_nano - span.start_time_unix_nano
    );
    assert!(busy >= 50_000);
}

#[test]
fn a_field_of_the_same_name_gives_way() {
    let spans = record_with(busy_and_idle, || {
        drop(info_span!("span", busy_ns = "mine"));
    });
    assert_eq!(nanoseconds(spans.only(), "busy_ns"), 0);
    let keys = spans.only().keys();
    assert_eq!(keys.iter().filter(|key| **key == "busy_ns").count(), 1);
}

#[test]
fn a_span_ends_when_it_was_left_last_if_that_is_wanted() {
    let at_exit = |builder: Builder| builder.with_end_at_last_exit(true).with_busy_and_idle(true);
    let spans = record_with(at_exit, || {
        let outer = info_span!("outer").entered();
        let span = info_span!("span");
        span.in_scope(wait);
        span.in_scope(|| info!("last"));
        let next = info_span!("next");
        wait();
        drop((span, next));
        drop(outer);
    });
    let (span, next) = (spans.named("span"), spans.named("next"));
    assert!(span.end_time_unix_nano <= next.start_time_unix_nano);
    assert!(span.end_time_unix_nano >= span.event("last").time_unix_nano);
    assert_eq!(
        nanoseconds(span, "busy_ns") + nanoseconds(span, "idle_ns"),
        span.end_time_unix_nano - span.start_time_unix_nano
    );
    // One that is never entered ends when it is closed.
    assert!(next.end_time_unix_nano >= next.start_time_unix_nano + 50_000);
}

#[test]
fn a_span_that_is_closed_while_it_is_entered_ends_then() {
    let at_exit = |builder: Builder| builder.with_end_at_last_exit(true);
    let spans = record_with(at_exit, || {
        let span = info_span!("span");
        span.in_scope(|| ());
        std::mem::forget(span.enter());
        wait();
        drop(span);
    });
    let span = spans.only();
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano + 50_000);
}

/// 2 is `STATUS_CODE_ERROR`.
#[test]
fn a_panic_marks_the_spans_that_it_leaves() {
    let spans = record(|| {
        let _outside = info_span!("outside").entered();
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _left = info_span!("left").entered();
            let _inside = info_span!("inside").entered();
            drop(info_span!("over").entered());
            std::panic::resume_unwind(Box::new("quietly"));
        }));
        info!("on");
    });
    assert_eq!(spans.named("left").status(), (2, "panicked"));
    assert_eq!(spans.named("inside").status(), (2, "panicked"));
    assert_eq!(spans.named("over").status(), (0, ""));
    assert_eq!(spans.named("outside").status(), (0, ""));
}

/// What a destructor records while its thread panics is its own affair.
#[test]
fn a_span_that_is_entered_inside_a_panic_is_not_marked() {
    struct Traces;
    impl Drop for Traces {
        fn drop(&mut self) {
            info_span!("destructor").in_scope(|| info_span!("deeper").in_scope(|| ()));
        }
    }
    let spans = record(|| {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _left = info_span!("left").entered();
            let _traces = Traces;
            std::panic::resume_unwind(Box::new("quietly"));
        }));
    });
    assert_eq!(spans.named("left").status(), (2, "panicked"));
    assert_eq!(spans.named("destructor").status(), (0, ""));
    assert_eq!(spans.named("deeper").status(), (0, ""));
}

#[test]
fn spec_7_4_a_panic_does_not_take_ok_away() {
    let spans = record(|| {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _span = info_span!("span", otel.status_code = "ok").entered();
            std::panic::resume_unwind(Box::new("quietly"));
        }));
    });
    assert_eq!(spans.only().status(), (1, ""));
}

#[test]
fn busy_and_idle_count_among_the_attributes() {
    for (most, expected) in [(1, 1), (2, 2), (3, 3), (4, 3)] {
        let settings = |builder: Builder| {
            let limits = tracing_otlp::Limits::default().with_attributes(most);
            busy_and_idle(builder)
                .with_location(false)
                .with_limits(limits)
        };
        let spans = record_with(settings, || drop(info_span!("span", n = 1)));
        let span = spans.only();
        assert_eq!(span.keys().len(), expected, "{most}: {:?}", span.keys());
        assert_eq!(
            span.dropped_attributes_count as usize,
            3 - expected,
            "{most}"
        );
    }
}
