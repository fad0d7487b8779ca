//! What others want to be done on the exporter's thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Something that is done each time when lanes are swept. What is done before those of the traces are is done once more (`true`) before
/// they are closed.
#[derive(Clone)]
pub(crate) struct Chore(Arc<dyn Fn(bool) + Send + Sync>);

impl Chore {
    pub(crate) fn new(chore: impl Fn(bool) + Send + Sync + 'static) -> Self {
        Self(Arc::new(chore))
    }

    /// `false`: it panicked.
    pub(super) fn run(&self, close: bool) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.0)(close))).is_ok()
    }
}

impl fmt::Debug for Chore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chore(..)")
    }
}
