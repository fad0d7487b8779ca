//! The way out: a public trait, so that users can bring their own.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::signal::Signal;

/// Sends requests somewhere. gRPC is one; implement it for another destination.
///
/// The exporter calls `send` on its own thread, and polls the future inside its own current-thread tokio runtime. There is one
/// request at a time for each signal and destination, unless [`Builder::with_concurrency`](crate::Builder::with_concurrency) allows more. It drops a future that
/// takes longer than the time-out, catches panics, retries, and counts: a transport only moves bytes.
///
/// ```
/// use tracing_otlp::{Answer, Request, Sending, Transport};
///
/// struct Discard;
///
/// impl Transport for Discard {
///     fn send(&self, request: Request) -> Sending {
///         Box::pin(async move {
///             let _body: &[bytes::Bytes] = request.parts();
///             Ok(Answer::delivered())
///         })
///     }
/// }
///
/// let (_layer, guard) = tracing_otlp::layer().with_transport(Discard).build()?;
/// # drop(guard);
/// # Ok::<(), tracing_otlp::Error>(())
/// ```
pub trait Transport: Send + 'static {
    /// Starts to send a request.
    fn send(&self, request: Request) -> Sending;

    /// Whether it takes records of this signal; those that it does not take are not sent to it. The exporter asks once, when the
    /// pipeline is built. Default: all.
    fn takes(&self, signal: Signal) -> bool {
        let _ = signal;
        true
    }

    /// How many requests of each signal it can have in flight, at least 1; the exporter asks in the beginning. Default: as many as
    /// [`Builder::with_concurrency`](crate::Builder::with_concurrency) says.
    fn most_in_flight(&self) -> usize {
        usize::MAX
    }
}

/// A request on its way.
pub type Sending = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

/// One export request of OTLP, as the pieces of its protobuf encoding in their order. Cloning a piece copies no bytes.
#[derive(Clone)]
pub struct Request {
    signal: Signal,
    parts: Vec<Bytes>,
    records: u64,
    /// When the attempt ends; the worker ends it then in any case.
    pub(super) deadline: Option<Instant>,
}

impl Request {
    pub(super) fn new(signal: Signal, parts: Vec<Bytes>, records: u64) -> Self {
        Self {
            signal,
            parts,
            records,
            deadline: None,
        }
    }

    /// What the message holds: with [`Signal::Traces`], it is an `ExportTraceServiceRequest`, with [`Signal::Logs`] an
    /// `ExportLogsServiceRequest`.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The pieces of the message, in order.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// The pieces of the message, in order.
    pub fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }

    /// The message as one piece. This copies.
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts.concat()
    }

    /// The length of the message in bytes.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// How many records the message holds.
    pub fn records(&self) -> u64 {
        self.records
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("signal", &self.signal)
            .field("records", &self.records)
            .field("bytes", &self.bytes())
            .finish()
    }
}

/// The destination took the request, or all of it but some records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub(super) rejected: u64,
    pub(super) message: String,
    /// The answer said yes, but what came with it could not be read.
    pub(super) odd: bool,
    /// Bytes of the body as it was sent, where that is not the message's length: compressed, or as JSON.
    pub(super) sent: Option<u64>,
}

impl Answer {
    /// Everything was taken.
    pub fn delivered() -> Self {
        Self::default()
    }

    /// So many records were rejected for good, for this reason; the others were taken (OTLP's partial success). With no
    /// record rejected, the message is a warning.
    pub fn partial(rejected: u64, message: impl Into<String>) -> Self {
        Self {
            rejected,
            message: message.into(),
            ..Self::default()
        }
    }
}

/// The destination did not take the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(super) kind: Kind,
    /// The destination asked not to be called before.
    pub(super) after: Option<Duration>,
    pub(super) code: Option<Code>,
    pub(super) message: String,
}

/// What is done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody answered: the request is sent again. Where it was written in whole or in part, it may have been taken.
    Unanswered { ambiguous: bool },
    /// The destination answered: not now. The request is sent again.
    Busy,
    #[cfg_attr(
        not(feature = "grpc"),
        allow(dead_code, reason = "no other protocol says so")
    )]
    /// gRPC's OUT_OF_RANGE, which servers also say of what is too large: sent again five times, then split.
    OutOfRange,
    /// The request is split, and its halves are sent.
    TooLarge,
    /// The records are rejected.
    Refused,
    /// As `Refused`, by a mistake in the configuration that the message names.
    Misconfigured,
    /// The destination does not take this signal at all: it is left in peace for a while.
    NoPipeline,
}

/// What the destination said, by its number.
#[cfg_attr(
    not(all(feature = "grpc", feature = "http")),
    allow(dead_code, reason = "each protocol has its own")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    Grpc(i32),
    Http(u16),
}

/// gRPC's codes by number.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::Grpc(code) => {
                let names = usize::try_from(*code).ok();
                match names.and_then(|code| GRPC_CODES.get(code)) {
                    Some(name) => write!(f, "gRPC {name} ({code})"),
                    None => write!(f, "gRPC {code}"),
                }
            }
        }
    }
}

impl Failure {
    /// It may pass: the request is sent again, after a while, until it is taken or newer records need its memory.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::new(Kind::Busy, message)
    }

    /// As [`Failure::retry`], not before so much time has passed, as the destination asked (an hour at most).
    pub fn retry_after(after: Duration, message: impl Into<String>) -> Self {
        Self {
            after: Some(after),
            ..Self::retry(message)
        }
    }

    /// The request is too large: it is split, and its halves are sent. A single record is shortened, then dropped.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// It will not pass: the request's records are rejected.
    pub fn reject(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// It will not pass before somebody corrects the configuration: the records are rejected, or held where
    /// [`Builder::with_hold_on_config_error`](crate::Builder::with_hold_on_config_error) says so. The message should name what to
    /// do.
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::new(Kind::Misconfigured, message)
    }

    /// The destination does not take this signal at all: the records are rejected, and for ten minutes nothing is sent.
    pub fn no_pipeline(message: impl Into<String>) -> Self {
        Self::new(Kind::NoPipeline, message)
    }

    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            after: None,
            code: None,
            message: message.into(),
        }
    }

    /// The request was not answered, and may have been taken all the same if it was sent in part.
    pub(super) fn unanswered(ambiguous: bool, message: impl Into<String>) -> Self {
        Self::new(Kind::Unanswered { ambiguous }, message)
    }

    #[cfg(any(feature = "grpc", feature = "http"))]
    pub(super) fn with_code(self, code: Code) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }
}
