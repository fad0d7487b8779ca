//! A collector that does not take compressed data gets it plain (fault F16).

use tracing_otlp::{Compression, Protocol};

use super::{PROTOCOLS, flush_with_losses, rig};
use crate::support::collector::manner::{Answer, NoCompression};
use crate::support::collector::{Limits, Manner};
use crate::support::rig::Rig;

#[cfg(feature = "gzip")]
const COMPRESSIONS: [Compression; 2] = [Compression::Zstd, Compression::Gzip];
#[cfg(not(feature = "gzip"))]
const COMPRESSIONS: [Compression; 1] = [Compression::Zstd];

fn compressing(protocol: Protocol, compression: Compression) -> Rig {
    rig(protocol, |builder| builder.with_compression(compression))
}

/// What each request was compressed with.
fn compressions(rig: &Rig) -> Vec<Option<String>> {
    let compression = |log: &crate::support::collector::Log| {
        let requests = log.requests.iter();
        requests
            .map(|request| request.compression.clone())
            .collect()
    };
    rig.collector.look(compression)
}

#[test]
fn f_16_what_is_refused_compressed_is_sent_plain_at_once_and_from_then_on() {
    for protocol in PROTOCOLS {
        for compression in COMPRESSIONS {
            for refusal in [
                NoCompression::UnsupportedMediaType,
                NoCompression::BadRequest,
            ] {
                let rig = compressing(protocol, compression);
                rig.collector.refuses(Limits {
                    compression: Some(refusal),
                    ..Limits::default()
                });
                for _ in 0..3 {
                    rig.record(10);
                    rig.flush();
                }
                let name = Some(compression.name().to_owned());
                assert_eq!(compressions(&rig), [name, None, None, None]);
                let stats = rig.stats();
                assert_eq!(
                    (stats.requests(), stats.retries(), stats.rejected()),
                    (3, 0, 0),
                    "{protocol:?} {refusal:?}: the second is of the same attempt: {stats}"
                );
                assert_eq!(rig.collector.look(|log| log.connections), 1);
                rig.finish(0);
            }
        }
    }
}

#[test]
fn f_16_a_collector_that_takes_compressed_data_gets_nothing_else() {
    for protocol in PROTOCOLS {
        let rig = compressing(protocol, Compression::Zstd);
        for _ in 0..2 {
            rig.record(10);
            rig.flush();
        }
        let zstd = Some("zstd".to_owned());
        assert_eq!(compressions(&rig), [zstd.clone(), zstd]);
        let (sent, plain) = rig.collector.look(|log| {
            let requests = log.requests.iter();
            requests.fold((0, 0), |(sent, plain), request| {
                (sent + request.sent_bytes, plain + request.bytes)
            })
        });
        assert!(sent < plain / 2, "{sent} of {plain}");
        let prefixes = if protocol == Protocol::Grpc { 10 } else { 0 };
        assert_eq!(rig.stats().sent_bytes(), (sent + prefixes) as u64);
        rig.finish(0);
    }
}

/// Only one answer of a connection is taken for a refusal of the compression.
#[test]
fn f_16_a_bad_request_stays_one_where_compressed_data_was_taken_before() {
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        let rig = compressing(protocol, Compression::Zstd);
        rig.collector.answers(|request| match request {
            1 => Manner::Say(Answer::http(400)),
            _ => Manner::Take,
        });
        rig.record(1);
        rig.flush();
        rig.record(2);
        flush_with_losses(&rig);
        rig.record(3);
        rig.flush();
        let zstd = Some("zstd".to_owned());
        assert_eq!(compressions(&rig), [zstd.clone(), zstd.clone(), zstd]);
        let stats = rig.stats();
        assert_eq!((stats.delivered(), stats.rejected()), (4, 2), "{stats}");
        rig.end();
    }
}

#[test]
fn f_16_what_is_refused_plain_too_is_refused_once() {
    for protocol in PROTOCOLS {
        let rig = compressing(protocol, Compression::Zstd);
        let answer = match protocol {
            Protocol::Grpc => Answer::grpc("12").with_header("grpc-accept-encoding", "identity"),
            _ => Answer::http(415),
        };
        rig.collector.always(Manner::Say(answer));
        rig.record(5);
        flush_with_losses(&rig);
        assert_eq!(compressions(&rig), [Some("zstd".to_owned()), None]);
        let stats = rig.stats();
        assert_eq!((stats.rejected(), stats.requests()), (5, 1), "{stats}");
        rig.end();
    }
}
