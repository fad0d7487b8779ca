//! Random trees of spans that end on several threads: what is exported is what a naive model says that sees whole traces.

use std::collections::BTreeSet;
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::Config;
use tracing::field::Empty;
use tracing::{Dispatch, Span, error, info_span};
use tracing_otlp::{DropReason, Rule, SpanContext, SpanExt, Status, Tail};
use tracing_subscriber::prelude::*;

use super::is_chosen;
use crate::support::layer::{Attributed, Pipeline, int};

/// What a span does before it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Nothing,
    Event,
    Status,
    /// A rule holds for it from now on.
    Matches,
}

#[derive(Clone, Debug)]
struct Node {
    /// Any number: which of those before it is its parent.
    parent: usize,
    deed: Deed,
    /// Where it ends, and when among those that end there.
    thread: usize,
    order: u32,
}

type Tree = Vec<Node>;

fn trees() -> impl Strategy<Value = Vec<Tree>> {
    let deed = prop_oneof![
        20 => Just(Deed::Nothing),
        1 => Just(Deed::Event),
        1 => Just(Deed::Status),
        1 => Just(Deed::Matches),
    ];
    let node = (any::<usize>(), deed, 0..3_usize, any::<u32>());
    let node = node.prop_map(|(parent, deed, thread, order)| Node {
        parent,
        deed,
        thread,
        order,
    });
    let tree = prop::collection::vec(node, 1..12);
    prop::collection::vec(tree, 1..12)
}

/// A tree that is open: its spans, with what they will do.
fn open(tree: &Tree, first: usize) -> Vec<(Span, Node)> {
    let mut open: Vec<(Span, Node)> = Vec::new();
    for (at, node) in tree.iter().enumerate() {
        let number = first + at;
        let span = match at {
            0 => info_span!(parent: None, "root", number, matched = Empty),
            _ => {
                let parent = &open[node.parent % at].0;
                info_span!(parent: parent, "span", number, matched = Empty)
            }
        };
        open.push((span, node.clone()));
    }
    open
}

fn end((span, node): (Span, Node)) {
    match node.deed {
        Deed::Nothing => {}
        Deed::Event => span.in_scope(|| error!("it failed")),
        Deed::Status => span.set_status(Status::Error("bad".into())),
        Deed::Matches => {
            span.record("matched", true);
        }
    }
}

/// The numbers of the spans that are exported, by the model, once all have ended.
fn run(trees: &[Tree], ratio: f64, dispatch: &Dispatch) -> BTreeSet<usize> {
    let (mut expected, mut first) = (BTreeSet::new(), 0);
    let mut on_threads: [Vec<(Span, Node)>; 3] = Default::default();
    for tree in trees {
        let open = open(tree, first);
        let trace = open[0].0.context().span().map(SpanContext::trace_id);
        let has_reason = tree.iter().any(|node| node.deed != Deed::Nothing);
        if has_reason || trace.is_some_and(|id| is_chosen(id, ratio)) {
            expected.extend(first..first + tree.len());
        }
        first += tree.len();
        for span in open {
            on_threads[span.1.thread].push(span);
        }
    }
    thread::scope(|scope| {
        for mut spans in on_threads {
            spans.sort_by_key(|(_, node)| node.order);
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || spans.into_iter().for_each(end));
            });
        }
    });
    expected
}

proptest! {
    #![proptest_config(Config::with_cases(48))]

    #[test]
    fn whole_traces_are_kept_or_dropped(trees in trees(), ratio in prop_oneof![Just(0.0), 0.0..0.5]) {
        let rule = Rule::new().field("matched", true);
        let tail = Tail::default().with_ratio(ratio).with_rule(rule);
        let (layer, pipeline) = Pipeline::with(|builder| builder.with_tail_sampling(tail));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let expected = tracing::dispatcher::with_default(&dispatch, || run(&trees, ratio, &dispatch));
        let all: usize = trees.iter().map(Vec::len).sum();
        let (spans, stats) = pipeline.shut_down();
        let number = |number: &usize| spans.iter().any(|span| span.value("number") == int(*number as i64));
        let exported: BTreeSet<usize> = (0..all).filter(number).collect();
        prop_assert_eq!(exported, expected);
        prop_assert_eq!(stats.accepted(), all as u64);
        prop_assert_eq!(stats.dropped(), stats.dropped_for(DropReason::TailSampled));
    }
}
