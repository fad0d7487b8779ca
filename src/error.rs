//! The one error type: opaque, with predicates.

use std::borrow::Cow;
use std::fmt;

use crate::report::Report;

/// What went wrong while a pipeline was built, flushed or shut down.
///
/// The message names the wrong value, what was expected and where the value came from. It never contains a header's
/// value or any other secret.
pub struct Error {
    kind: Kind,
    message: Cow<'static, str>,
    report: Option<Report>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Config,
    Thread,
    Timeout,
    Undelivered,
    Subscriber,
    Started,
    Disabled,
}

impl Error {
    /// A value that the caller gave is wrong; nothing was started.
    pub fn is_config(&self) -> bool {
        self.kind == Kind::Config
    }

    /// The exporter thread or its runtime could not be started, or is gone.
    pub fn is_thread(&self) -> bool {
        self.kind == Kind::Thread
    }

    /// The deadline of a flush or a shutdown passed before everything was resolved.
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }

    /// Everything was resolved in time, but some records were rejected by the collector or dropped.
    pub fn is_undelivered(&self) -> bool {
        self.kind == Kind::Undelivered
    }

    /// A global subscriber was set before `init` was called.
    pub fn is_subscriber(&self) -> bool {
        self.kind == Kind::Subscriber
    }

    /// A span has started: its parent is fixed, and nothing was changed.
    pub fn is_started(&self) -> bool {
        self.kind == Kind::Started
    }

    /// A span is disabled, or no layer of this crate records it.
    pub fn is_disabled(&self) -> bool {
        self.kind == Kind::Disabled
    }

    pub(crate) fn started() -> Self {
        Self::new(
            Kind::Started,
            "the span has started (it was entered, has a child or an event, is linked to, or its context was asked for), so its \
             parent is fixed; set the parent right after the span is created",
        )
    }

    pub(crate) fn disabled() -> Self {
        Self::new(
            Kind::Disabled,
            "the span is disabled by a filter, or no layer of tracing-otlp is in its subscriber",
        )
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Config, message)
    }

    pub(crate) fn thread(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Thread, message)
    }

    /// What a flush or a shutdown that was not complete came to; `None` where the exporter did not answer in time.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    pub(crate) fn timeout(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// Not everything was delivered. `why`, where something is unfinished: what is known of that.
    pub(crate) fn incomplete(what: &str, report: Report, why: impl FnOnce() -> String) -> Self {
        let kind = if report.unfinished > 0 {
            Kind::Timeout
        } else {
            Kind::Undelivered
        };
        let mut message = format!("{what} was not complete: {report}");
        if kind == Kind::Timeout {
            message.push_str(&why());
        }
        Self {
            kind,
            message: message.into(),
            report: Some(report),
        }
    }

    #[cfg(feature = "init")]
    pub(crate) fn subscriber(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Subscriber, message)
    }

    fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            report: None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// `fn main() -> Result<(), Error>` prints the Debug form, so it is the sentence and not a struct.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.message, self.kind)
    }
}

impl std::error::Error for Error {}
