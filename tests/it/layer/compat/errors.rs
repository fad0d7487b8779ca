//! Status and errors, with each of their switches on and off.

use std::error::Error;
use std::{fmt, io};

use tracing::field::Empty;
use tracing::{error, info, info_span, instrument, warn};
use tracing_otlp::{Builder, Errors};

use crate::support::layer::{Attributed, Exported, record, record_with, text, texts};

const UNSET: (i32, &str) = (0, "");

/// Two levels of error, as in its tests.
#[derive(Debug)]
struct User(io::Error);

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("user error")
    }
}

impl Error for User {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn user_error() -> User {
    User(io::Error::other("intermediate error"))
}

/// What becomes of a span in which `work` runs, with these settings of errors.
fn with_errors(errors: Errors, work: impl FnOnce()) -> Exported {
    let spans = record_with(
        |builder| builder.with_errors(errors),
        || info_span!("span").in_scope(work),
    );
    spans.only().clone()
}

// Status.

#[test]
fn span_status_code() {
    let spans = record(|| drop(info_span!("request", otel.status_code = %"Ok")));
    assert_eq!(spans.only().status(), (1, ""));
}

#[test]
fn span_status_description_alone_is_an_error() {
    let spans = record(|| drop(info_span!("request", otel.status_description = "message")));
    assert_eq!(spans.only().status(), (2, "message"));
}

#[test]
fn span_status_of_a_late_record() {
    let spans = record(|| {
        let span = info_span!("request", otel.status_code = Empty);
        span.in_scope(|| ());
        span.record("otel.status_code", "error");
    });
    assert_eq!(spans.only().status(), (2, ""));
}

#[test]
fn spec_7_4_better_ok_is_final_and_has_no_description() {
    let spans = record(|| {
        let span = info_span!(
            "request",
            otel.status_code = "ok",
            otel.status_description = "no"
        );
        span.in_scope(|| error!("handled"));
    });
    assert_eq!(spans.only().status(), (1, ""));
}

#[test]
fn spec_7_5_better_the_last_description_is_kept() {
    let spans = record(|| {
        let span = info_span!("request", otel.status_description = "b");
        span.record("otel.status_description", "a");
    });
    assert_eq!(spans.only().status(), (2, "a"));
}

#[test]
fn an_error_event_fails_its_span_and_a_warning_does_not() {
    let spans = record(|| {
        info_span!("failed").in_scope(|| error!("no"));
        info_span!("warned").in_scope(|| warn!("hm"));
    });
    assert_eq!(spans.named("failed").status(), (2, ""));
    assert_eq!(spans.named("warned").status(), UNSET);
}

// Errors.

#[test]
fn records_error_fields() {
    let error = user_error();
    let span = with_errors(Errors::default(), || {
        error!(error = &error as &dyn Error, "request error!");
    });
    let event = span.event("request error!");
    assert_eq!(event.value("error"), text("user error"));
    assert_eq!(event.value("error.chain"), texts(&["intermediate error"]));
    assert_eq!(event.value("exception.message"), text("user error"));
}

#[test]
fn spec_7_19_better_the_stack_trace_is_a_string() {
    let error = user_error();
    let span = with_errors(Errors::default(), || {
        error!(error = &error as &dyn Error, "request error!");
    });
    let stacktrace = span.event("request error!").value("exception.stacktrace");
    assert_eq!(stacktrace, text("intermediate error"));
}

#[test]
fn records_no_error_fields() {
    let error = user_error();
    let span = with_errors(Errors::default().with_exceptions(false), || {
        error!(error = &error as &dyn Error, "request error!");
    });
    let event = span.event("request error!");
    assert_eq!(event.own_keys(), ["error", "error.chain"]);
}

#[test]
fn records_error_fields_of_a_span() {
    let error = user_error();
    let record = |errors: Errors| {
        let settings = |builder: Builder| builder.with_errors(errors);
        record_with(settings, || {
            drop(info_span!("request", error = &error as &dyn Error))
        })
    };
    let spans = record(Errors::default());
    assert_eq!(spans.only().value("error"), text("user error"));
    assert_eq!(spans.only().value("exception.message"), text("user error"));
    let plain = record(Errors::default().with_exceptions(false));
    assert_eq!(plain.only().own_keys(), ["error", "error.chain"]);
    let least = record(Errors::default().with_exceptions(false).with_chains(false));
    assert_eq!(least.only().own_keys(), ["error"]);
}

#[test]
fn records_error_fields_of_a_late_record() {
    let error = user_error();
    let spans = record(|| {
        let span = info_span!("request", error = Empty);
        span.in_scope(|| ());
        span.record("error", &error as &dyn Error);
    });
    let span = spans.only();
    assert_eq!(span.value("error.chain"), texts(&["intermediate error"]));
    assert_eq!(
        span.value("exception.stacktrace"),
        text("intermediate error")
    );
}

/// The event has it, the span the status and the type.
#[test]
fn different_what_an_event_says_is_not_said_twice_on_its_span() {
    let error = user_error();
    let span = with_errors(Errors::default(), || {
        error!(error = &error as &dyn Error, error.type = "user");
    });
    assert_eq!(span.own_keys(), ["error.type"]);
    assert_eq!(span.status(), (2, "user error"));
}

#[test]
fn error_events_are_exceptions() {
    let span = with_errors(Errors::default(), || error!(error = "broken"));
    let event = span.event("exception");
    assert_eq!(event.own_keys(), ["exception.message"]);
    assert_eq!(event.value("exception.message"), text("broken"));
}

#[test]
fn error_events_are_no_exceptions_on_request() {
    let span = with_errors(Errors::default().with_exceptions(false), || {
        error!(error = "broken", error.type = "x");
    });
    let event = &span.events[0];
    assert!(event.name.starts_with("event "), "{}", event.name);
    assert_eq!(event.own_keys(), ["error", "error.type"]);
    assert_eq!(span.status(), (2, "broken"));
    assert_eq!(span.value("error.type"), text("x"));
}

#[test]
fn an_error_beside_a_message_is_no_exception() {
    let span = with_errors(Errors::default(), || info!(error = "broken", "message"));
    assert_eq!(span.event("message").own_keys(), ["error"]);
    assert_eq!(span.status(), UNSET);
}

#[test]
fn error_events_are_the_status() {
    #[instrument(err)]
    fn fails() -> Result<(), User> {
        Err(user_error())
    }
    let spans = record(|| assert!(fails().is_err()));
    assert_eq!(spans.only().status(), (2, "user error"));
}

#[test]
fn error_events_are_not_the_status_on_request() {
    let span = with_errors(Errors::default().with_status(false), || {
        error!(error = "broken");
        error!("no");
    });
    assert_eq!(span.status(), UNSET);
    assert_eq!(span.own_keys(), [""; 0], "and so there is no error.type");
    assert_eq!(span.event_names(), ["exception", "no"]);
}

#[test]
fn error_types_can_be_left_out() {
    let span = with_errors(Errors::default().with_error_type(false), || {
        error!(error = "broken", error.type = "x");
    });
    assert_eq!(span.status(), (2, "broken"));
    assert_eq!(span.own_keys(), [""; 0]);
    let event = span.event("exception");
    assert_eq!(event.value("exception.type"), text("x"));
}

#[test]
fn with_everything_off_an_error_is_an_attribute_like_any_other() {
    let error = user_error();
    let nothing = Errors::default()
        .with_status(false)
        .with_exceptions(false)
        .with_chains(false)
        .with_error_type(false)
        .with_panics(false);
    let span = with_errors(nothing, || {
        error!(error = &error as &dyn Error, error.type = "x");
    });
    assert_eq!(span.events[0].own_keys(), ["error", "error.type"]);
    assert_eq!((span.own_keys(), span.status()), (vec![], UNSET));
}

#[test]
fn users_exception_fields_win_over_derived_ones() {
    let error = user_error();
    let span = with_errors(Errors::default(), || {
        error!(
            error = &error as &dyn Error,
            exception.message = "mine",
            exception.stacktrace = "own"
        );
    });
    let event = span.event("exception");
    assert_eq!(event.value("exception.message"), text("mine"));
    assert_eq!(event.value("exception.stacktrace"), text("own"));
    assert_eq!(event.value("error"), text("user error"), "nothing is lost");
}
