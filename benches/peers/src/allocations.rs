//! A global allocator that counts, when told to.
//!
//! Counting is off while CPU time is measured: a shared counter that the application's thread and
//! the exporter both write would cost the stacks that allocate most the most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static COUNTING: AtomicBool = AtomicBool::new(false);
static IN_PROCESS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Const-initialised and without a destructor, so that the allocator may use it at any time.
    static ON_THREAD: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count of the calls that ask for memory.
#[derive(Debug)]
pub struct Counting;

// SAFETY: every call goes to `System` unchanged; the counters neither allocate nor panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count() {
    if COUNTING.load(Ordering::Relaxed) {
        IN_PROCESS.fetch_add(1, Ordering::Relaxed);
        ON_THREAD.with(|count| count.set(count.get() + 1));
    }
}

/// Allocations since the process began to count: on this thread, and on all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocations {
    pub on_thread: u64,
    pub in_process: u64,
}

impl Allocations {
    /// Begins to count, in the whole process.
    pub fn start_counting() {
        COUNTING.store(true, Ordering::Relaxed);
    }

    /// The counts up to now.
    pub fn now() -> Self {
        Self {
            on_thread: ON_THREAD.with(Cell::get),
            in_process: IN_PROCESS.load(Ordering::Relaxed),
        }
    }
}
