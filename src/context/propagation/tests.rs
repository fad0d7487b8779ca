use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::context::{EnvironmentCarrier, SpanContext, TraceFlags, TraceState};
use crate::id::{SpanId, TraceId};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0";

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn trace(context: &Context) -> String {
    context
        .span()
        .map(|span| span.trace_id().to_string())
        .unwrap_or_default()
}

#[test]
fn spec_6_11_what_cannot_be_read_is_no_error_and_leaves_what_was_read() {
    let all = Propagators::new(Propagator::ALL);
    assert_eq!(all.extract(&headers(&[])), Context::default());
    let bad = [
        ("traceparent", "?"),
        ("tracestate", "?"),
        ("baggage", "?"),
        ("b3", "?"),
    ];
    assert_eq!(all.extract(&headers(&bad)), Context::default());
    let some = [
        ("traceparent", TRACEPARENT),
        ("baggage", "a=1"),
        ("b3", "?"),
        ("X-B3-TraceId", "?"),
    ];
    let context = all.extract(&headers(&some));
    assert_eq!(
        context.span().map(SpanContext::traceparent).as_deref(),
        Some(TRACEPARENT)
    );
    assert_eq!(context.baggage().get("a"), Some("1"));
}

#[test]
fn spec_6_13_several_propagators_are_one_and_work_in_their_order() {
    let carrier = headers(&[
        ("traceparent", TRACEPARENT),
        ("b3", OTHER),
        ("baggage", "a=1"),
    ]);
    let extracted =
        |forms: &[Propagator]| Propagators::new(forms.iter().copied()).extract(&carrier);
    let w3c_last = extracted(&[Propagator::B3, Propagator::TraceContext]);
    assert_eq!(trace(&w3c_last), TRACEPARENT[3..35]);
    assert!(w3c_last.baggage().is_empty(), "nobody asked for it");
    let b3_last = extracted(&[
        Propagator::TraceContext,
        Propagator::Baggage,
        Propagator::B3Multi,
    ]);
    assert_eq!(trace(&b3_last), OTHER[..32]);
    assert_eq!(b3_last.baggage().get("a"), Some("1"));

    let mut written = Vec::new();
    let forms = Propagators::new([
        Propagator::B3,
        Propagator::Baggage,
        Propagator::TraceContext,
    ]);
    forms.inject(
        &w3c_last.with_baggage(Baggage::default().with("b", "2")),
        &mut written,
    );
    let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b3", "baggage", "traceparent"]);
    assert_eq!(
        forms.fields().collect::<Vec<_>>(),
        ["b3", "baggage", "traceparent", "tracestate"]
    );
}

/// A global propagator, which the row asks for too, is not there: what is configured belongs to a pipeline.
#[test]
fn spec_6_13_without_propagators_nothing_is_read_or_written() {
    let none = Propagators::new([]);
    let carrier = headers(&[
        ("traceparent", TRACEPARENT),
        ("b3", OTHER),
        ("baggage", "a=1"),
    ]);
    assert_eq!(none.extract(&carrier), Context::default());
    let mut written = Vec::new();
    none.inject(&Propagators::default().extract(&carrier), &mut written);
    assert!(written.is_empty());
    assert_eq!(none.to_string(), "none");
}

#[test]
fn spec_6_14_trace_context_baggage_and_b3_are_there() {
    let names = Propagator::ALL.map(Propagator::name);
    assert_eq!(names, ["tracecontext", "baggage", "b3", "b3multi"]);
    assert_eq!(Propagators::default().to_string(), "tracecontext,baggage");
}

#[test]
fn spec_6_18_fields_are_the_headers_that_are_written() {
    let span = Propagators::default().extract(&headers(&[
        ("traceparent", TRACEPARENT),
        ("tracestate", "a=1"),
    ]));
    let context = span.with_baggage(Baggage::default().with("a", "1"));
    for form in Propagator::ALL {
        for context in [context.clone(), context.clone().with_debug(true)] {
            let mut written = Vec::new();
            form.inject(&context, &mut written);
            assert!(!written.is_empty());
            for (name, value) in written {
                assert!(form.fields().contains(&name.as_str()), "{name}");
                assert!(!value.is_empty());
            }
        }
    }
}

#[test]
fn spec_6_20_a_child_process_reads_what_its_parent_wrote() {
    let pairs = [
        ("traceparent", TRACEPARENT),
        ("tracestate", "a=1"),
        ("baggage", "b=2"),
    ];
    let context = Propagators::default().extract(&headers(&pairs));
    let mut carrier = EnvironmentCarrier::default();
    Propagators::default().inject(&context, &mut carrier);
    assert_eq!(carrier.keys(), ["BAGGAGE", "TRACEPARENT", "TRACESTATE"]);
    let child: EnvironmentCarrier = carrier.into_iter().collect();
    assert_eq!(Propagators::default().extract(&child), context);
}

#[test]
fn spec_6_21_each_propagator_is_there_once() {
    let list = [
        Propagator::B3,
        Propagator::Baggage,
        Propagator::B3,
        Propagator::Baggage,
    ];
    assert_eq!(Propagators::new(list).to_string(), "b3,baggage");
}

#[test]
fn spec_6_17_debug_stays_with_its_trace_and_sampled_with_debug_in_any_order() {
    let not_sampled = TRACEPARENT.replace("-01", "-00");
    let extracted = |trace: &str, forms: [Propagator; 2]| {
        let b3 = format!("{trace}-e457b5a2e4d86bd1-d");
        let carrier = headers(&[("traceparent", &not_sampled), ("b3", &b3)]);
        let context = Propagators::new(forms).extract(&carrier);
        (context.is_debug(), context.span().unwrap().is_sampled())
    };
    let (b3_first, b3_last) = (
        [Propagator::B3, Propagator::TraceContext],
        [Propagator::TraceContext, Propagator::B3],
    );
    assert_eq!(extracted(&TRACEPARENT[3..35], b3_first), (true, true));
    assert_eq!(extracted(&TRACEPARENT[3..35], b3_last), (true, true));
    assert_eq!(extracted(&OTHER[..32], b3_first), (false, false));
}

fn context() -> impl Strategy<Value = Context> {
    let span = (
        any::<[u8; 16]>(),
        any::<[u8; 8]>(),
        any::<u8>(),
        "([a-z]{1,2}=[!-+]{1,4},){0,3}",
    );
    let baggage = proptest::collection::vec(("[a-z]{1,2}", "(?s).{0,8}", "[a-z=]{0,4}"), 0..4);
    (proptest::option::of(span), baggage, any::<bool>()).prop_map(|(span, pairs, debug)| {
        let baggage = pairs
            .iter()
            .fold(Baggage::default(), |baggage, (key, value, metadata)| {
                baggage.with_metadata(key, value, metadata)
            });
        let context = Context::default().with_baggage(baggage);
        let span = span.and_then(|(trace, span, bits, state)| {
            let bits = if debug { bits | 1 } else { bits };
            let state = TraceState::parse(&state).unwrap_or_default();
            let ids = (TraceId::from_bytes(trace)?, SpanId::from_bytes(span)?);
            Some(SpanContext::remote(
                ids.0,
                ids.1,
                TraceFlags::new(bits),
                state,
            ))
        });
        match span {
            Some(span) => context.with_span(span).with_debug(debug),
            None => context,
        }
    })
}

/// What a form keeps of a context.
fn kept(form: Propagator, context: &Context) -> Context {
    let span = context.span().cloned();
    let kept = Context::default();
    match (form, span) {
        (Propagator::Baggage, _) => kept.with_baggage(context.baggage().clone()),
        (_, None) => kept,
        (Propagator::TraceContext, Some(span)) => kept.with_span(span),
        (Propagator::B3 | Propagator::B3Multi, Some(span)) => {
            let flags = TraceFlags::new(span.flags().bits() & 1);
            let none = TraceState::default();
            let span = SpanContext::remote(span.trace_id(), span.span_id(), flags, none);
            kept.with_span(span).with_debug(context.is_debug())
        }
    }
}

proptest! {
    #[test]
    fn each_form_reads_what_it_wrote_in_each_carrier(context in context()) {
        for form in Propagator::ALL {
            let forms = Propagators::new([form]);
            let expected = kept(form, &context);
            let mut list = Vec::new();
            forms.inject(&context, &mut list);
            prop_assert_eq!(&forms.extract(&list), &expected);
            let (mut hashed, mut sorted) = (HashMap::new(), BTreeMap::new());
            forms.inject(&context, &mut hashed);
            forms.inject(&context, &mut sorted);
            prop_assert_eq!(&forms.extract(&hashed), &expected);
            prop_assert_eq!(&forms.extract(&sorted), &expected);
            let mut environment = EnvironmentCarrier::default();
            forms.inject(&context, &mut environment);
            prop_assert_eq!(&forms.extract(&environment), &expected);
            #[cfg(any(feature = "grpc", feature = "http"))]
            {
                let mut headers = http::HeaderMap::new();
                forms.inject(&context, &mut headers);
                prop_assert_eq!(&forms.extract(&headers), &expected);
            }
        }
        let all = Propagators::new(Propagator::ALL);
        let mut list = Vec::new();
        all.inject(&context, &mut list);
        prop_assert_eq!(all.extract(&list), context, "together they lose nothing");
    }

    #[test]
    fn no_text_does_harm_and_what_is_passed_on_stays_the_same(texts in proptest::collection::vec((header(), text()), 0..8)) {
        let all = Propagators::new(Propagator::ALL);
        let pairs: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let context = all.extract(&headers(&pairs));
        let mut written = Vec::new();
        all.inject(&context, &mut written);
        let is_printable = |byte: u8| matches!(byte, b'\t' | b' '..=b'~');
        let is_sendable = |value: &str| !value.is_empty() && value.bytes().all(is_printable);
        prop_assert!(written.iter().all(|(_, value)| is_sendable(value)));
        let again = all.extract(&written);
        prop_assert_eq!(again.span(), context.span());
        prop_assert_eq!(again.baggage(), context.baggage());
        prop_assert_eq!(again.is_debug(), context.is_debug());
        prop_assert_eq!(again.is_denied(), context.is_denied());
        let is_sampled = context.span().is_none_or(SpanContext::is_sampled);
        prop_assert!(is_sampled || !context.is_debug());
    }
}

fn header() -> impl Strategy<Value = String> {
    let names = Propagators::new(Propagator::ALL)
        .fields()
        .collect::<Vec<_>>();
    proptest::sample::select(names)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "(?s).{0,80}",
        "[0-9a-f=,;%d -]{0,80}",
        "(00|01|ff|cc)-[01]{32}-[01]{16}-0[0-3]",
        "[01]{32}-[01]{16}(-[01d](-[01]{16})?)?",
        "[01d]",
        "[01]{16}",
        "[01]{32}",
    ]
}

#[derive(Debug)]
struct Panicking;

impl CustomPropagator for Panicking {
    fn inject(&self, _: &Context, carrier: &mut dyn Injector) {
        carrier.set("before", "1");
        panic!("inject");
    }

    fn extract(&self, _: Context, _: &dyn Extractor) -> Context {
        panic!("extract");
    }

    fn fields(&self) -> Vec<String> {
        panic!("fields");
    }
}

#[test]
fn a_propagator_that_panics_takes_nothing_away() {
    let plain = Propagators::new([Propagator::TraceContext]);
    let all = plain.clone().and(vec![Arc::new(Panicking)]);
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let carrier = vec![("traceparent".to_owned(), header.to_owned())];
    let context = all.extract(&carrier);
    assert!(context.span().is_some());
    assert_eq!(context, plain.extract(&carrier));
    let mut written = Vec::new();
    all.inject(&context, &mut written);
    assert!(written.contains(&carrier[0]));
    assert_eq!(
        all.fields().collect::<Vec<_>>(),
        ["traceparent", "tracestate"]
    );
    assert_eq!(all.to_string(), "tracecontext,custom");
}
