//! More than the collector takes, and the time after (faults F35, F36). Memory and waiting are measured in `tests/process/`.

use std::sync::Barrier;
use std::time::Duration;

use tracing::Dispatch;
use tracing_otlp::testing::InMemory;
use tracing_otlp::{Batch, DropReason, Limits};
use tracing_subscriber::prelude::*;

use crate::support::collector::{Collector, Manner};
use crate::support::rig::Rig;

const MEMORY: usize = 1 << 20;
const LONG: Duration = Duration::from_secs(60);

/// A pipeline with little memory, whose collector does not answer.
fn blocked() -> Rig {
    let collector = Collector::start();
    collector.answers(|_| Manner::Hang);
    Rig::with(collector, |builder| {
        builder
            .with_memory_limit(MEMORY)
            .with_limits(Limits::default().with_record_bytes(64 << 10))
            .with_batch(
                Batch::default()
                    .with_max_bytes(64 << 10)
                    .with_interval(LONG),
            )
            .with_timeout(Duration::from_millis(300))
    })
}

#[test]
fn f35_what_does_not_fit_is_dropped_and_counted_and_f36_the_rest_arrives_later() {
    let rig = blocked();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let recorder = rig.recorder.clone();
            scope.spawn(move || recorder.record_on(thread, 5_000));
        }
    });
    let _ = rig.handle.flush(Duration::ZERO);
    rig.wait("quiet", |stats| {
        stats.is_balanced() && stats.accepted() == 40_000
    });
    let stats = rig.stats();
    let reasons = [
        DropReason::QueueFull,
        DropReason::OpenSpans,
        DropReason::Evicted,
    ];
    let dropped: u64 = reasons.map(|reason| stats.dropped_for(reason)).iter().sum();
    assert_eq!(stats.dropped(), dropped, "{stats}");
    assert!(dropped > 0 && stats.held() > 500, "{stats}");
    let held = stats.held();

    rig.collector.wait_for_silence();
    rig.collector.answers(|_| Manner::Take);
    rig.record(100);
    // What the lanes still had may cost some of the oldest their place.
    let _ = rig.handle.flush(LONG);
    let stats = rig.stats();
    assert_eq!(stats.held(), 0, "{stats}");
    assert!(stats.delivered() > held / 2, "{stats}");
    assert!(
        rig.collector.look(|log| log.most_in_flight) <= 1,
        "one request at a time"
    );
    let (collector, stats) = rig.end();
    assert_eq!(stats.delivered() + stats.dropped(), 40_100, "{stats}");
    let arrived = collector.look(|log| log.numbers().len() as u64);
    assert_eq!(arrived, stats.delivered(), "{stats}");
}

#[test]
fn p12_the_newest_are_kept() {
    let rig = blocked();
    for _ in 0..200 {
        rig.record(50);
        // The exporter takes in what there is, and gives up what is oldest.
        let _ = rig.handle.flush(Duration::ZERO);
    }
    let stats = rig.stats();
    assert!(stats.dropped_for(DropReason::Evicted) > 0, "{stats}");
    assert_eq!(
        stats.dropped(),
        stats.dropped_for(DropReason::Evicted),
        "{stats}"
    );
    rig.collector.answers(|_| Manner::Take);
    rig.flush();
    let recorded = rig.recorded();
    let (collector, stats) = rig.end();
    let arrived = collector.look(|log| log.numbers());
    assert_eq!(arrived.len() as u64, stats.delivered());
    // What was in flight when memory ran out, which is the oldest, and of the rest the newest without a gap.
    let newest = (0..recorded)
        .rev()
        .take_while(|number| arrived.contains_key(&(*number as i64)));
    let newest = newest.count() as u64;
    let oldest = (0..recorded).take_while(|number| arrived.contains_key(&(*number as i64)));
    let oldest = oldest.count() as u64;
    assert_eq!(
        newest + oldest,
        stats.delivered(),
        "{newest} newest and {oldest} oldest"
    );
    assert!(newest > oldest, "{newest} newest and {oldest} oldest");
}

#[test]
fn a_few_records_now_and_then_from_many_threads_do_not_fill_the_memory() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 100;
    let rig = blocked();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let rig = &rig;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    rig.recorder.record_on(thread, 1);
                    // As the interval would do.
                    let _ = rig.handle.flush(Duration::ZERO);
                }
            });
        }
    });
    // 800 spans of some 300 bytes are a quarter of the memory, or less.
    let stats = rig.stats();
    assert_eq!(stats.dropped(), 0, "{stats}");
    rig.collector.answers(|_| Manner::Take);
    rig.flush();
    rig.finish(THREADS * ROUNDS);
}

/// Each thread has a chunk of its own, and more of them than fit the memory: none of it is lost while the destination takes all.
#[test]
fn more_threads_than_chunks_lose_nothing_to_a_collector_that_is_well() {
    const THREADS: usize = 300;
    let memory = InMemory::default();
    let builder = tracing_otlp::layer().with_memory_limit(8 << 20);
    let (layer, guard) = builder.with_transport(memory).build().unwrap();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let round = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    for _ in 0..5 {
                        round.wait();
                        drop(tracing::info_span!("seldom"));
                        std::thread::sleep(Duration::from_millis(50));
                    }
                });
            });
        }
    });
    let handle = guard.handle();
    drop(guard);
    let stats = handle.stats();
    assert_eq!(
        (stats.delivered(), stats.dropped()),
        (5 * 300, 0),
        "{stats:?}"
    );
}
