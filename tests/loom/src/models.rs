//! What is proved: no record is lost or doubled, a flush sees what ended before it, no wake-up is lost, and closing the
//! lanes leaves nothing behind.

use std::sync::Arc;
use std::task::Waker;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::queue::{Budget, Lane, Pool, Queue, Record, Refused, Scope, Sealed, Sizes};

fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn queue(chunk_records: usize, wake_records: usize) -> Arc<Queue> {
    let budget = Arc::new(Budget::new(1 << 20));
    let sizes = Sizes {
        chunk_bytes: 256,
        chunk_records,
        ring: 8,
        max_records: usize::MAX,
        wake_bytes: usize::MAX,
        wake_records,
    };
    Arc::new(Queue::new(sizes, Pool::new(budget, 256)))
}

fn append(lane: &Lane, queue: &Queue) -> Result<(), Refused> {
    lane.append(
        &Record {
            scope: Scope::named("s"),
            message: b"m",
        },
        [],
        queue,
    )
}

/// Takes over whatever is there, in the order in which the exporter does.
fn collect(queue: &Queue, sweep: Option<bool>) -> (u64, usize) {
    let mut chunks: Vec<Sealed> = Vec::new();
    if let Some(close) = sweep {
        queue.sweep(close, &mut chunks);
    }
    let owing = queue.owing();
    chunks.extend(std::iter::from_fn(|| queue.pop()));
    (
        chunks.iter().map(|chunk| u64::from(chunk.records)).sum(),
        owing,
    )
}

#[test]
fn no_record_is_lost_or_doubled_between_owner_and_exporter() {
    explore(3, || {
        let queue = queue(2, usize::MAX);
        let lane = queue.join();
        let owner = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || (0..3).for_each(|_| append(&lane, &queue).unwrap()))
        };
        let (first, _) = collect(&queue, Some(false));
        let (second, _) = collect(&queue, Some(false));
        owner.join().unwrap();
        let (last, owing) = collect(&queue, Some(false));
        assert_eq!((first + second + last, owing), (3, 0));
        assert_eq!(queue.counts(), (3, 0));
    });
}

#[test]
fn a_flush_sees_everything_that_ended_before_it() {
    explore(3, || {
        let queue = queue(8, usize::MAX);
        let lane = queue.join();
        let ended = Arc::new(AtomicBool::new(false));
        let owner = {
            let (queue, ended) = (Arc::clone(&queue), Arc::clone(&ended));
            thread::spawn(move || {
                append(&lane, &queue).unwrap();
                ended.store(true, Ordering::Release);
                append(&lane, &queue).unwrap();
            })
        };
        let before = u64::from(ended.load(Ordering::Acquire));
        let (mut seen, mut owing) = collect(&queue, Some(false));
        // The owner may be inside, and hand its chunk over later; it is never waited for by anything but this.
        if owing > 0 {
            owner.join().unwrap();
            let (more, rest) = collect(&queue, None);
            seen += more;
            owing = rest;
        }
        assert_eq!(owing, 0);
        assert!(seen >= before, "{seen} of {before}");
    });
}

#[test]
fn a_lane_that_no_longer_owes_has_pushed() {
    explore(3, || {
        let queue = queue(8, usize::MAX);
        let lane = queue.join();
        append(&lane, &queue).unwrap();
        let owner = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || append(&lane, &queue).unwrap())
        };
        let (seen, owing) = collect(&queue, Some(false));
        let (more, still) = collect(&queue, None);
        // The first record ended before the sweep, so as soon as nothing is owed it must be here.
        assert!(owing > 0 && still > 0 || seen + more >= 1);
        owner.join().unwrap();
    });
}

#[test]
fn what_comes_while_the_lanes_close_is_refused_or_found() {
    explore(4, || {
        let queue = queue(1, usize::MAX);
        let lane = queue.join();
        let owner = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let taken = (0..2).filter(|_| append(&lane, &queue).is_ok()).count();
                // Once refused, always refused.
                (taken as u64, append(&lane, &queue))
            })
        };
        let (early, _) = collect(&queue, Some(false));
        let (late, _) = collect(&queue, Some(true));
        let (taken, last) = owner.join().unwrap();
        let (rest, owing) = collect(&queue, None);
        assert_eq!(owing, 0);
        let taken = taken + u64::from(last.is_ok());
        assert_eq!(early + late + rest, taken);
        let lane = queue.join();
        assert_eq!(
            append(&lane, &queue),
            Err(Refused::Closed),
            "a lane made after the end is closed"
        );
    });
}

#[test]
fn what_is_handed_over_when_the_exporter_has_gone_is_counted() {
    explore(4, || {
        let queue = queue(8, usize::MAX);
        let lane = queue.join();
        let owner = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || u64::from(append(&lane, &queue).is_ok()))
        };
        let (taken, _) = collect(&queue, Some(true));
        let left = queue.abandon();
        let appended = owner.join().unwrap();
        assert_eq!(taken + left + queue.late(), appended);
        assert_eq!(queue.counts(), (appended, 0), "nothing stays behind");
    });
}

#[test]
fn a_lane_goes_from_a_dead_thread_to_the_next() {
    explore(3, || {
        let queue = queue(8, usize::MAX);
        let work = |queue: &Arc<Queue>| {
            let queue = Arc::clone(queue);
            thread::spawn(move || {
                let lane = queue.join();
                append(&lane, &queue).unwrap();
                queue.leave(lane);
            })
        };
        let (one, two) = (work(&queue), work(&queue));
        let (early, _) = collect(&queue, Some(false));
        one.join().unwrap();
        two.join().unwrap();
        let (late, owing) = collect(&queue, Some(false));
        assert_eq!((early + late, owing), (2, 0));
        assert_eq!(queue.counts(), (2, 0));
    });
}

struct Flag(AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn no_wake_up_is_lost() {
    explore(3, || {
        let queue = queue(1, 1);
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let lane = queue.join();
                    // The second record pushes the first.
                    append(&lane, &queue).unwrap();
                    append(&lane, &queue).unwrap();
                })
            })
            .collect();
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        queue.wake.prepare(&Waker::from(Arc::clone(&flag)));
        let awake = queue.is_ripe();
        producers
            .into_iter()
            .for_each(|producer| producer.join().unwrap());
        assert!(
            awake || flag.0.load(Ordering::SeqCst),
            "the exporter sleeps beside a full ring"
        );
    });
}

#[test]
fn the_owner_wakes_the_exporter_when_it_hands_over() {
    explore(3, || {
        let queue = queue(8, usize::MAX);
        let lane = queue.join();
        let owner = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || append(&lane, &queue).unwrap())
        };
        let (_, owing) = collect(&queue, Some(false));
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        queue.wake.prepare(&Waker::from(Arc::clone(&flag)));
        // The last look before sleeping.
        let settled = queue.owing() == 0;
        owner.join().unwrap();
        assert!(owing == 0 || settled || flag.0.load(Ordering::SeqCst));
    });
}

#[test]
fn a_budget_that_is_lowered_is_kept_by_whoever_knows_of_it() {
    explore(3, || {
        let budget = Arc::new(Budget::new(10));
        let is_lowered = Arc::new(AtomicBool::new(false));
        let taker = {
            let (budget, is_lowered) = (Arc::clone(&budget), Arc::clone(&is_lowered));
            thread::spawn(move || {
                let mut taken = 0;
                for _ in 0..2 {
                    // Who knows that the limit fell takes nothing beyond it.
                    let knows = is_lowered.load(Ordering::Acquire);
                    if budget.reserve(3) {
                        taken += 3;
                        assert!(!knows, "3 were used before, and 6 are not within 5");
                    }
                }
                taken
            })
        };
        assert!(budget.reserve(3));
        budget.set_limit(5);
        is_lowered.store(true, Ordering::Release);
        let taken = taker.join().unwrap();
        assert_eq!(budget.used(), 3 + taken);
        assert!(budget.used() <= 10, "never more than was configured");
        assert!(!budget.reserve(3));
    });
}
