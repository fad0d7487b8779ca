//! The parent of a span: explicit, or the current one, or none; and with spans in between that the layer does not see.

use std::thread;

use tracing::dispatcher::with_default;
use tracing::{debug_span, info_span, instrument};

use crate::support::layer::{hiding_debug, record};

#[test]
fn the_current_span_is_the_parent() {
    let spans = record(|| {
        let _outer = info_span!("outer").entered();
        let _inner = info_span!("inner").entered();
        drop(info_span!("innermost"));
    });
    spans.named("outer").assert_root();
    spans.named("inner").assert_child_of(spans.named("outer"));
    spans
        .named("innermost")
        .assert_child_of(spans.named("inner"));
}

#[test]
fn a_span_that_is_not_entered_is_nobodys_parent() {
    let spans = record(|| {
        let _idle = info_span!("idle");
        drop(info_span!("next"));
    });
    spans.named("next").assert_root();
}

#[test]
fn an_explicit_parent_beats_the_current_span() {
    let spans = record(|| {
        let parent = info_span!("parent");
        let _current = info_span!("current").entered();
        drop(info_span!(parent: &parent, "by reference"));
        drop(info_span!(parent: parent.id(), "by id"));
    });
    spans
        .named("by reference")
        .assert_child_of(spans.named("parent"));
    spans.named("by id").assert_child_of(spans.named("parent"));
    assert_ne!(
        spans.named("parent").trace_id,
        spans.named("current").trace_id
    );
}

#[test]
fn spec_1_2_a_roots_parent_is_empty() {
    let spans = record(|| {
        let _current = info_span!("current").entered();
        drop(info_span!(parent: None, "root"));
    });
    spans.named("current").assert_root();
    spans.named("root").assert_root();
    assert_ne!(
        spans.named("root").trace_id,
        spans.named("current").trace_id
    );
}

#[test]
fn spec_1_1_every_root_has_a_trace_of_its_own() {
    let spans = record(|| (0..1000).for_each(|_| drop(info_span!("root"))));
    let mut traces: Vec<_> = spans.iter().map(|span| &span.trace_id).collect();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 1000);
}

#[test]
fn instrumented_functions_nest() {
    #[instrument]
    fn outer() {
        inner();
        inner();
    }
    #[instrument]
    fn inner() {}
    let spans = record(outer);
    for inner in spans.all_named("inner") {
        inner.assert_child_of(spans.named("outer"));
    }
    assert_eq!(spans.len(), 3);
}

#[test]
fn a_hidden_span_in_between_is_skipped() {
    hiding_debug(
        |_| {
            let _top = info_span!("top").entered();
            let _hidden = debug_span!("hidden").entered();
            let _middle = info_span!("middle").entered();
            let _one = debug_span!("one").entered();
            let _two = debug_span!("two").entered();
            let _three = debug_span!("three").entered();
            drop(info_span!("bottom"));
        },
        |spans| {
            assert_eq!(spans.len(), 3);
            spans.named("middle").assert_child_of(spans.named("top"));
            spans.named("bottom").assert_child_of(spans.named("middle"));
        },
    );
}

#[test]
fn below_hidden_spans_only_a_span_is_a_root() {
    hiding_debug(
        |_| {
            let _one = debug_span!("one").entered();
            let _two = debug_span!("two").entered();
            drop(info_span!("root"));
        },
        |spans| spans.only().assert_root(),
    );
}

#[test]
fn a_hidden_explicit_parent_stands_for_its_ancestor() {
    hiding_debug(
        |_| {
            let top = info_span!("top");
            let one = debug_span!(parent: &top, "one");
            let two = debug_span!(parent: &one, "two");
            let _unrelated = info_span!("unrelated").entered();
            drop(info_span!(parent: &two, "child"));
        },
        |spans| spans.named("child").assert_child_of(spans.named("top")),
    );
}

#[test]
fn a_hidden_root_ends_the_way_up() {
    hiding_debug(
        |_| {
            let _top = info_span!("top").entered();
            let _hidden = debug_span!(parent: None, "hidden").entered();
            drop(info_span!("child"));
        },
        |spans| spans.named("child").assert_root(),
    );
}

/// The thread's own stack says "unrelated"; the hidden span's ancestry says "top".
#[test]
fn a_hidden_span_on_another_thread_stands_for_its_own_ancestor() {
    hiding_debug(
        |dispatch| {
            let top = info_span!("top");
            let hidden = top.in_scope(|| debug_span!("hidden"));
            thread::scope(|threads| {
                threads.spawn(|| {
                    with_default(dispatch, || {
                        let _unrelated = info_span!("unrelated").entered();
                        hidden.in_scope(|| drop(info_span!("child")));
                        drop(info_span!("afterwards"));
                    });
                });
            });
        },
        |spans| {
            spans.named("child").assert_child_of(spans.named("top"));
            spans
                .named("afterwards")
                .assert_child_of(spans.named("unrelated"));
        },
    );
}

#[test]
fn a_visible_span_below_a_hidden_one_is_the_parent_of_what_follows() {
    hiding_debug(
        |_| {
            let _hidden = debug_span!("hidden").entered();
            let _visible = info_span!("visible").entered();
            let _between = debug_span!("between").entered();
            drop(info_span!("child"));
        },
        |spans| {
            spans.named("visible").assert_root();
            spans.named("child").assert_child_of(spans.named("visible"));
        },
    );
}

#[test]
fn a_parent_whose_handle_is_dropped_first_is_still_the_parent() {
    let spans = record(|| {
        let parent = info_span!("parent");
        let child = info_span!(parent: &parent, "child");
        drop(parent);
        child.in_scope(|| drop(info_span!("grandchild")));
    });
    spans.named("child").assert_child_of(spans.named("parent"));
    spans
        .named("grandchild")
        .assert_child_of(spans.named("child"));
    assert_eq!(spans.names(), ["grandchild", "child", "parent"]);
}

#[test]
fn spec_7_13_a_child_has_its_parents_flags() {
    let spans = record(|| {
        let _parent = info_span!("parent").entered();
        drop(info_span!("child"));
    });
    // Sampled, random trace id, and the parent is known to be of this process.
    assert_eq!(spans.named("parent").flags, 0x103);
    assert_eq!(spans.named("child").flags, 0x103);
}
