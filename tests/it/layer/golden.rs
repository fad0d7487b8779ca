//! The bytes of each type of value, by every way in which a value comes in: `#[instrument]`, `span!`, `record`, an event.

use std::error::Error;
use std::fmt;

use tracing::field::{Empty, Value};
use tracing::{info, info_span, instrument};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, bytes, text, texts};

/// Span.attributes and Span.Event.attributes, fields 9 and 3.
const SPAN: u8 = 0x4A;
const EVENT: u8 = 0x1A;

/// `KeyValue` with the key "v".
fn pair(any_value: &[u8]) -> Vec<u8> {
    let mut pair = vec![0x0A, 1, b'v', 0x12, u8::try_from(any_value.len()).unwrap()];
    pair.extend_from_slice(any_value);
    pair
}

fn string(text: &str) -> Vec<u8> {
    let mut value = vec![0x0A, u8::try_from(text.len()).unwrap()];
    value.extend_from_slice(text.as_bytes());
    value
}

/// How often the attribute stands in the requests.
fn count(pipeline: &Pipeline, tag: u8, pair: &[u8]) -> usize {
    let mut whole = vec![tag, u8::try_from(pair.len()).unwrap()];
    whole.extend_from_slice(pair);
    let requests = pipeline.requests();
    requests
        .iter()
        .flat_map(|request| request.windows(whole.len()))
        .filter(|window| *window == whole)
        .count()
}

/// Records the value in all four ways, `instrumented` being one, and looks for its bytes.
fn check<V: Value>(value: V, instrumented: impl FnOnce(), any_value: &[u8]) {
    let (layer, pipeline) = Pipeline::new();
    let value = &value;
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info_span!("at once", v = value).in_scope(|| info!(v = value, "event"));
        let late = info_span!("late", v = Empty);
        late.record("v", value);
        drop(late);
        instrumented();
    });
    assert_eq!(pipeline.spans().len(), 3);
    let pair = pair(any_value);
    let found = (
        count(&pipeline, SPAN, &pair),
        count(&pipeline, EVENT, &pair),
    );
    assert_eq!(found, (3, 1), "{any_value:02x?}");
}

/// A test for one value; `#[instrument]` sees the type by its name.
macro_rules! golden {
    ($($test:ident: $type:ident = $value:expr => $bytes:expr;)+) => {$(
        #[test]
        fn $test() {
            #[instrument]
            fn work(v: $type) {}
            check::<$type>($value, || work($value), &$bytes);
        }
    )+};
}

const MINUS_ONE: [u8; 11] = [
    0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01,
];
const I64_MAX: [u8; 10] = [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
const I64_MIN: [u8; 11] = [
    0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
];

golden! {
    true_is_a_bool: bool = true => [0x10, 1];
    spec_1_7_false_is_passed_through: bool = false => [0x10, 0];
    spec_1_7_zero_is_passed_through: i64 = 0 => [0x18, 0];
    an_i8_is_an_int: i8 = -1 => MINUS_ONE;
    a_u8_is_an_int: u8 = 200 => [0x18, 0xC8, 0x01];
    an_i32_is_an_int: i32 = 127 => [0x18, 0x7F];
    a_u32_is_an_int: u32 = 128 => [0x18, 0x80, 0x01];
    an_i64_is_an_int: i64 = -1 => MINUS_ONE;
    the_least_i64_is_an_int: i64 = i64::MIN => I64_MIN;
    an_isize_is_an_int: isize = 300 => [0x18, 0xAC, 0x02];
    a_usize_is_an_int: usize = 300 => [0x18, 0xAC, 0x02];
    a_u64_is_an_int: u64 = 7 => [0x18, 7];
    spec_1_9_the_largest_u64_that_fits_is_an_int: u64 = i64::MAX as u64 => I64_MAX;
    spec_1_9_a_u64_that_does_not_fit_is_decimal: u64 = u64::MAX => string("18446744073709551615");
    the_least_u64_that_does_not_fit_is_decimal: u64 = 1 << 63 => string("9223372036854775808");
    spec_1_9_an_i128_that_fits_is_an_int: i128 = -1 => MINUS_ONE;
    spec_1_9_an_i128_below_is_decimal: i128 = i128::from(i64::MIN) - 1 => string("-9223372036854775809");
    the_least_i128_is_decimal: i128 = i128::MIN => string("-170141183460469231731687303715884105728");
    a_u128_that_fits_is_an_int: u128 = 7 => [0x18, 7];
    spec_1_9_the_largest_u128_is_decimal: u128 = u128::MAX => string("340282366920938463463374607431768211455");
    spec_1_10_an_f64_is_a_double: f64 = 1.5 => [0x21, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F];
    spec_1_10_an_f32_is_a_double: f32 = 1.5 => [0x21, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F];
    minus_zero_keeps_its_sign: f64 = -0.0 => [0x21, 0, 0, 0, 0, 0, 0, 0, 0x80];
    nan_is_a_double: f64 = f64::NAN => [0x21, 0, 0, 0, 0, 0, 0, 0xF8, 0x7F];
    infinity_is_a_double: f64 = f64::NEG_INFINITY => [0x21, 0, 0, 0, 0, 0, 0, 0xF0, 0xFF];
}

#[test]
fn text_is_a_string() {
    #[instrument]
    fn work(v: &str) {}
    check("h\u{e9}", || work("h\u{e9}"), &[0x0A, 3, b'h', 0xC3, 0xA9]);
}

#[test]
fn spec_1_7_empty_text_is_passed_through() {
    #[instrument]
    fn work(v: &str) {}
    check("", || work(""), &[0x0A, 0]);
}

#[test]
fn an_owned_string_is_a_string() {
    #[instrument]
    fn work(v: String) {}
    check(
        "ab".to_owned(),
        || work("ab".to_owned()),
        &[0x0A, 2, b'a', b'b'],
    );
}

#[test]
fn spec_1_8_bytes_are_bytes() {
    #[instrument(skip_all, fields(v = data))]
    fn work(data: &[u8]) {}
    let data = &[0x00, 0xFF][..];
    check(data, || work(data), &[0x3A, 2, 0x00, 0xFF]);
}

#[test]
fn spec_1_7_no_bytes_are_passed_through() {
    #[instrument(skip_all, fields(v = data))]
    fn work(data: &[u8]) {}
    let data = &[][..];
    check(data, || work(data), &[0x3A, 0]);
}

#[test]
fn spec_1_10_what_only_has_debug_is_a_string() {
    #[instrument]
    fn work(v: Option<u8>) {}
    check(
        tracing::field::debug(Some(1)),
        || work(Some(1)),
        &string("Some(1)"),
    );
}

/// An enum without data is its symbolic name.
#[test]
fn spec_1_10_an_enum_is_its_name() {
    #[derive(Clone, Copy, Debug)]
    enum Colour {
        Red,
    }
    #[instrument]
    fn work(v: Colour) {}
    let red = Colour::Red;
    check(tracing::field::debug(red), || work(red), &string("Red"));
}

#[test]
fn what_only_has_display_is_a_string() {
    #[instrument(skip_all, fields(v = %text))]
    fn work(text: fmt::Arguments<'_>) {}
    check(
        tracing::field::display("a b"),
        || work(format_args!("a b")),
        &string("a b"),
    );
}

#[derive(Debug)]
struct Failure(&'static str, Option<Box<Self>>);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

#[test]
fn an_error_is_a_string_beside_its_chain() {
    let cause = Failure("cause", Some(Box::new(Failure("", None))));
    let error = Failure("effect", Some(Box::new(cause)));
    let error = &error as &(dyn Error + 'static);
    #[instrument(skip_all, fields(v = error))]
    fn work(error: &(dyn Error + 'static)) {}
    let message = b"\x0A\x11exception.message\x12\x08\x0A\x06effect".to_vec();
    let trace = b"\x0A\x14exception.stacktrace\x12\x08\x0A\x06cause\n".to_vec();
    let mut chain = b"\x0A\x07v.chain\x12\x0F\x2A\x0D".to_vec();
    chain.extend_from_slice(b"\x0A\x07\x0A\x05cause\x0A\x02\x0A\x00");

    let (layer, pipeline) = Pipeline::new();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info_span!("at once", v = error).in_scope(|| info!(v = error, "event"));
        let late = info_span!("late", v = Empty);
        late.record("v", error);
        drop(late);
        work(error);
    });
    let spans = pipeline.spans();
    assert_eq!(spans.len(), 3);
    for pair in [&pair(&string("effect")), &chain, &message, &trace] {
        assert_eq!(count(&pipeline, SPAN, pair), 3, "{pair:02x?}");
        assert_eq!(count(&pipeline, EVENT, pair), 1, "{pair:02x?}");
    }
    assert_eq!(spans.named("late").value("v.chain"), texts(&["cause", ""]));
}

#[test]
fn an_absent_value_is_no_attribute() {
    let (layer, pipeline) = Pipeline::new();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = info_span!(
            "span",
            none = None::<u64>,
            some = Some("text"),
            empty = Empty
        );
        span.record("empty", None::<&[u8]>);
    });
    let spans = pipeline.spans();
    assert_eq!(spans.only().own_keys(), ["some"]);
    assert_eq!(spans.only().value("some"), text("text"));
}

/// Every length of a varint: one byte up to 127, two up to 16,383, then three.
#[test]
fn any_length_of_text_bytes_and_key_is_read_back() {
    for length in [
        0, 1, 110, 120, 125, 126, 127, 128, 129, 16_383, 16_384, 16_385, 30_000,
    ] {
        let long = "x".repeat(length);
        let (layer, pipeline) = Pipeline::new();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = info_span!("span", s = &*long, b = long.as_bytes(), d = %long, late = Empty);
            span.record("late", tracing::field::display(&long));
            span.in_scope(|| info!(s = &*long, d = %long, "{long}"));
        });
        let spans = pipeline.spans();
        let span = spans.only();
        let event = span.event(&long);
        for value in [
            span.value("s"),
            span.value("d"),
            span.value("late"),
            event.value("s"),
            event.value("d"),
        ] {
            assert_eq!(value, text(&*long), "{length}");
        }
        assert_eq!(span.value("b"), bytes(long.as_bytes()), "{length}");
    }
}
