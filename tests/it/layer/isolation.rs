//! Pipelines beside each other: in one subscriber, on one thread, in one process. None sees what another one records.

use std::thread;

use tracing::field::Empty;
use tracing::subscriber::with_default;
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, int, record, text};

#[test]
fn two_layers_of_one_subscriber_both_export() {
    let (first, first_pipeline) = Pipeline::new();
    let (second, second_pipeline) = Pipeline::with(|builder| builder.with_level(true));
    let subscriber = tracing_subscriber::registry().with(first).with(second);
    with_default(subscriber, || {
        let outer = info_span!("outer", late = Empty).entered();
        info_span!("inner").in_scope(|| info!("event"));
        outer.record("late", 1);
    });
    let (first, second) = (first_pipeline.spans(), second_pipeline.spans());
    for spans in [&first, &second] {
        spans.named("inner").assert_child_of(spans.named("outer"));
        assert_eq!(spans.named("inner").event_names(), ["event"]);
        assert_eq!(spans.named("outer").value("late"), int(1));
    }
    assert_ne!(
        first.named("outer").trace_id,
        second.named("outer").trace_id
    );
    assert!(!first.named("outer").has("level"));
    assert_eq!(second.named("outer").value("level"), text("INFO"));
}

#[test]
fn subscribers_nested_on_one_thread_keep_their_own_spans() {
    let (outer_layer, outer_pipeline) = Pipeline::new();
    let (inner_layer, inner_pipeline) = Pipeline::new();
    let inner_subscriber = tracing_subscriber::registry().with(inner_layer);
    with_default(tracing_subscriber::registry().with(outer_layer), || {
        let outer = info_span!("outer").entered();
        with_default(inner_subscriber, || {
            info!("of nobody: the inner subscriber has no span");
            let _inner = info_span!("inner").entered();
            info!("of inner");
            // A span of the outer subscriber is entered and left there, whatever the default is.
            outer.in_scope(|| info!("of inner too"));
            drop(info_span!("below inner"));
        });
        info!("of outer");
        drop(info_span!("below outer"));
    });
    let (outer, inner) = (outer_pipeline.spans(), inner_pipeline.spans());
    assert_eq!((outer.len(), inner.len()), (2, 2));
    inner.named("inner").assert_root();
    inner
        .named("below inner")
        .assert_child_of(inner.named("inner"));
    assert_eq!(
        inner.named("inner").event_names(),
        ["of inner", "of inner too"]
    );
    outer
        .named("below outer")
        .assert_child_of(outer.named("outer"));
    assert_eq!(outer.named("outer").event_names(), ["of outer"]);
}

#[test]
fn a_subscriber_comes_back_after_another_one() {
    let (first, first_pipeline) = Pipeline::new();
    let (second, second_pipeline) = Pipeline::new();
    let first = tracing::Dispatch::new(tracing_subscriber::registry().with(first));
    let second = tracing::Dispatch::new(tracing_subscriber::registry().with(second));
    for round in 0..10 {
        for dispatch in [&first, &second] {
            tracing::dispatcher::with_default(dispatch, || drop(info_span!("span", round)));
        }
    }
    for pipeline in [first_pipeline, second_pipeline] {
        let rounds: Vec<_> = pipeline
            .spans()
            .iter()
            .map(|span| span.value("round"))
            .collect();
        assert_eq!(rounds, (0..10).map(int).collect::<Vec<_>>());
    }
}

/// R20: nothing is shared by the process.
#[test]
fn sixty_four_pipelines_work_beside_each_other() {
    thread::scope(|threads| {
        for pipeline in 0..64 {
            threads.spawn(move || {
                let spans = record(|| {
                    for round in 0..20 {
                        let _outer = info_span!("outer", pipeline, round).entered();
                        info_span!("inner", pipeline, round).in_scope(|| info!(pipeline, "event"));
                    }
                });
                assert_eq!(spans.len(), 40);
                for span in spans.iter() {
                    assert_eq!(span.value("pipeline"), int(pipeline));
                    assert!(
                        span.events
                            .iter()
                            .all(|event| event.value("pipeline") == int(pipeline))
                    );
                }
            });
        }
    });
}

/// A thread that serves many pipelines, one after the other, has a lane in each.
#[test]
fn one_thread_serves_many_pipelines() {
    for pipeline in 0..32 {
        let spans = record(|| drop(info_span!("span", pipeline)));
        assert_eq!(spans.only().value("pipeline"), int(pipeline));
    }
}

#[test]
fn what_closes_after_the_shutdown_is_counted() {
    let (layer, pipeline) = Pipeline::new();
    with_default(tracing_subscriber::registry().with(layer), || {
        let late = info_span!("late");
        drop(info_span!("in time"));
        pipeline.shut_down();
        drop(late);
        drop(info_span!("too late"));
    });
    let (spans, stats) = pipeline.settled();
    assert_eq!(spans.only().name, "in time");
    assert_eq!(stats.dropped_for(tracing_otlp::DropReason::Shutdown), 2);
}
