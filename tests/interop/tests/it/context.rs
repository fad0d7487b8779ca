//! Spans of `tracing` as active contexts, and active contexts as their parents.

use std::thread;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use tracing::{info, info_span};
use tracing_otlp::{Sampler, SpanExt};

use interop::{Pipeline, record, record_with};

fn remote(flags: TraceFlags) -> Context {
    let span = SpanContext::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        flags,
        true,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(span)
}

fn current() -> SpanContext {
    Context::map_current(|context| context.span().span_context().clone())
}

#[test]
fn an_entered_span_is_the_active_one_until_it_is_left() {
    let spans = record(|_| {
        assert!(!current().is_valid());
        let outer = info_span!("outer").entered();
        let of_outer = current();
        assert_eq!(Some(of_outer.span_id()), outer.span_id().map(Into::into));
        assert_eq!(Some(of_outer.trace_id()), outer.trace_id().map(Into::into));
        assert!(of_outer.is_sampled() && !of_outer.is_remote());
        {
            let inner = info_span!("inner").entered();
            assert_eq!(Some(current().span_id()), inner.span_id().map(Into::into));
        }
        assert_eq!(current(), of_outer);
        drop(outer);
        assert!(!current().is_valid());
    });
    spans.assert_child("inner", "outer");
}

#[test]
fn spans_that_are_left_out_of_order_leave_the_right_one_active() {
    record(|_| {
        let (first, second) = (info_span!("first"), info_span!("second"));
        let (one, two) = (first.enter(), second.enter());
        drop(one);
        assert_eq!(Some(current().span_id()), second.span_id().map(Into::into));
        drop(two);
        assert!(!current().is_valid());
    });
}

#[test]
fn what_is_said_to_the_active_span_is_said_to_ours() {
    let spans = record(|_| {
        let span = info_span!("span", kept = 1).entered();
        Context::map_current(|context| {
            let active = context.span();
            assert!(active.is_recording());
            active.set_attribute(KeyValue::new("theirs", "text"));
            active.add_event("event", vec![KeyValue::new("n", 2)]);
            active.add_link(
                remote(TraceFlags::SAMPLED).span().span_context().clone(),
                vec![],
            );
            active.update_name("renamed");
            active.end();
        });
        span.set_attribute("ours", true);
    });
    let span = spans.named("renamed");
    for (key, value) in [
        ("kept", 1.into()),
        ("theirs", "text".into()),
        ("ours", true.into()),
    ] {
        assert_eq!(span.attribute(key), Some(&value), "{key}");
    }
    assert_eq!(span.events[0].name, "event");
    assert_eq!(span.links[0].span_id.to_bytes(), [2; 8]);
}

#[test]
fn what_is_kept_of_a_span_that_is_closed_says_nothing_to_another() {
    let spans = record(|_| {
        let kept = info_span!("span").in_scope(Context::current);
        for _ in 0..100 {
            let _other = info_span!("other").entered();
            assert!(!kept.span().is_recording());
            kept.span().set_attribute(KeyValue::new("late", 1));
        }
    });
    assert!(spans.iter().all(|span| span.attribute("late").is_none()));
}

#[test]
fn a_root_is_below_what_is_active_when_it_is_created() {
    let spans = record(|_| {
        let _caller = remote(TraceFlags::SAMPLED).attach();
        let span = info_span!("span").entered();
        assert_eq!(current().trace_id(), TraceId::from_bytes([1; 16]));
        assert_eq!(Some(current().span_id()), span.span_id().map(Into::into));
        info_span!("child").in_scope(|| {});
        info_span!(parent: None, "explicit").in_scope(|| {});
    });
    assert_eq!(
        spans.named("span").parent_span_id.unwrap().to_bytes(),
        [2; 8]
    );
    assert_eq!(
        spans.named("span").flags & 0x300,
        0x300,
        "the parent is remote"
    );
    spans.assert_child("child", "span");
    spans.assert_root("explicit");
    assert_ne!(
        spans.named("explicit").trace_id,
        spans.named("span").trace_id
    );
}

/// As a middleware does it that makes the span first.
#[test]
fn a_root_is_below_what_becomes_active_before_it_is_entered() {
    let spans = record(|_| {
        let span = info_span!("span");
        let _caller = remote(TraceFlags::SAMPLED).attach();
        span.in_scope(|| info_span!("child").in_scope(|| {}));
    });
    assert_eq!(
        spans.named("span").parent_span_id.unwrap().to_bytes(),
        [2; 8]
    );
    spans.assert_child("child", "span");
}

/// However it starts, and whatever the sampler says of roots.
#[test]
fn a_root_is_below_what_becomes_active_before_it_starts() {
    for sampler in [
        Sampler::default(),
        Sampler::parent_based(Sampler::always_off()),
    ] {
        let spans = record_with(
            |builder| builder.with_sampler(sampler),
            |_| {
                let asked = info_span!("asked", kept = 1);
                let (parent, closed) = (info_span!("parent"), info_span!("closed"));
                let said = info_span!("said");
                let caller = remote(TraceFlags::SAMPLED).attach();
                assert_eq!(
                    asked.trace_id().map(|id| id.to_bytes()),
                    Some([1; 16]),
                    "its context is asked for"
                );
                info_span!(parent: &parent, "child").in_scope(|| {});
                info!(parent: &said, "event");
                drop(closed);
                drop(caller);
                parent.in_scope(|| {});
            },
        );
        for name in ["asked", "parent", "closed", "said"] {
            let parent = spans.named(name).parent_span_id;
            assert_eq!(parent.map(|id| id.to_bytes()), Some([2; 8]), "{name}");
        }
        assert_eq!(spans.named("asked").attribute("kept"), Some(&1.into()));
        spans.assert_child("child", "parent");
    }
}

#[test]
fn what_is_active_when_a_span_is_entered_again_does_not_count() {
    let spans = record(|_| {
        let span = info_span!("span");
        span.in_scope(|| {});
        let _caller = remote(TraceFlags::SAMPLED).attach();
        span.in_scope(|| assert_ne!(current().trace_id(), TraceId::from_bytes([1; 16])));
        info_span!(parent: &span, "child").in_scope(|| {});
    });
    spans.assert_root("span");
    spans.assert_child("child", "span");
}

#[test]
fn a_root_whose_ids_are_known_keeps_them() {
    let spans = record(|_| {
        let span = info_span!("span");
        let known = span.trace_id();
        let _caller = remote(TraceFlags::SAMPLED).attach();
        span.in_scope(|| assert_eq!(Some(current().trace_id()), known.map(Into::into)));
    });
    spans.assert_root("span");
}

/// `tracing` says that it is a root, and no context of another's is active.
#[test]
fn a_root_that_is_entered_inside_of_another_stays_a_root() {
    let spans = record(|_| {
        let (first, second) = (info_span!("first"), info_span!("second"));
        first.in_scope(|| second.in_scope(|| info_span!("child").in_scope(|| {})));
    });
    spans.assert_root("first");
    spans.assert_root("second");
    spans.assert_child("child", "second");
}

#[test]
fn a_caller_that_does_not_sample_is_followed_also_when_it_comes_late() {
    for sampler in [
        Sampler::default(),
        Sampler::parent_based(Sampler::always_off()),
    ] {
        let spans = record_with(
            |builder| builder.with_sampler(sampler),
            |_| {
                let span = info_span!("late");
                let caller = remote(TraceFlags::NOT_SAMPLED).attach();
                span.in_scope(|| assert!(!current().is_sampled() && current().is_valid()));
                info_span!("at once").in_scope(|| {});
                drop(caller);
                let _caller = remote(TraceFlags::SAMPLED).attach();
                info_span!("sampled", a = 1).in_scope(|| assert!(current().is_sampled()));
            },
        );
        assert_eq!(spans.names(), ["sampled"]);
        assert!(spans[0].attribute("a").is_some());
    }
}

#[test]
fn a_context_goes_with_its_work_to_another_thread() {
    let (layer, pipeline) = Pipeline::new();
    let dispatch = tracing::Dispatch::new({
        use tracing_subscriber::prelude::*;
        tracing_subscriber::registry().with(layer)
    });
    tracing::dispatcher::with_default(&dispatch, || {
        let _span = info_span!("span").entered();
        let context = Context::current();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _active = context.attach();
                tracing::dispatcher::with_default(&dispatch, || {
                    info_span!("elsewhere").in_scope(|| {});
                });
            });
        });
    });
    let spans = pipeline.spans();
    spans.assert_child("elsewhere", "span");
    assert_eq!(
        spans.named("elsewhere").flags & 0x200,
        0,
        "its parent is of this process"
    );
}

#[test]
fn baggage_goes_through_spans_both_ways() {
    record(|_| {
        let theirs = Context::new()
            .with_baggage(vec![KeyValue::new("user", "1")])
            .attach();
        let span = info_span!("span");
        drop(theirs);
        assert_eq!(span.context().baggage().get("user"), Some("1"));
        span.in_scope(|| {
            info_span!("child").in_scope(|| {
                let found = Context::map_current(|context| context.baggage().get("user").cloned());
                assert_eq!(found.map(String::from).as_deref(), Some("1"));
            });
        });
        let ours = tracing_otlp::Context::default();
        let ours = ours.with_baggage(tracing_otlp::Baggage::default().with("plan", "a"));
        let span = info_span!("other", otel.kind = "server");
        span.set_parent(ours).unwrap();
        span.in_scope(|| {
            let found = Context::map_current(|context| context.baggage().get("plan").cloned());
            assert_eq!(found.map(String::from).as_deref(), Some("a"));
        });
    });
}

#[test]
fn nothing_is_recorded_where_telemetry_is_suppressed() {
    let spans = record(|_| {
        let _span = info_span!("span").entered();
        let quiet = Context::enter_telemetry_suppressed_scope();
        info_span!("suppressed").in_scope(|| info!("suppressed"));
        drop(quiet);
        info!("recorded");
    });
    assert_eq!(spans.names(), ["span"]);
    let events: Vec<_> = spans[0].events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["recorded"]);
}

#[test]
fn without_activation_nothing_of_theirs_is_looked_at() {
    let spans = record_with(
        |builder| builder.with_context_activation(false),
        |_| {
            let _caller = remote(TraceFlags::SAMPLED).attach();
            let _quiet = Context::enter_telemetry_suppressed_scope();
            let _span = info_span!("span").entered();
            assert_eq!(current().span_id(), SpanId::from_bytes([2; 8]));
        },
    );
    spans.assert_root("span");
}

#[test]
fn two_layers_have_their_own_traces() {
    use tracing_subscriber::prelude::*;
    let ((one, first), (two, second)) = (Pipeline::new(), Pipeline::new());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(one).with(two), || {
        let _outer = info_span!("outer").entered();
        info_span!("inner").in_scope(|| {});
    });
    for pipeline in [first, second] {
        let spans = pipeline.spans();
        spans.assert_root("outer");
        spans.assert_child("inner", "outer");
    }
}

#[test]
fn a_span_entered_often_and_on_many_threads_is_one() {
    let (layer, pipeline) = Pipeline::new();
    let dispatch = tracing::Dispatch::new({
        use tracing_subscriber::prelude::*;
        tracing_subscriber::registry().with(layer)
    });
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("span");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _outer = span.enter();
                        let _again = span.enter();
                        assert_eq!(Some(current().span_id()), span.span_id().map(Into::into));
                    }
                    assert!(!current().is_valid());
                });
            }
        });
    });
    assert_eq!(pipeline.spans().names(), ["span"]);
}

/// Threads end with spans entered, and with their locals recording on the way.
#[test]
fn a_thread_that_ends_with_a_span_entered_does_no_harm() {
    thread_local! {
        static LATE: std::cell::RefCell<Option<tracing::span::EnteredSpan>> = const { std::cell::RefCell::new(None) };
    }
    let (layer, pipeline) = Pipeline::new();
    let dispatch = tracing::Dispatch::new({
        use tracing_subscriber::prelude::*;
        tracing_subscriber::registry().with(layer)
    });
    for first in [true, false] {
        let dispatch = dispatch.clone();
        thread::spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || {
                if first {
                    LATE.with(|_| {});
                }
                let span = info_span!("span").entered();
                LATE.with(|late| late.replace(Some(span)));
            });
        })
        .join()
        .unwrap();
    }
    assert_eq!(pipeline.spans().names(), ["span", "span"]);
    let _ = SpanKind::Client;
}
