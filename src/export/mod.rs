//! The exporter: one thread that takes chunks out of the queue and sends them as they are.
//!
//! What to do is decided by [`core`], a state machine without IO; [`worker`] does it.

mod backoff;
mod batch;
mod core;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(any(feature = "grpc", feature = "http"))]
mod headers;
mod mailbox;
#[cfg(any(feature = "grpc", feature = "http"))]
mod otlp;
mod transport;
mod voice;
mod worker;

pub use self::transport::{Answer, Failure, Request, Sending, Transport};

pub(crate) use self::batch::Size;
pub(crate) use self::core::Tuning;
#[cfg(feature = "grpc")]
pub(crate) use self::grpc::Grpc;
#[cfg(any(feature = "grpc", feature = "http"))]
pub(crate) use self::headers::Headers;
pub(crate) use self::mailbox::{Mailbox, Reply};
#[cfg(any(feature = "grpc", feature = "http"))]
pub(crate) use self::otlp::{Destination, Endpoint, Written};
pub(crate) use self::worker::{Settings, start};
