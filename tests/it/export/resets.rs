//! Connections that are reset at any byte, and a collector that is restarted under load (faults F6, F26).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing_otlp::{Batch, Stats};

use crate::support::collector::{Collector, Greeting, Manner};
use crate::support::rig::Rig;
use crate::support::way::{PLAIN_WAYS, WAYS, Way};

const RECORDS: u64 = 60;
/// How many offsets of each way are tried.
const OFFSETS: usize = 80;
/// What an answer takes on the wire, roughly: over gRPC settings, head, message and trailers.
const ANSWER: usize = 120;

/// A pipeline that sends when it is flushed, so that the records make one request.
fn rig(way: Way, collector: Collector) -> Rig {
    Rig::over_with(way, collector, |builder| {
        builder
            .with_batch(Batch::default().with_interval(Duration::from_secs(60)))
            .with_timeout(Duration::from_secs(60))
    })
}

/// How many bytes the collector reads at least before it has a request of so many records, the connection's preface
/// included.
fn request_bytes(way: Way) -> usize {
    let rig = rig(way, way.collector());
    rig.record(RECORDS);
    rig.flush();
    let bytes = rig.collector.look(|log| log.requests[0].wire_bytes);
    rig.finish(0);
    // The acknowledgement of the settings (9 bytes, 31 under TLS) is read before or after, and the port's digits differ in
    // length.
    bytes - 40
}

/// The first connection fails as `script` says; then all is well. Gives the number of records that were taken unanswered.
fn fail_once(way: Way, seed: u64, script: impl FnOnce(&Collector)) -> (u64, Stats) {
    let collector = way.collector();
    script(&collector);
    let rig = rig(way, collector);
    rig.record(RECORDS);
    // It begins the first attempt, and does not wait for its end.
    let _ = rig.handle.flush(Duration::ZERO);
    rig.wait("the first attempt", |stats| stats.requests() > 0);
    rig.flush();
    let stats = rig.stats();
    assert!(
        stats.retries() <= 1,
        "{way:?}, seed {seed}: {} attempts failed",
        stats.retries()
    );
    assert_eq!(
        stats.rejected() + stats.dropped(),
        0,
        "{way:?}, seed {seed}: {stats}"
    );
    (rig.finish_with_ambiguous(), stats)
}

#[test]
fn f6_a_reset_before_or_amid_a_request_is_no_loss_and_no_duplicate() {
    let mut random = fastrand::Rng::with_seed(6);
    for way in WAYS {
        let bytes = request_bytes(way);
        let offsets: Vec<_> = (0..OFFSETS).map(|_| random.usize(0..bytes)).collect();
        // Before the first byte, within the preface, after it, and within the last bytes.
        for offset in [0, 1, 24, bytes].into_iter().chain(offsets) {
            let (ambiguous, _) = fail_once(way, offset as u64, |collector| {
                collector.greets(move |connection| match connection {
                    0 => Greeting::ResetAfter(offset),
                    _ => Greeting::Serve,
                });
            });
            assert_eq!(
                ambiguous, 0,
                "{way:?}: reset after {offset} of {bytes} bytes"
            );
        }
    }
}

#[test]
fn f6_a_reset_instead_of_or_amid_an_answer_is_no_loss_and_one_duplicate_batch_at_most() {
    let mut random = fastrand::Rng::with_seed(66);
    for way in WAYS {
        let offsets: Vec<_> = (0..OFFSETS).map(|_| random.usize(0..ANSWER)).collect();
        for offset in [0, 1].into_iter().chain(offsets) {
            let (ambiguous, stats) = fail_once(way, offset as u64, |collector| {
                collector.answers(move |request| match request {
                    0 => Manner::TakeAndReset(offset),
                    _ => Manner::Take,
                });
            });
            assert_eq!(
                ambiguous, RECORDS,
                "the first request was taken, and its answer was not"
            );
            assert_eq!(
                stats.ambiguous(),
                stats.retries(),
                "{way:?}: what is sent again may have been taken"
            );
        }
    }
}

/// A collector that takes the second request, and behaves like this instead of answering it. The connection had served one,
/// so the request is sent again at once, on another.
fn fail_on_a_connection_that_served(way: Way, manner: &Manner) -> Stats {
    let collector = way.collector();
    let once = manner.clone();
    collector.answers(move |request| match request {
        1 => once.clone(),
        _ => Manner::Take,
    });
    let rig = rig(way, collector);
    for _ in 0..2 {
        rig.record(RECORDS);
        rig.flush();
    }
    let stats = rig.stats();
    assert_eq!(stats.retries(), 0, "{way:?}, {manner:?}: {stats}");
    let connections = rig.collector.look(|log| log.connections);
    assert_eq!(connections, 2, "{way:?}, {manner:?}");
    rig.finish_with_ambiguous();
    stats
}

#[test]
fn f6_a_reset_on_a_connection_that_served_is_no_reason_to_wait() {
    for way in WAYS {
        for manner in [
            Manner::Reset,
            Manner::Close,
            Manner::TakeAndReset(0),
            Manner::TakeAndReset(20),
        ] {
            let stats = fail_on_a_connection_that_served(way, &manner);
            assert_eq!(stats.ambiguous(), 1, "{way:?}, {manner:?}: {stats}");
        }
    }
}

#[test]
fn f6_an_answer_that_ends_before_its_status_is_no_answer() {
    for way in WAYS {
        let (ambiguous, _) = fail_once(way, 0, |collector| {
            collector.answers(|request| match request {
                0 => Manner::TakeWithoutStatus,
                _ => Manner::Take,
            });
        });
        assert_eq!(ambiguous, RECORDS, "{way:?}");
    }
}

#[test]
fn f26_a_collector_that_restarts_under_load_gets_everything() {
    PLAIN_WAYS.into_iter().for_each(restart_under_load);
}

fn restart_under_load(way: Way) {
    const RESTARTS: u64 = 50;
    const BATCH: u64 = 256;
    let mut rig = Rig::over_with(way, way.collector(), |builder| {
        builder.with_batch(
            Batch::default()
                .with_max_records(BATCH as usize)
                .with_interval(Duration::from_millis(5)),
        )
    });
    let done = AtomicBool::new(false);
    let load = rig.recorder.clone();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (load, done) = (&load, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    load.record_on(thread, 20);
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            });
        }
        for _ in 0..RESTARTS {
            let seen = rig.collector.look(|log| log.requests.len());
            rig.collector
                .wait("load", |log| log.requests.len() >= seen + 2);
            rig.collector.restart();
            // Without this, a restart may cost a back-off of a second.
            let _ = rig.handle.flush(Duration::from_millis(50));
        }
        done.store(true, Ordering::Relaxed);
    });
    rig.flush();
    assert!(rig.recorded() > 500, "there was load");
    rig.finish(RESTARTS * BATCH);
}
