//! Connections that are reset at any byte, and a collector that is restarted under load (faults F6, F26).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing_otlp::Batch;

use crate::support::collector::{Collector, Greeting, Manner};
use crate::support::rig::Rig;

const RECORDS: u64 = 60;
/// What an answer takes on the wire, roughly: settings, head, message and trailers.
const ANSWER: usize = 120;

/// A pipeline that sends when it is flushed, so that the records make one request.
fn rig(collector: Collector) -> Rig {
    Rig::with(collector, |builder| {
        builder.with_batch(Batch::default().with_interval(Duration::from_secs(60)))
    })
}

/// How many bytes the collector reads at least before it has a request of so many records, the connection's preface
/// included.
fn request_bytes() -> usize {
    let rig = rig(Collector::start());
    rig.record(RECORDS);
    rig.flush();
    let bytes = rig.collector.look(|log| log.requests[0].wire_bytes);
    rig.finish(0);
    // The acknowledgement of the settings (9 bytes) is read before or after, and the port's digits differ in length.
    bytes - 16
}

/// The first connection fails as `script` says; then all is well. Gives the number of requests that were taken unanswered.
fn fail_once(seed: u64, script: impl FnOnce(&Collector)) -> u64 {
    let collector = Collector::start();
    script(&collector);
    let rig = rig(collector);
    rig.record(RECORDS);
    // It begins the first attempt, and does not wait for its end.
    let _ = rig.handle.flush(Duration::ZERO);
    rig.wait("the first attempt", |stats| stats.requests() > 0);
    rig.flush();
    let stats = rig.stats();
    assert!(
        stats.retries() <= 1,
        "seed {seed}: {} attempts failed",
        stats.retries()
    );
    assert_eq!(
        stats.rejected() + stats.dropped(),
        0,
        "seed {seed}: {stats}"
    );
    rig.finish_with_ambiguous()
}

#[test]
fn f6_a_reset_before_or_amid_a_request_is_no_loss_and_no_duplicate() {
    let bytes = request_bytes();
    let mut random = fastrand::Rng::with_seed(6);
    let offsets = (0..30).map(|_| random.usize(0..bytes));
    // Before the first byte, within the preface, after it, and within the last bytes.
    for offset in [0, 1, 24, bytes].into_iter().chain(offsets) {
        let ambiguous = fail_once(offset as u64, |collector| {
            collector.greets(move |connection| match connection {
                0 => Greeting::ResetAfter(offset),
                _ => Greeting::Serve,
            });
        });
        assert_eq!(ambiguous, 0, "reset after {offset} of {bytes} bytes");
    }
}

#[test]
fn f6_a_reset_instead_of_or_amid_an_answer_is_no_loss_and_one_duplicate_batch_at_most() {
    let mut random = fastrand::Rng::with_seed(66);
    let offsets = (0..25).map(|_| random.usize(0..ANSWER));
    for offset in [0, 1].into_iter().chain(offsets) {
        let ambiguous = fail_once(offset as u64, |collector| {
            collector.answers(move |request| match request {
                0 => Manner::TakeAndReset(offset),
                _ => Manner::Take,
            });
        });
        assert_eq!(
            ambiguous, RECORDS,
            "the first request was taken, and its answer was not"
        );
    }
}

#[test]
fn f6_an_answer_that_ends_before_its_status_is_no_answer() {
    let ambiguous = fail_once(0, |collector| {
        collector.answers(|request| match request {
            0 => Manner::TakeWithoutStatus,
            _ => Manner::Take,
        });
    });
    assert_eq!(ambiguous, RECORDS);
}

#[test]
fn f26_a_collector_that_restarts_under_load_gets_everything() {
    const RESTARTS: u64 = 10;
    const BATCH: u64 = 256;
    let mut rig = Rig::with(Collector::start(), |builder| {
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
