//! For tests: a transport that keeps what it is given, and gives it back as plain spans and log records.
//!
//! Nothing here is shared by the process: each test makes its own pipeline, and any number of them run beside each other.
//!
//! ```
//! use std::time::Duration;
//! use tracing_otlp::testing::InMemory;
//! use tracing_subscriber::prelude::*;
//!
//! let memory = InMemory::new();
//! let (otlp, guard) = tracing_otlp::layer().with_transport(memory.clone()).build()?;
//! let subscriber = tracing_subscriber::registry().with(otlp);
//! tracing::subscriber::with_default(subscriber, || {
//!     tracing::info_span!("work", items = 3).in_scope(|| tracing::info!("done"));
//! });
//! guard.handle().flush(Duration::from_secs(5))?;
//!
//! let spans = memory.spans();
//! assert_eq!(spans[0].name, "work");
//! assert_eq!(spans[0].attribute("items"), Some(&3.into()));
//! assert_eq!(spans[0].events[0].name, "done");
//! # Ok::<(), tracing_otlp::Error>(())
//! ```

mod decode;
mod model;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::model::{Event, Link, Log, Span};
use crate::export::{Answer, Request, Sending, Transport};
use crate::signal::Signal;

/// Keeps every request. Clones share what is kept.
#[derive(Clone, Debug, Default)]
pub struct InMemory(Arc<Mutex<Vec<Kept>>>);

/// A request, encoded.
type Kept = (Signal, Vec<u8>);

impl InMemory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The requests with spans, each an encoded `ExportTraceServiceRequest`.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.of(Signal::Traces)
    }

    /// The requests with log records, each an encoded `ExportLogsServiceRequest`.
    pub fn log_requests(&self) -> Vec<Vec<u8>> {
        self.of(Signal::Logs)
    }

    /// The spans of all requests, in the order in which they closed on each thread.
    pub fn spans(&self) -> Vec<Span> {
        // Our own encoder wrote them; what cannot be read would be a bug that a test should see as a missing span.
        let requests = self.requests().into_iter();
        requests
            .flat_map(|request| decode::spans(&request).unwrap_or_default())
            .collect()
    }

    /// The log records of all requests, in the order in which they were made on each thread.
    pub fn logs(&self) -> Vec<Log> {
        let requests = self.log_requests().into_iter();
        requests
            .flat_map(|request| decode::logs(&request).unwrap_or_default())
            .collect()
    }

    /// Forgets what was kept.
    pub fn clear(&self) {
        self.kept().clear();
    }

    fn of(&self, signal: Signal) -> Vec<Vec<u8>> {
        let kept = self.kept();
        let of_signal = kept.iter().filter(|(of, _)| *of == signal);
        of_signal.map(|(_, request)| request.clone()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for InMemory {
    fn send(&self, request: Request) -> Sending {
        self.kept().push((request.signal(), request.to_vec()));
        Box::pin(async { Ok(Answer::delivered()) })
    }
}
