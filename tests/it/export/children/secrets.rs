//! Secrets are shown nowhere, whatever fails (fault F25): each case is a process of its own, all of whose words are searched.

use std::fmt::{Debug, Display};
use std::time::Duration;

use tracing_otlp::{Batch, Builder, Compression, Protocol, Tls};
use tracing_subscriber::prelude::*;

use super::{is_child, run};
use crate::support::certificates::{Certificates, Demands, Flaw};
use crate::support::collector::manner::{Answer, google_status};
use crate::support::collector::{Collector, Manner, Request, Speaks};
use crate::support::patience::until;
use crate::support::proxy::Proxy;

/// What no text may hold, as it is and in pieces.
const CANARY: &str = "canary-c7f3a9d2e1";
const WORD: &str = "canary";

const CASE: &str = "EXPORT_TEST_CASE";
const ENDPOINT: &str = "EXPORT_TEST_ENDPOINT";
const PROTOCOL: &str = "EXPORT_TEST_PROTOCOL";
const TOKEN_FILE: &str = "EXPORT_TEST_TOKEN_FILE";

/// Prints a thing in both ways.
#[allow(clippy::print_stdout, reason = "the parent of a child reads it")]
fn show(thing: &(impl Debug + Display)) {
    println!("{thing} {thing:?} {thing:#?}");
}

/// Uses secrets in the way that its variables say, and prints everything that can be printed.
#[test]
#[allow(clippy::print_stdout, reason = "its parent reads it")]
fn child() {
    if !is_child() {
        return;
    }
    let builder = builder(&std::env::var(CASE).unwrap());
    println!("{builder:?} {builder:#?}");
    let (layer, guard) = match builder.build() {
        Ok(built) => built,
        Err(error) => return show(&error),
    };
    println!("{layer:?} {guard:?}");
    let handle = guard.handle();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || drop(tracing::info_span!("work")));
    let _ = handle.flush(Duration::ZERO);
    let has_tried = || handle.stats().requests() > 0;
    until("an attempt", has_tried, || handle.stats().to_string());
    if let Err(error) = handle.flush(Duration::from_millis(100)) {
        show(&error);
        println!("{:?}", error.report());
    }
    let stats = handle.stats();
    show(&handle.explain());
    show(&stats);
    println!(
        "{handle:?} {:?} {:?}",
        stats.last_error(),
        stats.rejections()
    );
    stats
        .last_error()
        .iter()
        .for_each(|error| println!("{error}"));
    drop(guard);
    show(&handle.stats());
}

#[allow(clippy::print_stdout, reason = "its parent reads it")]
fn builder(case: &str) -> Builder {
    let mut builder = tracing_otlp::layer()
        .with_batch(Batch::default().with_interval(Duration::from_secs(60)))
        .with_shutdown_timeout(Duration::from_millis(50))
        .with_timeout(Duration::from_secs(1))
        .with_on_error(show);
    if let Ok(endpoint) = std::env::var(ENDPOINT) {
        builder = builder.with_endpoint(endpoint);
    }
    match std::env::var(PROTOCOL).as_deref() {
        Ok("http") => builder = builder.with_protocol(Protocol::HttpProtobuf),
        Ok("json") => builder = builder.with_protocol(Protocol::HttpJson),
        _ => {}
    }
    let bearer = format!("Bearer {CANARY}");
    let provided =
        |name: &'static str, value: String| move |_| Ok(vec![(name.to_owned(), value.clone())]);
    match case {
        "headers" => {
            let builder = builder.with_header("authorization", bearer);
            builder.with_header("x-api-key", CANARY)
        }
        "compressed" => {
            let builder = builder.with_compression(Compression::Zstd);
            builder.with_header("authorization", bearer)
        }
        "provider" => builder.with_header_provider(provided("authorization", bearer)),
        "wrong provider" => {
            builder.with_header_provider(provided("x-key", format!("{CANARY}\r\nx: y")))
        }
        "reserved provider" => builder.with_header_provider(provided("te", CANARY.to_owned())),
        "token file" => builder.with_bearer_token_file(std::env::var(TOKEN_FILE).unwrap()),
        "wrong header" => builder.with_header("x-key", format!("{CANARY}\n")),
        "reserved header" => builder.with_header("content-type", CANARY),
        "client key" => {
            let pem = |kind| format!("-----BEGIN {kind}-----\n{CANARY}\n-----END {kind}-----\n");
            let tls = Tls::new().with_client_pem(pem("CERTIFICATE"), pem("PRIVATE KEY"));
            println!("{tls:?}");
            builder.with_tls(tls)
        }
        "proxy" => {
            let builder = builder.with_proxy_from_environment(true);
            builder.with_header("authorization", bearer)
        }
        "endpoint" => builder.with_endpoint(format!("http://user:{CANARY}@127.0.0.1:1")),
        "query" => {
            let url = format!("http://127.0.0.1:1/v1/traces?token={CANARY}");
            builder.with_traces_endpoint(url)
        }
        "environment" => builder,
        other => panic!("{other}"),
    }
}

/// What a child with these variables shows, which holds no secret.
#[track_caller]
fn shows(case: &str, variables: &[(&str, &str)]) -> String {
    let mut all = vec![(CASE, case), ("OTEL_LOG_LEVEL", "debug")];
    all.extend(variables);
    let ended = run(module_path!(), &all);
    let shown = format!("{}\n{}", ended.printed, ended.said);
    for line in shown.lines() {
        assert!(!line.contains(WORD), "{case} {variables:?}: {line}");
    }
    shown
}

/// The secrets of a request that came.
fn has_come(request: &Request) -> bool {
    request.header("authorization").contains(CANARY)
}

#[test]
fn f_25_headers_are_not_shown_whatever_the_collector_answers() {
    let echo = format!(
        "the token {CANARY} has expired: Bearer {CANARY}; {}",
        CANARY.repeat(40)
    );
    let location = format!("http://user:{CANARY}@127.0.0.1:1/{CANARY}?{CANARY}");
    let manners = [
        ("http", Manner::Say(Answer::http(401))),
        (
            "http",
            Manner::Say(Answer::http(403).with_body("text/plain", echo.clone())),
        ),
        ("http", Manner::Say(Answer::http(404))),
        (
            "http",
            Manner::Say(Answer::http(307).with_header("location", location)),
        ),
        (
            "http",
            Manner::Say(
                Answer::http(400).with_body("application/x-protobuf", google_status(3, &echo)),
            ),
        ),
        (
            "json",
            Manner::Say(
                Answer::http(503)
                    .with_body("application/json", format!("{{\"message\":\"{echo}\"}}")),
            ),
        ),
        (
            "http",
            Manner::TakePartly {
                rejected: 1,
                message: echo.clone(),
            },
        ),
        (
            "grpc",
            Manner::TakePartly {
                rejected: 0,
                message: echo.clone(),
            },
        ),
        (
            "grpc",
            Manner::Say(Answer::grpc("16").with_header("grpc-message", &echo)),
        ),
        (
            "grpc",
            Manner::Say(Answer::grpc("14").with_header("grpc-message", &echo)),
        ),
        ("grpc", Manner::Say(Answer::grpc(CANARY))),
        (
            "http",
            Manner::Bytes(format!("{CANARY}\r\n\r\n").into_bytes()),
        ),
        ("grpc", Manner::Reset),
        ("http", Manner::Hang),
    ];
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    for (case, (protocol, manner)) in ["headers", "provider", "compressed"]
        .iter()
        .cycle()
        .zip(manners)
    {
        let before = collector.look(|log| log.requests.len());
        collector.always(manner);
        shows(case, &[(ENDPOINT, &endpoint), (PROTOCOL, protocol)]);
        let came = collector.look(|log| log.requests.iter().skip(before).all(has_come));
        assert!(
            came && collector.look(|log| log.requests.len()) > before,
            "{case} {protocol}"
        );
    }
}

#[test]
fn f_25_the_environments_headers_are_not_shown() {
    let collector = Collector::start();
    collector.always(Manner::Say(Answer::http(401)));
    let endpoint = collector.endpoint();
    let list = format!("authorization=Bearer%20{CANARY},x-api-key={CANARY}");
    let shown = shows(
        "environment",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", &list),
        ],
    );
    assert!(shown.contains("header authorization = ***"), "{shown}");
    assert!(collector.look(|log| log.requests.iter().all(has_come)));
    for wrong in [
        CANARY.to_owned(),
        format!("={CANARY}"),
        format!("x-key={CANARY}%0d%0a"),
        format!("x-key={CANARY}%zz"),
        format!("x key={CANARY}"),
        format!("te={CANARY}"),
        format!("x-key-bin={CANARY}"),
        format!("x-key={}", CANARY.repeat(5_000)),
    ] {
        let wrong = ("OTEL_EXPORTER_OTLP_HEADERS", wrong.as_str());
        shows(
            "environment",
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), wrong],
        );
    }
}

#[test]
fn f_25_what_is_wrong_in_the_code_or_the_environment_is_named_without_secrets() {
    let collector = Collector::start();
    for (case, named) in [
        ("wrong header", "x-key"),
        ("reserved header", "content-type"),
        ("wrong provider", "x-key"),
        ("reserved provider", "te"),
        ("endpoint", "with_endpoint"),
        ("query", "127.0.0.1:1"),
    ] {
        let shown = shows(case, &[(ENDPOINT, &collector.endpoint())]);
        assert!(shown.contains(named), "{case}: {shown}");
    }
    let at = |text: &str| format!("http://{text}");
    for wrong in [
        at(&format!("user:{CANARY}@127.0.0.1:1")),
        at(&format!("{CANARY}@127.0.0.1:99999")),
        at(&format!("127.0.0.1:1?token={CANARY}")),
        format!("ftp://user:{CANARY}@127.0.0.1"),
        format!("user:{CANARY}@127.0.0.1:1"),
    ] {
        for name in [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ] {
            let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
            shows(
                "environment",
                &[(name, &wrong), http, ("OTEL_TRACES_EXPORTER", "otlp")],
            );
        }
    }
}

#[test]
fn f_25_a_token_in_a_file_is_not_shown() {
    let certificates = Certificates::new();
    let collector = Collector::start();
    collector.always(Manner::Status(16));
    let endpoint = collector.endpoint();
    for content in [
        CANARY.to_owned(),
        format!("{CANARY}\r\nx: y"),
        CANARY.repeat(10_000),
    ] {
        let path = certificates.write(&content);
        let path = (TOKEN_FILE, path.to_str().unwrap());
        shows("token file", &[(ENDPOINT, &endpoint), path]);
    }
    assert!(collector.look(|log| log.requests.iter().any(has_come)));
}

#[test]
fn f_25_neither_a_proxys_password_nor_a_key_is_shown() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    let at = |address: &str| format!("http://user:{CANARY}@{address}");
    let address = proxy.endpoint().replace("http://", "");
    proxy.refuses(Some(407));
    for value in [
        at(&address),
        at("127.0.0.1:1"),
        at("127.0.0.1:port"),
        format!("socks5://user:{CANARY}@127.0.0.1:1"),
        format!("http://user:{CANARY}@"),
    ] {
        for protocol in ["http", "grpc"] {
            let proxy = [
                ("HTTP_PROXY", value.as_str()),
                ("HTTPS_PROXY", value.as_str()),
            ];
            let endpoint = (ENDPOINT, "http://collector.test:4318");
            shows(
                "proxy",
                &[proxy[0], proxy[1], endpoint, (PROTOCOL, protocol)],
            );
        }
    }
    let server = Certificates::new().server(Flaw::SelfSigned);
    collector.shows(Some(server.server_config(&Demands::default())));
    let encrypted = collector.endpoint();
    for case in ["client key", "headers"] {
        for protocol in ["http", "grpc"] {
            shows(case, &[(ENDPOINT, &encrypted), (PROTOCOL, protocol)]);
        }
    }
    let certificates = Certificates::new();
    let garbage = certificates.write(CANARY);
    let garbage = garbage.to_str().unwrap();
    let files = [
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", garbage),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", garbage),
    ];
    shows("headers", &[(ENDPOINT, &encrypted), files[0], files[1]]);
    collector.shows(None);
    collector.speaks(Speaks::Http1);
    let plain = encrypted.replace("localhost", "127.0.0.1");
    shows("headers", &[(ENDPOINT, &plain), (PROTOCOL, "http")]);
    assert_eq!(collector.look(|log| log.requests.len()), 0);
}

/// Secrets inside of what is printed would be found: the search itself works.
#[test]
fn f_25_a_secret_that_is_shown_is_found() {
    let printed = |thing: &dyn Debug| format!("{thing:?}").contains(WORD);
    assert!(printed(&tracing_otlp::layer().with_service_name(CANARY)));
    assert!(!printed(
        &tracing_otlp::layer().with_header("x-key", CANARY)
    ));
}
