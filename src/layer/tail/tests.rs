//! The held traces against a naive model that sees whole traces, with a clock of its own.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use proptest::prelude::*;
use prost::Message;

use super::traces::{Decided, Ended, Traces};
use crate::clock::Clock;
use crate::context::Propagators;
use crate::layer::{Filter, Holder, Parts};
use crate::proto::trace;
use crate::queue::{Budget, CHUNK, Pool, Queue, Record, Scope, Sizes, Stream};
use crate::sampler::{Sampler, Tail};
use crate::signal::Signal;
use crate::stats::{DropReason, Stats};

const MEMORY: usize = 8 << 20;
/// Nanoseconds.
const SLOW: u64 = 1_000;
const MAX_AGE: u64 = 5_000_000;
const ROOTS: u64 = 5;

fn parts(memory: usize) -> Parts {
    let budget = Arc::new(Budget::new(memory));
    let sizes = Sizes {
        chunk_bytes: CHUNK,
        chunk_records: usize::MAX,
        ring: 1 << 10,
        max_records: usize::MAX,
        wake_bytes: usize::MAX,
        wake_records: usize::MAX,
    };
    let pool = Pool::new(Arc::clone(&budget), CHUNK);
    Parts {
        traces: Stream {
            signal: Signal::Traces,
            queue: Arc::new(Queue::new(sizes, pool)),
            ledger: Arc::default(),
        },
        exports_spans: true,
        logs: None,
        budget,
        clock: Arc::new(Clock::new()),
        filter: Arc::new(Filter::default()),
        restraint: crate::config::Restraint::default(),
        limiters: crate::layer::Limiters::default(),
        sampler: Sampler::default(),
        propagators: Propagators::default(),
        id_generator: None,
        processors: None,
        holder: Holder::default(),
    }
}

/// What is tested, with what lies around it.
struct Rig {
    parts: Parts,
    traces: Traces,
}

impl Rig {
    fn new(tail: &Tail) -> Self {
        let parts = parts(MEMORY);
        let traces = Traces::new(tail, 256 << 10, &parts);
        Self { parts, traces }
    }

    fn end(&self, ended: &Ended<'_>) {
        let Decided(kept) = self.traces.end(ended);
        if let Some(trace) = kept {
            self.traces.keep(trace);
        }
    }

    fn stats(&self) -> Stats {
        let stats = self.parts.traces.stats();
        stats.waiting(self.traces.held())
    }

    /// The numbers that have been exported since the last call.
    fn exported(&self) -> BTreeSet<u64> {
        let Stream { queue, ledger, .. } = &self.parts.traces;
        let mut chunks = Vec::new();
        queue.sweep(false, &mut chunks);
        chunks.extend(std::iter::from_fn(|| queue.pop()));
        let mut numbers = BTreeSet::new();
        for chunk in chunks {
            let decoded = ResourceSpans::decode(&chunk.bytes[..]).unwrap();
            let scopes = decoded.scope_spans.into_iter();
            for span in scopes.flat_map(|scope| scope.spans) {
                assert!(numbers.insert(span.name.trim().parse().unwrap()), "twice");
            }
            ledger.delivered(chunk.records.into(), 0);
            queue.recycle(chunk);
        }
        numbers
    }
}

/// A span of which nothing is known but its number, and that is so large.
fn message(number: u64, bytes: usize) -> Vec<u8> {
    let mut message = Vec::new();
    trace::put_name(&mut message, &format!("{number:>bytes$}"));
    message
}

fn record(message: &[u8]) -> Option<Record<'_>> {
    Some(Record {
        scope: Scope::named("scope"),
        message,
    })
}

/// A trace that has not been decided about.
struct Held {
    root: u64,
    since: u64,
    spans: Vec<u64>,
}

/// Whole traces, and the law.
#[derive(Default)]
struct Model {
    /// The oldest first.
    held: Vec<Held>,
    /// Since when it has been known that a trace is kept.
    kept: HashMap<u64, u64>,
    exported: BTreeSet<u64>,
    sampled_out: u64,
    overflow: u64,
}

impl Model {
    fn take(&mut self, root: u64) -> Option<Held> {
        let at = self.held.iter().position(|held| held.root == root)?;
        Some(self.held.remove(at))
    }

    fn decide(&mut self, held: Held, is_kept: bool) {
        if is_kept {
            self.exported.extend(held.spans);
        } else {
            self.sampled_out += held.spans.len() as u64;
        }
    }

    /// A span has ended, for which the oldest traces have made room if there was none.
    fn end(&mut self, number: u64, root: u64, now: u64, is_root: bool, is_wanted: bool) {
        if is_root {
            let held = self.take(root);
            let is_kept = self.kept.remove(&root).is_some() || is_wanted;
            let mut held = held.unwrap_or(Held {
                root,
                since: now,
                spans: Vec::new(),
            });
            held.spans.push(number);
            self.decide(held, is_kept);
        } else if is_wanted || self.kept.contains_key(&root) {
            if let Some(held) = self.take(root) {
                self.decide(held, true);
            }
            self.kept.entry(root).or_insert(now);
            self.exported.insert(number);
        } else if let Some(held) = self.held.iter_mut().find(|held| held.root == root) {
            held.spans.push(number);
        } else {
            self.held.push(Held {
                root,
                since: now,
                spans: vec![number],
            });
        }
    }

    /// Whether it takes room that such a span ends: where its trace is known to be kept, and where what is held of it becomes
    /// free, it does not.
    fn needs_room(&self, root: u64, is_wanted: bool) -> bool {
        let is_held = self.held.iter().any(|held| held.root == root);
        !(self.kept.contains_key(&root) || is_wanted && is_held)
    }

    /// The oldest go, as many as it takes to explain how many spans were dropped for it; returns whether any did.
    fn overflow(&mut self, now: u64, dropped: u64, exported: &BTreeSet<u64>) -> bool {
        let mut has_any = false;
        while let Some(oldest) = self.held.first() {
            let is_slow = now - oldest.since > SLOW;
            let is_explained = match is_slow {
                true => !oldest.spans.iter().all(|span| exported.contains(span)),
                false => self.overflow == dropped,
            };
            if is_explained {
                break;
            }
            has_any = true;
            let oldest = self.held.remove(0);
            if is_slow {
                self.exported.extend(oldest.spans);
            } else {
                self.overflow += oldest.spans.len() as u64;
            }
        }
        has_any
    }

    fn sweep(&mut self, now: u64, close: bool) {
        let is_over = |since: u64| close || now - since >= MAX_AGE;
        let (over, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held| is_over(held.since));
        self.held = held;
        for held in over {
            let is_slow = now - held.since > SLOW;
            self.decide(held, is_slow);
        }
        if close {
            self.kept.clear();
        }
    }

    fn waiting(&self) -> u64 {
        self.held.iter().map(|held| held.spans.len() as u64).sum()
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Child {
        root: u64,
        wanted: bool,
        bytes: usize,
    },
    Root {
        root: u64,
        wanted: bool,
    },
    Sweep,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wanted = || prop::bool::weighted(0.08);
    let bytes = prop_oneof![4 => 20_usize..400, 1 => 2_000_usize..9_000];
    let step = prop_oneof![
        16 => (0..ROOTS, wanted(), bytes)
            .prop_map(|(root, wanted, bytes)| Step::Child { root, wanted, bytes }),
        2 => (0..ROOTS, wanted()).prop_map(|(root, wanted)| Step::Root { root, wanted }),
        1 => Just(Step::Sweep),
        2 => prop_oneof![0..10_u64, 0..2 * SLOW, 0..2 * MAX_AGE].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..120)
}

/// Roots of several threads.
fn id(root: u64) -> u64 {
    (root % 3) << 38 | (root + 1)
}

/// Runs the steps beside the model. Returns whether anything overflowed.
fn check(steps: &[Step], tail: &Tail) -> Result<bool, TestCaseError> {
    let rig = Rig::new(tail);
    let (mut model, mut exported) = (Model::default(), BTreeSet::new());
    let (mut now, mut has_overflowed) = (1_u64, false);
    for (number, step) in steps.iter().enumerate() {
        let number = number as u64;
        // Each thing takes time, so that no two traces are of the same age.
        now += 1;
        let (root, is_root, is_wanted, bytes) = match *step {
            Step::Child {
                root,
                wanted,
                bytes,
            } => (root, false, wanted, bytes),
            Step::Root { root, wanted } => (root, true, wanted, 20),
            Step::Wait(nanos) => {
                now += nanos;
                continue;
            }
            Step::Sweep => {
                rig.traces.sweep(now, false);
                model.sweep(now, false);
                exported.append(&mut rig.exported());
                continue;
            }
        };
        let message = message(number, bytes);
        rig.end(&Ended {
            root: id(root),
            is_root,
            is_wanted,
            now,
            record: record(&message),
        });
        exported.append(&mut rig.exported());
        let dropped = rig.stats().dropped_for(DropReason::TailOverflow);
        // Where room was made, what has been known for long is forgotten.
        let knows = |other: &u64| *other == root || rig.traces.knows_kept(id(*other));
        model
            .kept
            .retain(|other, since| now - *since < MAX_AGE || knows(other));
        if !is_root && model.needs_room(root, is_wanted) {
            has_overflowed |= model.overflow(now, dropped, &exported_early(&exported, &model));
        }
        model.end(number, root, now, is_root, is_wanted);
        prop_assert_eq!(model.overflow, dropped);
        compare(&rig, &model, &exported)?;
    }
    rig.traces.sweep(now, true);
    model.sweep(now, true);
    exported.append(&mut rig.exported());
    compare(&rig, &model, &exported)?;
    prop_assert_eq!(rig.stats().held(), 0);
    Ok(has_overflowed)
}

/// What has been exported and is not explained yet.
fn exported_early(exported: &BTreeSet<u64>, model: &Model) -> BTreeSet<u64> {
    exported.difference(&model.exported).copied().collect()
}

fn compare(rig: &Rig, model: &Model, exported: &BTreeSet<u64>) -> Result<(), TestCaseError> {
    prop_assert_eq!(exported, &model.exported);
    let stats = rig.stats();
    prop_assert!(stats.is_balanced(), "{stats}");
    prop_assert_eq!(stats.held(), model.waiting());
    prop_assert_eq!(stats.delivered(), exported.len() as u64);
    let dropped = |reason| stats.dropped_for(reason);
    prop_assert_eq!(dropped(DropReason::TailSampled), model.sampled_out);
    prop_assert_eq!(stats.dropped(), model.sampled_out + model.overflow);
    let used = rig.traces.used();
    prop_assert!(used <= rig.traces.limit() && used <= rig.parts.budget.used());
    Ok(())
}

fn tail() -> Tail {
    Tail::default()
        .with_slower_than(Duration::from_nanos(SLOW))
        .with_max_age(Duration::from_nanos(MAX_AGE))
}

proptest! {
    #[test]
    fn what_becomes_of_traces_is_what_the_model_says(steps in steps()) {
        let has_overflowed = check(&steps, &tail().with_max_bytes(4 << 20))?;
        prop_assert!(!has_overflowed, "there is room for all");
    }

    #[test]
    fn what_overflows_does_so_by_the_law(steps in steps()) {
        check(&steps, &tail().with_max_bytes(64 << 10))?;
    }
}

#[test]
fn the_oldest_traces_make_room_until_a_sixteenth_is_free() {
    let tail = tail().with_max_bytes(64 << 10);
    let never_slow = tail.with_slower_than(Duration::MAX);
    let rig = Rig::new(&never_slow);
    let end = |root: u64| {
        let message = message(root, 1_000);
        rig.end(&Ended {
            root: id(root),
            is_root: false,
            is_wanted: false,
            now: root,
            record: record(&message),
        });
        rig.stats()
    };
    // A trace takes 2 KiB and what it costs beside: the room has place for 25.
    let is_full = (0..100).find(|root| end(*root).dropped() > 0).unwrap();
    assert!((20..30).contains(&is_full), "{is_full}");
    let stats = rig.stats();
    let forced = stats.dropped_for(DropReason::TailOverflow);
    assert!((1..4).contains(&forced), "{stats}");
    // The youngest are still there, and the oldest is not.
    let root_of = |root: u64| Ended {
        root: id(root),
        is_root: true,
        is_wanted: true,
        now: 200,
        record: None,
    };
    (0..=is_full).for_each(|root| rig.end(&root_of(root)));
    assert_eq!(rig.exported(), (forced..=is_full).collect());
}

#[test]
fn what_is_given_back_and_kept_for_later_is_accounted_for() {
    let rig = Rig::new(&tail().with_max_bytes(1 << 20));
    for round in 0..50 {
        for root in 0..40 {
            for number in 0..2 {
                let message = message(2 * root + number, 3_000);
                rig.end(&Ended {
                    root: id(root),
                    is_root: false,
                    is_wanted: root == 7,
                    now: round,
                    record: record(&message),
                });
            }
        }
        (0..40).for_each(|root| {
            rig.end(&Ended {
                root: id(root),
                is_root: true,
                is_wanted: root % 2 == 0,
                now: round,
                record: None,
            });
        });
        rig.exported();
    }
    assert_eq!(rig.traces.held(), 0);
    let used = rig.traces.used();
    assert!(used > 0, "buffers are kept");
    rig.traces.trim();
    assert_eq!(rig.traces.used(), 0);
}

/// What has become known of a trace when its room is used up is that it is kept, and that stays so.
#[test]
fn a_trace_is_kept_also_where_there_is_no_room_to_note_it() {
    let never_slow = tail()
        .with_max_bytes(64 << 10)
        .with_slower_than(Duration::MAX);
    let rig = Rig::new(&never_slow);
    let end = |number: u64, root: u64, is_wanted: bool, bytes: usize| {
        let message = message(number, bytes);
        rig.end(&Ended {
            root: id(root),
            is_root: false,
            is_wanted,
            now: number,
            record: record(&message),
        });
    };
    (0..20).for_each(|number| end(number, number, false, 1_500));
    let mut number = 20;
    // Until there is not even room for a note.
    while rig.traces.limit() - rig.traces.used() >= 300 {
        end(number, number, true, 20);
        number += 1;
    }
    rig.exported();
    end(1_000, 1_000, true, 20);
    end(1_001, 1_000, false, 20);
    end(1_002, 5, true, 20);
    end(1_003, 5, false, 20);
    let expected = BTreeSet::from([5, 1_000, 1_001, 1_002, 1_003]);
    assert_eq!(rig.exported(), expected);
}

#[test]
fn where_the_memory_limit_is_lowered_the_oldest_traces_make_room() {
    let rig = Rig::new(&Tail::default());
    for number in 0..500 {
        let message = message(number, 1_500);
        rig.end(&Ended {
            root: id(number),
            is_root: false,
            is_wanted: false,
            now: number,
            record: record(&message),
        });
    }
    let (used, held) = (rig.traces.used(), rig.traces.held());
    assert!(
        held == 500 && used > rig.traces.limit() / 2,
        "{held}, {used} of {}",
        rig.traces.limit()
    );
    rig.parts.budget.set_limit(MEMORY / 4);
    rig.traces.sweep(500, false);
    assert!(rig.traces.used() <= rig.traces.limit() && rig.traces.limit() <= MEMORY / 16);
    let stats = rig.stats();
    let gone = stats.dropped_for(DropReason::TailOverflow);
    assert!(gone > 250 && stats.held() == 500 - gone, "{stats}");
    assert!(stats.is_balanced());
}

#[test]
fn after_the_end_nothing_is_held() {
    let rig = Rig::new(&tail());
    rig.traces.sweep(1, true);
    let message = message(1, 20);
    rig.end(&Ended {
        root: 1,
        is_root: false,
        is_wanted: false,
        now: 2,
        record: record(&message),
    });
    let stats = rig.stats();
    assert_eq!(stats.dropped_for(DropReason::Shutdown), 1, "{stats}");
    assert!(stats.is_balanced() && stats.held() == 0);
}

#[test]
fn only_what_has_been_held_long_enough_is_decided_about() {
    let rig = Rig::new(&tail());
    let end = |number: u64, now: u64, is_root: bool, is_wanted: bool| {
        let message = message(number, 20);
        rig.end(&Ended {
            root: 9,
            is_root,
            is_wanted,
            now,
            record: record(&message),
        });
    };
    end(1, 10, false, false);
    rig.traces.sweep(9 + MAX_AGE, false);
    assert_eq!((rig.traces.held(), rig.exported().len()), (1, 0));
    // By then it has taken longer than what counts as slow.
    rig.traces.sweep(10 + MAX_AGE, false);
    assert_eq!((rig.traces.held(), rig.exported()), (0, [1].into()));
    // What ends later is decided about by itself: dropped, or kept from an error on.
    end(2, 11 + MAX_AGE, false, false);
    end(3, 12 + MAX_AGE, true, false);
    assert_eq!((rig.exported().len(), rig.stats().dropped()), (0, 2));
    end(4, 20, false, true);
    end(5, 21, false, false);
    rig.traces.sweep(20 + MAX_AGE, false);
    // What is known to be kept stays so until its root ends.
    end(6, 22 + MAX_AGE, false, false);
    end(7, 23 + MAX_AGE, true, false);
    assert_eq!(
        (rig.exported(), rig.traces.held()),
        ([4, 5, 6, 7].into(), 0)
    );
}

/// Roots that never end do not take the room for ever.
#[test]
fn what_is_known_to_be_kept_gives_way_where_there_is_no_room() {
    let rig = Rig::new(&tail().with_max_bytes(64 << 10));
    for number in 0..5_000 {
        let message = message(number, 20);
        rig.end(&Ended {
            root: id(number),
            is_root: false,
            is_wanted: true,
            now: number,
            record: record(&message),
        });
        rig.exported();
    }
    assert!(rig.traces.used() <= rig.traces.limit());
    let message = message(5_000, 1_500);
    rig.end(&Ended {
        root: id(9_000),
        is_root: false,
        is_wanted: false,
        now: 5_001,
        record: record(&message),
    });
    assert_eq!((rig.traces.held(), rig.stats().dropped()), (1, 0));
}
