//! Collectors that take less than is sent (fault F14), however they say so.

use std::time::Duration;

use tracing_otlp::{Batch, Compression, DropReason, Protocol};

use super::{PLENTY, PROTOCOLS, flush_with_losses, rig};
use crate::support::collector::manner::{Answer, TooLarge};
use crate::support::collector::{Limits, Manner, Request};
use crate::support::rig::Rig;

const KIB: usize = 1 << 10;
const LARGEST_BATCH: usize = 4032 * KIB;

/// A collector that takes so much, and a pipeline that sends nearly 4 MiB at once.
fn limited(protocol: Protocol, most: usize, refusal: TooLarge) -> Rig {
    let rig = large(protocol, Compression::None);
    rig.collector.refuses(Limits {
        bytes: Some((most, refusal)),
        ..Limits::default()
    });
    rig
}

fn large(protocol: Protocol, compression: Compression) -> Rig {
    rig(protocol, |builder| {
        let batch = Batch::default().with_max_bytes(LARGEST_BATCH);
        let builder = builder.with_compression(compression);
        builder.with_batch(batch.with_interval(6 * PLENTY))
    })
}

/// Records nearly 5 MiB, each record alone far below the limit.
#[track_caller]
fn arrives_once(rig: Rig, most: usize) {
    rig.recorder.record_large(500, 10 * KIB);
    rig.record(500);
    rig.flush();
    let stats = rig.stats();
    let is_split = most < 4 << 20;
    assert_eq!(stats.splits() > 0, is_split, "{stats}");
    assert_eq!((stats.retries(), stats.dropped()), (0, 0), "{stats}");
    // A request that is too large is refused once for each limit that is learned, not once a record.
    assert!(stats.splits() < 40, "{} splits", stats.splits());
    let largest = |log: &crate::support::collector::Log| {
        let taken = log.requests.iter().filter(|request| request.taken);
        taken.map(|request| request.bytes).max()
    };
    assert!(rig.collector.look(largest) <= Some(most));
    rig.finish(0);
}

#[test]
fn f_14_what_is_too_large_arrives_once_in_smaller_requests() {
    for protocol in PROTOCOLS {
        let all = [256 * KIB, 1024 * KIB, 4096 * KIB];
        // JSON takes long where nothing is optimized.
        let limits = match protocol {
            Protocol::HttpJson => &all[..1],
            _ => &all,
        };
        for &most in limits {
            arrives_once(limited(protocol, most, TooLarge::ResourceExhausted), most);
        }
    }
    let most = 512 * KIB;
    arrives_once(limited(Protocol::Grpc, most, TooLarge::OutOfRange), most);
}

#[test]
fn f_14_what_the_collector_calls_a_bad_request_since_it_is_too_large_is_split() {
    let most = 300 * KIB;
    for compression in [Compression::None, Compression::Zstd] {
        let rig = large(Protocol::HttpProtobuf, compression);
        rig.collector.judges(move |_, request| {
            // And none is sent again without its compression, as after another bad request.
            let is_compressed = request.compression.is_some();
            assert_eq!(is_compressed, compression == Compression::Zstd);
            if request.bytes <= most {
                return Manner::Take;
            }
            let text = "http: request body too large\n";
            Manner::Say(Answer::http(400).with_body("text/plain", text))
        });
        arrives_once(rig, most);
    }
}

#[test]
fn f_14_a_record_that_is_too_large_by_itself_is_shortened_or_dropped() {
    for (protocol, refusal) in [
        (Protocol::Grpc, TooLarge::ResourceExhausted),
        (Protocol::Grpc, TooLarge::OutOfRange),
        (Protocol::HttpProtobuf, TooLarge::ResourceExhausted),
    ] {
        // A quarter of the largest record fits.
        let rig = limited(protocol, 100 * KIB, refusal);
        rig.record(50);
        rig.recorder.record_large(1, 200 * KIB);
        rig.record(50);
        rig.flush();
        rig.finish(0);

        let rig = limited(protocol, 20 * KIB, refusal);
        rig.record(50);
        rig.recorder.record_large(1, 30 * KIB);
        rig.record(50);
        let error = flush_with_losses(&rig);
        assert_eq!(error.report().map(|report| report.dropped()), Some(1));
        let stats = rig.stats();
        assert_eq!(
            (stats.delivered(), stats.dropped_for(DropReason::TooLarge)),
            (100, 1),
            "{stats}"
        );
        let (collector, _) = rig.end();
        let numbers = collector.look(|log| log.numbers());
        let once = |number: &i64| numbers.get(number) == Some(&1);
        assert!(
            (0..=100)
                .filter(|number| *number != 50)
                .all(|number| once(&number))
        );
    }
}

#[test]
fn f_14_out_of_range_without_a_word_is_believed_five_times() {
    let rig = rig(Protocol::Grpc, |builder| builder);
    let has_one = |request: &Request| request.spans.len() == 1;
    rig.collector
        .judges(move |_, request| match has_one(request) {
            true => Manner::Take,
            false => Manner::Say(Answer::grpc("11")),
        });
    rig.record(2);
    for retries in 1..=5 {
        // A flush ends a back-off.
        let _ = rig.handle.flush(Duration::ZERO);
        rig.wait("a refusal", |stats| stats.retries() >= retries);
    }
    rig.flush();
    let stats = rig.stats();
    assert_eq!((stats.retries(), stats.splits()), (5, 1), "{stats}");
    rig.finish(0);
}
