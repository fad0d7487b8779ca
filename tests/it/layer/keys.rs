//! Keys are unique: a field takes the place of whatever has its name.

use std::error::Error;
use std::fmt;

use tracing::field::{Empty, Value};
use tracing::{info, info_span};

use super::callsite::{self, Shape};
use crate::support::layer::{
    Attributed, Pipeline, int, no_value, record, record_with, text, texts,
};

#[derive(Debug)]
struct Wrapped(&'static str, Option<&'static Self>);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.map(|source| source as _)
    }
}

static CAUSE: Wrapped = Wrapped("cause", None);
static EFFECT: Wrapped = Wrapped("effect", Some(&CAUSE));

fn error(error: &'static Wrapped) -> &'static (dyn Error + 'static) {
    error
}

#[test]
fn spec_1_3_keys_are_unique() {
    let spans = record(|| {
        let span = info_span!("span", a = 1, b = Empty, code.file.path = "mine");
        for round in 0..3 {
            span.record("a", round);
            span.record("b", round);
            span.record("code.file.path", round);
        }
        span.in_scope(|| info!(a = 1, level = 2, target = 3, code.line.number = 4, "event"));
    });
    // That no key is there twice is asserted of everything that any test decodes.
    let span = spans.only();
    assert_eq!(span.own_keys(), ["a", "b"]);
    for key in ["a", "b", "code.file.path"] {
        assert_eq!(span.value(key), int(2), "{key}");
    }
    let event = span.event("event");
    for (key, value) in [("level", 2), ("target", 3), ("code.line.number", 4)] {
        assert_eq!(event.value(key), int(value), "{key}");
    }
}

#[test]
fn a_late_value_of_another_type_replaces() {
    let spans = record(|| {
        let span = info_span!("span", a = "text", b = 1, c = error(&EFFECT));
        span.record("a", 7);
        span.record("b", "x".repeat(1000));
        span.record("c", &[1_u8][..]);
        span.record("c", true);
        span.record("undeclared", 1);
    });
    let span = spans.only();
    assert_eq!(span.value("a"), int(7));
    assert_eq!(span.value("b"), text("x".repeat(1000)));
    assert_eq!(span.value("c"), crate::support::layer::truth(true));
    assert!(!span.has("undeclared"));
}

/// One key is the beginning of another one.
#[test]
fn similar_keys_are_different_keys() {
    let spans = record(|| {
        let span = info_span!("span", ab = 1, a = 2, abc = 3, x.a = 4);
        span.record("a", 5);
        span.record("ab", 6);
    });
    let span = spans.only();
    let values = ["a", "ab", "abc", "x.a"].map(|key| span.value(key));
    assert_eq!(values, [int(5), int(6), int(3), int(4)]);
}

/// Every attribute that the layer adds by itself.
const CONSTANTS: [&str; 5] = [
    "level",
    "target",
    "code.file.path",
    "code.module.name",
    "code.line.number",
];

#[test]
fn a_field_replaces_a_constant_attribute_of_its_name() {
    let spans = record_with(
        |builder| builder.with_level(true).with_target(true),
        || {
            let at_once = info_span!(
                "at once",
                level = 1,
                target = 1,
                code.file.path = 1,
                code.module.name = 1,
                code.line.number = 1
            );
            drop(at_once);
            let late = info_span!(
                "late",
                level = Empty,
                target = Empty,
                code.file.path = Empty,
                code.module.name = Empty,
                code.line.number = Empty
            );
            for key in CONSTANTS {
                late.record(key, 1);
            }
            drop(info_span!(
                "never",
                level = Empty,
                target = Empty,
                code.file.path = Empty,
                code.module.name = Empty,
                code.line.number = Empty
            ));
        },
    );
    for key in CONSTANTS {
        assert_eq!(spans.named("at once").value(key), int(1), "{key}");
        assert_eq!(spans.named("late").value(key), int(1), "{key}");
    }
    assert_eq!(spans.named("never").value("level"), text("INFO"));
    assert_eq!(
        spans.named("never").value("code.module.name"),
        text(module_path!())
    );
    assert!(
        spans
            .iter()
            .all(|span| span.keys().len() == CONSTANTS.len())
    );
}

#[test]
fn a_field_replaces_a_threads_attribute_of_its_name() {
    let spans = record_with(
        |builder| builder.with_threads(true),
        || {
            drop(info_span!("at once", thread.id = -1, thread.name = "mine"));
            let late = info_span!("late", thread.id = Empty, thread.name = Empty);
            late.record("thread.id", -1).record("thread.name", "mine");
            drop(info_span!("never", thread.id = Empty));
        },
    );
    for name in ["at once", "late"] {
        let span = spans.named(name);
        assert_eq!(span.value("thread.id"), int(-1), "{name}");
        assert_eq!(span.value("thread.name"), text("mine"), "{name}");
    }
    assert!(spans.named("never").has("thread.id"));
}

#[test]
fn a_name_that_a_callsite_declares_twice_is_one_key() {
    let spans = record(|| {
        let span = info_span!("span", a = 1, b = 2, a = 3);
        span.in_scope(|| info!(a = 1, a = 2, "event"));
        drop(span);
        info_span!("late", a = Empty, a = 1).record("a", 2);
    });
    assert_eq!(spans.named("span").own_keys(), ["b", "a"]);
    assert_eq!(spans.named("span").value("a"), int(3));
    assert_eq!(spans.named("span").event("event").value("a"), int(2));
    assert_eq!(spans.named("late").value("a"), int(2));
}

#[test]
fn an_error_has_one_chain() {
    let spans = record(|| {
        let span = info_span!("again", x = error(&CAUSE));
        span.record("x", error(&EFFECT));
        drop(span);
        drop(info_span!("twice", x = error(&CAUSE), x = error(&EFFECT)));
        info_span!("event").in_scope(|| info!(x = error(&CAUSE), x = error(&EFFECT), "event"));
    });
    let event = spans.named("event").event("event");
    assert_eq!(
        (event.value("x"), event.value("x.chain")),
        (text("effect"), texts(&["cause"]))
    );
    for name in ["again", "twice"] {
        let span = spans.named(name);
        assert_eq!(span.value("x"), text("effect"), "{name}");
        assert_eq!(span.value("x.chain"), texts(&["cause"]), "{name}");
    }
}

#[test]
fn a_field_with_the_name_of_a_chain_takes_its_place() {
    let spans = record(|| {
        drop(info_span!("after", x = error(&EFFECT), x.chain = 1));
        drop(info_span!("before", x.chain = 1, x = error(&EFFECT)));
        let late = info_span!("late", x = Empty, x.chain = Empty);
        late.record("x.chain", 1);
        late.record("x", error(&EFFECT));
    });
    assert_eq!(spans.named("after").value("x.chain"), int(1));
    assert_eq!(spans.named("before").value("x.chain"), texts(&["cause"]));
    assert_eq!(spans.named("late").value("x.chain"), texts(&["cause"]));
}

/// More keys than the bits that stand for the first of them.
#[test]
fn a_hundred_fields_are_unique_too() {
    let names: Vec<_> = (0..100).map(|at| format!("field{}", at % 90)).collect();
    let shape = Shape::with_fields("span", names.iter().map(|name| &**name));
    let (span, event) = (shape.span(), shape.event());
    let values: Vec<i64> = (0..100).collect();
    let all = values
        .iter()
        .map(|value| Some(value as &dyn Value))
        .collect();
    let spans = record(|| {
        let span = callsite::open(span, &all);
        span.record("field89", -89)
            .record("field0", "zero")
            .record("field63", -63)
            .record("field64", -64);
        span.in_scope(|| callsite::event(event, &all));
    });
    let span = spans.only();
    assert_eq!(
        (span.attributes.len(), span.events[0].own_keys().len()),
        (90, 90)
    );
    // The last ten names are the first ten again.
    assert_eq!(span.value("field9"), int(99));
    assert_eq!(span.value("field10"), int(10));
    assert_eq!(span.value("field0"), text("zero"));
    assert_eq!(
        ["field63", "field64", "field89"].map(|key| span.value(key)),
        [int(-63), int(-64), int(-89)]
    );
    assert_eq!(span.events[0].value("field89"), int(89));
}

#[test]
fn spec_1_5_an_empty_key_is_not_sent() {
    let shape = Shape::with_fields("span", ["", "kept"]);
    let (span, event) = (shape.span(), shape.event());
    let (layer, pipeline) = Pipeline::new();
    let subscriber =
        tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), layer);
    tracing::subscriber::with_default(subscriber, || {
        let span = callsite::open(span, &vec![Some(&1), Some(&2)]);
        span.in_scope(|| callsite::event(event, &vec![Some(&1), Some(&2)]));
        span.record("", 3);
    });
    let spans = pipeline.spans();
    assert_eq!(spans.only().own_keys(), ["kept"]);
}

#[test]
fn spec_1_5_the_case_of_a_key_is_kept() {
    let spans = record(|| drop(info_span!("span", Some.KEY = 1, some.key = 2)));
    assert_eq!(spans.only().own_keys(), ["Some.KEY", "some.key"]);
}

/// A value set of another callsite, which no macro makes, must not be taken for this one's fields.
#[test]
fn a_foreign_value_set_changes_no_field() {
    let (own, foreign) = (
        Shape::with_fields("own", ["a"]),
        Shape::with_fields("foreign", ["b"]),
    );
    let (own, foreign) = (own.span(), foreign.span());
    let spans = record(|| {
        let span = callsite::open(own, &vec![Some(&1)]);
        span.record_all(&foreign.fields().value_set_all(&[Some(&2)]));
    });
    assert_eq!(spans.only().value("a"), int(1));
    assert_eq!(spans.only().value("b"), no_value());
}
