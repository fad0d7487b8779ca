//! A span starts in two phases: until others have seen it, its parent may be set, and with that whether it is recorded.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tracing::dispatcher::with_default;
use tracing::field::Empty;
use tracing::{Dispatch, Span, info, info_span};
use tracing_otlp::{
    Decision, DropReason, Sampler, Sampling, SpanContext, SpanExt, TraceState, with_remote_parent,
};
use tracing_subscriber::prelude::*;

use super::{Spy, assert_is, caller, context_of, sampled_by};
use crate::support::layer::{Attributed, Pipeline, int, record_with, text};

/// What comes from elsewhere unsampled is not recorded, and what begins here neither.
fn never() -> Sampler {
    Sampler::parent_based(Sampler::ratio(0.0))
}

#[test]
fn a_root_with_a_kind_that_gets_a_sampled_parent_is_recorded_whole() {
    let mut context = None;
    let spans = sampled_by(never(), || {
        let span = info_span!(
            "span",
            otel.name = "named",
            otel.kind = "server",
            a = 1,
            late = Empty,
            later = Empty
        );
        span.record("late", 2);
        span.set_attribute("set", 3);
        span.set_parent(caller(1, "v=1")).unwrap();
        span.record("later", 4);
        span.in_scope(|| info!("event"));
        drop(info_span!(parent: &span, "child"));
        context = Some(context_of(&span));
    });
    let span = spans.named("named");
    assert_is(span, &context.unwrap());
    assert_eq!(span.parent_span_id, [2; 8]);
    assert_eq!(span.kind, 2);
    let values = ["a", "late", "set", "later"].map(|key| span.value(key));
    assert_eq!(values, [1, 2, 3, 4].map(int));
    assert!(span.has("code.line.number") && span.has("code.file.path"));
    assert_eq!(
        (span.event_names(), span.dropped_attributes_count),
        (vec!["event"], 0)
    );
    spans.named("child").assert_child_of(span);
}

#[test]
fn a_plain_root_that_gets_a_sampled_parent_is_recorded_from_then_on_and_counts_what_it_missed() {
    let mut context = None;
    let spans = sampled_by(never(), || {
        let span = info_span!("span", a = 1, b = "x", late = Empty, later = Empty);
        span.record("late", 2);
        span.set_parent(caller(1, "v=1")).unwrap();
        span.record("later", 4);
        span.set_attribute("set", 5);
        span.in_scope(|| info!("event"));
        drop(info_span!(parent: &span, "child"));
        context = Some(context_of(&span));
    });
    let span = spans.named("span");
    assert_is(span, &context.unwrap());
    assert_eq!((&*span.parent_span_id, span.kind), (&[2; 8][..], 1));
    assert_eq!(span.own_keys(), ["later", "set"]);
    assert_eq!((span.value("later"), span.value("set")), (int(4), int(5)));
    assert!(span.has("code.line.number") && span.has("code.file.path"));
    assert_eq!(span.dropped_attributes_count, 3, "a, b, late");
    assert_eq!(span.event_names(), ["event"]);
    spans.named("child").assert_child_of(span);
}

/// The last parent that is set in time counts, whatever the others were.
#[test]
fn parents_that_are_set_one_after_the_other() {
    for order in 0..27_u8 {
        for kind in [false, true] {
            for sampler in [never(), Sampler::default(), super::tagged()] {
                let parents = [order % 3, order / 3 % 3, order / 9];
                let mut context = None;
                let spans = sampled_by(sampler.clone(), || {
                    let span = if kind {
                        info_span!("span", otel.kind = "server", late = Empty)
                    } else {
                        info_span!("span", late = Empty)
                    };
                    for parent in parents {
                        let state = format!("parent={parent}");
                        let _ = match parent {
                            2 => span.set_parent(context_of(&info_span!("other"))),
                            flags => span.set_parent(caller(flags, &state)),
                        };
                    }
                    span.record("late", 1);
                    context = Some(context_of(&span));
                    drop(info_span!(parent: &span, "child"));
                });
                let context = context.unwrap();
                let case = format!("{parents:?}, kind {kind}, {sampler:?}");
                if parents[2] < 2 {
                    assert_eq!(context.trace_id(), caller(0, "").trace_id(), "{case}");
                    assert_eq!(
                        context.trace_state().as_str(),
                        format!("parent={}", parents[2])
                    );
                } else {
                    assert!(context.trace_state().is_empty(), "{case}");
                    assert_ne!(context.trace_id(), caller(0, "").trace_id(), "{case}");
                }
                let exported = spans.iter().filter(|span| span.name != "other").count();
                assert_eq!(exported, if context.is_sampled() { 2 } else { 0 }, "{case}");
                if !context.is_sampled() {
                    continue;
                }
                let span = spans.named("span");
                assert_is(span, &context);
                assert_eq!(span.value("late"), int(1), "{case}");
                assert_eq!(span.flags & 0x200 != 0, parents[2] < 2, "{case}");
                spans.named("child").assert_child_of(span);
            }
        }
    }
}

#[test]
fn a_recorded_root_that_gets_an_unsampled_parent_is_dropped_and_children_follow() {
    for kind in [false, true] {
        let spans = sampled_by(Sampler::default(), || {
            let span = if kind {
                info_span!("span", otel.kind = "server", a = 1)
            } else {
                info_span!("span", a = 1)
            };
            span.set_parent(caller(0, "v=1")).unwrap();
            let entered = span.clone().entered();
            info!("event");
            let child = info_span!("child").entered();
            let grandchild = info_span!("grandchild");
            for span in [&span, &Span::current(), &grandchild] {
                let context = context_of(span);
                assert_eq!(context.trace_id(), caller(0, "").trace_id());
                assert_eq!(context.trace_state().as_str(), "v=1");
                assert!(!context.is_sampled());
            }
            drop((child, entered));
        });
        assert_eq!(spans.len(), 0);
    }
}

/// What was given up is counted, should another parent want the span after all.
#[test]
fn a_root_that_is_dropped_and_recorded_again_counts_what_it_missed() {
    for kind in [false, true] {
        let spans = sampled_by(Sampler::default(), || {
            let span = if kind {
                info_span!("span", otel.kind = "server", a = 1, b = 2, late = Empty)
            } else {
                info_span!("span", a = 1, b = 2, late = Empty)
            };
            span.set_parent(caller(0, "")).unwrap();
            span.record("late", 3);
            span.set_parent(caller(1, "")).unwrap();
            span.record("late", 4);
        });
        let span = spans.only();
        assert_eq!(span.value("late"), int(4));
        assert!(!span.has("a") && !span.has("b"));
        assert!(
            span.dropped_attributes_count >= 3,
            "{}",
            span.dropped_attributes_count
        );
    }
}

/// What makes a span start.
#[derive(Clone, Copy, Debug)]
enum By {
    Enter,
    Child,
    CurrentChild,
    Event,
    OwnEvent,
    Context,
    Link,
    Close,
}

impl By {
    const ALL: [Self; 8] = [
        Self::Enter,
        Self::Child,
        Self::CurrentChild,
        Self::Event,
        Self::OwnEvent,
        Self::Context,
        Self::Link,
        Self::Close,
    ];

    fn start(self, span: &Span) {
        match self {
            Self::Enter => drop(span.enter()),
            Self::Child => drop(info_span!(parent: span, "child")),
            Self::CurrentChild => span.in_scope(|| drop(info_span!("child"))),
            Self::Event => info!(parent: span, "event"),
            Self::OwnEvent => span.add_event("event", []),
            Self::Context => drop(span.context()),
            Self::Link => drop(info_span!("linking").follows_from(span).clone()),
            Self::Close => {}
        }
    }
}

fn asked_about(spy: &Spy, name: &str) -> usize {
    spy.names().iter().filter(|asked| *asked == name).count()
}

#[test]
fn a_root_with_a_kind_is_asked_about_once_when_it_starts_however_it_starts() {
    for by in By::ALL {
        for remote in [None, Some(0), Some(1)] {
            let spy =
                Spy::new(|_| Sampling::from(Decision::RecordAndSample).with_attribute("asked", 1));
            let spans = sampled_by(spy.sampler(), || {
                let span = info_span!("span", otel.kind = "server", a = 1, late = Empty);
                span.record("late", 2);
                span.set_attribute("set", 3);
                if let Some(flags) = remote {
                    span.set_parent(caller(flags, "")).unwrap();
                }
                assert_eq!(asked_about(&spy, "span"), 0, "{by:?}");
                by.start(&span);
                let asked = usize::from(!matches!(by, By::Close));
                assert_eq!(asked_about(&spy, "span"), asked, "{by:?}");
                if asked == 1 {
                    By::ALL.iter().for_each(|by| by.start(&span));
                }
            });
            assert_eq!(asked_about(&spy, "span"), 1, "{by:?}, {remote:?}");
            let seen = spy
                .seen()
                .into_iter()
                .find(|seen| seen.name == "span")
                .unwrap();
            let keys: Vec<_> = seen.attributes.iter().map(|(key, _)| &**key).collect();
            assert!(
                ["a", "late", "set"].iter().all(|key| keys.contains(key)),
                "{by:?}: {keys:?}"
            );
            assert_eq!(seen.parent, remote.map(|flags| caller(flags, "")));
            let span = spans.named("span");
            assert_eq!(span.value("asked"), int(1), "{by:?}, {remote:?}");
            assert_eq!(span.flags, if remote.is_some() { 0x301 } else { 0x103 });
        }
    }
}

#[test]
fn whoever_is_not_sampled_when_it_closes_is_not_exported() {
    let spy = Spy::always(Decision::Drop);
    let spans = sampled_by(Sampler::parent_based(spy.sampler()), || {
        drop(info_span!("root", otel.kind = "server"));
        // The parent is followed.
        let below = info_span!("below", otel.kind = "server");
        below.set_parent(caller(1, "")).unwrap();
    });
    assert_eq!(spans.names(), ["below"]);
    assert_eq!(spy.names(), ["root"]);
}

#[test]
fn plain_roots_and_children_are_asked_about_once_when_they_are_created() {
    let spy = Spy::always(Decision::RecordAndSample);
    sampled_by(spy.sampler(), || {
        let root = info_span!("root", late = Empty);
        let child = info_span!(parent: &root, "child");
        let client = info_span!(parent: &root, "client", otel.kind = "client");
        assert_eq!(spy.names(), ["root", "child", "client"]);
        for span in [&root, &child, &client] {
            By::ALL[..7].iter().for_each(|by| by.start(span));
            span.record("late", 1);
        }
        assert!(child.set_parent(caller(1, "")).is_err());
    });
    for name in ["root", "child", "client"] {
        let own = if name == "client" {
            1
        } else {
            1 + usize::from(name == "child") * 6
        };
        assert_eq!(asked_about(&spy, name), own, "{name}: {:?}", spy.names());
    }
}

/// It was asked when it was created, and a parent changes the question. The last answer counts.
#[test]
fn a_plain_root_that_gets_a_parent_is_asked_about_again() {
    let spy = Spy::new(|span| {
        let decision = match span.parent() {
            None => Decision::Drop,
            Some(_) => Decision::RecordAndSample,
        };
        Sampling::from(decision).with_attribute("has_parent", span.parent().is_some())
    });
    let spans = sampled_by(spy.sampler(), || {
        let span = info_span!("span");
        span.set_parent(caller(0, "v=1")).unwrap();
        span.set_parent(caller(1, "v=2")).unwrap();
    });
    assert_eq!(spy.names(), ["span", "span"]);
    let span = spans.only();
    assert_eq!((span.trace_state.as_str(), span.flags), ("v=2", 0x301));
    assert_eq!(span.value("has_parent"), crate::support::layer::truth(true));
}

#[test]
fn roots_inside_a_remote_parent_are_asked_about_once() {
    let spy = Spy::always(Decision::RecordAndSample);
    let spans = sampled_by(spy.sampler(), || {
        with_remote_parent(&caller(0, "v=1").into(), || {
            drop(info_span!("plain"));
            let server = info_span!("server", otel.kind = "server").entered();
            drop(info_span!("child"));
            drop(server);
        });
    });
    let mut names = spy.names();
    names.sort();
    assert_eq!(names, ["child", "plain", "server"]);
    for name in ["plain", "server"] {
        let span = spans.named(name);
        assert_eq!((&*span.parent_span_id, span.flags), (&[2; 8][..], 0x301));
    }
}

#[test]
fn times_of_a_span_that_is_recorded_late_are_its_own() {
    let settings = |builder: tracing_otlp::Builder| {
        builder
            .with_sampler(never())
            .with_busy_and_idle(true)
            .with_end_at_last_exit(true)
    };
    let spans = record_with(settings, || {
        let before = info_span!("before");
        before.set_parent(caller(1, "")).unwrap();
        before.in_scope(|| info!("event"));
        let never_entered = info_span!("never entered");
        never_entered.set_parent(caller(1, "")).unwrap();
    });
    for span in spans.iter() {
        let length = span.end_time_unix_nano - span.start_time_unix_nano;
        let times = ["busy_ns", "idle_ns"].map(|key| span.value(key));
        let [Some(busy), Some(idle)] = times.map(|value| match value {
            Some(opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue(value)) => {
                Some(value)
            }
            _ => None,
        }) else {
            panic!("{} has no times", span.name);
        };
        assert_eq!(
            (busy + idle) as u64,
            length,
            "{}: {busy} + {idle}",
            span.name
        );
    }
}

/// Two threads start one span at once: both ask, and the sampler, which waits for the second one, says something else to each.
#[test]
fn two_threads_that_start_a_span_at_once_find_one_decision() {
    const ROUNDS: usize = 400;
    let asked = AtomicUsize::new(0);
    let both = Barrier::new(2);
    let spy = Spy::new(move |span| {
        if span.name() != "root" {
            return Decision::RecordAndSample.into();
        }
        both.wait();
        let asked = asked.fetch_add(1, Ordering::Relaxed);
        let decision = [Decision::Drop, Decision::RecordAndSample][asked % 2];
        Sampling::from(decision)
            .with_attribute("asked", asked as i64)
            .with_trace_state(TraceState::parse(&format!("asked={asked}")).unwrap())
    });
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_sampler(spy.sampler()));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let roots: Vec<_> = with_default(&dispatch, || {
        (0..ROUNDS)
            .map(|round| {
                let root = info_span!("root", otel.kind = "server");
                if round % 3 == 0 {
                    root.set_parent(caller(1, "")).unwrap();
                }
                root
            })
            .collect()
    });
    let barrier = Barrier::new(2);
    let run = |which: usize| {
        let start = |(round, root): (usize, &Span)| {
            barrier.wait();
            By::ALL[(round / (1 + which * 7)) % 7].start(root);
            let child = info_span!(parent: root, "after");
            let child = context_of(&child);
            (context_of(root), child)
        };
        with_default(&dispatch, || {
            roots.iter().enumerate().map(start).collect::<Vec<_>>()
        })
    };
    let seen: [Vec<(SpanContext, SpanContext)>; 2] = thread::scope(|scope| {
        let threads = [0, 1].map(|which| scope.spawn(move || run(which)));
        threads.map(|thread| thread.join().unwrap())
    });
    drop(roots);
    let spans = pipeline.spans();
    for ((root, child), (again, other)) in seen[0].iter().zip(&seen[1]) {
        assert_eq!(root, again, "one decision");
        for child in [child, other] {
            assert_eq!(child.trace_id(), root.trace_id());
            assert_eq!(child.trace_state(), root.trace_state());
        }
        let exported = spans
            .iter()
            .find(|span| span.span_id == root.span_id().to_bytes());
        assert_eq!(exported.is_some(), root.is_sampled());
        if let Some(exported) = exported {
            assert_is(exported, root);
            let asked = exported.trace_state.strip_prefix("asked=").unwrap();
            assert_eq!(
                exported.value("asked"),
                int(asked.parse().unwrap()),
                "of the same answer"
            );
        }
    }
    assert_eq!(spans.all_named("after").len(), 2 * ROUNDS);
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        let is_parent = |(root, _): &&(SpanContext, SpanContext)| {
            span.parent_span_id == root.span_id().to_bytes()
        };
        let is_remote = span.flags & 0x200 != 0;
        assert!(
            is_remote || seen[0].iter().any(|pair| is_parent(&pair)),
            "{}",
            span.name
        );
    }
}

/// Each is counted once; its context goes on as if it had been recorded.
#[test]
fn spans_beyond_the_memory_limit_have_ids_and_are_counted_once() {
    let samplers = [
        Sampler::default(),
        super::tagged(),
        Sampler::parent_based(Spy::always(Decision::RecordAndSample).sampler()),
        Spy::new(|_| {
            let state = TraceState::parse("mine=1").unwrap();
            Sampling::from(Decision::RecordAndSample).with_trace_state(state)
        })
        .sampler(),
        never(),
    ];
    for (which, sampler) in samplers.into_iter().enumerate() {
        let settings = |builder: tracing_otlp::Builder| {
            builder.with_sampler(sampler).with_memory_limit(1 << 20)
        };
        let (layer, pipeline) = Pipeline::with(settings);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let mut contexts = Vec::new();
        let (fillers, full) = with_default(&dispatch, || {
            let filler = || {
                let span = info_span!("filler", otel.kind = "server", text = "some text");
                span.set_parent(caller(1, "")).unwrap();
                let _ = span.context();
                span
            };
            let fillers: Vec<_> = (0..10_000).map(|_| filler()).collect();
            let full = pipeline.handle().stats().dropped();
            for remote in [None, Some(0), Some(1)] {
                for kind in [false, true] {
                    let span = if kind {
                        info_span!("beyond", otel.kind = "server", late = Empty)
                    } else {
                        info_span!("beyond", late = Empty)
                    };
                    if let Some(flags) = remote {
                        span.set_parent(caller(flags, "v=1")).unwrap();
                    }
                    span.record("late", 1);
                    span.in_scope(|| info!("nowhere"));
                    let child = info_span!(parent: &span, "child");
                    contexts.push((kind, remote, context_of(&span), context_of(&child)));
                    contexts.extend(remote.map(|flags| {
                        with_remote_parent(&caller(flags, "v=1").into(), || {
                            let span = info_span!("beyond").entered();
                            let child = info_span!("child");
                            (kind, remote, context_of(&span), context_of(&child))
                        })
                    }));
                }
            }
            (fillers, full)
        });
        assert!(full > 0);
        assert_eq!(contexts.len(), 10);
        let case = format!("sampler {which}");
        let mut sampled = 0;
        for (kind, remote, span, child) in contexts {
            assert_eq!(child.trace_id(), span.trace_id(), "{case}, {remote:?}");
            assert_ne!(child.span_id(), span.span_id());
            let follows = matches!(which, 0 | 2 | 4);
            assert!(which == 3 || child.trace_state() == span.trace_state());
            assert!(
                !follows || child.is_sampled() == span.is_sampled(),
                "{case}, {remote:?}"
            );
            sampled += u64::from(span.is_sampled()) + u64::from(child.is_sampled());
            let in_callers_trace = span.trace_id() == caller(0, "").trace_id();
            assert_eq!(in_callers_trace, remote.is_some(), "{case}");
            // Without memory there is no message to show to a sampler when the span starts: then it follows its parent, and of a
            // root the sampler sees what the callsite knows.
            if follows {
                let is_root = which != 4 && remote.is_none();
                let expected = remote.map_or(is_root, |flags| flags == 1);
                assert_eq!(span.is_sampled(), expected, "{case}, {remote:?}, {kind}");
            }
            // What callers say of a trace takes memory too, and has none.
            let state = span.trace_state().as_str();
            let is_own = which == 3 && state == "mine=1";
            assert!(state.is_empty() || is_own, "{case}, {remote:?}: {state}");
        }
        let dropped = pipeline.handle().stats().dropped_for(DropReason::OpenSpans) - full;
        // One that the sampler would have dropped had it started may be counted too.
        assert!(
            (sampled..=20).contains(&dropped),
            "{case}: {dropped} for {sampled} sampled"
        );
        drop(fillers);
        with_default(&dispatch, || {
            let afterwards = info_span!("afterwards", otel.kind = "server");
            afterwards.set_parent(caller(1, "")).unwrap();
        });
        let (spans, _) = pipeline.spans_and_stats();
        assert_eq!(spans.all_named("afterwards").len(), 1, "{case}");
        assert_eq!(spans.all_named("beyond").len(), 0, "{case}");
        assert_eq!(
            spans.all_named("filler").len() as u64,
            10_000 - full,
            "{case}"
        );
    }
}

#[test]
fn a_name_that_was_given_at_creation_is_there_where_a_kind_is() {
    let spans = sampled_by(never(), || {
        let span = info_span!(
            "span",
            otel.name = "GET /",
            otel.kind = "server",
            path = "/"
        );
        span.set_parent(caller(1, "")).unwrap();
    });
    assert_eq!(spans.named("GET /").value("path"), text("/"));
}
