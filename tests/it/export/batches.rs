//! When requests are sent, how large they are, and in which order records arrive in them.

use std::time::{Duration, Instant};

use tracing::Dispatch;
use tracing_otlp::Value;
use tracing_otlp::testing::InMemory;
use tracing_otlp::{Batch, DropReason};
use tracing_subscriber::prelude::*;

use crate::support::collector::{Collector, Log, Manner};
use crate::support::rig::{Rig, SLACK};

const LONG: Duration = Duration::from_secs(60);

fn rig(batch: Batch) -> Rig {
    Rig::with(Collector::start(), |builder| builder.with_batch(batch))
}

fn sizes(log: &Log) -> Vec<usize> {
    log.requests
        .iter()
        .map(|request| request.spans.len())
        .collect()
}

#[test]
fn no_request_holds_more_records_than_it_may() {
    for most in [1, 7, 100] {
        let rig = rig(Batch::default().with_max_records(most).with_interval(LONG));
        rig.record(50 * most as u64 + 3);
        rig.flush();
        rig.collector.look(|log| {
            let sizes = sizes(log);
            assert!(
                sizes.iter().all(|size| *size <= most),
                "at most {most}: {sizes:?}"
            );
            let fewest = (50 * most + 3).div_ceil(most);
            assert_eq!(sizes.len(), fewest, "all but the last are full: {sizes:?}");
        });
        rig.finish(0);
    }
}

#[test]
fn no_request_holds_more_bytes_than_it_may() {
    // The resource comes on top.
    const HEADER: usize = 512;
    for most in [4 << 10, 64 << 10, 1 << 20] {
        let rig = rig(Batch::default().with_max_bytes(most).with_interval(LONG));
        rig.recorder.record_large(100, 100);
        rig.recorder.record_large(200, 3_000);
        rig.record(100);
        rig.flush();
        rig.collector.look(|log| {
            let bytes: Vec<_> = log.requests.iter().map(|request| request.bytes).collect();
            assert!(
                bytes.iter().all(|bytes| *bytes <= most + HEADER),
                "{most}: {bytes:?}"
            );
            let fewest = bytes.iter().sum::<usize>() / most;
            assert!(
                bytes.len() <= 2 * fewest + 2,
                "{most}: {} requests instead of {fewest}",
                bytes.len()
            );
        });
        rig.finish(0);
    }
}

#[test]
fn a_record_that_is_larger_than_a_request_has_one_of_its_own() {
    let rig = rig(Batch::default().with_max_bytes(8 << 10).with_interval(LONG));
    for _ in 0..3 {
        rig.record(10);
        rig.recorder.record_large(1, 100_000);
    }
    rig.record(10);
    rig.flush();
    rig.collector.look(|log| {
        let large = log
            .requests
            .iter()
            .filter(|request| request.bytes > 9 << 10);
        assert_eq!(
            large.map(|request| request.spans.len()).collect::<Vec<_>>(),
            [1, 1, 1]
        );
    });
    rig.finish(0);
}

#[test]
fn records_go_by_themselves_when_the_interval_is_over() {
    const INTERVAL: Duration = Duration::from_millis(200);
    let rig = rig(Batch::default().with_interval(INTERVAL));
    let started = Instant::now();
    for round in 1..=3 {
        rig.record(5);
        rig.wait("the interval", |stats| stats.delivered() == 5 * round);
    }
    let took = started.elapsed();
    assert!(took <= 3 * INTERVAL + SLACK, "it took {took:?}");
    assert!(
        took >= 2 * INTERVAL,
        "records are sent before the interval is over: {took:?}"
    );
    assert_eq!(
        rig.stats().requests(),
        3,
        "and an interval without records sends nothing"
    );
    rig.finish(0);
}

#[test]
fn a_full_request_does_not_wait_for_the_interval() {
    let rig = rig(Batch::default().with_max_records(100).with_interval(LONG));
    rig.record(1_050);
    rig.wait("the full requests", |stats| stats.delivered() >= 900);
    rig.collector
        .look(|log| assert!(sizes(log).iter().all(|size| *size == 100)));
    rig.finish(0);
}

#[test]
fn p14_the_records_of_a_thread_arrive_in_order_while_others_flush() {
    const THREADS: i64 = 3;
    const RECORDS: i64 = 20_000;
    let memory = InMemory::new();
    // The smallest chunks, so that a thread hands one over while the exporter is still visiting the lanes of others.
    let batch = Batch::default().with_max_records(1).with_max_bytes(1 << 10);
    let builder = tracing_otlp::layer().with_transport(memory.clone());
    let (layer, guard) = builder
        .with_batch(batch.with_interval(LONG))
        .build()
        .expect("a pipeline");
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let handle = guard.handle();
    std::thread::scope(|scope| {
        let recording = (0..THREADS).map(|thread| {
            let (dispatch, handle) = (&dispatch, &handle);
            scope.spawn(move || {
                for number in 0..RECORDS {
                    tracing::dispatcher::with_default(dispatch, || {
                        drop(tracing::info_span!("work", thread, number));
                    });
                    // Each chunk takes a buffer.
                    while handle.stats().held() > 1_000 {
                        std::thread::yield_now();
                    }
                }
            })
        });
        let recording: Vec<_> = recording.collect();
        while !recording.iter().all(|thread| thread.is_finished()) {
            handle.flush(LONG).expect("it is delivered");
        }
    });
    guard.handle().flush(LONG).expect("it is delivered");
    let mut last = [-1; THREADS as usize];
    for span in memory.spans() {
        let [thread, number] = ["thread", "number"].map(|key| match span.attribute(key) {
            Some(Value::Int(value)) => *value,
            other => panic!("{key} is {other:?}"),
        });
        let before = std::mem::replace(&mut last[thread as usize], number);
        assert_eq!(number, before + 1, "of thread {thread}");
    }
    assert_eq!(last, [RECORDS - 1; THREADS as usize]);
}

#[test]
fn a_small_queue_drops_the_newest_and_counts_them() {
    const QUEUE: u64 = 64;
    let rig = Rig::with(Collector::start(), |builder| {
        let batch = Batch::default()
            .with_max_records(16)
            .with_max_queue_records(QUEUE as usize);
        builder
            .with_batch(batch.with_interval(LONG))
            .with_timeout(LONG)
    });
    rig.collector.answers(|_| Manner::Hang);
    for _ in 0..20 {
        rig.record(50);
        // The exporter takes in what it takes in.
        let _ = rig.handle.flush(Duration::ZERO);
    }
    let stats = rig.stats();
    // What waits, one request in flight, and the chunk that is being filled (an eighth of the queue).
    assert!(stats.held() <= QUEUE + 16 + QUEUE / 8, "{stats}");
    assert_eq!(
        stats.dropped(),
        stats.dropped_for(DropReason::QueueFull),
        "{stats}"
    );
    assert_eq!(stats.dropped() + stats.held(), 1_000, "{stats}");
    let (_, stats) = rig.end();
    assert_eq!(stats.delivered(), 0, "{stats}");
}

#[test]
fn a_small_queue_is_enough_where_the_collector_keeps_up() {
    let batch = Batch::default()
        .with_max_records(16)
        .with_max_queue_records(64);
    let rig = rig(batch.with_interval(LONG));
    for _ in 0..20 {
        rig.record(50);
        rig.flush();
    }
    rig.finish(0);
}
