//! Spans that are never closed, too many of everything, and threads that end in the middle.

use std::cell::RefCell;
use std::mem;
use std::panic::resume_unwind;
use std::thread;

use tracing::dispatcher::with_default;
use tracing::field::Empty;
use tracing::span::EnteredSpan;
use tracing::{Dispatch, Span, info, info_span};
use tracing_otlp::DropReason;
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, Spans, int, record};

const MIB: usize = 1 << 20;
const MANY: usize = 100_000;

fn small() -> (Dispatch, Pipeline) {
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_memory_limit(MIB));
    (
        Dispatch::new(tracing_subscriber::registry().with(layer)),
        pipeline,
    )
}

#[test]
fn leaked_spans_are_counted() {
    let (dispatch, pipeline) = small();
    with_default(&dispatch, || {
        (0..MANY).for_each(|_| mem::forget(info_span!("leaked", a = 1)));
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(spans.len(), 0, "none has ended");
    let refused = stats.dropped_for(DropReason::OpenSpans) as usize;
    assert_eq!(stats.dropped() as usize, refused);
    // Each that is held takes at least 200 bytes of the one MiB.
    assert!((MANY - MIB / 200..MANY - 100).contains(&refused), "{stats}");
}

#[test]
fn spans_beyond_the_budget_are_counted_and_those_within_are_exported() {
    let (dispatch, pipeline) = small();
    with_default(&dispatch, || {
        let open: Vec<_> = (0..MANY).map(|number| info_span!("held", number)).collect();
        drop(open);
        drop(info_span!("afterwards"));
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.dropped_for(DropReason::OpenSpans), stats.dropped());
    assert_eq!(
        spans.all_named("held").len() + stats.dropped() as usize,
        MANY
    );
    // The first ones found room.
    for (number, span) in spans.all_named("held").iter().enumerate() {
        assert_eq!(span.value("number"), int(number as i64));
    }
    spans.named("afterwards").assert_root();
}

/// The parent is counted as dropped, but its children stay in one trace below its id.
#[test]
fn children_of_a_span_beyond_the_budget_stay_together() {
    let (dispatch, pipeline) = small();
    with_default(&dispatch, || {
        let held: Vec<_> = (0..MIB / 200).map(|_| info_span!("held")).collect();
        let beyond = info_span!("beyond", late = Empty).entered();
        drop(held);
        beyond.record("late", 1);
        info!("nowhere");
        drop(info_span!("first"));
        info_span!("second").in_scope(|| drop(info_span!("below second")));
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert!(stats.dropped_for(DropReason::OpenSpans) > 0);
    assert!(spans.all_named("beyond").is_empty());
    let (first, second) = (spans.named("first"), spans.named("second"));
    assert_eq!(first.parent_span_id.len(), 8);
    assert_eq!(first.parent_span_id, second.parent_span_id);
    assert_eq!(first.trace_id, second.trace_id);
    spans.named("below second").assert_child_of(second);
}

/// An event that finds no memory is counted in its span.
#[test]
fn events_beyond_the_budget_are_counted_in_their_spans() {
    let (dispatch, pipeline) = small();
    let text = "x".repeat(1000);
    with_default(&dispatch, || {
        let spans: Vec<_> = (0..20).map(|_| info_span!("span")).collect();
        for span in &spans {
            (0..100).for_each(|_| span.in_scope(|| info!(text, "event")));
        }
    });
    let spans = pipeline.spans();
    let kept: usize = spans.iter().map(|span| span.events.len()).sum();
    let dropped: u32 = spans.iter().map(|span| span.dropped_events_count).sum();
    assert_eq!((spans.len(), kept + dropped as usize), (20, 2000));
    assert!(kept < MIB / 1000, "{kept} events in one MiB");
}

#[test]
fn a_million_events_in_one_span_are_counted() {
    const EVENTS: u32 = 1_000_000;
    let spans = record(|| {
        let _span = info_span!("span").entered();
        (0..EVENTS).for_each(|number| info!(number));
    });
    assert_eq!(spans.only().events.len(), 128);
    assert_eq!(spans.only().dropped_events_count, EVENTS - 128);
}

/// Runs `work` on a thread of its own, which is gone afterwards, with everything it kept.
fn on_a_thread(dispatch: &Dispatch, work: impl FnOnce() + Send + 'static) -> thread::Result<()> {
    let dispatch = dispatch.clone();
    thread::spawn(move || with_default(&dispatch, work)).join()
}

/// A subscriber with a pipeline, and what becomes of it.
fn record_on_threads(work: impl FnOnce(&Dispatch)) -> Spans {
    let (layer, pipeline) = Pipeline::new();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    work(&dispatch);
    pipeline.spans()
}

#[test]
fn a_thread_that_panics_closes_its_spans() {
    let spans = record_on_threads(|dispatch| {
        let outcome = on_a_thread(dispatch, || {
            let _outer = info_span!("outer").entered();
            let _inner = info_span!("inner").entered();
            resume_unwind(Box::new("panic"));
        });
        assert!(outcome.is_err());
    });
    spans.named("inner").assert_child_of(spans.named("outer"));
}

#[test]
fn spans_outlive_their_threads() {
    let spans = record_on_threads(|dispatch| {
        let (sender, receiver) = std::sync::mpsc::channel();
        for number in 0..50 {
            let sender = sender.clone();
            let done = on_a_thread(dispatch, move || {
                let span = info_span!("span", number, late = Empty);
                mem::forget(span.clone().entered());
                mem::forget(info_span!(parent: None, "leaked"));
                sender.send(span).unwrap();
            });
            assert!(done.is_ok());
        }
        drop(sender);
        with_default(dispatch, || {
            for span in receiver {
                span.record("late", 1);
                span.in_scope(|| info!("event"));
                // The handle inside the guard was forgotten; this one is given up in its place.
                span.with_subscriber(|(id, dispatch)| dispatch.try_close(id.clone()));
            }
        });
    });
    assert_eq!(spans.len(), 50);
    for span in spans.iter() {
        assert_eq!((span.value("late"), span.events.len()), (int(1), 1));
    }
}

/// Lives until the thread's locals are destroyed.
struct Held {
    span: Span,
    _entered: EnteredSpan,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.span.record("late", "x".repeat(100));
        self.span.follows_from(&self.span);
    }
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

fn hold() {
    let held = Held {
        span: info_span!("held", late = Empty),
        _entered: info_span!("entered").entered(),
    };
    HELD.set(Some(held));
}

/// Before and after the layer's own locals: whichever was used first goes last, or the other way about.
#[test]
fn spans_are_closed_while_a_threads_locals_are_destroyed() {
    for is_first in [true, false] {
        let spans = record_on_threads(|dispatch| {
            for _ in 0..10 {
                let done = on_a_thread(dispatch, move || {
                    if is_first {
                        HELD.set(None);
                    }
                    drop(info_span!("usual"));
                    hold();
                });
                assert!(done.is_ok());
            }
        });
        assert_eq!(spans.all_named("usual").len(), 10);
        assert_eq!(spans.all_named("entered").len(), 10);
        let held = spans.all_named("held");
        assert_eq!(held.len(), 10, "first: {is_first}");
        for span in held {
            assert_eq!(
                span.value("late"),
                crate::support::layer::text("x".repeat(100))
            );
            assert_eq!(span.links.len(), 1);
        }
    }
}
