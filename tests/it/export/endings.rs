//! Connections that end in good order, while idle or with a request on its way: it is sent again at once, on another
//! connection, and nothing is lost (fault F8).

use std::time::Duration;

use tracing_otlp::Batch;

use crate::support::collector::{Collector, Manner};
use crate::support::rig::Rig;
use crate::support::way::{PLAIN_WAYS, WAYS, Way};

const RECORDS: u64 = 20;

// RFC 9113, section 7.
const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The ways whose connections speak HTTP/2.
fn http2_ways() -> impl Iterator<Item = Way> {
    WAYS.into_iter().filter(|way| way.is_http2())
}

/// A pipeline that sends when it is flushed.
fn rig(way: Way, collector: Collector) -> Rig {
    Rig::over_with(way, collector, |builder| {
        builder
            .with_batch(Batch::default().with_interval(Duration::from_secs(60)))
            .with_timeout(Duration::from_secs(60))
    })
}

/// Sends `before` requests that are taken, then one that this happens to, and it arrives at once all the same. Gives the
/// number of exchanges that may have been taken unanswered.
#[track_caller]
fn arrives_at_once(way: Way, before: usize, manner: &Manner) -> u64 {
    let collector = way.collector();
    let once = manner.clone();
    collector.answers(move |request| {
        if request == before {
            once.clone()
        } else {
            Manner::Take
        }
    });
    let rig = rig(way, collector);
    for _ in 0..=before {
        rig.record(RECORDS);
        rig.flush();
    }
    let stats = rig.stats();
    let what = format!("{way:?}, {before} before, {manner:?}: {}", rig.last_error());
    assert_eq!(stats.retries(), 0, "{what}");
    let (requests, connections) = rig
        .collector
        .look(|log| (log.requests.len(), log.connections));
    assert_eq!((requests, connections), (before + 2, 2), "{what}");
    rig.finish(0);
    stats.ambiguous()
}

#[test]
fn f8_a_stream_that_is_reset_politely_is_begun_anew_at_once() {
    for way in http2_ways() {
        for before in [0, 1] {
            for code in [NO_ERROR, CANCEL, ENHANCE_YOUR_CALM] {
                let ambiguous = arrives_at_once(way, before, &Manner::ResetStream(code));
                assert_eq!(ambiguous, 1, "the collector may have looked at it");
            }
            let ambiguous = arrives_at_once(way, before, &Manner::ResetStream(REFUSED_STREAM));
            assert_eq!(ambiguous, 0, "it says that it has not looked at it");
        }
    }
}

#[test]
fn f8_a_goaway_that_leaves_the_request_out_is_no_failure() {
    for way in http2_ways() {
        for before in [0, 1] {
            for code in [NO_ERROR, ENHANCE_YOUR_CALM] {
                let ambiguous = arrives_at_once(way, before, &Manner::GoAway(code));
                assert_eq!(ambiguous, 0, "it says that it has not looked at it");
            }
        }
    }
}

#[test]
fn f8_a_connection_that_closes_with_a_request_on_its_way_is_replaced_at_once() {
    for way in WAYS {
        for manner in [Manner::Close, Manner::HalfClose] {
            let ambiguous = arrives_at_once(way, 1, &manner);
            assert_eq!(ambiguous, 1, "{way:?}, {manner:?}");
        }
    }
}

#[test]
fn f8_the_second_try_is_the_last_one_without_a_pause() {
    for way in http2_ways() {
        let collector = way.collector();
        collector.answers(|request| match request {
            0..2 => Manner::ResetStream(REFUSED_STREAM),
            _ => Manner::Take,
        });
        let rig = rig(way, collector);
        rig.record(RECORDS);
        rig.flush();
        let stats = rig.stats();
        assert_eq!((stats.requests(), stats.retries()), (2, 1), "{stats}");
        rig.finish(0);
    }
}

#[test]
fn f8_a_connection_that_was_closed_while_idle_is_replaced_unnoticed() {
    const ROUNDS: usize = 10;
    for way in WAYS {
        let rig = rig(way, way.collector());
        for _ in 0..ROUNDS {
            rig.record(RECORDS);
            rig.flush();
            rig.collector.wait_for_silence();
            rig.collector.close_idle();
        }
        assert_eq!(rig.stats().retries(), 0, "{way:?}: {}", rig.last_error());
        let connections = rig.collector.look(|log| log.connections);
        assert_eq!(connections, ROUNDS, "{way:?}");
        rig.finish(0);
    }
}

#[test]
fn f8_an_answer_may_be_the_last_of_its_connection() {
    for way in WAYS {
        let rig = rig(way, way.collector());
        rig.collector.always(Manner::TakeAndGoAway);
        for _ in 0..5 {
            rig.record(RECORDS);
            rig.flush();
        }
        assert_eq!(rig.stats().retries(), 0, "{way:?}: {}", rig.last_error());
        let connections = rig.collector.look(|log| log.connections);
        assert_eq!(connections, 5, "{way:?}");
        rig.finish(0);
    }
}

#[test]
fn f8_a_collector_that_is_restarted_between_two_requests_loses_nothing() {
    for way in PLAIN_WAYS {
        let mut rig = rig(way, way.collector());
        for _ in 0..5 {
            rig.record(RECORDS);
            rig.flush();
            rig.collector.wait_for_silence();
            rig.collector.restart();
        }
        assert_eq!(rig.stats().retries(), 0, "{way:?}: {}", rig.last_error());
        rig.finish(0);
    }
}
