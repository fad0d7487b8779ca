//! The exporter: one thread that takes chunks out of the queue and sends them as they are.
//!
//! What to do is decided by [`core`], a state machine without IO, of which each signal has one for each destination; [`worker`]
//! does it.

#[cfg(any(feature = "grpc", feature = "http"))]
mod answer;
mod backoff;
mod batch;
#[cfg(any(feature = "grpc", feature = "http", feature = "file"))]
mod blocking;
mod books;
#[cfg(any(feature = "grpc", feature = "http"))]
#[cfg_attr(
    not(any(feature = "gzip", feature = "zstd")),
    path = "compress/none.rs"
)]
mod compress;
mod core;
#[cfg(feature = "file")]
mod file;
#[cfg(any(feature = "grpc", feature = "http"))]
mod headers;
mod mailbox;
#[cfg(any(feature = "grpc", feature = "http"))]
mod otlp;
mod share;
mod text;
mod transport;
mod voice;
mod worker;

#[cfg(feature = "file")]
pub use self::file::File;
pub use self::transport::{Answer, Failure, Request, Sending, Transport};

#[cfg(all(fuzzing, any(feature = "grpc", feature = "http")))]
pub(crate) use self::answer::fuzz;
pub(crate) use self::batch::Size;
pub(crate) use self::core::Tuning;
#[cfg(any(feature = "grpc", feature = "http"))]
pub(crate) use self::headers::{Headers, is_credential};
pub(crate) use self::mailbox::{Mailbox, Reply};
#[cfg(any(feature = "grpc", feature = "http"))]
pub(crate) use self::otlp::{Destination, Endpoint, Otlp, Written};
pub(crate) use self::worker::{Chore, Outgoing, Pressed, Settings, Way, start};

/// The most that a request of so many bytes takes as JSON: its pieces joined, and a text up to three times as long.
#[cfg(any(feature = "grpc", feature = "http", feature = "file"))]
pub(crate) fn json_footprint(request: usize) -> usize {
    4 * request
}
