//! Flush, shutdown and the guard's drop: nothing is lost, and every deadline is kept (requirement R2).

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::Dispatch;
use tracing_otlp::testing::InMemory;
use tracing_otlp::{Batch, DropReason};
use tracing_subscriber::prelude::*;

use crate::support::collector::{Collector, Manner};
use crate::support::patience::{block_on, timed};
use crate::support::rig::{Rig, SLACK, assert_unfinished};
use crate::support::way::{WAYS, Way};

const PLENTY: Duration = Duration::from_secs(10);

/// A pipeline with ten records, to a collector that never answers.
fn black_hole(shutdown_timeout: Duration) -> Rig {
    black_hole_over(Way::GRPC, shutdown_timeout)
}

fn black_hole_over(way: Way, shutdown_timeout: Duration) -> Rig {
    let collector = way.collector();
    collector.answers(|_| Manner::Hang);
    let rig = Rig::over_with(way, collector, |builder| {
        builder
            .with_shutdown_timeout(shutdown_timeout)
            .with_timeout(PLENTY)
    });
    rig.record(10);
    rig.collector
        .wait("the first request", |log| !log.requests.is_empty());
    rig
}

/// The work takes so long, a tenth of a second more or less; on a machine that is busy with other things, once in three times.
#[track_caller]
fn assert_takes(time: Duration, mut work: impl FnMut() -> Duration) {
    let tolerance = Duration::from_millis(100);
    let times: Vec<_> = (0..3)
        .map(|_| work())
        .take_while(|took| took.abs_diff(time) > tolerance)
        .collect();
    assert!(times.len() < 3, "it takes {times:?}, not {time:?}");
    assert!(
        times.iter().all(|took| *took <= time + SLACK),
        "it takes {times:?}"
    );
}

#[test]
fn r2_shutdown_into_a_black_hole_takes_its_time_and_no_more() {
    let time = Duration::from_millis(500);
    for way in WAYS {
        assert_takes(time, || {
            let rig = black_hole_over(way, PLENTY);
            let (result, took) = timed(|| rig.handle.shutdown(time));
            let error = result.expect_err("nobody answers");
            assert_unfinished(&error, 10);
            let (_, stats) = rig.end();
            assert_eq!(stats.dropped_for(DropReason::Shutdown), 10, "{stats}");
            took
        });
    }
}

#[test]
fn r2_flush_into_a_black_hole_takes_its_time_and_no_more() {
    let time = Duration::from_millis(300);
    let rig = black_hole(PLENTY);
    assert_takes(time, || {
        let (result, took) = timed(|| rig.handle.flush(time));
        let error = result.expect_err("nobody answers");
        assert_unfinished(&error, 10);
        took
    });
    assert_eq!(rig.stats().held(), 10, "and keeps the records");
    rig.handle
        .shutdown(Duration::ZERO)
        .expect_err("nobody answers");
    rig.end();
}

#[test]
fn r2_flush_async_into_a_black_hole_takes_its_time_and_no_more() {
    let time = Duration::from_millis(300);
    let rig = black_hole(PLENTY);
    assert_takes(time, || {
        let (result, took) = timed(|| block_on(rig.handle.flush_async(time)));
        let error = result.expect_err("nobody answers");
        assert!(error.is_timeout(), "{error}");
        took
    });
    rig.handle
        .shutdown(Duration::ZERO)
        .expect_err("nobody answers");
    rig.end();
}

#[test]
fn r2_the_guards_drop_into_a_black_hole_takes_its_time_and_no_more() {
    let time = Duration::from_millis(300);
    assert_takes(time, || {
        let mut rig = black_hole(time);
        let guard = rig.guard.take();
        let (_, took) = timed(|| drop(guard));
        let (_, stats) = rig.end();
        assert_eq!(stats.dropped_for(DropReason::Shutdown), 10, "{stats}");
        took
    });
}

#[test]
fn no_time_at_all_and_all_the_time_there_is_are_fine() {
    let rig = Rig::new(Collector::start());
    rig.record(10);
    let (_, took) = timed(|| rig.handle.flush(Duration::ZERO));
    assert!(took < SLACK, "{took:?}");
    rig.handle.flush(Duration::MAX).expect("it is delivered");
    rig.record(10);
    rig.handle.shutdown(Duration::MAX).expect("it is delivered");
    rig.finish(0);

    let rig = black_hole(PLENTY);
    let (result, took) = timed(|| rig.handle.shutdown(Duration::ZERO));
    assert!(result.is_err() && took < SLACK, "{result:?} after {took:?}");
    rig.end();
}

#[test]
fn r2_a_second_shutdown_finds_nothing_to_do() {
    let rig = Rig::new(Collector::start());
    rig.record(10);
    let report = rig.handle.shutdown(PLENTY).expect("it is delivered");
    assert_eq!(report.delivered(), 10);
    let (report, took) = timed(|| rig.handle.shutdown(PLENTY).expect("nothing is left"));
    assert_eq!(report.delivered(), 0);
    assert!(took < SLACK, "{took:?}");
    rig.handle.flush(PLENTY).expect("nothing is left");
    rig.finish(0);
}

#[test]
fn r2_four_threads_may_shut_down_at_once() {
    for _ in 0..20 {
        let rig = Rig::new(Collector::start());
        rig.record(100);
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    rig.handle.shutdown(PLENTY).expect("all is delivered");
                    assert_eq!(rig.stats().delivered(), 100, "also when another one began");
                });
            }
        });
        rig.finish(0);
    }
    let rig = black_hole(PLENTY);
    std::thread::scope(|scope| {
        for tenths in 1..=4 {
            let (rig, time) = (&rig, Duration::from_millis(100 * tenths));
            scope.spawn(move || {
                let (result, took) = timed(|| rig.handle.shutdown(time));
                assert!(result.is_err(), "{result:?}");
                assert!(took <= time + SLACK, "{took:?} instead of {time:?}");
            });
        }
    });
    rig.end();
}

#[test]
fn r2_a_span_that_ended_just_before_the_shutdown_arrives_always() {
    for way in WAYS {
        let mut collector = way.collector();
        for round in 1..=70 {
            let rig = Rig::over_with(way, collector, |builder| builder);
            rig.record(3);
            rig.handle.shutdown(PLENTY).expect("all is delivered");
            let stats;
            (collector, stats) = rig.end();
            assert_eq!(stats.delivered(), 3);
            assert_eq!(collector.look(|log| log.taken().count()), 3 * round);
        }
    }
}

#[test]
fn r2_a_span_that_ended_just_before_the_guards_drop_arrives_always() {
    for way in WAYS {
        let mut collector = way.collector();
        for round in 1..=20 {
            let mut rig = Rig::over_with(way, collector, |builder| builder);
            rig.record(3);
            drop(rig.guard.take());
            (collector, _) = rig.end();
            assert_eq!(collector.look(|log| log.taken().count()), 3 * round);
        }
    }
}

#[test]
fn r2_what_ends_after_the_shutdown_is_counted() {
    let rig = Rig::new(Collector::start());
    let open =
        tracing::dispatcher::with_default(&rig.recorder.dispatch, || tracing::info_span!("open"));
    rig.record(5);
    rig.handle.shutdown(PLENTY).expect("five are delivered");
    rig.record(7);
    // A thread that records for the first time.
    std::thread::scope(|scope| {
        scope.spawn(|| rig.record(2));
    });
    let stats = rig.stats();
    assert_eq!(
        (stats.delivered(), stats.dropped_for(DropReason::Shutdown)),
        (5, 9),
        "{stats}"
    );
    let error = rig.handle.flush(PLENTY).expect_err("nobody will send them");
    assert!(error.is_undelivered(), "{error}");
    rig.end();
    drop(open);
}

#[test]
fn r2_the_law_is_exact_when_threads_record_while_the_exporter_stops() {
    const THREADS: u64 = 8;
    for _ in 0..20 {
        let rig = Rig::new(Collector::start());
        let late = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (rig, late) = (&rig, &late);
                scope.spawn(move || {
                    while late.load(Ordering::Relaxed) < 200 {
                        rig.recorder.record_on(thread, 1);
                        late.store(
                            rig.stats().dropped_for(DropReason::Shutdown),
                            Ordering::Relaxed,
                        );
                    }
                });
            }
            rig.wait("load", |stats| stats.accepted() > 500);
            rig.handle
                .shutdown(PLENTY)
                .expect("what ended before is delivered");
        });
        let recorded = rig.recorded();
        let (collector, stats) = rig.end();
        let arrived = collector.look(|log| log.numbers().len() as u64);
        assert_eq!(arrived, stats.delivered(), "{stats}");
        assert_eq!(
            stats.delivered() + stats.dropped_for(DropReason::Shutdown),
            recorded,
            "{stats}"
        );
    }
}

#[test]
fn a_flush_is_not_held_up_by_threads_that_record_meanwhile() {
    const BURSTS: usize = 100;
    const THREADS: usize = 3;
    const RECORDS: usize = 200;
    let memory = InMemory::new();
    // Nothing but the flush itself, and the threads that it finds at work, wakes the exporter.
    let batch = Batch::default()
        .with_max_bytes(2 << 20)
        .with_interval(Duration::from_secs(60));
    let builder = tracing_otlp::layer()
        .with_transport(memory.clone())
        .with_batch(batch);
    let (layer, guard) = builder.build().expect("a pipeline");
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    for _ in 0..BURSTS {
        std::thread::scope(|scope| {
            let record = || {
                tracing::dispatcher::with_default(&dispatch, || {
                    (0..RECORDS).for_each(|_| drop(tracing::info_span!("work")));
                });
            };
            let threads = [(); THREADS].map(|()| scope.spawn(record));
            while !threads.iter().all(|thread| thread.is_finished()) {
                guard
                    .handle()
                    .flush(Duration::from_secs(2))
                    .expect("it is delivered");
            }
        });
    }
    guard.handle().flush(PLENTY).expect("it is delivered");
    assert_eq!(memory.spans().len(), BURSTS * THREADS * RECORDS);
    let stats = guard.handle().stats();
    assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
}

#[test]
fn what_ended_on_a_thread_before_it_flushes_has_arrived_afterwards() {
    let rig = Rig::new(Collector::start());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let rig = &rig;
            scope.spawn(move || {
                let mut recorded = 0;
                for round in 0..50 {
                    rig.recorder.record_on(thread, 1 + round % 5);
                    recorded += 1 + round % 5;
                    rig.flush();
                    let arrived = rig.collector.look(|log| {
                        let mine = log
                            .taken()
                            .filter(|span| span.thread == Some(thread as i64));
                        mine.count() as u64
                    });
                    assert_eq!(arrived, recorded, "round {round}");
                }
            });
        }
    });
    rig.finish(0);
}
