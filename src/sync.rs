//! The switch between the real primitives and loom's model of them; the only place that names atomics.
//!
//! Under `--cfg otlp_loom` (see `tests/loom`) slot and ring are models, because loom cannot see inside crossbeam: they promise
//! what the protocols rely on and nothing more. The atomics are loom's own.

#[cfg(not(otlp_loom))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use std::sync::{Arc, Mutex};

    use crossbeam_queue::ArrayQueue;
    use crossbeam_utils::atomic::AtomicCell;

    /// A place for one boxed value that threads exchange without waiting.
    pub(crate) struct Slot<T>(AtomicCell<Option<Box<T>>>);

    impl<T> std::fmt::Debug for Slot<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Slot(..)")
        }
    }

    impl<T> Slot<T> {
        pub(crate) fn new(value: Option<Box<T>>) -> Self {
            // A pointer-sized cell is lock-free; anything else would be a spin lock in the hot path.
            const { assert!(AtomicCell::<Option<Box<u8>>>::is_lock_free()) };
            Self(AtomicCell::new(value))
        }

        #[inline]
        pub(crate) fn swap(&self, value: Option<Box<T>>) -> Option<Box<T>> {
            self.0.swap(value)
        }
    }

    /// A bounded queue of many producers and many consumers.
    #[derive(Debug)]
    pub(crate) struct Ring<T>(ArrayQueue<T>);

    impl<T> Ring<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            Self(ArrayQueue::new(capacity.max(1)))
        }

        /// Hands the item back when the queue is full.
        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            self.0.push(item)
        }

        pub(crate) fn pop(&self) -> Option<T> {
            self.0.pop()
        }

        /// How many are in it, or were a moment ago.
        pub(crate) fn len(&self) -> usize {
            self.0.len()
        }
    }
}

#[cfg(otlp_loom)]
mod model {
    use std::collections::VecDeque;

    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use std::sync::Arc;

    /// The value is behind a lock that loom does not see; what loom sees is an atomic with the orderings of crossbeam's
    /// cell, whose swap is a read-modify-write.
    #[derive(Debug)]
    pub(crate) struct Slot<T> {
        value: std::sync::Mutex<Option<Box<T>>>,
        swaps: AtomicUsize,
    }

    impl<T> Slot<T> {
        pub(crate) fn new(value: Option<Box<T>>) -> Self {
            Self {
                value: std::sync::Mutex::new(value),
                swaps: AtomicUsize::new(0),
            }
        }

        pub(crate) fn swap(&self, value: Option<Box<T>>) -> Option<Box<T>> {
            self.swaps.fetch_add(1, Ordering::AcqRel);
            std::mem::replace(&mut *super::lock_std(&self.value), value)
        }
    }

    /// A push is visible to a pop that happens after it; to one that does not, perhaps.
    #[derive(Debug)]
    pub(crate) struct Ring<T> {
        items: std::sync::Mutex<(VecDeque<T>, usize)>,
        pushed: AtomicUsize,
        capacity: usize,
    }

    impl<T> Ring<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            Self {
                items: Default::default(),
                pushed: AtomicUsize::new(0),
                capacity: capacity.max(1),
            }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            {
                let mut items = super::lock_std(&self.items);
                if items.0.len() == self.capacity {
                    return Err(item);
                }
                items.0.push_back(item);
            }
            self.pushed.fetch_add(1, Ordering::Release);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let pushed = self.pushed.load(Ordering::Acquire);
            let mut items = super::lock_std(&self.items);
            if items.1 >= pushed {
                return None;
            }
            items.1 += 1;
            items.0.pop_front()
        }

        pub(crate) fn len(&self) -> usize {
            super::lock_std(&self.items).0.len()
        }
    }
}

#[cfg(otlp_loom)]
pub(crate) use model::*;
#[cfg(not(otlp_loom))]
pub(crate) use real::*;

/// Locks, also after a panic of another holder: what is behind our locks is whole after each statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> + '_ {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(otlp_loom)]
fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
