//! Which span is current, where that is easily got wrong: deep stacks, many layers, spans that are closed while they are
//! entered, a layer that is away for a while.

use std::mem;

use tracing::dispatcher::with_default;
use tracing::{Dispatch, Span, info, info_span};
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

use crate::support::layer::{Attributed, Everything, Pipeline, Spans, int, record};

/// Spans in each other, a hundred deep, with an event and a child at each depth on the way down and up.
fn deep() {
    let mut entered = Vec::new();
    for depth in 0..100 {
        entered.push(info_span!("level", depth).entered());
        info!("down");
        drop(info_span!("child", depth));
    }
    while let Some(level) = entered.pop() {
        info!("up");
        drop(info_span!("child", depth = entered.len()));
        drop(level);
    }
}

fn check_deep(spans: &Spans) {
    let levels = spans.all_named("level");
    assert_eq!(levels.len(), 100);
    let level = |depth: usize| {
        let found = levels
            .iter()
            .find(|span| span.value("depth") == int(depth as i64));
        *found.unwrap()
    };
    level(0).assert_root();
    for depth in 0..100 {
        assert_eq!(level(depth).event_names(), ["down", "up"], "depth {depth}");
        if depth > 0 {
            level(depth).assert_child_of(level(depth - 1));
        }
    }
    for child in spans.all_named("child") {
        let parent = (0..100).find(|depth| child.value("depth") == int(*depth));
        child.assert_child_of(level(parent.unwrap() as usize));
    }
}

#[test]
fn stacks_are_as_deep_as_they_are() {
    // The second time on a thread that has seen it.
    (0..2).for_each(|_| check_deep(&record(deep)));
}

#[test]
fn five_layers_of_one_subscriber_agree() {
    let (layers, pipelines): (Vec<_>, Vec<_>) = (0..5).map(|_| Pipeline::new()).unzip();
    with_default(
        &Dispatch::new(tracing_subscriber::registry().with(layers)),
        deep,
    );
    pipelines
        .iter()
        .for_each(|pipeline| check_deep(&pipeline.spans()));
}

/// Nothing panics, and nothing belongs to the closed span: neither the first time nor later.
#[test]
fn a_span_that_is_closed_while_entered_is_nobodys_parent() {
    let spans = record(|| {
        drop(info_span!("warm up").entered());
        for _ in 0..3 {
            let closed = info_span!("closed");
            mem::forget(closed.enter());
            drop(closed);
            info!("nowhere");
            let next = info_span!("next").entered();
            info!("event");
            drop(info_span!("child"));
            drop(next);
        }
    });
    assert!(
        spans
            .all_named("closed")
            .iter()
            .all(|span| span.events.is_empty())
    );
    for (next, child) in spans.all_named("next").iter().zip(spans.all_named("child")) {
        next.assert_root();
        child.assert_child_of(next);
        assert_eq!(next.event_names(), ["event"]);
    }
}

/// Guards that are never dropped, in pipelines that come and go on one thread.
#[test]
fn forgotten_guards_of_gone_pipelines_do_no_harm() {
    for _ in 0..10 {
        let spans = record(|| {
            mem::forget(info_span!("forgotten").entered());
            drop(info_span!("child"));
        });
        assert_eq!(spans.only().parent_span_id.len(), 8);
        check_deep(&record(deep));
    }
}

/// While the layer is away, a span is left without its knowledge.
#[test]
fn a_layer_that_is_away_for_a_while_is_right_again_afterwards() {
    let (layer, pipeline) = Pipeline::new();
    let (layer, handle) = reload::Layer::new(Some(layer));
    let subscriber = tracing_subscriber::registry().with(Everything).with(layer);
    with_default(&Dispatch::new(subscriber), || {
        let held = info_span!("held");
        let entered = held.enter();
        let mut away = None;
        handle.modify(|layer| away = layer.take()).unwrap();
        drop(entered);
        handle.modify(|layer| *layer = away.take()).unwrap();
        drop(info_span!("root"));
        held.in_scope(|| drop(info_span!("child")));
    });
    let spans = pipeline.spans();
    spans.named("root").assert_root();
    spans.named("child").assert_child_of(spans.named("held"));
}

/// A span of another subscriber is entered and left while ours is the default, and the other way about.
#[test]
fn spans_of_two_subscribers_are_entered_in_turn() {
    let (first, first_pipeline) = Pipeline::new();
    let (second, second_pipeline) = Pipeline::new();
    let first = Dispatch::new(tracing_subscriber::registry().with(first));
    let second = Dispatch::new(tracing_subscriber::registry().with(second));
    let open = |dispatch: &Dispatch, name: &'static str| -> Span {
        with_default(dispatch, || info_span!("span", otel.name = name))
    };
    let (a, b) = (open(&first, "a"), open(&second, "b"));
    let in_a = a.enter();
    let in_b = b.enter();
    let (below_a, below_b) = (open(&first, "below a"), open(&second, "below b"));
    drop(in_a);
    let (root, still_below_b) = (open(&first, "root"), open(&second, "still below b"));
    drop(in_b);
    with_default(&first, || drop((a, below_a, root)));
    with_default(&second, || drop((b, below_b, still_below_b)));
    let (first, second) = (first_pipeline.spans(), second_pipeline.spans());
    first.named("below a").assert_child_of(first.named("a"));
    first.named("root").assert_root();
    second.named("below b").assert_child_of(second.named("b"));
    second
        .named("still below b")
        .assert_child_of(second.named("b"));
}
