//! A program that is configured by its environment alone.

use std::io::Write;
use std::time::Duration;

use tracing_otlp::Protocol;
use tracing_subscriber::prelude::*;

use super::{Ended, is_child, run};
use crate::support::certificates::{Certificates, Demands, Flaw};
use crate::support::collector::request::json_spans;
use crate::support::collector::{Collector, Manner, Request};

const SPANS: i64 = 3;
const SERVICE: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Sends some spans wherever the variables say.
#[test]
fn child() {
    if !is_child() {
        return;
    }
    let (layer, guard) = tracing_otlp::layer().build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        (0..SPANS).for_each(|number| drop(tracing::info_span!("work", number)));
    });
    let handle = guard.handle();
    let _ = handle.flush(Duration::from_secs(10));
    drop(guard);
    assert!(handle.stats().is_balanced() && handle.stats().held() == 0);
    let stats = handle.stats();
    let (delivered, retries) = (stats.delivered(), stats.retries());
    // Not by `println!`, which the harness might keep.
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "delivered {delivered} retries {retries}").unwrap();
}

fn child_with(variables: &[(&str, &str)]) -> Ended {
    run(module_path!(), variables)
}

/// The one request of a child with these variables, in which all of its spans are.
#[track_caller]
fn request(collector: &Collector, variables: &[(&str, &str)]) -> Request {
    let before = collector.look(|log| log.requests.len());
    let ended = child_with(variables);
    let expected = format!("delivered {SPANS} retries 0\n");
    assert!(
        ended.printed.contains(&expected),
        "{}\n{}",
        ended.printed,
        ended.said
    );
    assert_eq!(ended.said, "", "nothing is wrong");
    let request = collector.look(|log| {
        assert_eq!(log.requests.len(), before + 1);
        log.requests[before].clone()
    });
    let numbers: Vec<_> = request
        .spans
        .iter()
        .filter_map(|span| span.number)
        .collect();
    assert_eq!(
        numbers,
        (0..SPANS).collect::<Vec<_>>(),
        "{:?}",
        request.problem
    );
    request
}

#[test]
fn spec_2_3_2_4_the_protocol_and_the_endpoint_decide_how_and_where() {
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const PROTOCOL: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let collector = Collector::start();
    let base = collector.endpoint();
    let at = |path: &str| format!("{base}{path}");
    let came = |variables: &[(&str, &str)]| {
        let request = request(&collector, variables);
        (request.protocol, request.path)
    };
    let is = |protocol, path: &str| (protocol, path.to_owned());
    let http = Protocol::HttpProtobuf;
    assert_eq!(came(&[(ENDPOINT, &base)]), is(Protocol::Grpc, SERVICE));
    assert_eq!(came(&[(ENDPOINT, &base), PROTOCOL]), is(http, "/v1/traces"));
    let json = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
    let endpoint = (ENDPOINT, at("/otel/"));
    let endpoint = (endpoint.0, endpoint.1.as_str());
    assert_eq!(
        came(&[endpoint, PROTOCOL, json]),
        is(Protocol::HttpJson, "/otel/v1/traces"),
        "what is for traces goes first, and the path is appended"
    );
    for (path, expected) in [
        ("/custom?x=1", "/custom?x=1"),
        ("/v1/traces/", "/v1/traces/"),
        ("", "/"),
    ] {
        let whole = at(path);
        let elsewhere = (ENDPOINT, "http://127.0.0.1:1");
        assert_eq!(
            came(&[elsewhere, (TRACES, &whole), PROTOCOL]),
            is(http, expected)
        );
    }
}

#[test]
#[cfg(feature = "gzip")]
fn spec_10_29_10_31_headers_and_compression_are_sent() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    for protocol in ["grpc", "http/protobuf"] {
        let request = request(
            &collector,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                (
                    "OTEL_EXPORTER_OTLP_HEADERS",
                    "authorization=Bearer%20a%3Db, x-tenant = first",
                ),
                ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", ""),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ],
        );
        assert_eq!(request.header("authorization"), "Bearer a=b");
        assert_eq!(request.header("x-tenant"), "first");
        assert_eq!(request.compression.as_deref(), Some("gzip"), "{protocol}");
    }
}

#[test]
fn spec_10_30_the_timeout_ends_an_attempt() {
    let collector = Collector::start();
    collector.answers(|request| match request {
        0 => Manner::Hang,
        _ => Manner::Take,
    });
    let endpoint = collector.endpoint();
    let ended = child_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        // Milliseconds.
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
    ]);
    let expected = format!("delivered {SPANS} retries 1\n");
    assert!(ended.printed.contains(&expected), "{}", ended.printed);
    let lines = ended.lines();
    assert!(
        lines[0].contains(&endpoint) && lines[0].contains("in time"),
        "{lines:?}"
    );
}

#[test]
fn spec_10_33_certificates_are_read_from_files() {
    let certificates = Certificates::new();
    let demands = Demands {
        clients_of: Some(certificates.ca_pem()),
        ..Demands::default()
    };
    let server = certificates.server(Flaw::None).server_config(&demands);
    let collector = Collector::start_tls(server);
    let (certificate, key) = certificates.write_identity(&certificates.client(Flaw::None));
    let ca = certificates.ca_file();
    let [ca, certificate, key] = [&ca, &certificate, &key].map(|path| path.to_str().unwrap());
    let endpoint = collector.endpoint();
    for protocol in ["grpc", "http/protobuf"] {
        request(
            &collector,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca),
                ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate),
                ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", key),
            ],
        );
    }
}

#[test]
fn spec_10_37_the_exporter_may_be_stdout_or_none() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    let ended = child_with(&[endpoint, ("OTEL_TRACES_EXPORTER", "otlp/stdout")]);
    let lines = ended.printed.lines().filter(|line| line.starts_with('{'));
    let spans = lines.flat_map(|line| json_spans(line.as_bytes()).unwrap());
    let numbers: Vec<_> = spans.filter_map(|span| span.number).collect();
    assert_eq!(numbers, [0, 1, 2], "{}", ended.printed);
    let expected = format!("delivered {SPANS} retries 0\n");
    assert!(ended.printed.contains(&expected), "{}", ended.printed);
    for off in [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_SDK_DISABLED", "true"),
    ] {
        let ended = child_with(&[endpoint, off]);
        assert!(
            ended.printed.contains("delivered 0 retries 0\n"),
            "{}",
            ended.printed
        );
        assert_eq!(ended.said, "");
    }
    assert_eq!(collector.look(|log| log.connections), 0);
    request(&collector, &[endpoint, ("OTEL_TRACES_EXPORTER", "otlp")]);
}
