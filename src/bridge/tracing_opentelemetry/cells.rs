//! Which spans somebody has called their trait on.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use tracing_core::Dispatch;
use tracing_core::dispatcher::{self, WeakDispatch};

use crate::layer::{Far, OtlpLayer};
use crate::sync::{AtomicBool, Ordering, lock};

const SHARDS: usize = 64;

/// So many spans of theirs are built within each other on one thread: the sampler of one may ask for another.
const DEPTH: usize = 8;

/// No span has this id (see `layer/ext/reach.rs`): with it is tried whether their functions work.
pub(super) const CHECK: u64 = u64::MAX - 1;

#[derive(Debug)]
pub(super) struct Cells {
    spans: [Mutex<HashMap<u64, Known>>; SHARDS],
    /// Spans of the private Registry that are used again.
    free: Mutex<Vec<u64>>,
    home: OnceLock<WeakDispatch>,
    given_up: AtomicBool,
}

#[derive(Clone, Debug)]
struct Known {
    /// The span in the private Registry, in whose extensions they keep their data.
    private: u64,
    /// `None` for the one that is made to try.
    far: Option<Far>,
    /// Whether all that has to be said before its start has been.
    is_told: bool,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            spans: std::array::from_fn(|_| Mutex::default()),
            free: Mutex::default(),
            home: OnceLock::new(),
            given_up: AtomicBool::new(false),
        }
    }
}

thread_local! {
    /// The spans that are being built on this thread; zeros are none. Without a destructor.
    static BUILDING: Cell<[u64; DEPTH]> = const { Cell::new([0; DEPTH]) };
}

/// While it lives, the span is being built.
pub(super) struct Building([u64; DEPTH]);

impl Drop for Building {
    fn drop(&mut self) {
        BUILDING.set(self.0);
    }
}

impl Cells {
    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Known>> {
        &self.spans[(id >> 38) as usize % SHARDS]
    }

    pub(super) fn set_home(&self, dispatch: &Dispatch) {
        // Whoever comes first sets the same.
        let _ = self.home.set(dispatch.downgrade());
    }

    /// `Option` and `Vec` do not tell their layers of the dispatcher; but who calls the trait has it as the default.
    pub(super) fn home(&self) -> Option<Dispatch> {
        match self.home.get() {
            Some(home) => home.upgrade(),
            None => {
                Some(dispatcher::get_default(Dispatch::clone)).filter(Dispatch::is::<OtlpLayer>)
            }
        }
    }

    /// Whether its dispatcher is known for good.
    pub(super) fn has_home(&self) -> bool {
        self.home.get().is_some()
    }

    /// From now on their functions find no layer.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// The way to a span of ours, if it is one.
    pub(super) fn find(&self, id: u64) -> Option<Far> {
        Far::find(&self.home()?, id)
    }

    pub(super) fn private(&self, id: u64) -> Option<u64> {
        lock(self.shard(id)).get(&id).map(|known| known.private)
    }

    pub(super) fn far(&self, id: u64) -> Option<Far> {
        lock(self.shard(id)).get(&id)?.far.clone()
    }

    pub(super) fn dispatch_of(&self, id: u64) -> Option<Dispatch> {
        self.far(id)?.dispatch()
    }

    /// The dispatcher of a span of which they still hold what has to be said before its start.
    pub(super) fn dispatch_of_untold(&self, id: u64) -> Option<Dispatch> {
        let known = lock(self.shard(id)).get(&id)?.clone();
        known.far.filter(|_| !known.is_told)?.dispatch()
    }

    /// All that has to be said before the span's start has been.
    pub(super) fn told(&self, id: u64) {
        if let Some(known) = lock(self.shard(id)).get_mut(&id) {
            known.is_told = true;
        }
    }

    pub(super) fn add(&self, id: u64, private: u64, far: Option<Far>) {
        let known = Known {
            private,
            far,
            is_told: false,
        };
        let replaced = lock(self.shard(id)).insert(id, known);
        drop(replaced);
    }

    /// A span is closed, and theirs of it is stripped.
    pub(super) fn close(&self, id: u64) {
        let removed = lock(self.shard(id)).remove(&id);
        if let Some(known) = removed {
            lock(&self.free).push(known.private);
        }
    }

    /// A span of the private Registry that is not in use.
    pub(super) fn take_free(&self) -> Option<u64> {
        lock(&self.free).pop()
    }

    /// Notes that a span is being built on this thread. `None` where too many are.
    pub(super) fn build(&self, id: u64) -> Option<Building> {
        let outer = BUILDING.get();
        let mut inner = outer;
        *inner.iter_mut().find(|known| **known == 0)? = id;
        BUILDING.set(inner);
        Some(Building(outer))
    }

    pub(super) fn is_being_built(&self, id: u64) -> bool {
        BUILDING.get().contains(&id)
    }

    /// How many spans of the private Registry are free.
    #[cfg(test)]
    pub(super) fn made(&self) -> usize {
        lock(&self.free).len()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.spans.iter().map(|shard| lock(shard).len()).sum()
    }
}
