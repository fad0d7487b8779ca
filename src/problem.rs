//! What the exporter tells a program of its troubles.

use std::fmt;
use std::sync::Arc;

use crate::signal::Signal;

/// Something that keeps records from being delivered, as
/// [`Builder::with_on_error`](crate::Builder::with_on_error) is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    records: u64,
    message: String,
    origin: Origin,
}

/// What a problem is about: records of a signal, on their way to a destination or not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) signal: Signal,
    pub(crate) destination: Option<Arc<str>>,
}

/// What became of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A request failed, and is sent again later.
    Undelivered,
    /// The collector refused records for good.
    Rejected,
    /// Records were dropped: memory was short, or what they are for is not there.
    Dropped,
    /// The collector took everything, and has something to say.
    Warning,
}

impl Problem {
    pub(crate) fn new(
        origin: &Origin,
        kind: ProblemKind,
        records: u64,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            records,
            message: message.into(),
            origin: origin.clone(),
        }
    }

    /// What became of the records.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// Which records it is about: spans or log records.
    pub fn signal(&self) -> Signal {
        self.origin.signal
    }

    /// The name of the destination that it is about: of its [`Exporter`](crate::Exporter), or `default` where the builder describes the only
    /// one. `None` where records were dropped before any destination had them.
    pub fn destination(&self) -> Option<&str> {
        self.origin.destination.as_deref()
    }

    /// How many records it is about.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The endpoint, what was seen and what may be done about it. Control characters are escaped, a collector's words are cut,
    /// and no header's value is in it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            records,
            message,
            ..
        } = self;
        let s = if *records == 1 { "" } else { "s" };
        match kind {
            ProblemKind::Undelivered => write!(
                f,
                "cannot deliver, records are kept and sent again: {message}"
            ),
            ProblemKind::Rejected => write!(f, "{records} record{s} rejected: {message}"),
            ProblemKind::Dropped => write!(f, "{records} record{s} dropped: {message}"),
            ProblemKind::Warning => write!(f, "the collector warns: {message}"),
        }
    }
}

/// What a program wants to be called with.
#[derive(Clone)]
pub(crate) struct Hook(pub(crate) Arc<dyn Fn(&Problem) + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook(..)")
    }
}
