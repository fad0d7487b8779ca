//! Where spans end when only the application's side is timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the spans that reached the exporter, and drops them.
///
/// The count tells whether a stack kept up: one that drops at a full queue does less work.
#[derive(Clone, Debug, Default)]
pub struct Sink(Arc<AtomicU64>);

impl Sink {
    /// Takes this many spans.
    pub fn take(&self, spans: u64) {
        self.0.fetch_add(spans, Ordering::Relaxed);
    }

    /// All spans taken so far.
    pub fn spans(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
