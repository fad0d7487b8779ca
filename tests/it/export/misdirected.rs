//! What cannot work says why, and what to change (faults F20, F21).

use std::net::TcpListener;

use tracing_otlp::{Builder, Protocol, Tls};

use crate::support::collector::{Collector, Greeting, Speaks};
use crate::support::rig::Rig;
use crate::support::way::{Carrier, Way};

const TLS: Carrier = Carrier::Tls;

/// What is said of a request that does not arrive; nothing of it does.
fn diagnosis(way: Way, collector: Collector, configure: impl FnOnce(Builder) -> Builder) -> String {
    let rig = Rig::over_with(way, collector, configure);
    rig.record(3);
    rig.wait("a failed attempt", |stats| stats.last_error().is_some());
    let said = rig.last_error();
    let (collector, stats) = rig.give_up();
    assert_eq!((stats.delivered(), stats.dropped()), (0, 3), "{said}");
    assert_eq!(collector.look(|log| log.taken().count()), 0, "{said}");
    said
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
}

/// To a collector that speaks so.
fn misdirected(way: Way, speaks: Speaks) -> String {
    let collector = way.collector();
    collector.speaks(speaks);
    diagnosis(way, collector, |builder| builder)
}

#[test]
fn f20_grpc_to_a_port_of_http_names_the_other_port_and_protocol() {
    let encrypted = Way {
        carrier: TLS,
        ..Way::GRPC
    };
    for way in [Way::GRPC, encrypted] {
        let said = misdirected(way, Speaks::Http1);
        assert_says(&said, &["OTLP/HTTP", "4317", "http/protobuf"]);
    }
    // Where the server can say by ALPN that it does not know HTTP/2.
    let way = Way {
        carrier: Carrier::TlsHttp1,
        ..Way::GRPC
    };
    let said = diagnosis(way, way.collector(), |builder| builder);
    assert_says(&said, &["http/protobuf"]);
}

#[test]
fn f20_http_to_a_port_of_grpc_names_the_other_port_and_protocol() {
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        let said = misdirected(Way::plain(protocol), Speaks::Http2);
        assert_says(&said, &["OTLP/gRPC", "4318", "protocol grpc"]);
    }
}

#[test]
fn f20_plaintext_to_a_port_of_tls_names_the_scheme() {
    for way in [Way::GRPC, Way::HTTP] {
        let collector = Way {
            carrier: TLS,
            ..way
        }
        .collector();
        let endpoint = collector.endpoint().replace("https:", "http:");
        let said = diagnosis(way, collector, |builder| builder.with_endpoint(endpoint));
        assert_says(&said, &["https://"]);
    }
}

#[test]
fn f20_tls_to_a_port_of_plaintext_names_the_scheme() {
    for way in [Way::GRPC, Way::HTTP] {
        let collector = way.collector();
        let endpoint = collector.endpoint().replace("http:", "https:");
        let encrypted = Way {
            carrier: TLS,
            ..way
        };
        let said = diagnosis(encrypted, collector, |builder| {
            builder.with_endpoint(endpoint)
        });
        assert_says(&said, &["not TLS", "use http://"]);
    }
}

#[test]
fn f20_what_is_no_http_at_all_is_named() {
    for way in [Way::GRPC, Way::HTTP] {
        let collector = way.collector();
        collector.greets(|_| Greeting::Say(b"SSH-2.0-OpenSSH_9.6\r\n"));
        let said = diagnosis(way, collector, |builder| builder);
        assert_says(&said, &["what answers is not HTTP"]);
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    let way = Way {
        carrier: TLS,
        ..Way::HTTP
    };
    let said = diagnosis(way, way.collector(), |builder| {
        builder.with_tls(Tls::new().with_ca_file("/nowhere/ca.pem"))
    });
    assert_says(&said, &["CA certificate", "/nowhere/ca.pem"]);
}

#[test]
fn f21_a_name_that_is_not_found_is_named_and_asked_for_again() {
    for way in [Way::GRPC, Way::HTTP] {
        let rig = Rig::over_with(way, Collector::absent(), |builder| {
            builder.with_endpoint("http://collector.invalid:4317")
        });
        rig.record(3);
        for failures in 1..=2 {
            rig.wait("a failed look-up", |stats| stats.retries() >= failures);
            // A flush ends a back-off, and does not wait for the next look-up.
            let _ = rig.handle.flush(std::time::Duration::ZERO);
        }
        let said = rig.last_error();
        assert_says(&said, &["collector.invalid", "name was not found", "DNS"]);
        let (_, stats) = rig.give_up();
        assert_eq!(stats.dropped(), 3, "{stats}");
    }
}

#[test]
fn f21_a_name_with_an_address_that_refuses_leads_to_the_others() {
    // Where `localhost` is ::1 too, it refuses, for nobody listens there.
    for way in [Way::GRPC, Way::HTTP] {
        let collector = way.collector();
        let endpoint = format!("http://localhost:{}", collector.port());
        let rig = Rig::over_with(way, collector, |builder| builder.with_endpoint(endpoint));
        rig.record(10);
        rig.flush();
        assert_eq!(rig.stats().retries(), 0, "{}", rig.last_error());
        rig.finish(0);
    }
}

#[test]
fn f1_a_port_that_refuses_and_a_socket_that_is_missing_are_named() {
    for way in [Way::GRPC, Way::HTTP] {
        let said = diagnosis(way, Collector::absent(), |builder| builder);
        assert_says(&said, &["connection refused", "4317", "4318"]);
        let said = diagnosis(way, Collector::absent(), |builder| {
            builder.with_endpoint("unix:/nowhere/collector.sock")
        });
        assert_says(&said, &["no such socket", "unix:/nowhere/collector.sock"]);
    }
}

#[test]
fn f4_a_port_that_accepts_and_is_silent_is_named() {
    // The kernel accepts for a listener that never does.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    for (scheme, way) in [
        ("http", Way::HTTP),
        ("http", Way::GRPC),
        ("https", Way::HTTP),
    ] {
        let said = diagnosis(way, Collector::absent(), |builder| {
            builder
                .with_endpoint(format!("{scheme}://{address}"))
                .with_timeout(std::time::Duration::from_millis(100))
        });
        assert_says(&said, &["in time"]);
    }
}
