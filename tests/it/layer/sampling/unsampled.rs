//! Spans that are not sampled: what is said to them goes nowhere and costs nothing, and the ledger knows nothing of them.

use tracing::dispatcher::with_default;
use tracing::field::{Empty, debug};
use tracing::span::EnteredSpan;
use tracing::{Dispatch, Span, error, info, info_span};
use tracing_otlp::{Decision, DropReason, Sampler, SpanExt, Status};
use tracing_subscriber::prelude::*;

use super::{Looked, Spy, caller, context_of};
use crate::support::layer::{Attributed, Pipeline, int};

#[test]
fn what_is_said_to_them_goes_nowhere() {
    let samplers = [
        Sampler::always_off(),
        Sampler::parent_based(Sampler::ratio(0.0)),
        Spy::always(Decision::Drop).sampler(),
    ];
    for (at, sampler) in samplers.into_iter().enumerate() {
        let (layer, pipeline) = Pipeline::with(|builder| builder.with_sampler(sampler));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        // A sampler that wants to see attributes has them written, of one span and two children.
        let looked = with_default(&dispatch, say_everything);
        assert_eq!(looked, if at == 2 { 3 } else { 0 });
        let (spans, stats) = pipeline.spans_and_stats();
        assert_eq!((spans.len(), stats.accepted(), stats.dropped()), (0, 0, 0));
        assert_eq!(
            (stats.truncated(), stats.limited(), stats.requests()),
            (0, 0, 0)
        );
    }
}

/// Says how often a value was looked at.
fn say_everything() -> u64 {
    let looked = Looked::default();
    for kind in [false, true] {
        let span = if kind {
            let span = info_span!("span", otel.kind = "server", late = Empty);
            let _ = context_of(&span);
            span
        } else {
            info_span!("span", ?looked, late = Empty)
        };
        span.record("late", debug(&looked));
        span.set_attribute("a", "x".repeat(1 << 20));
        span.set_status(Status::error("wrong"));
        span.update_name("other");
        span.add_event("event", std::iter::from_fn(|| panic!("nobody looks")));
        span.add_link(
            &caller(1, ""),
            std::iter::from_fn(|| panic!("nobody looks")),
        );
        span.follows_from(&span);
        let entered = span.enter();
        (0..1000).for_each(|_| info!(?looked, "event"));
        error!(?looked, "the span does not fail");
        drop(entered);
        assert!(!context_of(&span).is_sampled());
        let child = info_span!(parent: &span, "child", ?looked);
        assert_eq!(context_of(&child).trace_id(), context_of(&span).trace_id());
    }
    looked.times()
}

/// They take nothing of the memory for open spans, nor does one that is dropped when it starts.
#[test]
fn they_take_no_memory_of_the_limit() {
    for decision in [Decision::Drop, Decision::RecordOnly] {
        let sampler = Spy::new(move |span| match span.name() {
            "kept" => Decision::RecordAndSample.into(),
            _ => decision.into(),
        });
        let settings = |builder: tracing_otlp::Builder| {
            builder
                .with_sampler(sampler.sampler())
                .with_memory_limit(1 << 20)
        };
        let (layer, pipeline) = Pipeline::with(settings);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        with_default(&dispatch, || {
            let mut open = Vec::new();
            for round in 0..20_000_u32 {
                let server = info_span!("server", otel.kind = "server", text = "some text");
                if round % 2 == 0 {
                    server
                        .set_parent(caller(u8::from(round % 4 == 0), "v=1"))
                        .unwrap();
                }
                server.in_scope(|| drop(info_span!("child", text = "some text")));
                let holds = decision == Decision::Drop || round % 100 == 0;
                open.extend(holds.then_some(server));
            }
            drop(info_span!("kept"));
            drop(open);
            drop(info_span!("kept"));
        });
        let (spans, stats) = pipeline.spans_and_stats();
        assert_eq!(stats.dropped_for(DropReason::OpenSpans), 0, "{stats}");
        assert_eq!((spans.names(), stats.accepted()), (vec!["kept", "kept"], 2));
    }
}

/// In each order in which handles and guards of three spans can be given up, half of them not sampled.
#[test]
fn they_close_in_any_order() {
    for order in 0..720_usize {
        let sampler = Spy::new(move |span| match span.name() {
            "middle" => Decision::Drop.into(),
            _ => Decision::RecordAndSample.into(),
        });
        let (layer, pipeline) = Pipeline::with(|builder| builder.with_sampler(sampler.sampler()));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let mut ids = Vec::new();
        with_default(&dispatch, || {
            let outer = info_span!("outer");
            let _outer = outer.clone().entered();
            let middle = info_span!("middle");
            let _middle = middle.clone().entered();
            let inner = info_span!("inner", otel.kind = "client");
            let _inner = inner.clone().entered();
            ids.extend([&outer, &middle, &inner].map(context_of));
            enum Held {
                Handle(#[allow(dead_code, reason = "it is held")] Span),
                Guard(#[allow(dead_code, reason = "it is held")] EnteredSpan),
            }
            let mut held = vec![
                Held::Handle(outer),
                Held::Guard(_outer),
                Held::Handle(middle),
                Held::Guard(_middle),
                Held::Handle(inner),
                Held::Guard(_inner),
            ];
            let mut rest = order;
            for left in (1..=6).rev() {
                drop(held.remove(rest % left));
                rest /= left;
                info!("event");
            }
        });
        drop(dispatch);
        let spans = pipeline.spans();
        assert_eq!(spans.len(), 2);
        let (outer, inner) = (spans.named("outer"), spans.named("inner"));
        outer.assert_root();
        assert_eq!(outer.trace_id, inner.trace_id);
        assert_eq!(inner.parent_span_id, ids[1].span_id().to_bytes());
        assert!(!ids[1].is_sampled() && ids[0].is_sampled() && ids[2].is_sampled());
    }
}

#[test]
fn a_rate_limit_counts_roots_and_leaves_traces_whole() {
    let sampler = Sampler::parent_based(Sampler::rate_limited_with_burst(0.000_001, 3));
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_sampler(sampler));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(&dispatch, || {
        for number in 0..10 {
            let root = if number % 2 == 0 {
                info_span!("root", number)
            } else {
                info_span!("root", number, otel.kind = "server")
            };
            root.in_scope(|| info_span!("child").in_scope(|| drop(info_span!("grandchild"))));
        }
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!((spans.len(), stats.accepted(), stats.dropped()), (9, 9, 0));
    let numbers: Vec<_> = spans
        .all_named("root")
        .iter()
        .map(|root| root.value("number"))
        .collect();
    assert_eq!(numbers, [int(0), int(1), int(2)]);
    for root in spans.all_named("root") {
        let of_trace = spans.iter().filter(|span| span.trace_id == root.trace_id);
        assert_eq!(of_trace.count(), 3);
    }
}

#[test]
fn links_of_a_span_that_is_sampled_only_later_are_counted() {
    let (layer, pipeline) = Pipeline::new();
    with_default(
        &Dispatch::new(tracing_subscriber::registry().with(layer)),
        || {
            let other = info_span!("other");
            let span = info_span!("span");
            span.follows_from(&other);
            span.set_parent(caller(0, "")).unwrap();
            span.follows_from(&other);
            span.add_link(&caller(1, ""), []);
            span.set_parent(caller(1, "")).unwrap();
            span.follows_from(&other);
        },
    );
    let spans = pipeline.spans();
    let span = spans.named("span");
    assert_eq!((span.links.len(), span.dropped_links_count), (1, 3));
}
