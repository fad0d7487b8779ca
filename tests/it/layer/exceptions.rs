//! Errors: an event that is an exception, and what it says of its span (specification, exceptions).

use std::error::Error;
use std::{fmt, io};

use tracing::field::Empty;
use tracing::{error, info, info_span, instrument};

use tracing_otlp::{Builder, Limits};

use crate::support::layer::{Attributed, Exported, int, record, record_with, text, texts};

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

#[test]
fn spec_7_19_a_returned_error_is_an_exception() {
    #[instrument(err)]
    fn fails() -> Result<(), &'static str> {
        Err("broken")
    }
    #[instrument(err(Debug, level = "info"))]
    fn fails_mildly() -> Result<(), &'static str> {
        Err("broken")
    }
    let spans = record(|| assert!(fails().is_err() && fails_mildly().is_err()));
    for (name, message) in [("fails", "broken"), ("fails_mildly", "\"broken\"")] {
        let span = spans.named(name);
        assert_eq!(span.status(), (2, message));
        let event = span.event("exception");
        assert_eq!(event.own_keys(), ["exception.message"]);
        assert_eq!(event.value("exception.message"), text(message));
    }
}

#[test]
fn an_error_without_a_message_is_an_exception_with_its_chain() {
    let source = Outer(io::Error::other("inner"));
    let spans = record(|| {
        let _span = info_span!("span").entered();
        error!(error = &source as &(dyn Error + 'static), attempt = 3);
    });
    assert_eq!(spans.only().status(), (2, "outer"));
    let event = spans.only().event("exception");
    assert_eq!(event.value("exception.message"), text("outer"));
    assert_eq!(event.value("error.chain"), texts(&["inner"]));
    assert_eq!(event.value("attempt"), int(3));
    assert!(!event.has("error"));
}

#[test]
fn an_error_beside_a_message_is_an_attribute() {
    let spans = record(|| {
        info_span!("info").in_scope(|| info!(error = "why", "it failed"));
        info_span!("error").in_scope(|| error!(error = "why", "it failed"));
    });
    for (name, status) in [("info", (0, "")), ("error", (2, ""))] {
        let event = spans.named(name).event("it failed");
        assert_eq!(event.value("error"), text("why"));
        assert_eq!(spans.named(name).status(), status);
    }
}

#[test]
fn an_error_field_of_a_span_is_an_attribute() {
    let source = Outer(io::Error::other("inner"));
    let spans = record(|| {
        let span = info_span!("span", error = Empty);
        span.record("error", &source as &(dyn Error + 'static));
    });
    let span = spans.only();
    assert_eq!(span.value("error"), text("outer"));
    assert_eq!(span.value("error.chain"), texts(&["inner"]));
    assert_eq!(span.status(), (0, ""));
}

#[test]
fn spec_7_19_an_exception_has_message_type_and_stack_trace() {
    let source = Outer(io::Error::other(Outer(io::Error::other("innermost"))));
    let spans = record(|| {
        let _span = info_span!("span").entered();
        let error = &source as &(dyn Error + 'static);
        error!(error, error.type = "io");
        info!(cause = error, "beside a message");
        info_span!("field", cause = error);
    });
    let span = spans.named("span");
    let event = span.event("exception");
    assert_eq!(event.value("exception.type"), text("io"));
    assert_eq!(event.value("error.type"), text("io"));
    let field = spans.named("field");
    assert!(field.has("cause") && field.has("cause.chain"));
    let all: [&dyn Fn(&str) -> _; 3] = [
        &|key| event.value(key),
        &|key| span.event("beside a message").value(key),
        &|key| field.value(key),
    ];
    for value in all {
        assert_eq!(value("exception.message"), text("outer"));
        // `io::Error` shows the error inside of it as its own text.
        assert_eq!(value("exception.stacktrace"), text("outer\ninnermost"));
    }
}

/// Sources that are not there are no stack trace, and a type that nobody knows is not guessed.
#[test]
fn spec_7_19_what_is_not_known_is_left_out() {
    let alone = io::Error::other("alone");
    let spans = record(|| {
        let _span = info_span!("span").entered();
        error!(error = &alone as &(dyn Error + 'static));
    });
    let event = spans.only().event("exception");
    assert_eq!(event.own_keys(), ["exception.message", "error.chain"]);
}

#[test]
fn spec_7_19_a_users_type_and_stack_trace_win() {
    let source = Outer(io::Error::other("inner"));
    let spans = record(|| {
        let _span = info_span!("span").entered();
        let error = &source as &(dyn Error + 'static);
        error!(error, error.type = "a", exception.type = "b", exception.stacktrace = "mine");
        info!(error, exception.stacktrace = 7, "number");
    });
    let event = spans.only().event("exception");
    assert_eq!(event.value("exception.type"), text("b"));
    assert_eq!(event.value("exception.stacktrace"), text("mine"));
    // `error.type` goes first.
    assert_eq!(spans.only().value("error.type"), text("a"));
    let event = spans.only().event("number");
    assert_eq!(event.value("exception.stacktrace"), int(7));
}

/// A number is no error: there is no exception, and nothing is lost.
#[test]
fn an_error_that_is_no_text_is_an_attribute() {
    let spans = record(|| {
        info_span!("span").in_scope(|| info!(error = 5, exception.message = "mine"));
        info_span!("flag").in_scope(|| info!(error = false));
        info_span!("absent").in_scope(|| info!(error = None::<&str>, a = 1));
    });
    assert!(spans.iter().all(|span| span.status() == (0, "")));
    assert!(spans.iter().all(|span| span.events[0].name != "exception"));
    let event = &spans.named("span").events[0];
    assert_eq!(event.value("error"), int(5));
    assert_eq!(event.value("exception.message"), text("mine"));
    assert_eq!(spans.named("absent").events[0].own_keys(), ["a"]);
}

#[test]
fn an_exception_without_a_text_fails_its_span_too() {
    let spans = record(|| info_span!("span").in_scope(|| info!(error = "")));
    assert_eq!(spans.only().status(), (2, ""));
    let event = spans.only().event("exception");
    assert_eq!(event.value("exception.message"), text(""));
}

#[test]
fn spec_7_7_a_failed_span_has_an_error_type() {
    let spans = record(|| {
        info_span!("other").in_scope(|| error!("no"));
        info_span!("exception").in_scope(|| info!(error = "no"));
        info_span!("typed").in_scope(|| info!(error = "no", error.type = "timeout"));
        info_span!("told").in_scope(|| info!(error = "no", exception.type = "io::Error"));
        info_span!("shown").in_scope(|| error!(error.type = ?Some(1), "no"));
        info_span!("own", error.type = "mine").in_scope(|| error!(error.type = "theirs", "no"));
        info_span!("number", error.type = 7).in_scope(|| error!("no"));
        let late = info_span!("late", error.type = Empty);
        late.in_scope(|| error!("no"));
        late.record("error.type", "mine");
        late.in_scope(|| error!(error = "no", error.type = "theirs"));
    });
    let expected = [
        ("other", text("_OTHER")),
        ("exception", text("_OTHER")),
        ("typed", text("timeout")),
        ("told", text("io::Error")),
        ("shown", text("Some(1)")),
        ("own", text("mine")),
        ("number", int(7)),
        ("late", text("mine")),
    ];
    for (name, kind) in expected {
        let span = spans.named(name);
        assert_eq!(span.value("error.type"), kind, "{name}");
        assert_eq!(span.status().0, 2, "{name}");
    }
}

#[test]
fn spec_7_7_a_span_that_did_not_fail_has_no_error_type() {
    let spans = record(|| {
        info_span!("fine").in_scope(|| info!(error.type = "handled", "retried"));
        info_span!("ok", otel.status_code = "ok").in_scope(|| error!(error = "handled"));
        let mended = info_span!("mended", otel.status_code = Empty, own = Empty);
        mended.in_scope(|| error!(error = "handled", error.type = "timeout"));
        mended.record("own", 1).record("otel.status_code", "ok");
        mended.in_scope(|| error!("no more"));
        let own = info_span!("own", otel.status_code = Empty, error.type = Empty);
        own.in_scope(|| error!("handled"));
        own.record("error.type", "mine")
            .record("otel.status_code", "ok");
    });
    for name in ["fine", "ok", "mended"] {
        assert!(!spans.named(name).has("error.type"), "{name}");
    }
    assert_eq!(spans.named("own").value("error.type"), text("mine"));
}

/// The type is of the error that the description is of.
#[test]
fn spec_7_5_and_7_7_the_last_error_describes_the_span() {
    let last = |work: &dyn Fn()| {
        let spans = record(|| info_span!("span").in_scope(work));
        let span = spans.only();
        let kind = span.value("error.type");
        (span.status().1.to_owned(), kind)
    };
    let typed = || error!(error = "late", error.type = "timeout");
    let plain = || error!(error = "broken");
    let other = || error!("no exception");
    let expected = |description: &str, kind: &str| (description.to_owned(), text(kind));
    assert_eq!(last(&|| (plain(), typed()).0), expected("late", "timeout"));
    assert_eq!(last(&|| (typed(), plain()).0), expected("broken", "_OTHER"));
    assert_eq!(last(&|| (typed(), other()).0), expected("late", "timeout"));
    assert_eq!(last(&|| (other(), typed()).0), expected("late", "timeout"));
}

#[test]
fn an_error_type_that_a_limit_leaves_out_is_counted_once() {
    let limits = Limits::default().with_attributes(1);
    let settings = |builder: Builder| builder.with_location(false).with_limits(limits);
    let spans = record_with(settings, || {
        let span = info_span!("span", a = 1);
        span.in_scope(|| (0..5).for_each(|_| error!("no")));
    });
    let span = spans.only();
    assert_eq!(span.own_keys(), ["a"]);
    assert_eq!((span.status().0, span.dropped_attributes_count), (2, 1));
}

/// Whether an error is handled before the span ends is not known when it is recorded; `#[instrument(err)]` records what
/// leaves the function, as an exception, and the status.
#[test]
fn spec_14_4_an_error_that_leaves_a_span_is_an_exception_and_its_status() {
    #[instrument(err)]
    fn inner() -> Result<(), &'static str> {
        Err("broken")
    }
    #[instrument]
    fn outer() {
        let _ = inner();
    }
    let spans = record(outer);
    assert_eq!(spans.named("inner").event_names(), ["exception"]);
    assert_eq!(spans.named("inner").status(), (2, "broken"));
    assert_eq!(spans.named("outer").status(), (0, ""));
    assert!(spans.named("outer").events.is_empty());
}

#[test]
fn spec_14_7_an_event_outside_of_a_span_is_nothing() {
    let spans = record(|| {
        error!(error = "before");
        let span = info_span!("span");
        info!("not inside");
        span.in_scope(|| ());
        info!("after");
        info!(parent: None, "a root");
    });
    assert!(spans.only().events.is_empty());
    assert_eq!(spans.only().status(), (0, ""));
}

#[test]
fn spec_14_6_and_14_8_an_event_in_a_span_is_one_span_event_with_all_it_has() {
    let spans = record(|| {
        let outer = info_span!("outer").entered();
        let inner = info_span!("inner").entered();
        info!(a = 1, b = "two", c = true, "named");
        error!(error = "broken", d = 4);
        drop((inner, outer));
    });
    assert!(spans.named("outer").events.is_empty());
    let inner = spans.named("inner");
    assert_eq!(inner.event_names(), ["named", "exception"]);
    let event = inner.event("named");
    assert_eq!(event.own_keys(), ["a", "b", "c"]);
    let range = inner.start_time_unix_nano..=inner.end_time_unix_nano;
    assert!(range.contains(&event.time_unix_nano));
    let exception = inner.event("exception");
    assert_eq!(exception.own_keys(), ["exception.message", "d"]);
    assert!(event.time_unix_nano <= exception.time_unix_nano);
}

/// "User attributes win": and the key is there once.
#[test]
fn spec_7_19_a_users_exception_attribute_wins() {
    let spans = record(|| {
        info_span!("after").in_scope(|| error!(error = "derived", exception.message = "mine"));
        info_span!("before").in_scope(|| error!(exception.message = "mine", error = "derived"));
    });
    for name in ["after", "before"] {
        let event = &spans.named(name).events[0];
        assert_eq!(event.value("exception.message"), text("mine"), "{name}");
        assert_eq!(spans.named(name).status(), (2, "derived"), "{name}");
    }
}

#[test]
fn the_last_exception_describes_the_span() {
    let spans = record(|| {
        let span = info_span!("span");
        let _entered = span.enter();
        error!(error = "first");
        error!("no exception");
        error!(error = "second");
    });
    assert_eq!(spans.only().status(), (2, "second"));
}

#[test]
fn an_exception_changes_no_ok() {
    let spans = record(|| {
        info_span!("span", otel.status_code = "ok").in_scope(|| error!(error = "handled"));
    });
    assert_eq!(spans.only().status(), (1, ""));
    assert_eq!(spans.only().event_names(), ["exception"]);
}

/// The chain is followed so far, and an error without a source has an empty one.
#[test]
fn a_chain_may_be_empty_or_long() {
    #[derive(Debug)]
    struct Link(u32, Option<Box<Self>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|link| link as _)
        }
    }

    let long = (0..100)
        .rev()
        .fold(None, |next, number| Some(Box::new(Link(number, next))));
    let long = long.unwrap();
    let spans = record(|| {
        drop(info_span!(
            "empty",
            x = &Link(0, None) as &(dyn Error + 'static)
        ));
        drop(info_span!("long", x = &*long as &(dyn Error + 'static)));
    });
    assert_eq!(spans.named("empty").value("x.chain"), texts(&[]));
    let sources: Vec<_> = (1..=32).map(|number| number.to_string()).collect();
    let sources: Vec<_> = sources.iter().map(|text| &**text).collect();
    assert_eq!(spans.named("long").value("x.chain"), texts(&sources));
}

/// What is cut to nothing was said all the same, however the value is given.
#[test]
fn an_errors_class_that_is_cut_is_the_same_as_text_and_formatted() {
    let limits = Limits::default().with_value_length(0);
    let spans = record_with(
        |builder| builder.with_limits(limits),
        || {
            let text = || error!({ error = "wrong", "error.type" = "io" }, "event");
            let formatted = || error!({ error = "wrong", "error.type" = %"io" }, "event");
            info_span!("text").in_scope(text);
            info_span!("formatted").in_scope(formatted);
            let text = || error!({ error = "wrong", "error.type" = "io" });
            let formatted = || error!({ error = "wrong", "error.type" = %"io" });
            info_span!("text alone").in_scope(text);
            info_span!("formatted alone").in_scope(formatted);
        },
    );
    for (text, formatted) in [("text", "formatted"), ("text alone", "formatted alone")] {
        let [text, formatted] = [text, formatted].map(|name| spans.named(name));
        let keys = |span: &Exported| {
            let of = |keys: Vec<&str>| {
                let mut keys: Vec<_> = keys.into_iter().map(str::to_owned).collect();
                keys.sort();
                keys
            };
            (of(span.own_keys()), of(span.events[0].own_keys()))
        };
        assert_eq!(keys(text), keys(formatted));
        assert_eq!(text.value("error.type"), formatted.value("error.type"));
    }
}
