//! For tests: a transport that keeps what it is given, and gives it back as plain spans.
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

pub use self::model::{Event, Link, Span};
use crate::export::{Answer, Request, Sending, Transport};

/// Keeps every request. Clones share what is kept.
#[derive(Clone, Debug, Default)]
pub struct InMemory(Arc<Mutex<Vec<Vec<u8>>>>);

impl InMemory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The requests, each an encoded `ExportTraceServiceRequest`.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.kept().clone()
    }

    /// The spans of all requests, in the order in which they closed on each thread.
    pub fn spans(&self) -> Vec<Span> {
        // Our own encoder wrote them; what cannot be read would be a bug that a test should see as a missing span.
        self.kept()
            .iter()
            .flat_map(|request| decode::request(request).unwrap_or_default())
            .collect()
    }

    /// Forgets what was kept.
    pub fn clear(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for InMemory {
    fn send(&self, request: Request) -> Sending {
        self.kept().push(request.to_vec());
        Box::pin(async { Ok(Answer::delivered()) })
    }
}
