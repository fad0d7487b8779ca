//! The layer's own filter, which a handle can change while the program runs.
//!
//! `tracing_subscriber`'s `reload` hides the layer that it wraps from `downcast_ref`, and its `Filtered` cannot be changed
//! at all; this one does neither, and other layers do not notice it.

use std::sync::{PoisonError, RwLock};

use tracing_core::Metadata;
use tracing_subscriber::filter::Targets;

use crate::sync::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Filter {
    targets: RwLock<Option<Targets>>,
    /// How often the filter was set. Written under the write lock; a reader that sees an old one decides as if it had
    /// come a moment earlier.
    generation: AtomicU64,
}

impl Filter {
    /// From now on, only what these targets enable is recorded.
    pub(crate) fn set(&self, targets: Targets) {
        let mut current = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(targets);
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The answer for a callsite, and the generation of the filter that gave it.
    pub(super) fn decide(&self, metadata: &Metadata<'_>) -> (u64, bool) {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        let enabled = targets
            .as_ref()
            .is_none_or(|targets| targets.would_enable(metadata.target(), metadata.level()));
        (self.generation(), enabled)
    }
}
