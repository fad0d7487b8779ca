//! Requests of adaptive size, and several in flight, against a receiver that is slowed.

use std::time::Duration;

use tracing_otlp::{Batch, Builder, Concurrency, File};
use tracing_subscriber::prelude::*;

use crate::support::collector::{Log, Manner};
use crate::support::rig::Rig;
use crate::support::way::{PLAIN_WAYS, Way};

const LONG: Duration = Duration::from_secs(60);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// To a receiver that answers as it is told, by requests that wait for others.
fn rig(way: Way, configure: impl FnOnce(Builder) -> Builder) -> Rig {
    Rig::over_with(way, way.collector(), |builder| {
        let batch = Batch::default().with_interval(LONG);
        configure(builder.with_batch(batch).with_timeout(LONG))
    })
}

/// Records so many KiB and some more, in spans of 10 KiB.
fn record(rig: &Rig, kib: usize) {
    rig.recorder.record_large(kib as u64 / 10, 10 * KIB);
}

#[track_caller]
fn flush(rig: &Rig) {
    let flushed = rig.handle.flush(LONG);
    assert!(flushed.is_ok(), "{flushed:?}: {}", rig.stats());
    let stats = rig.stats();
    assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
}

fn sizes(log: &Log) -> Vec<usize> {
    log.requests.iter().map(|request| request.bytes).collect()
}

#[test]
fn requests_shrink_to_what_a_slow_receiver_takes_in_time_and_grow_again() {
    let rig = rig(Way::GRPC, |builder| {
        builder.with_timeout(Duration::from_millis(600))
    });
    // 1 MiB takes more than twice the time that an attempt has: as one request it would never arrive. Halves and quarters of it
    // are no close case, so that the receiver knows what it has answered in time.
    rig.collector.judges(|_, request| {
        let millis = 1_600 * request.bytes / MIB;
        Manner::TakeAfter(Duration::from_millis(millis as u64))
    });
    record(&rig, 1_500);
    flush(&rig);
    let slow = rig.collector.look(sizes);
    assert!(slow[0] > 900 * KIB, "{slow:?}");
    let last = slow[slow.len() - 1];
    assert!(last < 400 * KIB, "{slow:?}");
    let stats = rig.stats();
    assert!(
        stats.retries() > 0 && stats.retries() == stats.ambiguous(),
        "{stats}"
    );

    rig.collector.wait_for_silence();
    rig.collector.always(Manner::Take);
    record(&rig, 12 * KIB);
    flush(&rig);
    let all = rig.collector.look(sizes);
    let largest = all[slow.len()..].iter().max().copied().unwrap_or_default();
    assert!(largest > 2 * last, "{largest} of {all:?}");
    rig.finish_with_ambiguous();
}

#[test]
fn requests_grow_where_each_takes_long_and_there_is_more_to_send() {
    for way in PLAIN_WAYS {
        let rig = rig(way, |builder| builder);
        rig.collector
            .always(Manner::TakeAfter(Duration::from_millis(100)));
        record(&rig, 20 * KIB);
        flush(&rig);
        let sizes = rig.collector.look(sizes);
        assert!(sizes[0] <= MIB + KIB, "{sizes:?}");
        assert!(sizes.iter().any(|size| *size > 3 * MIB), "{sizes:?}");
        assert!(sizes.iter().all(|size| *size < 4 * MIB), "{sizes:?}");
        rig.finish(0);
    }
}

#[test]
fn requests_have_one_size_where_that_is_asked_for() {
    for batch in [
        Batch::default().with_adaptive_size(false),
        Batch::default().with_max_bytes(MIB),
    ] {
        let rig = rig(Way::GRPC, |builder| {
            builder.with_batch(batch.with_interval(LONG))
        });
        rig.collector
            .always(Manner::TakeAfter(Duration::from_millis(50)));
        record(&rig, 8 * KIB);
        flush(&rig);
        let sizes = rig.collector.look(sizes);
        assert!(sizes.iter().all(|size| *size <= MIB + KIB), "{sizes:?}");
        rig.finish(0);
    }
}

/// Four at a time, of 256 KiB each.
fn four(builder: Builder) -> Builder {
    let batch = Batch::default().with_max_bytes(256 * KIB);
    builder
        .with_batch(batch.with_interval(LONG))
        .with_concurrency(Concurrency::Fixed(4))
}

#[test]
fn spec_2_30_several_requests_are_in_flight_each_on_a_connection_of_its_own() {
    for way in PLAIN_WAYS {
        let rig = rig(way, four);
        rig.collector
            .always(Manner::TakeAfter(Duration::from_millis(50)));
        record(&rig, 8 * KIB);
        flush(&rig);
        let (most, connections) = rig
            .collector
            .look(|log| (log.most_in_flight, log.connections));
        assert_eq!((most, connections), (4, 4), "{way:?}");
        assert_eq!(rig.stats().retries(), 0);
        rig.finish(0);
    }
}

#[test]
fn several_that_fail_in_all_ways_lose_nothing() {
    for way in PLAIN_WAYS {
        let rig = rig(way, |builder| {
            four(builder).with_timeout(Duration::from_secs(2))
        });
        rig.collector.answers(|number| match number {
            3 => Manner::Status(14),
            5 => Manner::Close,
            6 => Manner::TakeAndReset(0),
            9 => Manner::TakeWithoutStatus,
            12 => Manner::Reset,
            14 => Manner::Hang,
            _ => Manner::TakeAfter(Duration::from_millis(number as u64 % 7)),
        });
        for _ in 0..4 {
            record(&rig, 2 * KIB);
            rig.record(1_000);
        }
        flush(&rig);
        let most = rig.collector.look(|log| log.most_in_flight);
        assert!(most <= 4, "{most} in flight");
        // What ends a connection that was used before is no failure.
        assert!(rig.stats().retries() >= 2, "{}", rig.stats());
        rig.finish_with_ambiguous();
    }
}

#[test]
fn a_restart_of_the_receiver_costs_several_connections_and_no_record() {
    let mut rig = rig(Way::GRPC, four);
    for _ in 0..5 {
        rig.collector
            .always(Manner::TakeAfter(Duration::from_millis(20)));
        record(&rig, 2 * KIB);
        flush(&rig);
        rig.collector.wait_for_silence();
        rig.collector.restart();
    }
    record(&rig, 2 * KIB);
    flush(&rig);
    // What ends while it is idle is no failure.
    assert_eq!(rig.stats().retries(), 0, "{}", rig.stats());
    rig.finish(0);
}

#[test]
fn f_8_connections_that_end_when_they_are_used_again_cost_no_failure() {
    for way in PLAIN_WAYS {
        let rig = rig(way, four);
        rig.collector
            .always(Manner::TakeAfter(Duration::from_millis(20)));
        record(&rig, 4 * KIB);
        flush(&rig);
        rig.collector.wait_for_silence();
        let old = rig.collector.look(|log| log.connections);
        assert_eq!(old, 4);
        // As a network does that has forgotten them: one is found out after the other.
        rig.collector.judges(move |_, request| {
            if request.connection < old {
                Manner::Close
            } else {
                Manner::Take
            }
        });
        rig.record(10);
        flush(&rig);
        assert_eq!(rig.stats().retries(), 0, "{way:?}: {}", rig.last_error());
        rig.finish(0);
    }
}

#[test]
fn as_many_are_in_flight_as_shorten_the_wait() {
    let rig = rig(Way::GRPC, |builder| {
        four(builder).with_concurrency(Concurrency::Adaptive(6))
    });
    rig.collector
        .always(Manner::TakeAfter(Duration::from_millis(50)));
    record(&rig, 16 * KIB);
    flush(&rig);
    let most = rig.collector.look(|log| log.most_in_flight);
    assert!((3..=6).contains(&most), "{most} in flight");
    assert_eq!(rig.stats().retries(), 0);
    rig.finish(0);
}

#[test]
fn p_24_a_shutdown_does_not_wait_for_several_that_hang() {
    for way in PLAIN_WAYS {
        let rig = rig(way, four);
        rig.collector.always(Manner::Hang);
        record(&rig, 2 * KIB);
        rig.collector.wait("four", |log| log.in_flight == 4);
        let (_, stats) = rig.give_up();
        assert_eq!(stats.dropped(), stats.accepted(), "{stats}");
    }
}

#[test]
fn headers_are_asked_for_by_one_request_at_a_time() {
    let rig = rig(Way::GRPC, |builder| {
        four(builder).with_header_provider(|_| {
            std::thread::park_timeout(Duration::from_millis(5));
            Ok(vec![("x-tenant".to_owned(), "one".to_owned())])
        })
    });
    rig.collector
        .always(Manner::TakeAfter(Duration::from_millis(50)));
    record(&rig, 4 * KIB);
    flush(&rig);
    assert_eq!(rig.stats().retries(), 0, "{}", rig.last_error());
    assert!(rig.collector.look(|log| log.most_in_flight) > 1);
    rig.finish(0);
}

#[test]
fn a_file_is_written_by_one_request_at_a_time() {
    let path = std::env::temp_dir().join(format!("otlp-flow-{}.jsonl", std::process::id()));
    let builder = tracing_otlp::layer().with_transport(File::at(&path));
    let (layer, guard) = four(builder).build().expect("a pipeline");
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let payload = "x".repeat(10 * KIB);
        (0..200).for_each(|number| drop(tracing::info_span!("work", number, payload)));
    });
    let flushed = guard.handle().flush(LONG);
    let stats = guard.handle().stats();
    std::fs::remove_file(&path).expect("the file");
    assert!(flushed.is_ok(), "{flushed:?}");
    assert_eq!((stats.delivered(), stats.retries()), (200, 0), "{stats}");
}
