//! Threads that end with records of theirs pending (fault F42).

use std::cell::RefCell;
use std::time::Duration;

use tracing::Span;
use tracing_otlp::Batch;

use crate::support::collector::Collector;
use crate::support::rig::Rig;

const LONG: Duration = Duration::from_secs(60);

fn rig() -> Rig {
    Rig::with(Collector::start(), |builder| {
        builder.with_batch(Batch::default().with_interval(LONG))
    })
}

#[test]
fn f42_what_a_thread_recorded_before_it_ended_arrives() {
    let rig = rig();
    let threads = (0..64).map(|thread| {
        let recorder = rig.recorder.clone();
        std::thread::spawn(move || recorder.record_on(thread, 3))
    });
    let threads: Vec<_> = threads.collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("it records"));
    assert_eq!(rig.stats().held(), 3 * 64);
    rig.flush();
    rig.finish(0);
}

#[test]
fn f42_ten_thousand_short_threads_lose_nothing_and_take_no_more_memory_than_a_few() {
    let rig = Rig::with(Collector::start(), |builder| {
        let batch = Batch::default().with_interval(Duration::from_millis(20));
        builder.with_batch(batch).with_memory_limit(1 << 20)
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_500 {
                    let recorder = rig.recorder.clone();
                    let short = std::thread::spawn(move || recorder.record(1));
                    short.join().expect("it records");
                }
            });
        }
    });
    rig.flush();
    assert_eq!(rig.stats().dropped(), 0, "{}", rig.stats());
    rig.finish(0);
}

thread_local! {
    /// A span that ends while the thread's locals are destroyed.
    static LAST: RefCell<Option<Span>> = const { RefCell::new(None) };
}

#[test]
fn f42_what_ends_while_a_threads_locals_are_destroyed_arrives() {
    let rig = rig();
    // Destroyed after our own locals or before them, by which was used first.
    for first in [true, false] {
        let recorder = rig.recorder.clone();
        let thread = std::thread::spawn(move || {
            let keep_open = || LAST.set(Some(recorder.open()));
            if first {
                keep_open();
            }
            recorder.record(1);
            if !first {
                keep_open();
            }
        });
        thread.join().expect("nothing panics");
    }
    rig.flush();
    assert_eq!(rig.recorded(), 4);
    rig.finish(0);
}
