//! The wake-up: at most once for each time that the exporter goes to sleep, and never lost.
//!
//! Each side writes before it reads what the other writes, with a SeqCst fence in between (Dekker's algorithm): a producer
//! publishes its work, then reads `asleep`; the exporter sets `asleep`, then looks for work. So at least one of them sees
//! the other.

use std::task::Waker;

use crate::sync::{AtomicBool, Mutex, Ordering, fence, lock};

#[derive(Debug)]
pub(crate) struct Wake {
    /// Set by the exporter before its last look, cleared by whoever wakes it.
    asleep: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self {
            asleep: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// There is work that the caller has published before. Costs a fence and a load while the exporter is awake.
    pub(crate) fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // Only one of many threads that see the flag pays for the wake-up.
        if self.asleep.swap(false, Ordering::Relaxed)
            && let Some(waker) = { lock(&self.waker).take() }
        {
            waker.wake();
        }
    }

    /// The exporter is about to sleep: afterwards it looks for work once more, and sleeps only if there is none.
    pub(crate) fn prepare(&self, waker: &Waker) {
        *lock(&self.waker) = Some(waker.clone());
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The exporter found work, or something else woke it.
    pub(crate) fn cancel(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}
