//! Work that may block, away from the exporter's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::task::JoinHandle;

/// Starts it on a blocking thread of the exporter's runtime. `None` where the system has no thread to give, of which tokio
/// makes a panic; the work may then be done later all the same, when there is one.
pub(super) fn start<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<JoinHandle<T>> {
    catch_unwind(AssertUnwindSafe(|| tokio::task::spawn_blocking(work))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack that fits no address space is a thread that cannot be made.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[test]
    fn a_thread_that_cannot_be_made_is_no_panic() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.thread_stack_size(1 << 60).build().unwrap();
        runtime.block_on(async { assert!(start(|| ()).is_none()) });
        runtime.shutdown_background();
    }

    #[tokio::test]
    async fn what_the_work_gives_is_handed_over() {
        assert_eq!(start(|| 7).unwrap().await.unwrap(), 7);
    }
}
