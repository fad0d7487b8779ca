use super::*;
use crate::context::{Propagator, Propagators};

const TRACE: &str = "463ac35c9f6413ad48485a3953bb6124";
const SPAN: &str = "0020000000000001";

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn read(pairs: &[(&str, &str)]) -> Context {
    extract(Context::default(), &headers(pairs))
}

/// Trace id, span id, sampled, debug.
fn told(context: &Context) -> Option<(String, String, bool, bool)> {
    let span = context.span()?;
    assert!(span.is_remote());
    let ids = (span.trace_id().to_string(), span.span_id().to_string());
    Some((ids.0, ids.1, span.is_sampled(), context.is_debug()))
}

fn expected(sampled: bool, debug: bool) -> Option<(String, String, bool, bool)> {
    Some((TRACE.to_owned(), SPAN.to_owned(), sampled, debug))
}

fn single(context: &Context) -> Vec<(String, String)> {
    let mut carrier = Vec::new();
    inject_single(context, &mut carrier);
    carrier
}

fn multi(context: &Context) -> Vec<(String, String)> {
    let mut carrier = Vec::new();
    inject_multi(context, &mut carrier);
    carrier
}

#[test]
fn spec_6_17_both_forms_are_read_and_the_single_header_goes_first() {
    let ids = [
        ("X-B3-TraceId", TRACE),
        ("x-b3-spanid", SPAN),
        ("X-B3-Sampled", "1"),
    ];
    assert_eq!(told(&read(&ids)), expected(true, false));
    let other = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0";
    let both = [ids[0], ids[1], ids[2], ("b3", other)];
    let (trace, ..) = told(&read(&both)).unwrap();
    assert_eq!(trace, "80f198ee56343ba864fe8b2a57d3eff7");
    let wrong = [ids[0], ids[1], ids[2], ("b3", "?")];
    assert_eq!(told(&read(&wrong)), expected(true, false));
}

#[test]
fn spec_6_17_the_single_header_has_ids_a_state_and_a_parent_that_is_not_used() {
    let (ids, parent) = (format!("{TRACE}-{SPAN}"), "05e3ac9a4f6e3b90");
    let cases = [
        ("-1".to_owned(), true, false),
        ("-0".to_owned(), false, false),
        ("-d".to_owned(), true, true),
        (String::new(), false, false),
        (format!("-1-{parent}"), true, false),
        (format!("-d-{parent}"), true, true),
    ];
    for (rest, sampled, debug) in cases {
        let text = format!("{ids}{rest}");
        assert_eq!(
            told(&read(&[("b3", &text)])),
            expected(sampled, debug),
            "{text}"
        );
    }
    let wrong = [
        format!("{ids}-"),
        format!("{ids}-2"),
        format!("{ids}-true"),
        format!("{ids}-{parent}"),
        format!("{ids}-1-"),
        format!("{ids}-1-{parent}-"),
        format!("{}-{SPAN}-1-{parent}-", &TRACE[16..]),
        format!("{ids}-1-{}", &parent[1..]),
        format!("{TRACE}-0000000000000000-1"),
        format!("{}-{SPAN}-1", "0".repeat(32)),
        format!("{}-{SPAN}-1", TRACE.to_uppercase()),
        format!("{}-{SPAN}-1", &TRACE[1..]),
        format!("{TRACE}-{}-1", &SPAN[1..]),
        format!(" {ids}-1"),
        format!("{ids}-1{}", " ".repeat(1 << 16)),
        TRACE.to_owned(),
        "-".to_owned(),
        String::new(),
    ];
    for text in wrong {
        assert_eq!(read(&[("b3", &text)]), Context::default(), "{text}");
    }
}

#[test]
fn spec_6_17_several_headers_are_read_strictly() {
    let cases = [
        (("X-B3-Sampled", "0"), false, false),
        (("X-B3-Sampled", "false"), false, false),
        (("X-B3-Sampled", "true"), true, false),
        (("X-B3-Flags", "1"), true, true),
        (("X-B3-Flags", "0"), false, false),
        (("X-B3-ParentSpanId", "any"), false, false),
    ];
    for (more, sampled, debug) in cases {
        let context = read(&[("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN), more]);
        assert_eq!(told(&context), expected(sampled, debug), "{more:?}");
    }
    let wrong: [&[(&str, &str)]; 4] = [
        &[("X-B3-TraceId", TRACE)],
        &[("X-B3-SpanId", SPAN), ("X-B3-Sampled", "1")],
        &[("X-B3-TraceId", TRACE), ("X-B3-SpanId", "1")],
        &[
            ("X-B3-TraceId", TRACE),
            ("X-B3-SpanId", SPAN),
            ("X-B3-Sampled", "yes"),
        ],
    ];
    for headers in wrong {
        assert_eq!(read(headers), Context::default(), "{headers:?}");
    }
}

#[test]
fn spec_6_17_debug_is_passed_on_and_sampled_is_set() {
    let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
    let flagged = read(&[ids[0], ids[1], ("X-B3-Sampled", "0"), ("X-B3-Flags", "1")]);
    let d = read(&[("b3", &format!("{TRACE}-{SPAN}-d"))]);
    assert_eq!(flagged, d);
    assert!(d.is_debug() && d.span().unwrap().is_sampled());
    let child = d.span().unwrap().child(SpanId::random(), true);
    let below = d.clone().with_span(child);
    assert!(below.is_debug(), "it belongs to the trace");
    assert_eq!(single(&d), headers(&[("b3", &format!("{TRACE}-{SPAN}-d"))]));
    assert_eq!(multi(&d), headers(&[ids[0], ids[1], ("X-B3-Flags", "1")]));
    assert_eq!(
        d.with_debug(false),
        read(&[("b3", &format!("{TRACE}-{SPAN}-1"))])
    );
}

#[test]
fn spec_6_17_the_callers_span_id_is_never_a_span_of_ours() {
    let caller = read(&[("b3", &format!("{TRACE}-{SPAN}-1"))]);
    let caller = caller.span().unwrap();
    let own = caller.child(SpanId::random(), true);
    assert_ne!(own.span_id(), caller.span_id());
}

#[test]
fn spec_6_17_ids_of_64_bits_get_zeros_in_front() {
    let short = "48485a3953bb6124";
    let padded = format!("{}{short}", "0".repeat(16));
    let texts: [&[(&str, &str)]; 2] = [
        &[("b3", &format!("{short}-{SPAN}-1"))],
        &[
            ("X-B3-TraceId", short),
            ("X-B3-SpanId", SPAN),
            ("X-B3-Sampled", "1"),
        ],
    ];
    for headers in texts {
        assert_eq!(told(&read(headers)).unwrap().0, padded);
    }
}

#[test]
fn spec_6_18_the_single_header_or_several_as_configured_and_never_a_parent() {
    for (state, sampled) in [("1", true), ("0", false)] {
        let text = format!("{TRACE}-{SPAN}-{state}");
        let context = read(&[("b3", &text)]);
        assert_eq!(told(&context), expected(sampled, false));
        assert_eq!(single(&context), headers(&[("b3", &text)]));
        let several = [
            ("X-B3-TraceId", TRACE),
            ("X-B3-SpanId", SPAN),
            ("X-B3-Sampled", state),
        ];
        assert_eq!(multi(&context), headers(&several));
    }
    let context = read(&[("b3", &format!("{TRACE}-{SPAN}-1"))]);
    for (form, written) in [
        (Propagator::B3, single(&context)),
        (Propagator::B3Multi, multi(&context)),
    ] {
        let mut carrier = Vec::new();
        Propagators::new([form]).inject(&context, &mut carrier);
        assert_eq!(carrier, written);
        assert!(
            written
                .iter()
                .all(|(name, _)| form.fields().contains(&name.as_str()))
        );
    }
    assert_eq!(Propagator::B3.fields(), ["b3"]);
    assert!(
        !Propagator::B3Multi
            .fields()
            .iter()
            .any(|name| name.contains("Parent"))
    );
}

#[test]
fn a_decision_that_was_left_to_others_is_passed_on_and_counts_as_not_sampled() {
    let text = format!("{TRACE}-{SPAN}");
    let context = read(&[("b3", &text)]);
    assert!(context.is_deferred() && !context.span().unwrap().is_sampled());
    assert_eq!(single(&context), headers(&[("b3", &text)]));
    assert_eq!(
        multi(&context),
        headers(&[("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)])
    );
    let own = context.span().unwrap().child(SpanId::random(), false);
    assert!(!context.with_span(own).is_deferred(), "then it is decided");
}

#[test]
fn a_denial_alone_is_a_context_without_a_span_which_is_passed_on() {
    for denial in [
        ("b3", "0"),
        ("X-B3-Sampled", "0"),
        ("x-b3-sampled", "false"),
    ] {
        let context = read(&[denial]);
        assert!(
            context.span().is_none() && context.is_denied(),
            "{denial:?}"
        );
        assert_eq!(single(&context), headers(&[("b3", "0")]));
        assert_eq!(multi(&context), headers(&[("X-B3-Sampled", "0")]));
    }
    for debug in [("b3", "d"), ("X-B3-Flags", "1")] {
        let context = read(&[debug]);
        assert!(context.span().is_none() && context.is_debug(), "{debug:?}");
        assert_eq!(single(&context), headers(&[("b3", "d")]));
        assert_eq!(multi(&context), headers(&[("X-B3-Flags", "1")]));
    }
    for nothing in [("b3", "1"), ("X-B3-Sampled", "1"), ("b3", "")] {
        assert_eq!(read(&[nothing]), Context::default(), "{nothing:?}");
    }
    assert!(single(&Context::default()).is_empty() && multi(&Context::default()).is_empty());
}

#[test]
fn what_w3c_said_of_the_same_span_stays() {
    let w3c = |trace: &str| {
        let trace = TraceId::from_bytes(hex::read(trace.as_bytes()).unwrap()).unwrap();
        let span = SpanId::from_bytes(hex::read(SPAN.as_bytes()).unwrap()).unwrap();
        let state = TraceState::parse("a=1").unwrap();
        Context::from(SpanContext::remote(
            trace,
            span,
            TraceFlags::new(0x83),
            state,
        ))
    };
    let other = "0".repeat(31) + "1";
    let cases = [
        (TRACE, "-0", "a=1", 0x82, false),
        (TRACE, "-d", "a=1", 0x83, true),
        (TRACE, "", "a=1", 0x83, false),
        (&other, "-1", "", 0x01, false),
    ];
    for (trace, rest, state, flags, debug) in cases {
        let text = format!("{TRACE}-{SPAN}{rest}");
        let context = extract(w3c(trace), &headers(&[("b3", &text)]));
        let span = context.span().unwrap();
        assert_eq!(span.trace_id().to_string(), TRACE);
        assert_eq!(span.trace_state().as_str(), state);
        assert_eq!(span.flags().bits(), flags);
        assert_eq!((context.is_debug(), context.is_deferred()), (debug, false));
    }
    let context = extract(w3c(TRACE), &headers(&[("b3", "0")]));
    assert_eq!(
        context,
        w3c(TRACE),
        "a word alone is for a trace that begins here"
    );
}
