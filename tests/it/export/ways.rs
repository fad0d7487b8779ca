//! Everything arrives, whatever the protocol, the carrier and the compression, and each request is as OTLP wants it.

use std::time::Duration;

use tracing_otlp::{Batch, Compression, Protocol};

use crate::support::collector::Request;
use crate::support::rig::Rig;
use crate::support::way::{Carrier, Way};

const LONG: Duration = Duration::from_secs(60);
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

fn ways() -> impl Iterator<Item = Way> {
    let protocols = [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];
    let carriers = [
        Carrier::Plain,
        Carrier::Tls,
        Carrier::TlsHttp1,
        Carrier::Unix,
    ];
    let compressions = [Compression::None, Compression::Gzip, Compression::Zstd];
    let ways = protocols.into_iter().flat_map(move |protocol| {
        carriers.into_iter().flat_map(move |carrier| {
            compressions.into_iter().map(move |compression| Way {
                protocol,
                carrier,
                compression,
            })
        })
    });
    // gRPC is HTTP/2 always.
    let ways =
        ways.filter(|way| way.protocol != Protocol::Grpc || way.carrier != Carrier::TlsHttp1);
    ways.filter(|way| way.compression != Compression::Gzip || cfg!(feature = "gzip"))
}

#[test]
fn spec_1_25_everything_arrives_once_in_every_way_with_its_content_type() {
    for way in ways() {
        let rig = Rig::over_with(way, way.collector(), |builder| {
            // What is flushed is one request.
            builder
                .with_batch(Batch::default().with_interval(LONG))
                .with_timeout(LONG)
        });
        rig.record(300);
        rig.flush();
        // More than a chunk, in a request of several pieces.
        rig.recorder.record_large(20, 8_000);
        rig.flush();
        let stats = rig.stats();
        assert_eq!(stats.retries(), 0, "{way:?}: {}", rig.last_error());
        assert_eq!(stats.odd_answers(), 0, "{way:?}");
        rig.collector.look(|log| {
            assert_eq!(log.requests.len() as u64, stats.requests(), "{way:?}");
            assert_eq!(log.connections, 1, "{way:?}: one connection serves all");
            for request in &log.requests {
                check(way, request);
            }
        });
        rig.finish(0);
    }
}

/// Specification: content types (1.25), paths (2.4), compression (2.15), user agent (2.33).
fn check(way: Way, request: &Request) {
    let content_type = match way.protocol {
        Protocol::Grpc => "application/grpc",
        Protocol::HttpProtobuf => "application/x-protobuf",
        _ => "application/json",
    };
    assert_eq!(request.header("content-type"), content_type, "{way:?}");
    assert_eq!(request.protocol, way.protocol, "{way:?}");
    assert_eq!(request.is_http2, way.is_http2(), "{way:?}");
    let path = match way.protocol {
        Protocol::Grpc => GRPC_PATH,
        _ => "/v1/traces",
    };
    assert_eq!(request.path, path, "{way:?}");

    let name = match way.compression {
        Compression::None => "",
        other => other.name(),
    };
    let (used, unused) = match way.protocol {
        Protocol::Grpc => ("grpc-encoding", "content-encoding"),
        _ => ("content-encoding", "grpc-encoding"),
    };
    assert_eq!(
        (request.header(used), request.header(unused)),
        (name, ""),
        "{way:?}"
    );
    assert_eq!(
        request.compression.as_deref().unwrap_or_default(),
        name,
        "{way:?}"
    );
    assert!(
        name.is_empty() || request.sent_bytes < request.bytes / 2,
        "{way:?}: {request:?}"
    );

    let agent = concat!("tracing-otlp-rust/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), agent, "{way:?}");
    let te = if way.protocol == Protocol::Grpc {
        "trailers"
    } else {
        ""
    };
    assert_eq!(request.header("te"), te, "{way:?}");
    if !request.is_http2 {
        // Not chunked: some servers demand a length.
        let length = request.sent_bytes.to_string();
        assert_eq!(request.header("content-length"), length, "{way:?}");
        let host = request.header("host");
        match way.carrier {
            Carrier::Unix => assert_eq!(host, "localhost"),
            Carrier::Plain => assert!(host.starts_with("127.0.0.1:"), "{host}"),
            _ => assert!(host.starts_with("localhost:"), "{host}"),
        }
    }
}

#[test]
fn spec_2_31_a_connection_is_kept_for_many_requests() {
    for way in ways().filter(|way| way.compression == Compression::None) {
        let rig = Rig::over(way);
        for _ in 0..50 {
            rig.record(2);
            rig.flush();
        }
        let (requests, connections) = rig
            .collector
            .look(|log| (log.requests.len(), log.connections));
        assert!(requests >= 50, "{way:?}: {requests} requests");
        assert_eq!(connections, 1, "{way:?}");
        rig.finish(0);
    }
}

#[test]
fn spec_2_34_a_product_of_ones_own_stands_before_ours() {
    for way in [Way::GRPC, Way::HTTP] {
        let rig = Rig::over_with(way, way.collector(), |builder| {
            builder.with_user_agent("shop/1.0")
        });
        rig.record(1);
        rig.flush();
        rig.collector.look(|log| {
            let agent = concat!("shop/1.0 tracing-otlp-rust/", env!("CARGO_PKG_VERSION"));
            assert_eq!(log.requests[0].header("user-agent"), agent);
        });
        rig.finish(0);
    }
}

#[test]
fn spec_2_3_and_2_4_a_base_gets_the_signals_path_and_a_url_of_its_own_does_not() {
    for (base, path) in [
        ("", "/v1/traces"),
        ("/", "/v1/traces"),
        ("/otlp", "/otlp/v1/traces"),
        ("/otlp/", "/otlp/v1/traces"),
    ] {
        assert_eq!(
            path_of(|builder, place| builder.with_endpoint(place + base)),
            path
        );
    }
    for (whole, path) in [
        ("", "/"),
        ("/", "/"),
        ("/mine", "/mine"),
        ("/mine?a=b", "/mine?a=b"),
    ] {
        assert_eq!(
            path_of(|builder, place| builder.with_traces_endpoint(place + whole)),
            path
        );
    }
}

fn path_of(
    endpoint: impl FnOnce(tracing_otlp::Builder, String) -> tracing_otlp::Builder,
) -> String {
    let collector = Way::HTTP.collector();
    let place = collector.endpoint();
    let rig = Rig::over_with(Way::HTTP, collector, |builder| endpoint(builder, place));
    rig.record(1);
    rig.flush();
    let path = rig.collector.look(|log| log.requests[0].path.clone());
    rig.finish(0);
    path
}

#[test]
fn headers_go_with_each_request_and_are_in_no_text() {
    const CANARY: &str = "canary-4e1b";
    for way in [Way::GRPC, Way::HTTP] {
        let rig = Rig::over_with(way, way.collector(), |builder| {
            builder
                .with_header("X-Api-Key", CANARY)
                .with_batch(Batch::default().with_interval(LONG))
        });
        for _ in 0..2 {
            rig.record(1);
            rig.flush();
        }
        rig.collector.look(|log| {
            let keys: Vec<_> = log
                .requests
                .iter()
                .map(|one| one.header("x-api-key"))
                .collect();
            assert_eq!(keys, [CANARY; 2], "{way:?}");
        });
        let shown = format!("{:?}{}{}", rig.handle, rig.handle.explain(), rig.stats());
        assert!(!shown.contains(CANARY), "{shown}");
        rig.finish(0);
    }
}
