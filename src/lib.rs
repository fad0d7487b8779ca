//! x
#![forbid(unsafe_code)]

mod clock;
mod config;
mod env;
mod error;
mod export;
mod id;
mod layer;
mod pipeline;
mod proto;
mod queue;
mod quiet;
mod report;
mod say;
mod stats;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::config::{Batch, Limits};
pub use self::error::Error;
pub use self::export::{Answer, Failure, Request, Sending, Transport};
pub use self::id::{SpanId, TraceId};
pub use self::layer::OtlpLayer;
#[cfg(feature = "init")]
pub use self::pipeline::init;
pub use self::pipeline::{Builder, Events, Guard, Handle, layer};
pub use self::report::Report;
pub use self::stats::{DropReason, Stats};
