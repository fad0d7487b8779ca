//! Errors: an event that is an exception, and what it says of its span (specification, exceptions).

use std::error::Error;
use std::{fmt, io};

use tracing::field::Empty;
use tracing::{error, info, info_span, instrument};

use crate::support::layer::{Attributed, int, record, text, texts};

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
