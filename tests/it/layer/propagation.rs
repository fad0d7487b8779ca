//! Contexts between processes: when a parent may be set, what a span passes on, and what roots are below.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Poll, Waker};

use tracing::dispatcher::with_default;
use tracing::field::Empty;
use tracing::{Dispatch, Span, debug_span, info, info_span};
use tracing_otlp::{
    Builder, Context, Extractor, Injector, Propagator, Sampler, SpanContext, SpanExt, SpanId,
    TraceFlags, TraceId, TraceState, extract, inject, with_remote_parent, with_remote_parent_async,
};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

use crate::support::layer::{Attributed, Everything, Pipeline, Spans, int, record, record_with};

/// Headers, in their order.
#[derive(Debug, Default, PartialEq)]
struct Headers(Vec<(String, String)>);

impl Headers {
    fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }

    fn value(&self, key: &str) -> Option<&str> {
        let pair = self
            .0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(key));
        pair.map(|(_, value)| &**value)
    }
}

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        self.value(key).map(Cow::Borrowed)
    }

    fn keys(&self) -> Vec<Cow<'_, str>> {
        self.0
            .iter()
            .map(|(key, _)| Cow::Borrowed(&**key))
            .collect()
    }
}

impl Injector for Headers {
    fn set(&mut self, key: &str, value: &str) {
        self.0.push((key.to_owned(), value.to_owned()));
    }
}

fn caller(flags: TraceFlags) -> SpanContext {
    SpanContext::remote(
        TraceId::from_bytes([1; 16]).unwrap(),
        SpanId::from_bytes([2; 8]).unwrap(),
        flags,
        TraceState::parse("vendor=1").unwrap(),
    )
}

fn sampled() -> Context {
    caller(TraceFlags::SAMPLED).into()
}

/// What may start a span before its parent is set.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    Attribute,
    Enter,
    Child,
    Event,
    OwnEvent,
    Context,
    Inject,
    Link,
}

impl Before {
    const ALL: [Self; 9] = [
        Self::Nothing,
        Self::Attribute,
        Self::Enter,
        Self::Child,
        Self::Event,
        Self::OwnEvent,
        Self::Context,
        Self::Inject,
        Self::Link,
    ];

    /// What the span says of itself meanwhile, if it was asked.
    fn happens(self, span: &Span) -> Option<Context> {
        match self {
            Self::Nothing => {}
            Self::Attribute => {
                span.set_attribute("a", 1);
                span.add_link(&caller(TraceFlags::SAMPLED), []);
                span.update_name("span");
            }
            Self::Enter => drop(span.enter()),
            Self::Child => drop(info_span!(parent: span, "child")),
            Self::Event => info!(parent: span, "event"),
            Self::OwnEvent => span.add_event("event", []),
            Self::Context => return Some(span.context()),
            Self::Inject => {
                let mut headers = Headers::default();
                inject(span, &mut headers);
                let context = extract(&headers);
                assert!(context.span().is_some(), "{headers:?}");
                return Some(context);
            }
            Self::Link => drop(info_span!("linking").follows_from(span)),
        }
        None
    }

    fn starts(self) -> bool {
        !matches!(self, Self::Nothing | Self::Attribute)
    }
}

/// Whoever set a parent in time is linked to it, and whoever was too late is left as it was: one trace either way.
fn set_parent_after(before: Before, parent: &Context, kind: bool, hide: bool) {
    let case = format!("{before:?}, {parent:?}, kind {kind}, hidden {hide}");
    let (layer, pipeline) = Pipeline::new();
    let base = tracing_subscriber::registry();
    let dispatch = if hide {
        Dispatch::new(base.with(reload::Layer::new(layer).0))
    } else {
        Dispatch::new(base.with(layer))
    };
    let mut ids = None;
    let mut is_set = false;
    with_default(&dispatch, || {
        let span = if kind {
            info_span!("span", otel.kind = "server")
        } else {
            info_span!("span")
        };
        let seen = before.happens(&span);
        let result = span.set_parent(parent.clone());
        is_set = result.is_ok();
        if let Err(error) = result {
            assert!(error.is_started() && before.starts(), "{case}: {error}");
        }
        let context = span.context();
        if let Some(seen) = seen {
            let ids = |context: &Context| {
                let span = context.span().unwrap();
                (span.trace_id(), span.span_id(), span.flags())
            };
            assert_eq!(ids(&seen), ids(&context), "{case}");
        }
        ids = context.span().cloned();
        drop(info_span!(parent: &span, "child afterwards"));
        assert!(span.set_parent(parent.clone()).is_err() || parent.span().is_none());
    });
    drop(dispatch);
    let ids = ids.unwrap();
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.dropped(), 0, "{case}");
    let linked = is_set && parent.span().is_some();
    assert_eq!(
        linked,
        parent.span().is_some() && !before.starts(),
        "{case}"
    );
    if let Some(parent) = parent.span().filter(|_| linked) {
        assert_eq!(ids.trace_id(), parent.trace_id(), "{case}");
        assert_eq!(ids.trace_state(), parent.trace_state(), "{case}");
        assert_eq!(ids.is_sampled(), parent.is_sampled(), "{case}");
        if !parent.is_sampled() {
            return assert_eq!(spans.len(), 0, "{case}");
        }
    }
    one_trace(&spans, &ids, &case);
    let span = spans.named("span");
    match parent.span().filter(|_| linked) {
        None => assert!(
            span.parent_span_id.is_empty() && span.flags & 0x200 == 0,
            "{case}"
        ),
        Some(parent) => {
            assert_eq!(span.parent_span_id, parent.span_id().to_bytes(), "{case}");
            assert_eq!(span.trace_state, parent.trace_state().as_str(), "{case}");
            assert_eq!(span.flags & 0x301, 0x301, "{case}");
        }
    }
}

#[track_caller]
fn one_trace(spans: &Spans, ids: &SpanContext, case: &str) {
    for span in spans.iter().filter(|span| span.name != "linking") {
        assert_eq!(
            span.trace_id,
            ids.trace_id().to_bytes(),
            "{case}: {}",
            span.name
        );
        if span.name.starts_with("child") {
            assert_eq!(span.parent_span_id, ids.span_id().to_bytes(), "{case}");
        }
    }
    let linking = spans.iter().find(|span| span.name == "linking");
    if let Some([link]) = linking.map(|span| &span.links[..]) {
        assert_eq!(link.trace_id, ids.trace_id().to_bytes(), "{case}");
    }
}

fn matrix(parent: &Context) {
    for before in Before::ALL {
        for kind in [false, true] {
            for hide in [false, true] {
                set_parent_after(before, parent, kind, hide);
            }
        }
    }
}

#[test]
fn a_sampled_parent_is_set_in_time_or_not_at_all() {
    matrix(&sampled());
}

#[test]
fn an_unsampled_parent_is_set_in_time_or_not_at_all() {
    matrix(&caller(TraceFlags::new(0)).into());
}

#[test]
fn what_a_span_was_told_before_it_was_sampled_counts_as_dropped() {
    let spans = record_with(
        |builder| builder.with_sampler(Sampler::parent_based(Sampler::always_off())),
        || {
            let span = info_span!("span", a = 1, b = Empty, c = Empty, otel.name = "named");
            span.record("b", 1);
            span.set_parent(sampled()).unwrap();
            span.record("c", 1);
        },
    );
    let span = spans.only();
    assert_eq!((span.own_keys().len(), span.value("c")), (1, int(1)));
    assert_eq!(
        span.dropped_attributes_count, 2,
        "at its creation, and before it had a parent"
    );
}

#[test]
fn an_empty_parent_changes_nothing() {
    matrix(&Context::default());
}

#[test]
fn a_parent_with_the_debug_flag_is_set_in_time_or_not_at_all() {
    let headers = Headers::of(&[("b3", "01010101010101010101010101010101-0202020202020202-d")]);
    let b3 = |builder: Builder| builder.with_propagators([Propagator::B3]);
    let (layer, _pipeline) = Pipeline::with(b3);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let parent = with_default(&dispatch, || extract(&headers));
    assert!(parent.span().is_some());
    matrix(&parent);
}

#[test]
fn a_parent_that_cannot_be_read_is_none() {
    for traceparent in [
        "",
        "00",
        "00-0-0-00",
        &format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16)),
    ] {
        let spans = record(|| {
            let span = info_span!("span");
            span.set_parent(extract(&Headers::of(&[("traceparent", traceparent)])))
                .unwrap();
        });
        spans.only().assert_root();
    }
}

#[test]
fn what_is_injected_is_extracted() {
    let spans = record(|| {
        let mut headers = Headers::default();
        let client = info_span!("client");
        inject(&client, &mut headers);
        assert_eq!(
            headers.value("traceparent"),
            client.traceparent().as_deref()
        );
        let server = info_span!(parent: None, "server");
        server.set_parent(extract(&headers)).unwrap();
    });
    spans.named("server").assert_child_of(spans.named("client"));
}

/// Each way to hide the layer, and none.
fn everywhere(work: impl Fn()) -> Vec<Spans> {
    let ways: [fn(tracing_otlp::OtlpLayer) -> Dispatch; 4] = [
        |layer| Dispatch::new(base().with(layer)),
        |layer| Dispatch::new(base().with(layer.with_filter(LevelFilter::INFO))),
        |layer| Dispatch::new(base().with(Some(reload::Layer::new(layer).0))),
        |layer| {
            let layer = reload::Layer::new(layer).0.with_filter(LevelFilter::INFO);
            Dispatch::new(base().with(vec![layer.boxed()]))
        },
    ];
    fn base() -> tracing_subscriber::layer::Layered<Everything, tracing_subscriber::Registry> {
        tracing_subscriber::registry().with(Everything)
    }
    let run = |way: fn(tracing_otlp::OtlpLayer) -> Dispatch| {
        let (layer, pipeline) = Pipeline::new();
        with_default(&way(layer), &work);
        pipeline.spans()
    };
    ways.into_iter().map(run).collect()
}

#[test]
fn roots_are_below_a_remote_parent() {
    let check = everywhere(|| {
        with_remote_parent(&sampled(), || {
            let root = info_span!("root").entered();
            drop(info_span!("child"));
            drop(root);
            drop(info_span!(parent: None, "another root"));
            with_remote_parent(&Context::default(), || drop(info_span!("alone")));
        });
        drop(info_span!("outside"));
    });
    for spans in check {
        for root in ["root", "another root"] {
            let span = spans.named(root);
            assert_eq!(
                (&*span.trace_id, &*span.parent_span_id),
                (&[1; 16][..], &[2; 8][..])
            );
            assert_eq!(
                (&*span.trace_state, span.flags & 0x200),
                ("vendor=1", 0x200)
            );
        }
        spans.named("child").assert_child_of(spans.named("root"));
        spans.named("alone").assert_root();
        spans.named("outside").assert_root();
    }
}

#[test]
fn roots_below_an_unsampled_remote_parent_are_not_recorded() {
    let unsampled = Context::from(caller(TraceFlags::new(0)));
    let spans = record(|| {
        with_remote_parent(&unsampled, || {
            let span = info_span!("root");
            assert_eq!(
                span.context().span().unwrap().trace_id(),
                unsampled.span().unwrap().trace_id()
            );
            drop(info_span!(parent: &span, "child"));
        });
    });
    assert_eq!(spans.len(), 0);
}

/// 3.15: the parent's context is passed on, by whatever does not record.
#[test]
fn spec_3_15_without_a_layer_the_parents_context_is_passed_on() {
    let passed_on = || {
        let headers = Headers::of(&[
            (
                "traceparent",
                "00-01010101010101010101010101010101-0202020202020202-01",
            ),
            ("tracestate", "vendor=1"),
        ]);
        let received = extract(&headers);
        assert_eq!(received, sampled());
        with_remote_parent(&received, || {
            for span in [info_span!("span"), Span::none(), Span::current()] {
                assert_eq!(span.context(), received);
                let mut sent = Headers::default();
                inject(&span, &mut sent);
                assert_eq!(sent, headers);
            }
        });
        assert_eq!(Span::none().context(), Context::default());
    };
    passed_on();
    let other = tracing_subscriber::registry().with(Everything);
    with_default(&Dispatch::new(other), passed_on);
}

#[test]
fn a_disabled_span_passes_on_what_it_stands_in() {
    let remote = sampled();
    everywhere(|| {
        with_remote_parent(&remote, || {
            // Where nothing is hidden, it is recorded.
            let hidden = debug_span!(parent: None, "hidden");
            let span = hidden.context();
            assert_eq!(
                span.span().unwrap().trace_id(),
                remote.span().unwrap().trace_id()
            );
            // Nothing is current.
            assert_eq!(Span::none().context(), remote);
            let root = info_span!("root").entered();
            assert_eq!(Span::none().context(), root.context());
            let mut headers = Headers::default();
            inject(&Span::none(), &mut headers);
            assert_eq!(headers.value("traceparent"), root.traceparent().as_deref());
        });
    });
}

/// 6.13: there is no global propagator, and the default ones hold where there is no pipeline.
#[test]
fn spec_6_13_the_propagators_are_those_of_the_pipeline() {
    let headers = Headers::of(&[(
        "traceparent",
        "00-01010101010101010101010101010101-0202020202020202-01",
    )]);
    let without = extract(&headers);
    assert_eq!(
        without.span(),
        Some(&SpanContext::remote(
            TraceId::from_bytes([1; 16]).unwrap(),
            SpanId::from_bytes([2; 8]).unwrap(),
            TraceFlags::SAMPLED,
            TraceState::default(),
        ))
    );
    everywhere(|| {
        assert_eq!(extract(&headers), without);
        let span = info_span!("span");
        let (mut inside, mut outside) = (Headers::default(), Headers::default());
        inject(&span, &mut inside);
        with_default(&Dispatch::none(), || inject(&span, &mut outside));
        assert_eq!(inside, outside, "those of the span's own pipeline");
    });
}

#[test]
fn a_future_is_below_a_remote_parent_on_every_poll() {
    let spans = record(|| {
        let mut polls = 0;
        let inner = poll_fn(|_| {
            drop(info_span!("root", polls));
            polls += 1;
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        let mut future = pin!(with_remote_parent_async(sampled(), inner));
        let mut task = std::task::Context::from_waker(Waker::noop());
        while future.as_mut().poll(&mut task).is_pending() {
            drop(info_span!("between"));
        }
    });
    for span in spans.all_named("root") {
        assert_eq!(span.parent_span_id, [2; 8], "{:?}", span.value("polls"));
    }
    assert_eq!(spans.all_named("root")[2].value("polls"), int(2));
    spans
        .all_named("between")
        .iter()
        .for_each(|span| span.assert_root());
}

#[test]
fn work_that_panics_leaves_no_remote_parent() {
    let spans = record(|| {
        let panics = || with_remote_parent(&sampled(), || panic!("work of the test panics"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        drop(info_span!("outside"));
    });
    spans.only().assert_root();
}

/// A carrier may record, and ask in turn.
#[test]
fn carriers_may_record() {
    struct Recording(Headers);
    impl Injector for Recording {
        fn set(&mut self, key: &str, value: &str) {
            let span = info_span!("in the carrier").entered();
            inject(&span, &mut Headers::default());
            info!("set");
            self.0.set(key, value);
        }
    }
    let all = everywhere(|| {
        let span = info_span!("span").entered();
        let mut carrier = Recording(Headers::default());
        inject(&span, &mut carrier);
        assert_eq!(
            carrier.0.value("traceparent"),
            span.traceparent().as_deref()
        );
    });
    for spans in all {
        assert!(!spans.all_named("in the carrier").is_empty());
        assert!(spans.named("span").event_names().is_empty());
    }
}

#[test]
fn spec_6_3_a_caller_is_passed_on_with_all_its_flags_also_as_a_text() {
    with_remote_parent(&caller(TraceFlags::new(0xFF)).into(), || {
        let mut headers = Headers::default();
        let nothing = Span::none();
        inject(&nothing, &mut headers);
        let traceparent = nothing.traceparent();
        assert!(
            traceparent
                .as_ref()
                .is_some_and(|text| text.ends_with("-ff"))
        );
        assert_eq!(headers.value("traceparent"), traceparent.as_deref());
    });
}
