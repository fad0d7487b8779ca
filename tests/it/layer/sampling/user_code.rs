//! Samplers and generators that panic, that record, and that meddle with the very span that is decided about.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tracing::dispatcher::with_default;
use tracing::{Dispatch, Span, info, info_span};
use tracing_otlp::{
    Candidate, Decision, DropReason, IdGenerator, Sampler, Sampling, SpanExt, SpanId, TraceId,
    inject,
};
use tracing_subscriber::prelude::*;

use super::{Spy, assert_is, caller, context_of};
use crate::support::layer::{Attributed, Pipeline, Spans, int};

/// More calls than this are taken for calls without end, which would end the stack.
const MANY: usize = 200;

type Target = Arc<Mutex<Option<Span>>>;

/// A root with a kind, and how it starts.
fn starts() -> [fn(&Span); 6] {
    [
        |span| drop(span.enter()),
        |span| drop(span.context()),
        |span| info!(parent: span, "starts"),
        |span| span.add_event("starts", []),
        |span| drop(info_span!(parent: span, "child")),
        |span| drop(info_span!("linking").follows_from(span).clone()),
    ]
}

/// Runs with a sampler that does something to the very span that it is asked about, then answers with the number of its
/// call.
fn meddle(decision: Decision, act: fn(&Span), start: fn(&Span)) -> (Spans, usize) {
    let target = Target::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let spy = {
        let (target, calls) = (Arc::clone(&target), Arc::clone(&calls));
        Spy::new(move |span: &Candidate<'_>| {
            if span.name() != "span" {
                return Decision::RecordAndSample.into();
            }
            let call = calls.fetch_add(1, Ordering::Relaxed);
            let span = target.lock().unwrap().clone();
            if let Some(span) = span
                && call < MANY
            {
                act(&span);
            }
            Sampling::from(decision).with_attribute("call", call as i64)
        })
    };
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_sampler(spy.sampler()));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(&dispatch, || {
        let span = info_span!("span", otel.kind = "server");
        *target.lock().unwrap() = Some(span.clone());
        start(&span);
        *target.lock().unwrap() = None;
        let context = context_of(&span);
        assert_eq!(context.is_sampled(), decision == Decision::RecordAndSample);
        let child = info_span!(parent: &span, "afterwards");
        assert_eq!(context_of(&child).trace_id(), context.trace_id());
        span.in_scope(|| info!("afterwards"));
    });
    drop(dispatch);
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.dropped(), 0, "{stats}");
    (spans, calls.load(Ordering::Relaxed))
}

fn meddle_everywhere(act: fn(&Span)) {
    for decision in super::ALL {
        for start in starts() {
            let (spans, calls) = meddle(decision, act, start);
            assert_eq!(calls, 1, "a sampler is asked once about a span");
            assert_eq!(spans.all_named("afterwards").len(), 1);
            if decision == Decision::RecordAndSample {
                let span = spans.named("span");
                assert_eq!(span.value("call"), int(0));
                assert!(span.event_names().contains(&"afterwards"));
                spans.named("afterwards").assert_child_of(span);
            }
        }
    }
}

#[test]
fn a_sampler_may_enter_the_very_span() {
    meddle_everywhere(|span| drop(span.enter()));
}

#[test]
fn a_sampler_may_ask_for_the_context_of_the_very_span() {
    meddle_everywhere(|span| {
        let _ = span.context();
        let _ = span.traceparent();
        inject(span, &mut Vec::<(String, String)>::new());
    });
}

#[test]
fn a_sampler_may_record_inside_the_very_span() {
    meddle_everywhere(|span| {
        info!(parent: span, "explicit");
        span.in_scope(|| info!("in scope"));
        info!("contextual");
        span.add_event("own", []);
        span.record("otel.kind", "client");
        span.set_attribute("a", 1);
        span.update_name("span");
        span.follows_from(span);
    });
}

#[test]
fn a_sampler_may_open_children_of_the_very_span() {
    meddle_everywhere(|span| {
        drop(info_span!(parent: span, "explicit"));
        span.in_scope(|| drop(info_span!("in scope")));
        drop(info_span!("contextual"));
    });
}

/// The span has not started, so its parent may be set; one decision holds.
#[test]
fn a_sampler_may_set_the_parent_of_the_very_span() {
    for decision in super::ALL {
        for flags in [0, 1] {
            for follows in [false, true] {
                for start in starts() {
                    set_parent_meanwhile(decision, flags, follows, start);
                }
            }
        }
    }
}

fn set_parent_meanwhile(decision: Decision, flags: u8, follows: bool, start: fn(&Span)) {
    let target = Target::default();
    let spy = {
        let target = Arc::clone(&target);
        Spy::new(move |candidate| {
            let span = target.lock().unwrap().clone();
            if let Some(span) = span
                && candidate.name() == "span"
            {
                let _ = span.set_parent(caller(flags, "v=1"));
            }
            decision.into()
        })
    };
    let sampler = if follows {
        Sampler::parent_based(spy.sampler())
    } else {
        spy.sampler()
    };
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_sampler(sampler));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let context = with_default(&dispatch, || {
        let span = info_span!("span", otel.kind = "server");
        *target.lock().unwrap() = Some(span.clone());
        start(&span);
        *target.lock().unwrap() = None;
        let context = context_of(&span);
        span.in_scope(|| drop(info_span!("afterwards")));
        context
    });
    drop(dispatch);
    let spans = pipeline.spans();
    let is_exported = !spans.all_named("span").is_empty();
    assert_eq!(is_exported, context.is_sampled());
    if is_exported {
        assert_is(spans.named("span"), &context);
        spans
            .named("afterwards")
            .assert_child_of(spans.named("span"));
    }
    let asked = spy.names().iter().filter(|name| *name == "span").count();
    assert!(asked <= 2, "{asked} times");
}

#[test]
fn a_sampler_that_panics_costs_its_decision() {
    let spy = Spy::new(|span| panic!("the sampler of a test panics at {}", span.name()));
    let mut contexts = Vec::new();
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_sampler(spy.sampler()));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(&dispatch, || {
        let plain = info_span!("plain");
        let server = info_span!("server", otel.kind = "server");
        server.set_parent(caller(0, "v=1")).unwrap();
        let closed = info_span!("closed", otel.kind = "server");
        drop(closed);
        let child = server.in_scope(|| info_span!("child"));
        contexts.extend([&plain, &server, &child].map(context_of));
    });
    let spans = pipeline.spans();
    assert_eq!(spans.len(), 4);
    for (name, context) in ["plain", "server", "child"].iter().zip(&contexts) {
        assert!(context.is_sampled());
        assert_is(spans.named(name), context);
    }
    spans.named("child").assert_child_of(spans.named("server"));
    assert_eq!(spy.seen().len(), 4);
}

/// While a span is created, a scoped subscriber is hidden from whoever is called; while one is entered, it is not.
#[test]
fn a_sampler_that_opens_a_span_whenever_it_is_asked_comes_to_an_end() {
    let calls = Arc::new(AtomicUsize::new(0));
    let spy = {
        let calls = Arc::clone(&calls);
        Spy::new(move |_| {
            if calls.fetch_add(1, Ordering::Relaxed) < MANY {
                let root = info_span!(parent: None, "inside", otel.kind = "client");
                root.in_scope(|| info_span!("inside").in_scope(|| info!("event")));
            }
            Decision::RecordAndSample.into()
        })
    };
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_sampler(spy.sampler()));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(&dispatch, || {
        let root = info_span!("root", otel.kind = "server").entered();
        assert!(context_of(&root).is_sampled());
        drop(info_span!("child"));
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert!(calls.load(Ordering::Relaxed) < MANY, "calls without end");
    assert_eq!(stats.dropped_for(DropReason::Reentrant), stats.dropped());
    assert!(stats.dropped() > 0, "those that are too deep");
    spans.named("child").assert_child_of(spans.named("root"));
    assert!(
        spans
            .all_named("inside")
            .iter()
            .any(|inside| inside.events.len() == 1)
    );
}

/// Panics, and records before.
#[derive(Debug)]
struct Unreliable;

impl IdGenerator for Unreliable {
    fn trace_id(&self) -> TraceId {
        info!("a trace id");
        panic!("the generator of a test panics")
    }

    fn span_id(&self) -> SpanId {
        drop(info_span!("a span id"));
        panic!("the generator of a test panics")
    }

    fn is_random(&self) -> bool {
        panic!("the generator of a test panics")
    }
}

#[test]
fn a_generator_that_panics_costs_its_ids() {
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_id_generator(Unreliable));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(&dispatch, || {
        let _root = info_span!("root").entered();
        drop(info_span!("child"));
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.dropped_for(DropReason::Reentrant), stats.dropped());
    spans.named("root").assert_root();
    spans.named("child").assert_child_of(spans.named("root"));
    assert_eq!(spans.named("root").flags, 0x101);
}
