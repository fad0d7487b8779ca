//! The span that an event belongs to.

use std::thread;

use tracing::dispatcher::with_default;
use tracing::{debug, debug_span, info, info_span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::support::layer::{Everything, Pipeline, hiding_debug, record};

#[test]
fn an_event_belongs_to_the_current_span() {
    let spans = record(|| {
        let _outer = info_span!("outer").entered();
        info!("first");
        info_span!("inner").in_scope(|| info!("second"));
        info!("third");
    });
    assert_eq!(spans.named("outer").event_names(), ["first", "third"]);
    assert_eq!(spans.named("inner").event_names(), ["second"]);
}

#[test]
fn an_event_belongs_to_its_explicit_parent() {
    let spans = record(|| {
        let parent = info_span!("parent");
        let _current = info_span!("current").entered();
        info!(parent: &parent, "by reference");
        info!(parent: parent.id(), "by id");
    });
    assert_eq!(
        spans.named("parent").event_names(),
        ["by reference", "by id"]
    );
    assert_eq!(spans.named("current").events.len(), 0);
}

#[test]
fn an_event_outside_any_span_is_left_out() {
    let spans = record(|| {
        info!("nowhere");
        let _current = info_span!("current").entered();
        info!(parent: None, "nowhere");
    });
    assert_eq!(spans.only().events.len(), 0);
}

#[test]
fn a_hidden_event_is_left_out() {
    hiding_debug(
        |_| {
            let _span = info_span!("span").entered();
            debug!("hidden");
            info!("visible");
        },
        |spans| assert_eq!(spans.only().event_names(), ["visible"]),
    );
}

#[test]
fn an_event_in_hidden_spans_belongs_to_their_ancestor() {
    hiding_debug(
        |_| {
            let _top = info_span!("top").entered();
            let _one = debug_span!("one").entered();
            info!("in one");
            let _two = debug_span!("two").entered();
            info!("in two");
        },
        |spans| assert_eq!(spans.only().event_names(), ["in one", "in two"]),
    );
}

#[test]
fn an_event_below_hidden_spans_only_is_left_out() {
    hiding_debug(
        |_| {
            let _hidden = debug_span!("hidden").entered();
            info!("nowhere");
            drop(info_span!("other"));
        },
        |spans| assert_eq!(spans.only().events.len(), 0),
    );
}

#[test]
fn an_event_whose_explicit_parent_is_hidden_belongs_to_the_ancestor() {
    hiding_debug(
        |_| {
            let top = info_span!("top").entered();
            let one = debug_span!("one");
            let two = debug_span!(parent: &one, "two");
            drop(top);
            let _unrelated = info_span!("unrelated").entered();
            info!(parent: &two, "event");
        },
        |spans| {
            assert_eq!(spans.named("top").event_names(), ["event"]);
            assert_eq!(spans.named("unrelated").events.len(), 0);
        },
    );
}

/// The ancestor was never entered, so the hidden span is the first that anybody enters.
#[test]
fn an_event_in_a_hidden_span_belongs_to_an_ancestor_that_was_never_entered() {
    hiding_debug(
        |_| {
            let top = info_span!("top");
            debug_span!(parent: &top, "hidden").in_scope(|| info!("contextual"));
            let hidden = debug_span!(parent: &top, "hidden");
            info!(parent: &hidden, "explicit");
        },
        |spans| assert_eq!(spans.only().event_names(), ["contextual", "explicit"]),
    );
}

/// The thread's own stack says "unrelated"; the hidden span's ancestry says "top".
#[test]
fn an_event_in_a_hidden_span_on_another_thread_belongs_to_that_spans_ancestor() {
    hiding_debug(
        |dispatch| {
            let top = info_span!("top");
            let hidden = top.in_scope(|| debug_span!("hidden"));
            thread::scope(|threads| {
                threads.spawn(|| {
                    with_default(dispatch, || {
                        let _unrelated = info_span!("unrelated").entered();
                        hidden.in_scope(|| info!("inside"));
                        info!("afterwards");
                    });
                });
            });
        },
        |spans| {
            assert_eq!(spans.named("top").event_names(), ["inside"]);
            assert_eq!(spans.named("unrelated").event_names(), ["afterwards"]);
        },
    );
}

/// Two layers in one subscriber, each with a filter of its own: what one does not see, the other does.
#[test]
fn each_of_two_layers_finds_its_own_ancestor() {
    for info_is_outer in [true, false] {
        let (info_layer, info_pipeline) = Pipeline::new();
        let (debug_layer, debug_pipeline) = Pipeline::new();
        let info_layer = info_layer.with_filter(LevelFilter::INFO).boxed();
        let debug_layer = debug_layer.with_filter(LevelFilter::DEBUG).boxed();
        let layers = if info_is_outer {
            vec![debug_layer, info_layer]
        } else {
            vec![info_layer, debug_layer]
        };
        let subscriber = tracing_subscriber::registry().with(Everything).with(layers);
        tracing::subscriber::with_default(subscriber, || {
            let _top = info_span!("top").entered();
            let _hidden = debug_span!("debug").entered();
            info!("event");
        });
        assert_eq!(
            debug_pipeline.spans().named("debug").event_names(),
            ["event"]
        );
        assert_eq!(
            info_pipeline.spans().only().event_names(),
            ["event"],
            "info is outer: {info_is_outer}"
        );
    }
}

#[test]
fn each_of_two_stacked_layers_finds_its_own_ancestor() {
    let (inner, inner_pipeline) = Pipeline::new();
    let (outer, outer_pipeline) = Pipeline::new();
    let subscriber = tracing_subscriber::registry()
        .with(Everything)
        .with(inner.with_filter(LevelFilter::INFO))
        .with(outer.with_filter(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || {
        let _top = info_span!("top").entered();
        let _hidden = debug_span!("debug").entered();
        info!("event");
    });
    assert_eq!(outer_pipeline.spans().only().event_names(), ["event"]);
    assert_eq!(inner_pipeline.spans().only().event_names(), ["event"]);
}
