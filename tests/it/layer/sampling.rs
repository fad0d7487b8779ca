//! Sampling through the whole layer (specification, sampling): what a sampler sees, and what becomes of the span, its context and
//! its children.

mod across;
mod ids;
mod start;
mod unsampled;
mod user_code;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::Empty;
use tracing::{Span, info, info_span};
use tracing_otlp::{
    Candidate, Decision, ParentBased, Sampler, Sampling, ShouldSample, SpanContext, SpanExt,
    SpanId, SpanKind, TraceFlags, TraceId, TraceState, Value,
};

use crate::support::layer::{Attributed, Exported, Spans, int, record, record_with, text};

const ALL: [Decision; 3] = [
    Decision::Drop,
    Decision::RecordOnly,
    Decision::RecordAndSample,
];

/// What a sampler saw of a span.
#[derive(Clone, Debug)]
struct Seen {
    parent: Option<SpanContext>,
    trace_id: TraceId,
    name: String,
    kind: SpanKind,
    target: String,
    attributes: Vec<(String, Value<'static>)>,
    links: Vec<(TraceId, SpanId)>,
}

/// Answers as it is told to, and keeps what it saw.
#[derive(Clone)]
struct Spy {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<dyn Fn(&Candidate<'_>) -> Sampling + Send + Sync>,
}

impl Spy {
    fn new(answer: impl Fn(&Candidate<'_>) -> Sampling + Send + Sync + 'static) -> Self {
        Self {
            seen: Arc::default(),
            answer: Arc::new(answer),
        }
    }

    fn always(decision: Decision) -> Self {
        Self::new(move |_| decision.into())
    }

    fn sampler(&self) -> Sampler {
        Sampler::custom(self.clone())
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.name).collect()
    }
}

impl fmt::Debug for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spy")
    }
}

impl ShouldSample for Spy {
    fn should_sample(&self, span: &Candidate<'_>) -> Sampling {
        let owned = |(key, value): (&str, Value<'_>)| (key.to_owned(), value.into_owned());
        let seen = Seen {
            parent: span.parent().cloned(),
            trace_id: span.trace_id(),
            name: span.name().to_owned(),
            kind: span.kind(),
            target: span.target().to_owned(),
            attributes: span.attributes().map(owned).collect(),
            links: span.links().collect(),
        };
        self.seen.lock().unwrap().push(seen);
        (self.answer)(span)
    }

    fn description(&self) -> String {
        "Spy".to_owned()
    }
}

fn sampled_by(sampler: impl Into<Sampler>, work: impl FnOnce()) -> Spans {
    let sampler = sampler.into();
    record_with(|builder| builder.with_sampler(sampler), work)
}

/// A caller in another process.
fn caller(flags: u8, trace_state: &str) -> SpanContext {
    SpanContext::remote(
        TraceId::from_bytes([1; 16]).unwrap(),
        SpanId::from_bytes([2; 8]).unwrap(),
        TraceFlags::new(flags),
        TraceState::parse(trace_state).unwrap_or_default(),
    )
}

fn context_of(span: &Span) -> SpanContext {
    span.context().span().expect("it has a context").clone()
}

#[track_caller]
fn assert_is(span: &Exported, context: &SpanContext) {
    assert_eq!(span.trace_id, context.trace_id().to_bytes());
    assert_eq!(span.span_id, context.span_id().to_bytes());
    assert_eq!(span.trace_state, context.trace_state().as_str());
    assert_eq!(span.flags & 0xFF, u32::from(context.flags().bits()));
}

/// A value that is formatted only where it is recorded.
#[derive(Clone, Default)]
struct Looked(Arc<AtomicU64>);

impl Looked {
    fn times(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fetch_add(1, Ordering::Relaxed);
        f.write_str("looked at")
    }
}

#[test]
fn spec_4_1_by_default_a_span_is_sampled_as_its_parent_and_a_root_always() {
    let spans = record(|| {
        let root = info_span!("root").entered();
        drop(info_span!("child"));
        drop(root);
        for (flags, name) in [(1, "below sampled"), (0, "below unsampled")] {
            let span = info_span!("span", otel.name = name);
            span.set_parent(caller(flags, "")).unwrap();
            drop(info_span!(parent: &span, "child"));
            assert_eq!(context_of(&span).is_sampled(), flags == 1);
        }
    });
    assert_eq!(spans.names(), ["child", "root", "child", "below sampled"]);
}

#[test]
fn spec_4_2_a_span_has_an_id_of_its_own_and_its_parents_trace_whatever_is_decided() {
    for decision in ALL {
        let spy = Spy::always(decision);
        sampled_by(spy.sampler(), || {
            let root = info_span!("root");
            let child = info_span!(parent: &root, "child");
            let grandchild = info_span!(parent: &child, "grandchild", otel.kind = "server");
            let remote = info_span!("below remote", otel.kind = "server");
            remote.set_parent(caller(0, "")).unwrap();
            let contexts = [&root, &child, &grandchild, &remote].map(context_of);
            for (at, context) in contexts.iter().enumerate() {
                let trace_id = contexts[if at == 3 { 3 } else { 0 }].trace_id();
                assert_eq!(context.trace_id(), trace_id, "{decision:?}");
                let same = |other: &&SpanContext| other.span_id() == context.span_id();
                assert_eq!(contexts.iter().filter(same).count(), 1, "{decision:?}");
            }
            assert_eq!(contexts[3].trace_id(), caller(0, "").trace_id());
            assert_ne!(contexts[3].span_id(), caller(0, "").span_id());
            // The trace id is known when the sampler is asked; the parent is the one that others see.
            let seen = spy.seen();
            assert_eq!(seen.len(), 4, "{decision:?}");
            for (seen, context) in seen.iter().zip(&contexts) {
                assert_eq!(seen.trace_id, context.trace_id(), "{}", seen.name);
            }
            assert_eq!(seen[0].parent, None);
            assert_eq!(seen[1].parent.as_ref(), Some(&contexts[0]));
            assert_eq!(seen[2].parent.as_ref(), Some(&contexts[1]));
            assert_eq!(seen[3].parent, Some(caller(0, "")));
        });
    }
}

#[test]
fn spec_4_3_and_4_4_only_what_is_recorded_is_sampled_and_children_follow() {
    for decision in ALL {
        let looked = Looked::default();
        let sampler = Sampler::parent_based(Spy::always(decision).sampler());
        let is_sampled = decision == Decision::RecordAndSample;
        let spans = sampled_by(sampler, || {
            let root = info_span!("root", late = Empty);
            root.in_scope(|| {
                info!(?looked, "event");
                root.record("late", tracing::field::debug(&looked));
                let child = info_span!("child", ?looked).entered();
                assert_eq!(context_of(&child).is_sampled(), is_sampled);
            });
            assert_eq!(context_of(&root).is_sampled(), is_sampled, "{decision:?}");
        });
        let (names, times): (&[&str], _) = match decision {
            Decision::Drop => (&[], 0),
            // The child of one that is not sampled is not recorded.
            Decision::RecordOnly => (&[], 2),
            _ => (&["child", "root"], 3),
        };
        assert_eq!((spans.names(), looked.times()), (names.to_vec(), times));
        for span in spans.iter() {
            assert_eq!(span.flags & 1, 1);
        }
    }
}

#[test]
fn spec_3_8_what_is_recorded_only_is_never_exported() {
    // Its children may be, where a sampler says so.
    let sampler = Spy::new(|span| match span.name() {
        "only" => Decision::RecordOnly.into(),
        _ => Decision::RecordAndSample.into(),
    });
    let mut only = None;
    let spans = sampled_by(sampler.sampler(), || {
        let span = info_span!("only", otel.kind = "server").entered();
        info!("event");
        span.set_attribute("a", 1);
        drop(info_span!("child"));
        only = Some(context_of(&span));
    });
    let only = only.unwrap();
    assert!(!only.is_sampled());
    let child = spans.only();
    assert_eq!(child.parent_span_id, only.span_id().to_bytes());
    assert_eq!(child.trace_id, only.trace_id().to_bytes());
}

#[test]
fn spec_4_5_a_sampler_sees_parent_trace_name_kind_target_attributes_and_links() {
    let spy = Spy::always(Decision::RecordAndSample);
    let mut contexts = Vec::new();
    sampled_by(spy.sampler(), || {
        let linked = info_span!("linked");
        let root =
            info_span!(target: "shop", "root", otel.name = "named", otel.kind = "server", a = 1);
        root.record("a", 2);
        root.add_link(&caller(1, ""), []);
        root.follows_from(&linked);
        root.set_attribute("b", true);
        let entered = root.clone().entered();
        root.set_attribute("too late", true);
        let child = info_span!(
            "child",
            otel.kind = "client",
            text = "x",
            f = 0.5,
            late = Empty
        );
        contexts.extend([&linked, &root, &child].map(context_of));
        drop(entered);
    });
    let seen = spy.seen();
    assert_eq!(spy.names(), ["linked", "named", "child"]);
    let (root, child) = (&seen[1], &seen[2]);
    assert_eq!((root.kind, &*root.target), (SpanKind::Server, "shop"));
    assert_eq!(
        (&root.parent, root.trace_id),
        (&None, contexts[1].trace_id())
    );
    let of = |seen: &Seen, key: &str| {
        let found = seen.attributes.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.clone())
    };
    assert_eq!(of(root, "a"), Some(Value::from(2)));
    assert_eq!(of(root, "b"), Some(Value::from(true)));
    assert_eq!(of(root, "too late"), None);
    let links = [&caller(1, ""), &contexts[0]];
    assert_eq!(
        root.links,
        links.map(|link| (link.trace_id(), link.span_id()))
    );
    assert_eq!((child.kind, child.links.len()), (SpanKind::Client, 0));
    assert_eq!(child.target, module_path!());
    assert_eq!(child.parent.as_ref(), Some(&contexts[1]));
    assert_eq!(of(child, "text"), Some(Value::from("x")));
    assert_eq!(of(child, "f"), Some(Value::from(0.5)));
    assert_eq!(of(child, "late"), None);
    assert!(of(child, "code.line.number").is_some());
}

/// Whoever is last has the key, and it stands there once (which `support/layer/valid.rs` asserts too).
#[test]
fn spec_4_6_a_samplers_attributes_are_on_the_span() {
    for kind in [false, true] {
        let sampler = Spy::new(|_| {
            Sampling::from(Decision::RecordAndSample)
                .with_attribute("rule", "checkout")
                .with_attribute("given", 10)
                .with_attribute("late", 10)
                .with_attribute("set", 10)
                .with_attribute("", 10)
        });
        let spans = sampled_by(sampler.sampler(), || {
            let span = if kind {
                info_span!("span", otel.kind = "server", given = 1, late = Empty)
            } else {
                info_span!("span", given = 1, late = Empty)
            };
            let entered = span.clone().entered();
            span.record("late", 2);
            span.set_attribute("set", 2);
            drop(entered);
            let plain = info_span!(parent: None, "plain", late = Empty);
            plain.in_scope(|| {});
            plain.record("late", "text");
            plain.record("late", 3);
        });
        let span = spans.named("span");
        assert_eq!(span.value("rule"), text("checkout"));
        assert_eq!(span.value("given"), int(10), "the sampler's");
        assert_eq!((span.value("late"), span.value("set")), (int(2), int(2)));
        assert_eq!(span.own_keys().len(), 4, "{:?}", span.own_keys());
        assert_eq!(span.dropped_attributes_count, 0);
        assert_eq!(spans.named("plain").value("late"), int(3));
    }
}

#[test]
fn spec_4_6_a_samplers_tracestate_is_the_spans_and_an_empty_one_clears_it() {
    let state = |text| TraceState::parse(text).unwrap();
    for decision in ALL {
        let sampler = Spy::new(move |span| {
            let sampling = Sampling::from(decision);
            match span.name() {
                "sets" => sampling.with_trace_state(state("mine=1")),
                "clears" => sampling.with_trace_state(TraceState::default()),
                _ => sampling,
            }
        });
        let mut contexts = Vec::new();
        let spans = sampled_by(sampler.sampler(), || {
            for (name, kind) in [
                ("sets", "server"),
                ("clears", "client"),
                ("keeps", "producer"),
            ] {
                let remote = info_span!("span", otel.name = name, otel.kind = kind);
                remote.set_parent(caller(1, "vendor=1")).unwrap();
                let child = info_span!(parent: &remote, "child");
                contexts.extend([context_of(&remote), context_of(&child)]);
            }
            for name in ["sets", "clears", "keeps"] {
                let root = info_span!("span", otel.name = name);
                let child = info_span!(parent: &root, "child");
                let sets = info_span!(parent: &child, "sets");
                let clears = info_span!(parent: &sets, "clears");
                let below = info_span!(parent: &clears, "below");
                contexts.extend([&root, &child, &sets, &clears, &below].map(context_of));
            }
        });
        let states: Vec<_> = contexts
            .iter()
            .map(|span| span.trace_state().as_str())
            .collect();
        let expected = [
            ["mine=1", "mine=1", "", "", "vendor=1", "vendor=1"].as_slice(),
            &["mine=1", "mine=1", "mine=1", "", ""],
            &["", "", "mine=1", "", ""],
            &["", "", "mine=1", "", ""],
        ];
        assert_eq!(states, expected.concat(), "{decision:?}");
        for span in spans.iter() {
            let id = |context: &&SpanContext| context.span_id().to_bytes()[..] == span.span_id;
            assert_is(span, contexts.iter().find(id).unwrap());
        }
        assert_eq!(
            spans.len(),
            if decision == Decision::RecordAndSample {
                21
            } else {
                0
            }
        );
    }
}

/// Each of the five delegates answers with its name.
fn tagged() -> Sampler {
    let tag = |tag: &'static str| {
        let answer = move |span: &Candidate<'_>| {
            let decision = match span.name() {
                "drop" => Decision::Drop,
                _ => Decision::RecordAndSample,
            };
            Sampling::from(decision).with_attribute("asked", tag)
        };
        Spy::new(answer).sampler()
    };
    ParentBased::new(tag("root"))
        .with_remote_parent_sampled(tag("remote sampled"))
        .with_remote_parent_not_sampled(tag("remote not sampled"))
        .with_local_parent_sampled(tag("local sampled"))
        .with_local_parent_not_sampled(tag("local not sampled"))
        .into()
}

#[test]
fn spec_4_9_the_kind_of_parent_chooses_among_five_samplers() {
    let spans = sampled_by(tagged(), || {
        let root = info_span!("root");
        drop(info_span!(parent: &root, "local sampled"));
        let dropped = info_span!(parent: &root, "drop");
        drop(info_span!(parent: &dropped, "local not sampled"));
        for (flags, name) in [(1, "remote sampled"), (0, "remote not sampled")] {
            for kind in [false, true] {
                let span = if kind {
                    info_span!("span", otel.name = name, otel.kind = "server")
                } else {
                    info_span!("span", otel.name = name)
                };
                span.set_parent(caller(flags, "")).unwrap();
            }
            tracing_otlp::with_remote_parent(&caller(flags, "").into(), || {
                let remote = info_span!("span", otel.name = name).entered();
                drop(info_span!("local sampled"));
                drop(remote);
            });
        }
    });
    for span in spans.iter() {
        assert_eq!(span.value("asked"), text(&*span.name), "{}", span.name);
    }
    let count = |name| spans.all_named(name).len();
    assert_eq!(
        [
            count("root"),
            count("local sampled"),
            count("local not sampled")
        ],
        [1, 3, 1]
    );
    assert_eq!(
        [count("remote sampled"), count("remote not sampled")],
        [3, 3]
    );
}

/// The parent that is set may be a span of this process, as one that was created on another thread.
#[test]
fn spec_4_9_a_parent_of_this_process_that_is_set_is_a_local_one() {
    let spans = sampled_by(tagged(), || {
        let root = info_span!("root");
        for (parent, name) in [
            (&root, "local sampled"),
            (&info_span!("drop"), "local not sampled"),
        ] {
            let plain = info_span!("span", otel.name = name);
            plain.set_parent(context_of(parent)).unwrap();
            let server = info_span!("span", otel.name = name, otel.kind = "server");
            server.set_parent(context_of(parent)).unwrap();
            assert!(!context_of(&server).is_remote());
        }
    });
    assert_eq!(spans.len(), 5);
    for span in spans.iter() {
        assert_eq!(span.value("asked"), text(&*span.name), "{}", span.name);
        assert_eq!(span.flags & 0x300, 0x100);
    }
}
