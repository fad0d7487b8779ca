//! What is decided when a span starts, by samplers that are not asked before.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{Dispatch, Span, dispatcher::with_default, info_span};
use tracing_otlp::{
    Baggage, Builder, Candidate, Context, Decision, Limits, ParentBased, Propagator, Sampler,
    Sampling, ShouldSample, SpanContext, SpanExt, SpanId, TraceFlags, TraceId, TraceState, extract,
    with_remote_parent,
};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, record_with};

/// Says the same of every span, after it has looked around in the one that it is asked about.
#[derive(Debug)]
struct Always(Decision);

impl ShouldSample for Always {
    fn should_sample(&self, _: &Candidate<'_>) -> Sampling {
        let attribute = Span::current().trace_id().map(|id| id.to_string());
        tracing::info!("asked");
        Sampling::from(self.0).with_attribute("current", attribute.unwrap_or_default())
    }

    fn description(&self) -> String {
        "Always".to_owned()
    }
}

fn of_own(decision: Decision) -> impl Fn(Builder) -> Builder {
    move |builder| builder.with_sampler(Sampler::parent_based(Sampler::custom(Always(decision))))
}

fn of_caller(flags: TraceFlags) -> SpanContext {
    SpanContext::remote(
        TraceId::from_bytes([1; 16]).unwrap(),
        SpanId::from_bytes([2; 8]).unwrap(),
        flags,
        TraceState::default(),
    )
}

/// The context that one header of B3 brings.
fn b3(text: &str) -> Context {
    let settings = |builder: Builder| builder.with_propagators([Propagator::B3]);
    let (layer, _pipeline) = Pipeline::with(settings);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let headers = vec![("b3".to_owned(), text.to_owned())];
    with_default(&dispatch, || extract(&headers))
}

#[test]
fn a_sampler_may_ask_for_the_context_of_the_span_that_it_is_asked_about() {
    let spans = record_with(of_own(Decision::RecordAndSample), || {
        let root = info_span!("root", otel.kind = "server").entered();
        drop(info_span!("child"));
        drop(root);
    });
    let root = spans.named("root");
    let trace_id: String = root
        .trace_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(root.value("current"), crate::support::layer::text(trace_id));
    assert_eq!(root.event_names(), ["asked"]);
    spans.named("child").assert_child_of(root);
}

#[test]
fn what_a_sampler_says_counts_also_where_it_has_looked_at_the_span() {
    let spans = record_with(of_own(Decision::Drop), || {
        let _root = info_span!("root", otel.kind = "server").entered();
        drop(info_span!("child"));
    });
    assert!(spans.is_empty(), "{:?}", spans.names());
}

#[test]
fn a_root_that_there_is_no_room_for_has_a_context_all_the_same() {
    for decision in [Decision::RecordAndSample, Decision::Drop] {
        let (layer, pipeline) =
            Pipeline::with(|builder| of_own(decision)(builder).with_memory_limit(1 << 20));
        with_default(
            &Dispatch::new(tracing_subscriber::registry().with(layer)),
            || {
                // Until nothing more fits, also of what is decided at once.
                let text = "x".repeat(4 << 10);
                let make = || info_span!("full", otel.kind = "server", text);
                let _full: Vec<_> = (0..1000).map(|_| make()).collect();
                let root = make();
                let dropped = pipeline.handle().stats().dropped();
                assert!(dropped > 1, "{dropped}");
                let context = root.context();
                let context = context.span().unwrap();
                assert_eq!(context.is_sampled(), decision == Decision::RecordAndSample);
                root.in_scope(|| {
                    let child = info_span!("child");
                    assert_eq!(child.trace_id(), Some(context.trace_id()));
                });

                let caller = of_caller(TraceFlags::SAMPLED);
                let below = make();
                below.set_parent(caller.clone()).unwrap();
                let context = below.context();
                let context = context.span().unwrap();
                assert_eq!(context.trace_id(), caller.trace_id());
                assert!(context.is_sampled());
            },
        );
        // What ends has hardly any room either.
        let _ = pipeline.handle().shutdown(Duration::from_secs(60));
        let stats = pipeline.handle().stats();
        assert!(stats.is_balanced(), "{stats}");
    }
}

#[test]
fn a_trace_that_b3_denies_is_denied_whenever_it_is_decided() {
    let denied = b3("0");
    let spans = record_with(of_own(Decision::RecordAndSample), || {
        with_remote_parent(&denied, || {
            let _root = info_span!("root").entered();
            let child = info_span!("child");
            assert!(!child.context().span().unwrap().is_sampled());
        });
        let root = info_span!("root", otel.kind = "server");
        root.set_parent(denied.clone()).unwrap();
        let _root = root.entered();
        let child = info_span!("child");
        assert_eq!(child.trace_id(), Span::current().trace_id());
    });
    assert!(spans.is_empty(), "{:?}", spans.names());
}

#[test]
fn spec_6_17_debug_without_ids_means_sampled() {
    let debug = b3("d");
    let settings =
        |builder: Builder| builder.with_sampler(Sampler::parent_based(Sampler::always_off()));
    let spans = record_with(settings, || {
        for root in [info_span!("root"), info_span!("root", otel.kind = "server")] {
            root.set_parent(debug.clone()).unwrap();
            let _root = root.entered();
            drop(info_span!("child"));
        }
        with_remote_parent(&debug, || drop(info_span!("root")));
    });
    assert_eq!(spans.all_named("root").len(), 3);
    assert_eq!(spans.all_named("child").len(), 2);
    for span in spans.iter() {
        assert_eq!(span.flags & 1, 1);
    }
}

#[test]
fn spec_4_9_a_parent_of_this_process_that_is_set_is_a_local_one() {
    let own = || Sampler::custom(Always(Decision::Drop));
    let sampler = ParentBased::new(Sampler::always_on()).with_local_parent_sampled(own());
    let spans = record_with(
        |builder| builder.with_sampler(sampler),
        || {
            let parent = info_span!("parent");
            let child = info_span!(parent: None, "child");
            child.set_parent(parent.context()).unwrap();
            drop(child.entered());
        },
    );
    spans.only().assert_root();
}

#[test]
fn a_span_that_is_wanted_late_is_busy_and_idle_from_then_on() {
    let settings = |builder: Builder| {
        let sampler = Sampler::parent_based(Sampler::always_off());
        builder.with_sampler(sampler).with_busy_and_idle(true)
    };
    let spans = record_with(settings, || {
        let span = info_span!("span");
        span.set_parent(of_caller(TraceFlags::SAMPLED)).unwrap();
        drop(span.entered());
    });
    let span = spans.only();
    let times = ["busy_ns", "idle_ns"].map(|key| match span.value(key) {
        Some(opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue(time)) => {
            time as u64
        }
        other => panic!("{other:?}"),
    });
    let duration = span.end_time_unix_nano - span.start_time_unix_nano;
    assert_eq!(times.iter().sum::<u64>(), duration);
}

#[test]
fn a_span_that_is_never_entered_is_decided_about_when_it_is_closed() {
    let make = || drop(info_span!("span", otel.kind = "client"));
    let spans = record_with(of_own(Decision::RecordAndSample), make);
    assert_eq!(spans.only().flags & 1, 1);
    let limited = |builder: Builder| builder.with_sampler(Sampler::rate_limited(1.0));
    let spans = record_with(limited, || (0..5).for_each(|_| make()));
    assert_eq!(spans.len(), 1);
    let spans = record_with(of_own(Decision::Drop), make);
    assert!(spans.is_empty());
}

#[test]
fn spec_4_2_a_sampler_sees_the_trace_id_and_each_span_has_an_id_of_its_own() {
    type Asked = Vec<(TraceId, Option<SpanId>)>;
    #[derive(Debug, Default)]
    struct Seen(Arc<Mutex<Asked>>);
    impl ShouldSample for Seen {
        fn should_sample(&self, span: &Candidate<'_>) -> Sampling {
            let parent = span.parent().map(SpanContext::span_id);
            self.0.lock().unwrap().push((span.trace_id(), parent));
            Decision::Drop.into()
        }

        fn description(&self) -> String {
            "Seen".to_owned()
        }
    }
    let seen = Seen::default();
    let asked = Arc::clone(&seen.0);
    let spans = record_with(
        |builder| builder.with_sampler(Sampler::custom(seen)),
        || {
            let root = info_span!("root").entered();
            let child = info_span!("child");
            let (trace, ids) = (
                root.trace_id().unwrap(),
                [&root, &child].map(SpanExt::span_id),
            );
            assert_eq!(child.trace_id(), Some(trace));
            assert_ne!(ids[0], ids[1]);
            assert_eq!(*asked.lock().unwrap(), [(trace, None), (trace, ids[0])]);
        },
    );
    assert!(spans.is_empty());
}

#[test]
fn spec_4_4_record_only_is_recorded_and_neither_sampled_nor_exported() {
    for (decision, is_recorded, is_sampled) in [
        (Decision::Drop, false, false),
        (Decision::RecordOnly, true, false),
        (Decision::RecordAndSample, true, true),
    ] {
        let spans = record_with(of_own(decision), || {
            for span in [info_span!("span"), info_span!("span", otel.kind = "client")] {
                let _entered = span.enter();
                let mut was_asked = false;
                let attribute = std::iter::once_with(|| {
                    was_asked = true;
                    ("key", 1.into())
                });
                span.add_event("event", attribute);
                assert_eq!(was_asked, is_recorded, "{decision:?}");
                let context = span.context();
                assert_eq!(context.span().unwrap().is_sampled(), is_sampled);
            }
        });
        assert_eq!(spans.len(), if is_sampled { 2 } else { 0 });
        assert!(spans.iter().all(|span| span.flags & 1 == 1));
    }
}

#[test]
fn a_sampler_may_enter_the_span_that_it_is_asked_about() {
    #[derive(Debug)]
    struct Entering(Arc<Mutex<Option<Span>>>);
    impl ShouldSample for Entering {
        fn should_sample(&self, _: &Candidate<'_>) -> Sampling {
            let span = self.0.lock().unwrap().clone();
            span.unwrap().in_scope(|| {});
            Decision::RecordAndSample.into()
        }

        fn description(&self) -> String {
            "Entering".to_owned()
        }
    }
    let shared = Arc::new(Mutex::new(None));
    let sampler = Sampler::parent_based(Sampler::custom(Entering(Arc::clone(&shared))));
    let spans = record_with(
        |builder| builder.with_sampler(sampler),
        || {
            let root = info_span!("root", otel.kind = "server");
            *shared.lock().unwrap() = Some(root.clone());
            assert!(root.context().span().unwrap().is_sampled());
            root.in_scope(|| drop(info_span!("child")));
            *shared.lock().unwrap() = None;
        },
    );
    spans.named("child").assert_child_of(spans.named("root"));
    assert_eq!(spans.len(), 2);
}

/// P5: what callers send along is theirs to choose, and counts as ours to hold.
#[test]
fn what_a_trace_carries_along_takes_of_the_budget_and_is_given_back() {
    let caller = |number: u8| {
        let (trace, span) = (
            TraceId::from_bytes([number; 16]),
            SpanId::from_bytes([1; 8]),
        );
        let state = TraceState::default();
        let span = SpanContext::remote(trace.unwrap(), span.unwrap(), TraceFlags::SAMPLED, state);
        let value = "x".repeat(7_000);
        Context::from(span).with_baggage(Baggage::default().with("large", &value))
    };
    let small = |builder: Builder| {
        let limits = Limits::default().with_record_bytes(4 << 10);
        builder.with_memory_limit(1 << 20).with_limits(limits)
    };
    let spans = record_with(small, || {
        for _ in 0..3 {
            let open: Vec<_> = (1..=250)
                .map(|number| {
                    let span = info_span!("request");
                    span.set_parent(caller(number)).unwrap();
                    span
                })
                .collect();
            let carried = |span: &Span| !span.context().baggage().is_empty();
            // 250 times 7,000 bytes do not fit.
            let fitting = open.iter().filter(|span| carried(span)).count();
            assert!((30..100).contains(&fitting), "{fitting}");
            // Children share what their parent carries.
            let first = open.first().unwrap();
            let children: Vec<_> = (0..20)
                .map(|_| info_span!(parent: first, "child"))
                .collect();
            assert!(children.iter().all(carried));
            assert_eq!(first.trace_id(), TraceId::from_bytes([1; 16]));
        }
    });
    assert_eq!(spans.len(), 3 * 270);
}
