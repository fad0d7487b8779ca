//! How long a value may be: characters of a text, bytes of a byte sequence, of attributes and of nothing else.

use std::cell::Cell;
use std::error::Error;
use std::{fmt, io};

use proptest::prelude::*;
use tracing::field::{Empty, debug, display};
use tracing::{error, info, info_span};
use tracing_otlp::{Builder, Limits};
use tracing_subscriber::prelude::*;

use super::callsite::Shape;
use crate::support::layer::{
    Attributed, Pipeline, Spans, bytes, double, int, record_with, text, texts, truth,
};

fn limited(characters: u32) -> impl FnOnce(Builder) -> Builder {
    move |builder| {
        let limits = Limits::default().with_value_length(characters);
        builder.with_location(false).with_limits(limits)
    }
}

fn with_length(characters: u32, work: impl FnOnce()) -> Spans {
    record_with(limited(characters), work)
}

/// By every way in which a text comes in.
fn everywhere(value: &str, characters: u32) -> Spans {
    with_length(characters, || {
        let span = info_span!("span", s = value, d = %value, late = Empty, shown = Empty);
        span.record("late", value).record("shown", display(value));
        span.in_scope(|| info!(s = value, d = %value, "event"));
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn spec_5_2_texts_are_cut_by_whole_characters(value in "\\PC{0,40}", characters in 0..45_u32) {
        let cut: String = value.chars().take(characters as usize).collect();
        let spans = everywhere(&value, characters);
        let span = spans.only();
        for key in ["s", "d", "late", "shown"] {
            prop_assert_eq!(span.value(key), text(&cut), "{}", key);
        }
        for key in ["s", "d"] {
            prop_assert_eq!(span.event("event").value(key), text(&cut), "{}", key);
        }
        prop_assert_eq!(span.dropped_attributes_count, 0);
    }
}

#[test]
fn spec_5_2_bytes_are_cut_by_bytes() {
    let spans = with_length(3, || {
        let span = info_span!("span", b = &[1_u8, 2, 3, 4][..], late = Empty);
        span.record("late", &[5_u8; 9][..]);
    });
    assert_eq!(spans.only().value("b"), bytes(&[1, 2, 3]));
    assert_eq!(spans.only().value("late"), bytes(&[5, 5, 5]));
}

#[test]
fn spec_5_2_nothing_else_is_cut() {
    let spans = with_length(1, || {
        drop(info_span!(
            "span",
            i = 123_456,
            f = 1.25,
            yes = true,
            wide = 77_i128
        ));
    });
    let span = spans.only();
    assert_eq!(span.value("i"), int(123_456));
    assert_eq!(span.value("f"), double(1.25));
    assert_eq!(span.value("yes"), truth(true));
    assert_eq!(span.value("wide"), int(77));
}

/// What is a string on the wire has a string's limit, also where it is the digits of a number.
#[test]
fn spec_5_2_the_digits_of_a_wide_number_are_a_text() {
    let spans = with_length(4, || drop(info_span!("span", v = u64::MAX, w = i128::MIN)));
    assert_eq!(spans.only().value("v"), text("1844"));
    assert_eq!(spans.only().value("w"), text("-170"));
}

#[test]
fn spec_5_5_names_messages_and_descriptions_are_no_attributes() {
    let long = "a long text of many words";
    let spans = with_length(2, || {
        let span = info_span!("declared", otel.name = long, otel.status_description = long);
        span.in_scope(|| info!("{long}"));
        info_span!("a long name").in_scope(|| error!(error = long));
        info_span!("shown").in_scope(|| error!(error = %long));
    });
    assert_eq!(spans.named(long).status(), (2, long));
    assert_eq!(spans.named(long).event_names(), [long]);
    for name in ["a long name", "shown"] {
        assert_eq!(spans.named(name).status(), (2, long));
        let event = spans.named(name).event("exception");
        assert_eq!(event.value("exception.message"), text("a "));
    }
    // The resource is exempt.
    assert_eq!(spans[0].resource.value("service.name"), text("test"));
}

#[test]
fn spec_5_2_what_follows_from_an_error_is_cut_too() {
    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    let failure = Outer(io::Error::other("inner"));
    let failure = &failure as &(dyn Error + 'static);
    let spans = with_length(3, || {
        let span = info_span!("span", x = failure);
        span.in_scope(|| error!(error = failure, error.type = "timeout"));
    });
    let span = spans.only();
    assert_eq!(span.value("x"), text("out"));
    assert_eq!(span.value("x.chain"), texts(&["inn"]));
    assert_eq!(span.value("exception.message"), text("out"));
    assert_eq!(span.value("exception.stacktrace"), text("inn"));
    assert_eq!(span.value("error.type"), text("tim"));
    let event = span.event("exception");
    assert_eq!(event.value("exception.type"), text("tim"));
    assert_eq!(event.value("exception.message"), text("out"));
    assert_eq!(event.value("error.chain"), texts(&["inn"]));
    assert_eq!(span.status(), (2, "outer"));
}

#[test]
fn spec_5_2_what_the_layer_adds_is_cut_too() {
    let settings = |builder: Builder| {
        let limits = Limits::default().with_value_length(2);
        builder
            .with_limits(limits)
            .with_target(true)
            .with_level(true)
            .with_threads(true)
    };
    let spans = std::thread::Builder::new()
        .name("h\u{e9}\u{e9}l".to_owned())
        .spawn(move || record_with(settings, || drop(info_span!(target: "shop", "span"))))
        .unwrap()
        .join()
        .unwrap();
    let span = spans.only();
    assert_eq!(span.value("target"), text("sh"));
    assert_eq!(span.value("level"), text("IN"));
    assert_eq!(span.value("code.file.path"), text(&file!()[..2]));
    assert_eq!(span.value("thread.name"), text("h\u{e9}"));
    assert!(span.has("thread.id"));
}

/// Counts what it could write of a text without end.
struct Endless<'a>(&'a Cell<u32>);

impl fmt::Debug for Endless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("\u{e9}\u{20ac}")?;
            self.0.set(self.0.get() + 1);
        }
    }
}

/// A value of any size costs what the limit costs.
#[test]
fn what_a_debug_writes_ends_at_the_limit() {
    let written = Cell::new(0);
    let spans = with_length(5, || {
        let span = info_span!("span", v = ?Endless(&written), late = Empty);
        span.record("late", debug(Endless(&written)));
        span.in_scope(|| info!(v = ?Endless(&written), "event"));
    });
    // Two pairs of characters, and one half; three times.
    assert_eq!(written.get(), 6);
    let expected = text("\u{e9}\u{20ac}\u{e9}\u{20ac}\u{e9}");
    assert_eq!(spans.only().value("v"), expected);
    assert_eq!(spans.only().value("late"), expected);
    assert_eq!(spans.only().event("event").value("v"), expected);
}

#[test]
fn what_a_panic_leaves_is_cut_too() {
    struct Panics;

    impl fmt::Debug for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ab")?;
            panic!("as it may");
        }
    }

    let spans = with_length(4, || drop(info_span!("span", v = ?Panics)));
    assert_eq!(spans.only().value("v"), text("<pan"));
}

#[test]
fn each_value_that_is_cut_is_counted_once() {
    let (layer, pipeline) = Pipeline::with(limited(2));
    let failure = io::Error::other("inner");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = info_span!("span", a = "1", b = "12", c = "123", d = %"123", e = &[1_u8; 3][..]);
        span.in_scope(|| info!(x = "123", "event"));
        // One value, also where a message follows from it.
        drop(info_span!("error", x = &failure as &(dyn Error + 'static)));
    });
    let (_, stats) = pipeline.spans_and_stats();
    assert_eq!(stats.truncated(), 4 + 1);
    assert_eq!(stats.limited(), 0, "nothing was left out");
}

/// A key beyond the first 64, and one too long for the quick way.
#[test]
fn spec_5_2_every_attribute_has_the_limit() {
    let long = "k".repeat(100);
    let names: Vec<String> = (0..80)
        .map(|at| format!("field{at}"))
        .chain([long])
        .collect();
    let metadata = Shape::with_fields("span", names.iter().map(|name| &**name)).span();
    let spans = with_length(2, || {
        let values = vec![Some(&"text" as &dyn tracing::field::Value); names.len()];
        drop(super::callsite::open(metadata, &values));
    });
    assert_eq!(spans.only().attributes.len(), 81);
    for name in &names {
        assert_eq!(spans.only().value(name), text("te"), "{name}");
    }
}

/// Once a span, whatever was left out of it and however much.
#[test]
fn spec_5_8_what_is_left_out_is_told_once_a_span() {
    let limits = Limits::default()
        .with_attributes(1)
        .with_events(1)
        .with_links(0)
        .with_attributes_per_event(3);
    let settings = |builder: Builder| builder.with_location(false).with_limits(limits);
    let (layer, pipeline) = Pipeline::with(settings);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let whole = info_span!("whole", a = 1);
        whole.in_scope(|| info!(a = 1, "event"));
        let all = info_span!("all", a = 1, b = 2, c = 3);
        all.in_scope(|| (0..9).for_each(|_| info!(a = 1, b = 2, "event")));
        all.follows_from(&whole);
        info_span!("event", a = 1).in_scope(|| info!(a = 1, b = 2, "event"));
        info_span!("link", a = 1).follows_from(&whole);
    });
    let (spans, stats) = pipeline.spans_and_stats();
    assert_eq!(spans.len(), 4);
    assert_eq!(stats.limited(), 3);
}
