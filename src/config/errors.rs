//! What becomes of errors.

/// What errors say of spans and events. Everything is on by default, and each can be switched off.
///
/// An event is an *exception* when it has a field `error` with a text (or an `Error`) and no message, as `#[instrument(err)]`
/// makes it.
///
/// Where a program comes from tracing-opentelemetry:
///
/// | There | Here |
/// |---|---|
/// | `with_error_events_to_status` | [`with_status`](Self::with_status), which is also about other events of the level ERROR |
/// | `with_error_events_to_exceptions` | [`with_exceptions`](Self::with_exceptions) |
/// | `with_error_fields_to_exceptions` | [`with_exceptions`](Self::with_exceptions); the stack trace is a text, not an array |
/// | `with_error_records_to_exceptions` | left out: what an event says stays in the event, and the span has status and `error.type` |
/// | (always) | [`with_chains`](Self::with_chains), the field `x.chain` |
/// | (none) | [`with_error_type`](Self::with_error_type), [`with_panics`](Self::with_panics) |
///
/// An exception is recorded when it is recorded: whether something handles the error before the span ends cannot be known in
/// the program's stead. The specification asks instrumentations to record errors that leave a span and cause its status, which
/// `#[instrument(err)]` does; `otel.status_code = "ok"` tells that an error was handled, and is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until a builder has them"]
pub struct Errors {
    pub(crate) status: bool,
    pub(crate) exceptions: bool,
    pub(crate) chains: bool,
    pub(crate) error_type: bool,
    pub(crate) panics: bool,
}

impl Default for Errors {
    /// All on: what users of tracing-opentelemetry find there, and what the specification asks of a failed span.
    fn default() -> Self {
        Self {
            status: true,
            exceptions: true,
            chains: true,
            error_type: true,
            panics: true,
        }
    }
}

impl Errors {
    /// Exceptions, and other events of the level ERROR, set their span's status to Error. The text of the last exception is
    /// the description; a status of Ok stays. Default on.
    pub fn with_status(mut self, on: bool) -> Self {
        self.status = on;
        self
    }

    /// Exceptions are events named `exception`, with the error as `exception.message` instead of `error`, and what a field
    /// `error.type` says as `exception.type`. A field of the type `dyn Error`, of a span or any event, also gives
    /// `exception.message` and, if it has sources, `exception.stacktrace`: one source a line. Fields of these names that a
    /// callsite declares itself win. Default on.
    ///
    /// The type is never guessed: a `dyn Error` does not tell it, and what its `Debug` writes may be different each time.
    pub fn with_exceptions(mut self, on: bool) -> Self {
        self.exceptions = on;
        self
    }

    /// A field `x` of the type `dyn Error` also gives `x.chain`, an array of its sources' texts, of at most 32. Default on.
    pub fn with_chains(mut self, on: bool) -> Self {
        self.chains = on;
        self
    }

    /// A span that fails by an event (see [`with_status`](Self::with_status)) has an attribute `error.type`: its own if it has
    /// one; else what the event says in a field `error.type` or `exception.type`; else `_OTHER` (semantic conventions, recording
    /// errors). Default on.
    pub fn with_error_type(mut self, on: bool) -> Self {
        self.error_type = on;
        self
    }

    /// A span that is left by a panic has failed, and has an exception that says so. Default on.
    pub fn with_panics(mut self, on: bool) -> Self {
        self.panics = on;
        self
    }
}

/// How exceptions are sent (semantic conventions, `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ExceptionSignal {
    /// "The default is to continue emitting exceptions as span events."
    #[default]
    SpanEvents,
    Logs,
    /// As both.
    LogsDup,
}

impl ExceptionSignal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SpanEvents => "span events",
            Self::Logs => "logs",
            Self::LogsDup => "logs/dup",
        }
    }
}
