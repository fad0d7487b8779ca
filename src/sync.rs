//! The switch between the real primitives and loom's model of them; the only place that names atomics.
//!
//! Under `--cfg otlp_loom` (see `tests/loom`) the slot and the ring are modelled by a locked value, because loom cannot see inside
//! crossbeam; the models are linearizable, which is what the protocols rely on. The atomics are loom's own.

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
    }
}

#[cfg(otlp_loom)]
mod model {
    use std::collections::VecDeque;

    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use std::sync::Arc;

    #[derive(Debug)]
    pub(crate) struct Slot<T>(Mutex<Option<Box<T>>>);

    impl<T> Slot<T> {
        pub(crate) fn new(value: Option<Box<T>>) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn swap(&self, value: Option<Box<T>>) -> Option<Box<T>> {
            std::mem::replace(&mut *self.0.lock().unwrap(), value)
        }
    }

    #[derive(Debug)]
    pub(crate) struct Ring<T> {
        items: Mutex<VecDeque<T>>,
        capacity: usize,
    }

    impl<T> Ring<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            Self {
                items: Mutex::new(VecDeque::new()),
                capacity: capacity.max(1),
            }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items.lock().unwrap();
            if items.len() == self.capacity {
                return Err(item);
            }
            items.push_back(item);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            self.items.lock().unwrap().pop_front()
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
