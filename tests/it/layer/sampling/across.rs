//! What callers in other processes say of sampling, and what is said to those called.

use tracing::dispatcher::with_default;
use tracing::{Dispatch, Span, info_span};
use tracing_otlp::{
    Builder, Context, Propagator, Sampler, SpanContext, SpanExt, SpanId, extract, inject,
    with_remote_parent,
};
use tracing_subscriber::prelude::*;

use super::{assert_is, caller, context_of, sampled_by, text};
use crate::support::layer::{Attributed, Pipeline, Spans, record, record_with};

type Headers = Vec<(String, String)>;

fn headers(pairs: &[(&str, &str)]) -> Headers {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn injected(span: &Span) -> Headers {
    let mut carrier = Headers::new();
    inject(span, &mut carrier);
    carrier
}

#[test]
fn spec_6_4_of_the_flags_a_child_has_random_as_received_and_no_undefined_one() {
    for flags in 0..=u8::MAX {
        let spans = record(|| {
            let server = info_span!("server", otel.kind = "server");
            server.set_parent(caller(flags, "")).unwrap();
            let client = info_span!(parent: &server, "client");
            for span in [&server, &client] {
                assert_eq!(context_of(span).flags().bits(), flags & 3);
                let header = span.traceparent().unwrap();
                assert!(header.ends_with(&format!("-{:02x}", flags & 3)), "{header}");
                assert_eq!(injected(span)[0].1, header);
            }
        });
        for span in spans.iter() {
            assert_eq!(span.flags & 0xFF, u32::from(flags & 3));
        }
        assert_eq!(spans.len(), if flags & 1 == 1 { 2 } else { 0 });
    }
}

#[test]
fn spec_6_19_children_inherit_the_tracestate_also_below_spans_that_are_not_recorded() {
    for flags in [0, 1] {
        let spans = record(|| {
            let server = info_span!("server");
            server.set_parent(caller(flags, "a=1,b=2")).unwrap();
            let _server = server.entered();
            let _child = info_span!("child").entered();
            let grandchild = info_span!("grandchild", otel.kind = "client");
            for span in [&Span::current(), &grandchild] {
                let context = context_of(span);
                assert_eq!(context.trace_state().as_str(), "a=1,b=2");
                let state = injected(span)
                    .into_iter()
                    .find(|(name, _)| name == "tracestate");
                assert_eq!(state.unwrap().1, "a=1,b=2");
            }
        });
        assert_eq!(spans.len(), if flags == 1 { 3 } else { 0 });
        for span in spans.iter() {
            assert_eq!(span.trace_state, "a=1,b=2");
        }
    }
}

#[test]
fn spec_7_13_bit_9_says_whether_the_parent_is_in_another_process() {
    let mut contexts = Vec::new();
    let spans = record(|| {
        let root = info_span!("root");
        let server = info_span!("server");
        server.set_parent(caller(1, "")).unwrap();
        let below = info_span!("below local");
        below.set_parent(context_of(&root)).unwrap();
        let child = info_span!(parent: &server, "child", otel.kind = "client");
        // A link tells of the context that it leads to, not of that one's parent.
        child.follows_from(&server);
        child.add_link(&context_of(&server), []);
        child.add_link(&caller(1, ""), []);
        child.add_link(&caller(0, ""), []);
        contexts.extend([&root, &server, &below, &child].map(context_of));
    });
    let flags = |name| spans.named(name).flags;
    assert_eq!([flags("root"), flags("below local")], [0x103, 0x103]);
    assert_eq!([flags("server"), flags("child")], [0x301, 0x101]);
    let links = &spans.named("child").links;
    let links: Vec<_> = links.iter().map(|link| link.flags).collect();
    assert_eq!(links, [0x101, 0x101, 0x301, 0x300]);
    assert!(contexts.iter().all(|context| !context.is_remote()));
}

/// A link to a span of this process that is not recorded tells that it is not sampled.
#[test]
fn spec_7_13_a_link_to_a_span_that_is_not_sampled_says_so() {
    let mut to = None;
    let spans = record(|| {
        let dropped = info_span!("dropped");
        dropped.set_parent(caller(0, "")).unwrap();
        let linking = info_span!("linking");
        linking.follows_from(&dropped);
        to = Some(context_of(&dropped));
    });
    let [link] = &spans.only().links[..] else {
        panic!("one link");
    };
    assert_eq!(link.span_id, to.unwrap().span_id().to_bytes());
    assert_eq!(link.flags, 0x100);
}

/// What a server with B3 and this sampler makes of a request: its span, a child, and what it sends on from the child.
struct Served {
    server: SpanContext,
    sent: Headers,
    spans: Spans,
}

fn serve(
    form: Propagator,
    sampler: Sampler,
    request: &Headers,
    kind: bool,
    attach: bool,
) -> Served {
    let (layer, pipeline) =
        Pipeline::with(|builder| builder.with_propagators([form]).with_sampler(sampler));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let serve = |set: &dyn Fn(&Span)| {
        let server = if kind {
            info_span!("server", otel.kind = "server")
        } else {
            info_span!("server")
        };
        set(&server);
        let child = server.in_scope(|| info_span!("child", otel.kind = "client"));
        (context_of(&server), injected(&child), context_of(&child))
    };
    let (server, sent, child) = with_default(&dispatch, || {
        let context = extract(request);
        if attach {
            with_remote_parent(&context, || serve(&|_| {}))
        } else {
            serve(&|server| server.set_parent(context.clone()).unwrap())
        }
    });
    drop(dispatch);
    assert_eq!(child.trace_id(), server.trace_id());
    assert_eq!(child.is_sampled(), server.is_sampled());
    let spans = pipeline.spans();
    assert_eq!(spans.len(), if server.is_sampled() { 2 } else { 0 });
    if server.is_sampled() {
        assert_is(spans.named("server"), &server);
        assert_is(spans.named("child"), &child);
        spans.named("child").assert_child_of(spans.named("server"));
    }
    Served {
        server,
        sent,
        spans,
    }
}

/// In each way, under a sampler that would sample a root and under one that would not.
fn each_way(request: &[(&str, &str)], check: impl Fn(bool, Served, &str)) {
    let form = if request.iter().any(|(name, _)| *name == "b3") {
        Propagator::B3
    } else {
        Propagator::B3Multi
    };
    for (samples, kind, attach) in (0..8).map(|bits| (bits & 1 == 1, bits & 2 == 2, bits & 4 == 4))
    {
        let root = if samples {
            Sampler::always_on()
        } else {
            Sampler::always_off()
        };
        let sampler = Sampler::parent_based(root);
        let case = format!("{request:?}, samples {samples}, kind {kind}, attached {attach}");
        let served = serve(form, sampler, &headers(request), kind, attach);
        check(samples, served, &case);
    }
}

const TRACE: &str = "0101010101010101";
const B3_TRACE: &str = "01010101010101010101010101010101";
const B3_SPAN: &str = "0202020202020202";

#[track_caller]
fn assert_below_caller(served: &Served, case: &str) {
    let remote = caller(1, "");
    assert_eq!(served.server.trace_id(), remote.trace_id(), "{case}");
    for span in served.spans.iter() {
        assert_ne!(span.span_id, remote.span_id().to_bytes(), "{case}");
    }
    assert_ne!(
        served.server.span_id(),
        remote.span_id(),
        "never reused: {case}"
    );
    if served.server.is_sampled() {
        let server = served.spans.named("server");
        assert_eq!(server.parent_span_id, remote.span_id().to_bytes(), "{case}");
        assert_eq!(server.flags & 0x300, 0x300, "{case}");
    }
}

fn sent<'h>(served: &'h Served, name: &str) -> Option<&'h str> {
    let found = served
        .sent
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| &**value)
}

#[test]
fn spec_6_17_b3_says_sampled_or_not() {
    let single = |state: &str| format!("{B3_TRACE}-{B3_SPAN}-{state}");
    for (state, expected) in [("1", true), ("0", false)] {
        each_way(&[("b3", &single(state))], |_, served, case| {
            assert_below_caller(&served, case);
            assert_eq!(served.server.is_sampled(), expected, "{case}");
            let header = sent(&served, "b3").unwrap();
            assert!(
                header.starts_with(B3_TRACE) && header.ends_with(&format!("-{state}")),
                "{header}"
            );
        });
        let multi = [
            ("X-B3-TraceId", B3_TRACE),
            ("X-B3-SpanId", B3_SPAN),
            ("X-B3-Sampled", state),
        ];
        each_way(&multi, |_, served, case| {
            assert_below_caller(&served, case);
            assert_eq!(sent(&served, "x-b3-sampled"), Some(state), "{case}");
            assert_eq!(sent(&served, "x-b3-traceid"), Some(B3_TRACE), "{case}");
            assert_ne!(sent(&served, "x-b3-spanid"), Some(B3_SPAN), "{case}");
            assert_eq!(sent(&served, "x-b3-parentspanid"), None, "{case}");
        });
    }
}

#[test]
fn spec_6_17_b3_debug_is_sampled_whatever_the_sampler_says_and_passed_on() {
    each_way(
        &[("b3", &format!("{B3_TRACE}-{B3_SPAN}-d"))],
        |_, served, case| {
            assert_below_caller(&served, case);
            assert!(served.server.is_sampled(), "{case}");
            assert!(sent(&served, "b3").unwrap().ends_with("-d"), "{case}");
        },
    );
    let multi = [
        ("X-B3-TraceId", B3_TRACE),
        ("X-B3-SpanId", B3_SPAN),
        ("X-B3-Flags", "1"),
    ];
    each_way(&multi, |_, served, case| {
        assert_below_caller(&served, case);
        assert!(served.server.is_sampled(), "{case}");
        assert_eq!(sent(&served, "x-b3-flags"), Some("1"), "{case}");
        assert_eq!(sent(&served, "x-b3-sampled"), None, "{case}");
    });
}

#[test]
fn spec_6_17_a_64_bit_trace_id_is_padded() {
    each_way(
        &[("b3", &format!("{TRACE}-{B3_SPAN}-1"))],
        |_, served, case| {
            let expected = format!("{}{TRACE}", "0".repeat(16));
            assert_eq!(served.server.trace_id().to_string(), expected, "{case}");
            assert_ne!(
                Some(served.server.span_id()),
                SpanId::from_bytes([2; 8]),
                "{case}"
            );
        },
    );
}

/// Who defers is a parent, but leaves the decision to whoever is asked as of a root.
#[test]
fn b3_that_defers_leaves_the_decision_to_the_sampler() {
    each_way(
        &[("b3", &format!("{B3_TRACE}-{B3_SPAN}"))],
        |samples, served, case| {
            assert_below_caller(&served, case);
            assert_eq!(served.server.is_sampled(), samples, "{case}");
            // We have decided.
            let state = if samples { "-1" } else { "-0" };
            assert!(sent(&served, "b3").unwrap().ends_with(state), "{case}");
        },
    );
    let multi = [("X-B3-TraceId", B3_TRACE), ("X-B3-SpanId", B3_SPAN)];
    each_way(&multi, |samples, served, case| {
        assert_below_caller(&served, case);
        let state = if samples { "1" } else { "0" };
        assert_eq!(sent(&served, "x-b3-sampled"), Some(state), "{case}");
    });
}

#[test]
fn b3_that_denies_alone_begins_a_trace_that_is_not_sampled() {
    for request in [("b3", "0"), ("X-B3-Sampled", "0")] {
        each_way(&[request], |_, served, case| {
            assert_ne!(served.server.trace_id(), caller(1, "").trace_id());
            assert!(!served.server.is_sampled(), "{case}");
            assert!(sent(&served, "b3").is_none_or(|header| header.ends_with("-0")));
            assert!(sent(&served, "x-b3-sampled").is_none_or(|header| header == "0"));
            assert!(!served.sent.is_empty(), "{case}");
        });
    }
}

/// "Debug implies an accept decision" (B3).
#[test]
fn b3_with_debug_alone_begins_a_trace_that_is_sampled() {
    for request in [("b3", "d"), ("X-B3-Flags", "1")] {
        each_way(&[request], |_, served, case| {
            assert!(served.server.is_sampled(), "{case}");
            served.spans.named("server").assert_root();
            assert!(
                sent(&served, "b3").is_none_or(|header| header.ends_with("-d")),
                "{case}"
            );
            assert!(
                sent(&served, "x-b3-flags").is_none_or(|header| header == "1"),
                "{case}"
            );
        });
    }
}

/// A sampler that is asked in full of a caller that denies is not bound to it, but the span is whole either way.
#[test]
fn b3_that_denies_alone_leaves_it_to_a_sampler_that_ignores_parents() {
    for kind in [false, true] {
        let served = serve(
            Propagator::B3,
            super::Spy::always(super::Decision::RecordAndSample).sampler(),
            &headers(&[("b3", "0")]),
            kind,
            false,
        );
        assert!(served.server.is_sampled());
        served.spans.named("server").assert_root();
    }
}

#[test]
fn spec_6_21_a_disabled_pipeline_passes_on_what_it_received_in_its_own_forms() {
    let disabled = |builder: Builder| {
        builder
            .with_disabled(true)
            .with_propagators([Propagator::B3, Propagator::B3])
    };
    let request = headers(&[("b3", &format!("{B3_TRACE}-{B3_SPAN}-1"))]);
    let spans = record_with(disabled, || {
        let context = extract(&request);
        assert_eq!(context, Context::from(caller(1, "")));
        let span = info_span!("span");
        assert!(span.set_parent(context.clone()).unwrap_err().is_disabled());
        with_remote_parent(&context, || {
            let span = info_span!("span", otel.kind = "client").entered();
            let inner = info_span!("inner");
            assert_eq!(inner.context(), context);
            assert_eq!(injected(&inner), request, "each form once");
            assert_eq!(injected(&span), request);
        });
    });
    assert_eq!(spans.len(), 0);
}

#[test]
fn a_tracestate_of_a_sampler_goes_to_those_who_are_called() {
    let spy = super::Spy::new(|span| {
        let state = span.parent().map(|parent| parent.trace_state().clone());
        let state = state.unwrap_or_default().insert("mine", "1").unwrap();
        super::Sampling::from(super::Decision::Drop).with_trace_state(state)
    });
    let spans = sampled_by(spy.sampler(), || {
        let server = info_span!("server", otel.kind = "server");
        server.set_parent(caller(1, "vendor=1")).unwrap();
        let sent = injected(&server);
        assert!(sent[0].1.ends_with("-00"), "{sent:?}");
        assert_eq!(
            sent[1],
            ("tracestate".to_owned(), "mine=1,vendor=1".to_owned())
        );
    });
    assert_eq!(spans.len(), 0);
    let spans = sampled_by(super::tagged(), || drop(info_span!("root")));
    assert_eq!(spans.only().value("asked"), text("root"));
}
