//! Spans that are entered, left and closed in any order and on any thread.

use std::sync::Barrier;
use std::thread;

use tracing::dispatcher::with_default;
use tracing::{Dispatch, Span, info, info_span};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, Spans, int, record, text};

/// Runs `work` under a pipeline whose dispatch it may take to other threads.
fn record_shared(work: impl FnOnce(&Dispatch)) -> Spans {
    let (layer, pipeline) = Pipeline::new();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(&dispatch, || work(&dispatch));
    pipeline.spans()
}

/// Enters without a guard, so that spans can be left in any order.
fn enter(span: &Span) {
    span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
}

fn exit(span: &Span) {
    span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
}

#[test]
fn a_span_is_entered_on_several_threads_at_once() {
    const THREADS: usize = 8;
    let spans = record_shared(|dispatch| {
        let shared = info_span!("shared");
        let inside = Barrier::new(THREADS);
        thread::scope(|threads| {
            for thread in 0..THREADS {
                let (shared, inside) = (&shared, &inside);
                threads.spawn(move || {
                    with_default(dispatch, || {
                        let _entered = shared.enter();
                        inside.wait();
                        info!(thread, "event");
                        info_span!("child", thread).in_scope(|| info!(thread, "inner"));
                        inside.wait();
                    });
                });
            }
        });
    });
    let shared = spans.named("shared");
    assert_eq!(shared.event_names(), ["event"; THREADS]);
    let children = spans.all_named("child");
    assert_eq!(children.len(), THREADS);
    for child in children {
        child.assert_child_of(shared);
        assert_eq!(child.event("inner").value("thread"), child.value("thread"));
    }
}

#[test]
fn records_from_many_threads_all_arrive() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 200;
    let spans = record_shared(|dispatch| {
        let shared = info_span!("shared", a = -1, b = -1, c = -1, d = -1);
        thread::scope(|threads| {
            for field in ["a", "b", "c", "d"] {
                let shared = &shared;
                threads.spawn(move || {
                    with_default(dispatch, || {
                        for round in 0..ROUNDS {
                            shared.record(field, round);
                            info_span!(parent: shared, "child").follows_from(shared);
                        }
                    });
                });
            }
        });
    });
    for field in ["a", "b", "c", "d"] {
        assert_eq!(spans.named("shared").value(field), int(ROUNDS as i64 - 1));
    }
    assert_eq!(spans.all_named("child").len(), THREADS * ROUNDS);
    for child in spans.all_named("child") {
        assert_eq!(child.links[0].span_id, spans.named("shared").span_id);
    }
}

#[test]
fn spans_are_left_out_of_order() {
    let spans = record(|| {
        let (a, b, c) = (info_span!("a"), info_span!("b"), info_span!("c"));
        [&a, &b, &c].into_iter().for_each(enter);
        exit(&b);
        info!("in c");
        drop(info_span!("below c"));
        exit(&c);
        info!("in a");
        drop(info_span!("below a"));
        exit(&a);
        drop(info_span!("root"));
    });
    assert_eq!(spans.named("c").event_names(), ["in c"]);
    assert_eq!(spans.named("a").event_names(), ["in a"]);
    spans.named("below c").assert_child_of(spans.named("c"));
    spans.named("below a").assert_child_of(spans.named("a"));
    spans.named("root").assert_root();
    // They were siblings when they were made.
    for name in ["a", "b", "c"] {
        spans.named(name).assert_root();
    }
}

/// Inside a span that is entered twice, the first entry counts: that is how the Registry sees it.
#[test]
fn a_span_is_entered_again() {
    let spans = record(|| {
        let (a, b) = (info_span!("a"), info_span!("b"));
        a.in_scope(|| {
            a.in_scope(|| info!("twice"));
            info!("once");
            b.in_scope(|| a.in_scope(|| info!("still in b")));
        });
        a.in_scope(|| info!("later"));
    });
    assert_eq!(spans.named("a").event_names(), ["twice", "once", "later"]);
    assert_eq!(spans.named("b").event_names(), ["still in b"]);
}

#[test]
fn a_span_is_closed_on_another_thread() {
    let spans = record_shared(|dispatch| {
        let span = info_span!("moved", late = tracing::field::Empty);
        let parent = info_span!("parent");
        let child = info_span!(parent: &parent, "child");
        // The parent is closed by its last child, there.
        drop(parent);
        thread::scope(|threads| {
            threads.spawn(|| {
                with_default(dispatch, || {
                    span.record("late", "there");
                    drop((span, child));
                });
            });
        });
    });
    assert_eq!(spans.named("moved").value("late"), text("there"));
    spans.named("child").assert_child_of(spans.named("parent"));
}

#[test]
fn the_last_of_many_handles_closes() {
    (0..50).for_each(|_| the_last_of_eight_handles_closes());
}

/// A span is the first that is entered in its subscriber, by all threads at once.
fn the_last_of_eight_handles_closes() {
    let start = &Barrier::new(8);
    let spans = record_shared(|dispatch| {
        let span = info_span!("shared");
        thread::scope(|threads| {
            for _ in 0..8 {
                let span = span.clone();
                threads.spawn(move || {
                    with_default(dispatch, || {
                        start.wait();
                        span.in_scope(|| info!("event"));
                    });
                    drop(span);
                });
            }
        });
        drop(span);
    });
    assert_eq!(spans.only().events.len(), 8);
}

#[test]
fn spans_of_many_threads_stay_apart() {
    let spans = record_shared(|dispatch| {
        thread::scope(|threads| {
            for thread in 0..8 {
                threads.spawn(move || {
                    with_default(dispatch, || {
                        for _ in 0..100 {
                            let _outer = info_span!("outer", thread).entered();
                            drop(info_span!("inner", thread));
                        }
                    });
                });
            }
        });
    });
    assert_eq!(spans.len(), 8 * 100 * 2);
    for inner in spans.all_named("inner") {
        let parent = spans
            .iter()
            .find(|span| span.span_id == inner.parent_span_id);
        let parent = parent.unwrap();
        inner.assert_child_of(parent);
        assert_eq!(inner.value("thread"), parent.value("thread"));
    }
}
