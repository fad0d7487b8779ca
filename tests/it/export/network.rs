//! A collector that is absent, refuses, hangs, does not read or says no (faults F1, F2, F4, F5; a part of F10).

use std::time::{Duration, Instant};

use tracing_otlp::Error;

use crate::support::collector::{Arrival, Collector, Greeting, Manner};
use crate::support::patience::timed;
use crate::support::rig::{Rig, assert_unfinished};
use crate::support::sockets;
use crate::support::way::{PLAIN_WAYS, WAYS, Way};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn everything_arrives_once_at_a_collector_that_is_well() {
    let rig = Rig::new(Collector::start());
    rig.record(1_000);
    rig.flush();
    rig.record(1);
    rig.flush();
    let requests = rig.stats().requests();
    let (seen, connections) = rig
        .collector
        .look(|log| (log.requests.len() as u64, log.connections));
    assert_eq!(
        (seen, connections),
        (requests, 1),
        "one connection serves all"
    );
    assert_eq!(rig.stats().retries(), 0);
    rig.collector.look(|log| {
        let whose = |span: &Arrival| span.scope == "it::support::rig";
        assert!(log.taken().all(whose), "the scope is the target");
    });
    rig.finish(0);
}

#[test]
fn f1_a_collector_that_comes_late_gets_everything() {
    for way in WAYS {
        let mut rig = Rig::over_with(way, way.absent(), |builder| builder);
        rig.record(500);
        rig.wait("a failed attempt", |stats| stats.retries() > 0);
        rig.record(500);
        assert_eq!(rig.stats().held(), 1_000);
        rig.collector.restart();
        let appeared = Instant::now();
        // Nobody flushes: the next probe is half a second away at most, or a whole one if a second attempt failed meanwhile.
        rig.wait("delivery", |stats| stats.delivered() == 1_000);
        let took = appeared.elapsed();
        assert!(took < Duration::from_millis(1_500), "it took {took:?}");
        rig.finish(0);
    }
}

#[test]
fn f1_flush_and_shutdown_keep_their_deadlines_while_the_collector_is_absent() {
    for way in WAYS {
        let rig = Rig::over_with(way, way.absent(), |builder| builder);
        rig.record(10);
        let error = rig.handle.flush(SHORT).expect_err("nobody is there");
        assert_unfinished(&error, 10);
        let (_, stats) = rig.give_up();
        assert_eq!((stats.delivered(), stats.dropped()), (0, 10), "{stats}");
    }
}

#[test]
fn f2_a_collector_that_comes_and_goes_gets_everything_once() {
    for way in PLAIN_WAYS {
        const CYCLES: u64 = 20;
        let mut rig = Rig::over_with(way, way.absent(), |builder| builder);
        let mut flushing = Duration::ZERO;
        for _ in 0..CYCLES {
            rig.record(25);
            let failed = rig.handle.flush(SHORT);
            assert!(failed.as_ref().is_err_and(Error::is_timeout), "{failed:?}");
            rig.record(25);
            rig.collector.restart();
            let (_, took) = timed(|| rig.flush());
            flushing += took;
            rig.collector.stop();
        }
        // The first back-off is a quarter of a second at least, and a flush does not wait for its end.
        assert!(
            flushing < CYCLES as u32 * Duration::from_millis(125),
            "{flushing:?}"
        );
        // A flush tries at once. What a back-off adds to the attempts is one in a quarter of a second.
        let stats = rig.stats();
        assert!(
            stats.retries() <= 5 * CYCLES,
            "{} attempts failed",
            stats.retries()
        );
        rig.collector.restart();
        rig.finish(0);
    }
}

#[test]
fn f4_a_request_that_is_never_answered_is_sent_again_on_another_connection() {
    for way in WAYS {
        let collector = way.collector();
        collector.answers(|request| match request {
            0..2 => Manner::Hang,
            _ => Manner::Take,
        });
        let rig = Rig::over_with(way, collector, |builder| {
            builder.with_timeout(Duration::from_millis(300))
        });
        rig.record(100);
        rig.wait("a time-out", |stats| stats.retries() == 1);
        rig.collector.wait_for_silence();
        rig.flush();
        assert_eq!(rig.stats().retries(), 2, "each attempt ends once");
        rig.collector
            .wait("the old connections to close", |log| log.open == 1);
        rig.collector.look(|log| {
            assert_eq!(log.most_in_flight, 1, "never two requests at once");
            let connections: Vec<_> = log
                .requests
                .iter()
                .map(|request| request.connection)
                .collect();
            assert!(
                connections.starts_with(&[0, 1, 2]),
                "{connections:?}: what hung is not used again"
            );
        });
        rig.finish(0);
    }
}

/// What makes several full requests.
const RECORDS: u64 = 400;

/// Fails two requests at a collector that reads so many bytes of each connection. Its kernel's buffer takes some more.
fn stall_after(way: Way, bytes: usize) -> Rig {
    const ATTEMPTS: u64 = 2;
    let collector = way.collector();
    collector.greets(move |_| Greeting::StallAfter(bytes));
    let rig = Rig::over_with(way, collector, |builder| {
        builder.with_timeout(Duration::from_millis(500))
    });
    // Each request is more than a connection takes.
    rig.recorder.record_large(RECORDS, 10_000);
    for attempt in 1..=ATTEMPTS {
        // A flush ends a back-off.
        let _ = rig.handle.flush(SHORT);
        rig.wait("a time-out", |stats| stats.retries() >= attempt);
    }
    let established = sockets::to(rig.collector.port()).filter(|socket| socket.is_established);
    let open = established.count();
    assert!(
        open <= 1,
        "{open} connections are open after {ATTEMPTS} attempts"
    );
    rig
}

/// Everything arrives once, unless a machine is so busy that the collector's answer is late too.
fn heal(rig: Rig) {
    let failed = rig.stats().retries();
    rig.collector.greets(|_| Greeting::Serve);
    rig.flush();
    let more = rig.stats().retries() - failed;
    rig.finish(more * RECORDS);
}

#[test]
fn f5_a_collector_that_does_not_read_gets_everything_once_when_it_does() {
    // Not even the connection's preface, or the head of the request.
    for way in WAYS {
        for bytes in [0, 200] {
            let rig = stall_after(way, bytes);
            heal(rig);
        }
    }
}

#[test]
fn f5_what_is_written_to_a_collector_that_does_not_read_is_bounded() {
    for way in PLAIN_WAYS {
        // Over HTTP/2, it has said by then that it would take 16 MiB.
        let rig = stall_after(way, 200);
        let unsent = sockets::to(rig.collector.port()).map(|socket| socket.unsent);
        let most = unsent.max().unwrap_or_default();
        assert!(
            most <= 256 << 10,
            "{most} bytes lie in the send buffer of one connection"
        );
        heal(rig);
    }
}

#[test]
fn f10_what_may_pass_is_sent_again_and_what_will_not_is_rejected() {
    for way in PLAIN_WAYS {
        let rig = Rig::over(way);
        // UNAVAILABLE twice, then INVALID_ARGUMENT.
        rig.collector.answers(|request| match request {
            0..2 => Manner::Status(14),
            2 => Manner::Status(3),
            _ => Manner::Take,
        });
        rig.record(7);
        let error = rig
            .handle
            .flush(Duration::from_secs(10))
            .expect_err("it was rejected");
        assert!(error.is_undelivered(), "{error}");
        assert_eq!(error.report().map(|report| report.rejected()), Some(7));
        rig.record(5);
        rig.flush();
        assert_eq!(
            rig.collector.look(|log| log.connections),
            1,
            "an answer ends no connection"
        );
        let (collector, stats) = rig.end();
        assert_eq!(
            (stats.retries(), stats.rejected(), stats.delivered()),
            (2, 7, 5),
            "{stats}"
        );
        let taken = collector.look(|log| log.taken().count());
        assert_eq!(taken, 5);
    }
}

#[test]
fn a_slow_answer_within_the_deadline_is_awaited() {
    for way in WAYS {
        let rig = Rig::over(way);
        rig.collector
            .answers(|_| Manner::TakeAfter(Duration::from_millis(200)));
        rig.record(10);
        rig.flush();
        assert_eq!(rig.stats().retries(), 0);
        rig.finish(0);
    }
}
