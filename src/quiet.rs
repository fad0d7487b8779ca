//! A thread's gate: is this one of our own threads, and how deep are we in user code?
//!
//! The exporter's network stack is instrumented with `tracing` itself. A flag of the thread keeps what it emits out of
//! the layer; a scoped `NoSubscriber` would do so too, but switches off tracing-core's fast path on every thread.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Nested recording deeper than this is counted and left out.
pub(crate) const MAX_DEPTH: u8 = 4;
const OURS: u8 = u8::MAX;

thread_local! {
    // Without a destructor, so it can be read while the thread's other locals are destroyed.
    static GATE: Cell<u8> = const { Cell::new(0) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// The thread is ours: what it records is not recorded.
    Quiet,
    /// A value's `Debug` records, inside another one's, too deep.
    TooDeep,
}

/// Marks the calling thread as one of ours, for good.
pub(crate) fn silence_this_thread() {
    GATE.set(OURS);
}

#[inline]
pub(crate) fn gate() -> Gate {
    match GATE.get() {
        0..MAX_DEPTH => Gate::Open,
        OURS => Gate::Quiet,
        _ => Gate::TooDeep,
    }
}

/// Whether this thread is one of ours, or runs user code that we have called.
pub(crate) fn is_inside() -> bool {
    GATE.get() != 0
}

/// Runs user code one level deeper; a panic becomes its message.
#[inline]
pub(crate) fn guarded<T>(user_code: impl FnOnce() -> T) -> Result<T, String> {
    nested(|| {
        let panic = match catch_unwind(AssertUnwindSafe(user_code)) {
            Ok(value) => return Ok(value),
            Err(panic) => panic,
        };
        let why = message(&*panic).to_owned();
        discard(panic);
        Err(why)
    })
}

/// Drops a panic's payload, which is user code once more and may panic in turn.
fn discard(panic: Box<dyn Any + Send>) {
    let mut panic = Some(panic);
    for _ in 0..4 {
        let Some(payload) = panic.take() else { return };
        panic = catch_unwind(AssertUnwindSafe(|| drop(payload))).err();
    }
    // It panics however often it is dropped: leaking it is the lesser harm.
    std::mem::forget(panic);
}

fn message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

/// Runs user code one level deeper.
#[inline]
fn nested<T>(user_code: impl FnOnce() -> T) -> T {
    struct Restore(u8);
    impl Drop for Restore {
        #[inline]
        fn drop(&mut self) {
            GATE.set(self.0);
        }
    }
    let depth = GATE.get();
    let _restore = Restore(depth);
    GATE.set(depth.saturating_add(1).min(OURS - 1));
    user_code()
}
