//! What is open: snapshots of spans, and records of those that stay open for long.

use std::thread;
use std::time::{Duration, Instant};

use tracing::field::Empty;
use tracing::{Dispatch, Span, info, info_span};
use tracing_otlp::{Builder, Sampler, SpanExt, SpanKind, SpanSnapshot, Value};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, int};

/// A pipeline, and a way to record in it on any thread.
fn begin(settings: impl FnOnce(Builder) -> Builder) -> (Dispatch, Pipeline) {
    let (layer, pipeline) = Pipeline::with(settings);
    (
        Dispatch::new(tracing_subscriber::registry().with(layer)),
        pipeline,
    )
}

#[track_caller]
fn named<'s>(spans: &'s [SpanSnapshot], name: &str) -> &'s SpanSnapshot {
    spans.iter().find(|span| span.name() == name).unwrap()
}

#[test]
fn r19_open_spans_are_shown_as_they_are() {
    let (dispatch, pipeline) = begin(|builder| builder.with_location(false));
    let handle = pipeline.handle();
    assert_eq!(handle.open_spans(), []);
    let (outer, inner) = tracing::dispatcher::with_default(&dispatch, || {
        let outer = info_span!(target: "mine", "outer", otel.kind = "server", n = 1, late = Empty);
        let _entered = outer.enter();
        info!("an event");
        let inner = info_span!("inner", otel.name = Empty);
        drop(info_span!("closed"));
        (outer.clone(), inner)
    });
    outer.record("late", "text");
    outer.set_attribute("list", [1_i64, 2].as_slice());
    inner.record("otel.name", "renamed");
    let spans = handle.open_spans();
    assert_eq!(spans.len(), 2);
    assert!(
        spans[0].name() == "outer" && spans[0].started() <= spans[1].started(),
        "the oldest first"
    );
    let (first, second) = (named(&spans, "outer"), named(&spans, "renamed"));
    assert_eq!(
        (first.target(), first.kind(), first.is_sampled()),
        ("mine", SpanKind::Server, true)
    );
    let attributes = [
        ("n".to_owned(), Value::Int(1)),
        ("late".to_owned(), "text".into()),
        ("list".to_owned(), [1_i64, 2].as_slice().into()),
    ];
    assert_eq!(first.attributes(), attributes);
    assert_eq!(first.attribute("n"), Some(&Value::Int(1)));
    assert_eq!(second.parent_span_id(), Some(first.span_id()));
    assert_eq!(second.trace_id(), first.trace_id());
    assert!(first.age() >= second.age() && first.age() < Duration::from_secs(600));
    let shown = first.to_string();
    assert!(
        shown.contains(&first.trace_id().to_string()) && shown.contains("outer"),
        "{shown}"
    );
    // The Registry closes a parent with its last child by way of the current dispatcher.
    tracing::dispatcher::with_default(&dispatch, || drop((outer, inner)));
    assert_eq!(handle.open_spans(), []);
    let exported = pipeline.spans();
    assert_eq!(exported.named("outer").span_id, first.span_id().to_bytes());
}

#[test]
fn what_is_not_recorded_is_not_shown() {
    let (dispatch, pipeline) = begin(|builder| builder.with_sampler(Sampler::always_off()));
    tracing::dispatcher::with_default(&dispatch, || {
        let _span = info_span!("span").entered();
        assert_eq!(pipeline.handle().open_spans(), []);
    });
}

/// Threads open and close spans meanwhile; what is open all the time is in each look.
#[test]
fn threads_that_work_meanwhile_are_not_in_the_way() {
    let (dispatch, pipeline) = begin(|builder| builder);
    let handle = pipeline.handle();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    let kept: Vec<Span> = (0..50).map(|n| info_span!("kept", n)).collect();
                    for n in 0..2_000 {
                        drop(info_span!("passing", n).entered());
                        if n % 500 == 0 {
                            let shown = handle.open_spans();
                            let kept = shown.iter().filter(|span| span.name() == "kept");
                            assert!(kept.count() >= 50);
                        }
                    }
                    drop(kept);
                });
            });
        }
    });
    assert_eq!(handle.open_spans(), []);
    assert_eq!(pipeline.spans().len(), 4 * 2_050);
}

#[test]
fn r19_a_span_that_stays_open_has_one_record_meanwhile() {
    let (dispatch, pipeline) = begin(|builder| {
        builder
            .with_long_running(Duration::from_millis(1))
            .with_location(false)
    });
    let span = tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!(target: "mine", "slow", n = 1);
        span.in_scope(|| ());
        span
    });
    let ids = span.context();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
    // Each flush sweeps.
    let meanwhile = pipeline.spans();
    let told = meanwhile.only();
    assert_eq!(
        (&*told.name, &*told.scope, told.value("n")),
        ("still open: slow", "mine", int(1))
    );
    let context = ids.span().unwrap();
    assert_eq!(told.parent_span_id, context.span_id().to_bytes());
    assert_eq!(told.trace_id, context.trace_id().to_bytes());
    assert_ne!(told.span_id, context.span_id().to_bytes());
    assert!(told.end_time_unix_nano - told.start_time_unix_nano >= 1_000_000);
    drop((span, dispatch));
    let all = pipeline.spans();
    assert_eq!(all.names(), ["still open: slow", "slow"]);
    all.named("still open: slow")
        .assert_child_of(all.named("slow"));
    let (slow, told) = (all.named("slow"), all.named("still open: slow"));
    assert_eq!(slow.start_time_unix_nano, told.start_time_unix_nano);
}

#[test]
fn what_is_short_or_not_sampled_has_no_further_record() {
    let (dispatch, pipeline) = begin(|builder| {
        builder
            .with_long_running(Duration::from_secs(3_600))
            .with_sampler(Sampler::always_record(Sampler::always_off()))
    });
    let _span = tracing::dispatcher::with_default(&dispatch, || info_span!("span"));
    assert_eq!(pipeline.spans().len(), 0);
}

/// However long it is open.
#[test]
fn what_is_recorded_and_not_sampled_has_no_further_record() {
    let (dispatch, pipeline) = begin(|builder| {
        builder
            .with_long_running(Duration::from_millis(1))
            .with_sampler(Sampler::always_record(Sampler::always_off()))
    });
    let _span = tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("span");
        span.in_scope(|| ());
        span
    });
    assert_eq!(pipeline.handle().open_spans().len(), 1);
    thread::sleep(Duration::from_millis(3));
    assert_eq!(pipeline.spans().len(), 0);
}

/// Spans of one thread lie together, and are shown between those of others all the same.
#[test]
fn the_oldest_are_shown_first() {
    let (dispatch, pipeline) = begin(|builder| builder);
    let open = |n: u64| {
        let _span = tracing::dispatcher::with_default(&dispatch, || info_span!("span", n));
        thread::sleep(Duration::from_micros(10));
        _span
    };
    let mut spans = vec![open(0)];
    for round in 0..8 {
        spans.push(thread::scope(|scope| {
            scope.spawn(|| open(2 * round + 1)).join().unwrap()
        }));
        spans.push(open(2 * round + 2));
    }
    let shown = pipeline.handle().open_spans();
    let numbers: Vec<_> = shown
        .iter()
        .map(|span| span.attribute("n").cloned())
        .collect();
    let expected: Vec<_> = (0..17).map(|n| Some(Value::Int(n))).collect();
    assert_eq!(numbers, expected);
}
