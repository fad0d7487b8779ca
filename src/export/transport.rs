//! The way out: a public trait, so that users can bring their own.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// Sends requests somewhere. gRPC is one; implement it for another destination.
///
/// The exporter calls `send` on its own thread, for one request at a time, and polls the future inside its own
/// current-thread tokio runtime. It drops a future that takes longer than the time-out, catches panics, retries, and counts:
/// a transport only moves bytes.
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
}

/// A request on its way.
pub type Sending = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

/// One `ExportTraceServiceRequest`, as the pieces of its protobuf encoding in their order. Cloning a piece copies no bytes.
#[derive(Clone)]
pub struct Request {
    parts: Vec<Bytes>,
    records: u64,
}

impl Request {
    pub(super) fn new(parts: Vec<Bytes>, records: u64) -> Self {
        Self { parts, records }
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

    /// How many spans the message holds.
    pub fn records(&self) -> u64 {
        self.records
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
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
        }
    }
}

/// The destination did not take the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(super) retry: bool,
    pub(super) after: Option<Duration>,
    pub(super) message: String,
}

impl Failure {
    /// It may pass: the request is sent again, after a while, until it is taken or newer records need its memory.
    pub fn retry(message: impl Into<String>) -> Self {
        Self {
            retry: true,
            after: None,
            message: message.into(),
        }
    }

    /// As [`Failure::retry`], not before so much time has passed, as the destination asked (an hour at most).
    pub fn retry_after(after: Duration, message: impl Into<String>) -> Self {
        Self {
            retry: true,
            after: Some(after),
            message: message.into(),
        }
    }

    /// It will not pass: the request's records are rejected.
    pub fn reject(message: impl Into<String>) -> Self {
        Self {
            retry: false,
            after: None,
            message: message.into(),
        }
    }
}
