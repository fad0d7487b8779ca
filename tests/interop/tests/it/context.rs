//! Spans of `tracing` as active contexts, and active contexts as their parents.

use std::thread;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _, get_active_span,
};
use opentelemetry::{Context, KeyValue};
use tracing::{info, info_span};
use tracing_otlp::bridge::opentelemetry_0_33::TracerProvider;
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

/// As `get_active_span` and a tracer's `start` do: their cell is borrowed meanwhile.
#[test]
fn a_span_that_is_entered_while_the_program_reads_what_is_current_does_no_harm() {
    struct Instrumented;
    impl tracing_otlp::Processor for Instrumented {
        fn on_start(&self, _: &mut tracing_otlp::Record<'_>) {
            compute();
        }
    }
    fn compute() -> i64 {
        info_span!("compute").in_scope(|| 7)
    }
    let work = |handle: &tracing_otlp::Handle| {
        let tracer = TracerProvider::from(handle).tracer("test");
        compute();
        let _outer = info_span!("outer").entered();
        get_active_span(|span| span.set_attribute(KeyValue::new("k", compute())));
        tracer.start("theirs").end();
        info_span!("after").in_scope(|| {});
    };
    for spans in [
        record(work),
        record_with(|builder| builder.with_processor(Instrumented), work),
    ] {
        spans.assert_child("theirs", "outer");
        spans.assert_child("after", "outer");
        assert_eq!(spans.named("outer").attribute("k"), Some(&7.into()));
        assert!(!current().is_valid());
    }
}

fn user() -> Option<String> {
    Context::map_current(|context| Some(context.baggage().get("user")?.as_str().to_owned()))
}

/// Whatever was current where the span was created.
#[test]
fn inside_of_a_span_the_baggage_of_its_parent_is_current() {
    use tracing_opentelemetry::OpenTelemetrySpanExt as Theirs;
    record(|_| {
        let _stale = Context::new()
            .with_baggage(vec![KeyValue::new("user", "another")])
            .attach();
        for baggage in [None, Some("this one")] {
            let members = baggage.map(|user| KeyValue::new("user", user));
            let caller = remote(TraceFlags::SAMPLED).with_baggage(Vec::from_iter(members));
            let (ours, theirs) = (info_span!("ours"), info_span!("theirs"));
            SpanExt::set_parent(&ours, tracing_otlp::Context::from(&caller)).unwrap();
            Theirs::set_parent(&theirs, caller).unwrap();
            for span in [ours, theirs] {
                assert_eq!(span.in_scope(user).as_deref(), baggage);
                let known = SpanExt::context(&span);
                assert_eq!(known.baggage().get("user"), baggage);
            }
        }
    });
}

#[test]
fn a_span_carries_the_baggage_that_is_attached_inside_of_its_parent() {
    let spans = record(|_| {
        let other = info_span!("other");
        let _outer = info_span!("outer").entered();
        let attached = Context::current_with_baggage(vec![KeyValue::new("user", "1")]).attach();
        let span = info_span!("span");
        other.in_scope(|| {});
        drop(attached);
        assert_eq!(span.context().baggage().get("user"), Some("1"));
        assert_eq!(info_span!("plain").context().baggage().get("user"), None);
        span.in_scope(|| {
            assert_eq!(user().as_deref(), Some("1"));
            let cleared = Context::map_current(|context| context.with_cleared_baggage());
            let _cleared = cleared.attach();
            let child = info_span!("child");
            assert_eq!(child.context().baggage().get("user"), None);
            assert_eq!(child.in_scope(user), None);
        });
    });
    spans.assert_root("other");
    spans.assert_child("span", "outer");
    spans.assert_child("child", "span");
}

#[test]
fn a_wish_for_debugging_goes_through_the_active_span() {
    use opentelemetry::propagation::TextMapPropagator;
    use std::collections::HashMap;
    use tracing_otlp::bridge::opentelemetry_0_33::ContextPropagator;
    record_with(
        |builder| builder.with_propagators([tracing_otlp::Propagator::B3]),
        |handle| {
            let b3 = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d";
            let request = HashMap::from([("b3".to_owned(), b3.to_owned())]);
            let propagator = ContextPropagator::from(handle);
            let _caller = propagator.extract(&request).attach();
            let _span = info_span!("span").entered();
            let mut sent = HashMap::<String, String>::new();
            propagator.inject(&mut sent);
            assert!(sent["b3"].ends_with("-d"), "{sent:?}");
        },
    );
}

#[test]
fn nothing_is_recorded_inside_of_a_span_that_is_entered_where_telemetry_is_suppressed() {
    let spans = record(|_| {
        let (first, again) = (info_span!("first"), info_span!("again"));
        again.in_scope(|| {});
        let quiet = Context::enter_telemetry_suppressed_scope();
        for span in [&first, &again] {
            span.in_scope(|| info_span!("suppressed").in_scope(|| info!("suppressed")));
        }
        drop(quiet);
        again.in_scope(|| info!("recorded"));
    });
    assert_eq!(spans.len(), 2, "{:?}", spans.names());
    assert!(spans.named("first").events.is_empty());
    assert_eq!(spans.named("again").events.len(), 1);
}
