//! What is proved: who enters a span sees its parent as it was set, or nobody can set it any more; and no span stays parked.

use std::collections::HashMap;
use std::sync::Arc;

use loom::sync::Mutex;
use loom::thread;

use crate::fresh::{Entered, Fresh, Start};

/// A shard: each span's mark, and its parent.
struct Shard {
    fresh: Fresh,
    spans: Mutex<HashMap<u64, (Start, u64)>>,
}

impl Shard {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            fresh: Fresh::new(),
            spans: Mutex::new(HashMap::new()),
        })
    }

    fn create(&self, id: u64) {
        let mut spans = self.spans.lock().unwrap();
        spans.insert(id, (Start::Plain, 0));
        if let Some(pushed_out) = self.fresh.created(id) {
            match spans.get_mut(&pushed_out) {
                Some((start, _)) => *start = Start::Parked,
                None => self.fresh.unpark(),
            }
        }
    }

    /// `false`: it has started.
    fn set_parent(&self, id: u64, parent: u64) -> bool {
        let mut spans = self.spans.lock().unwrap();
        let (start, known) = spans.get_mut(&id).unwrap();
        if *start == Start::Plain {
            if !self.fresh.take_to_park(id) {
                return false;
            }
            *start = Start::Parked;
        }
        *known = parent;
        true
    }

    /// By the thread that created the span, whose copy of its place is changed with it: the span stays where it is. `false`: it has
    /// started, or is another case.
    fn set_parent_here(&self, id: u64, parent: u64) -> bool {
        let mut spans = self.spans.lock().unwrap();
        let (start, known) = spans.get_mut(&id).unwrap();
        let is_here = *start == Start::Plain && self.fresh.is_last(id);
        if is_here {
            *known = parent;
        }
        is_here
    }

    /// The parent that who enters sees; 0 is the one that it was created with.
    fn enter(&self, id: u64) -> u64 {
        match self.fresh.entered(id) {
            Entered::Now | Entered::Before => 0,
            Entered::Look => self.settle(id),
        }
    }

    /// As [`Shard::enter`], by a thread that has no copy of the place, and looks.
    fn enter_elsewhere(&self, id: u64) -> u64 {
        self.fresh.entered(id);
        self.settle(id)
    }

    fn settle(&self, id: u64) -> u64 {
        let mut spans = self.spans.lock().unwrap();
        let (start, parent) = spans.get_mut(&id).unwrap();
        match start {
            Start::Plain => self.fresh.start(id),
            _ => {
                *start = Start::Plain;
                self.fresh.unpark();
            }
        }
        *parent
    }

    fn close(&self, id: u64) {
        let mut spans = self.spans.lock().unwrap();
        let (start, _) = spans.remove(&id).unwrap();
        self.fresh.closed(id, start);
    }
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn spawn<T: 'static>(
    shard: &Arc<Shard>,
    work: impl FnOnce(&Shard) -> T + 'static,
) -> thread::JoinHandle<T> {
    let shard = Arc::clone(shard);
    thread::spawn(move || work(&shard))
}

#[test]
fn who_enters_sees_the_parent_that_was_set() {
    explore(|| {
        let shard = Shard::new();
        shard.create(1);
        let setter = spawn(&shard, |shard| shard.set_parent(1, 7));
        let seen = shard.enter(1);
        let was_set = setter.join().unwrap();
        assert_eq!(seen, if was_set { 7 } else { 0 });
    });
}

#[test]
fn a_parent_that_is_set_where_the_span_was_created_is_seen_elsewhere() {
    explore(|| {
        let shard = Shard::new();
        shard.create(1);
        let creator = spawn(&shard, |shard| shard.create(2));
        let other = spawn(&shard, |shard| shard.enter_elsewhere(1));
        let was_set = shard.set_parent_here(1, 7);
        creator.join().unwrap();
        assert_eq!(other.join().unwrap(), if was_set { 7 } else { 0 });
    });
}

#[test]
fn a_parent_that_was_set_is_seen_by_two_who_enter_at_once() {
    explore(|| {
        let shard = Shard::new();
        shard.create(1);
        assert!(shard.set_parent(1, 7));
        let other = spawn(&shard, |shard| shard.settle(1));
        // Whoever comes second may see that it has started, and then asks the store for its place.
        let entered = shard.fresh.entered(1);
        assert_ne!(entered, Entered::Now);
        assert_eq!((shard.settle(1), other.join().unwrap()), (7, 7));
        assert!(!shard.set_parent(1, 8));
    });
}

#[test]
fn a_span_that_is_pushed_out_while_it_is_entered_starts_once() {
    explore(|| {
        let shard = Shard::new();
        shard.create(1);
        let creator = spawn(&shard, |shard| shard.create(2));
        let setter = spawn(&shard, |shard| shard.set_parent(1, 7));
        let seen = shard.enter(1);
        creator.join().unwrap();
        let was_set = setter.join().unwrap();
        assert_eq!(seen, if was_set { 7 } else { 0 });
        // Nothing is left: the first one has started, and the second one has not.
        assert_eq!(shard.fresh.entered(1), Entered::Before);
        assert_eq!(shard.fresh.entered(2), Entered::Now);
    });
}

#[test]
fn closed_spans_leave_nothing_behind() {
    explore(|| {
        let shard = Shard::new();
        shard.create(1);
        let creator = spawn(&shard, |shard| {
            shard.create(2);
            shard.close(2);
        });
        shard.close(1);
        creator.join().unwrap();
        assert_eq!(shard.fresh.entered(3), Entered::Before);
        shard.create(3);
        assert_eq!(shard.fresh.entered(3), Entered::Now);
    });
}
