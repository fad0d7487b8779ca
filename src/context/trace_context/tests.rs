use proptest::prelude::*;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn read_from(pairs: &[(&str, &str)]) -> Option<SpanContext> {
    extract(Context::default(), &headers(pairs)).span().cloned()
}

fn read_of(traceparent: &str) -> Option<SpanContext> {
    read_from(&[("traceparent", traceparent)])
}

fn written(context: &Context) -> Vec<(String, String)> {
    let mut carrier = Vec::new();
    inject(context, &mut carrier);
    carrier
}

fn w3c(version: &str, flags: &str) -> String {
    format!("{version}-{TRACE}-{SPAN}-{flags}")
}

#[test]
fn spec_6_1_what_is_extracted_is_remote() {
    let span = read_of(&w3c("00", "01")).unwrap();
    assert!(span.is_remote() && span.is_sampled());
    assert_eq!(span.trace_id().to_string(), TRACE);
    assert_eq!(span.span_id().to_string(), SPAN);
}

#[test]
fn spec_6_3_traceparent_tracestate_and_all_8_flags_are_passed_on() {
    for bits in 0..=u8::MAX {
        let traceparent = w3c("00", &format!("{bits:02x}"));
        let pairs = [
            ("traceparent", traceparent.as_str()),
            ("tracestate", "b=2,a=1"),
        ];
        let span = read_from(&pairs).unwrap();
        assert_eq!(span.flags().bits(), bits);
        assert_eq!(written(&span.into()), headers(&pairs));
    }
}

#[test]
fn spec_6_4_the_random_flag_goes_out_below_as_it_came_in() {
    for (came, goes) in [
        ("03", "03"),
        ("01", "01"),
        ("ff", "03"),
        ("00", "01"),
        ("02", "03"),
    ] {
        let caller = read_of(&w3c("00", came)).unwrap();
        let own = caller.child(SpanId::random(), true);
        let (_, traceparent) = written(&own.into()).remove(0);
        assert!(
            traceparent.ends_with(&format!("-{goes}")),
            "{came}: {traceparent}"
        );
    }
}

#[test]
fn spec_6_5_a_traceparent_has_55_characters() {
    let right = w3c("00", "01");
    assert_eq!(right.len(), 55);
    assert!(read_of(&right).is_some());
    for end in 0..55 {
        assert_eq!(read_of(&right[..end]), None);
    }
    for behind in ["0", "-", ".", " ", "-what-comes"] {
        assert_eq!(read_of(&format!("{right}{behind}")), None, "{behind}");
    }
    assert_eq!(read_of(&format!(" {right}")), None);
}

#[test]
fn spec_6_5_a_traceparent_is_of_lower_case_hex_with_dashes_at_their_places() {
    let right = w3c("00", "01");
    for place in 0..55 {
        for wrong in ["A", "g", "-", ".", " ", "+", "/", ":", "`"] {
            let mut text = right.clone();
            text.replace_range(place..=place, wrong);
            if text != right {
                assert_eq!(read_of(&text), None, "{text}");
            }
        }
    }
    assert_eq!(read_of(&w3c("ff", "01")), None, "version ff is invalid");
    assert_eq!(read_of(&format!("00-{}-{SPAN}-01", "0".repeat(32))), None);
    assert_eq!(read_of(&format!("00-{TRACE}-{}-01", "0".repeat(16))), None);
    assert_eq!(read_of(&format!("00-é{}-{SPAN}-01", &TRACE[2..])), None);
}

#[test]
fn spec_6_6_of_a_higher_version_the_fixed_places_are_read_and_00_is_written() {
    for (flags, sampled) in [("01", "01"), ("00", "00"), ("ff", "01"), ("fe", "00")] {
        for behind in ["", "-", "-what-the-future-will-be-like", "-é"] {
            for version in ["01", "cc", "fe"] {
                let span = read_of(&format!("{}{behind}", w3c(version, flags))).unwrap();
                assert_eq!(
                    written(&span.into()),
                    headers(&[("traceparent", &w3c("00", sampled))])
                );
            }
        }
    }
    let future = w3c("cc", "01");
    assert_eq!(read_of(&format!("{future}.what")), None);
    assert_eq!(read_of(&format!("{future}0")), None);
    assert_eq!(
        read_of(&future[..54]),
        None,
        "it is 55 characters long at least"
    );
    assert_eq!(read_of(&format!("ff-{TRACE}-{SPAN}-01-what")), None);
    assert_eq!(read_of(&format!("cc-{}-{SPAN}-01", "0".repeat(32))), None);
}

#[test]
fn spec_6_7_a_bad_traceparent_leaves_the_tracestate_unread_and_a_bad_tracestate_the_traceparent() {
    assert_eq!(read_from(&[("tracestate", "a=1")]), None);
    assert_eq!(
        read_from(&[("traceparent", "bad"), ("tracestate", "a=1")]),
        None
    );
    for bad in ["a", "A=1", "a=1,a=2", "a=1,b"] {
        let span = read_from(&[("traceparent", &w3c("00", "01")), ("tracestate", bad)]).unwrap();
        assert!(span.trace_state().is_empty());
        assert_eq!(
            written(&span.into()),
            headers(&[("traceparent", &w3c("00", "01"))])
        );
    }
}

#[test]
fn spec_6_8_several_tracestates_are_combined_in_their_order() {
    let pairs = [
        ("traceparent", w3c("00", "01")),
        ("tracestate", "c=3,b=2".to_owned()),
        ("TraceState", String::new()),
        ("tracestate", " a=1 ".to_owned()),
    ];
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let span = read_from(&pairs).unwrap();
    assert_eq!(span.trace_state().as_str(), "c=3,b=2,a=1");
    // One that is invalid makes the combined one invalid, and so does a key that two of them have.
    for more in ["A=1", "b=4"] {
        let span = read_from(&[&pairs[..], &[("tracestate", more)]].concat()).unwrap();
        assert!(span.trace_state().is_empty());
    }
}

#[test]
fn spec_6_10_no_empty_tracestate_is_sent() {
    let pairs = [
        ("traceparent", w3c("00", "01")),
        ("tracestate", " , ".to_owned()),
    ];
    let span = extract(
        Context::default(),
        &Vec::from(pairs.map(|(k, v)| (k.to_owned(), v))),
    );
    assert_eq!(
        written(&span),
        headers(&[("traceparent", &w3c("00", "01"))])
    );
    assert_eq!(written(&Context::default()), []);
}

#[test]
fn spec_6_11_what_cannot_be_read_leaves_the_context_as_it_was() {
    let before = extract(
        Context::default(),
        &headers(&[("traceparent", &w3c("00", "01"))]),
    );
    for bad in [&[][..], &[("traceparent", "")], &[("traceparent", "bad")]] {
        assert_eq!(extract(before.clone(), &headers(bad)), before);
    }
}

#[test]
fn several_traceparents_are_as_none() {
    let other = format!("00-{}-{SPAN}-01", "1".repeat(32));
    for second in [other, w3c("00", "01")] {
        let pairs = [("traceparent", w3c("00", "01")), ("Traceparent", second)];
        let carrier = Vec::from(pairs.map(|(k, v)| (k.to_owned(), v)));
        assert_eq!(extract(Context::default(), &carrier), Context::default());
    }
}

proptest! {
    #[test]
    fn no_traceparent_does_harm(text in "(?s).{0,70}|[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{15,17}-[0-9a-f]{1,3}(-.{0,9})?") {
        if let Some(span) = read_of(&text) {
            let version_00 = span.traceparent();
            prop_assert_eq!(&version_00[2..53], &text[2..53]);
            prop_assert_eq!(read_of(&version_00), Some(span));
        }
    }

    #[test]
    fn what_is_written_is_read(trace: [u8; 16], span: [u8; 8], bits: u8, state in "([a-z]{1,2}=[!-+]{1,4},){0,3}") {
        if let (Some(trace), Some(span)) = (TraceId::from_bytes(trace), SpanId::from_bytes(span)) {
            let state = TraceState::parse(&state).unwrap_or_default();
            let context = Context::from(SpanContext::remote(trace, span, TraceFlags::new(bits), state));
            prop_assert_eq!(extract(Context::default(), &written(&context)), context);
        }
    }
}
