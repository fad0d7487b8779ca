//! Through the proxy that the environment names, if that is asked for; and what else is said by the environment of a process.
//! Each case is a process of its own, since a test cannot change its own environment.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use tracing_otlp::{Protocol, Tls};
use tracing_subscriber::prelude::*;

use crate::support::certificates::{Certificates, Demands, Flaw};
use crate::support::collector::Collector;
use crate::support::proxy::Proxy;

const CHILD: &str = "PROXY_TEST_CHILD";
const PASSWORD: &str = "canary-55d2";
const VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// A process that sends three spans, and what it says of them.
fn child_with(protocol: Protocol, endpoint: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "export::proxies::child", "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || VARIABLES.contains(&&*text) {
            command.env_remove(name);
        }
    }
    let output = command
        .env(CHILD, "with a proxy")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .envs(variables.iter().copied())
        .output()
        .expect("a child");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{said}");
    let all = format!("{printed}{said}");
    assert!(!all.contains(PASSWORD), "{all}");
    all
}

#[test]
#[allow(clippy::print_stdout, reason = "a child says what happens to it")]
fn child() {
    let Ok(how) = std::env::var(CHILD) else {
        return;
    };
    if how == "with a provider" {
        install_a_provider();
    }
    let mut builder = tracing_otlp::layer().with_shutdown_timeout(Duration::ZERO);
    if how == "with a proxy" {
        builder = builder.with_proxy_from_environment(true);
    }
    if let Ok(ca) = std::env::var("PROXY_TEST_CA") {
        builder = builder.with_tls(Tls::new().with_ca_file(ca));
    }
    let (layer, guard) = builder.build().expect("a pipeline");
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        (0..3).for_each(|number| drop(tracing::info_span!("work", number)));
    });
    let handle = guard.handle();
    let mut stats = handle.stats();
    while stats.delivered() < 3 && stats.last_error().is_none() {
        let _ = handle.flush(Duration::from_millis(10));
        stats = handle.stats();
    }
    let error = stats.last_error().map(|error| error.message().to_owned());
    println!("delivered {} {error:?}", stats.delivered());
    println!("{:?} {}", handle, handle.explain());
}

#[track_caller]
fn assert_delivered(said: &str, collector: &Collector) {
    assert!(said.contains("delivered 3 None"), "{said}");
    assert_eq!(collector.look(|log| log.numbers().len()), 3);
}

#[test]
fn r12_grpc_goes_through_a_tunnel() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    let said = child_with(
        Protocol::Grpc,
        "http://collector.test:4317",
        &[("HTTP_PROXY", &proxy.endpoint())],
    );
    assert_delivered(&said, &collector);
    let [asked] = &proxy.asked()[..] else {
        panic!("{:?}", proxy.asked());
    };
    let wanted = (&*asked.method, &*asked.target);
    assert_eq!(wanted, ("CONNECT", "collector.test:4317"));
}

#[test]
fn r12_what_is_encrypted_goes_through_a_tunnel() {
    let certificates = Certificates::new();
    let server = certificates.server(Flaw::None);
    let collector = Collector::start_tls(server.server_config(&Demands::default()));
    let proxy = Proxy::leading_to(collector.port());
    let ca = certificates.ca_file();
    for (number, protocol) in [Protocol::Grpc, Protocol::HttpProtobuf]
        .into_iter()
        .enumerate()
    {
        let said = child_with(
            protocol,
            "https://localhost:4999",
            &[
                ("https_proxy", &proxy.endpoint()),
                // Of other requests.
                ("http_proxy", "http://127.0.0.1:1"),
                ("PROXY_TEST_CA", ca.to_str().expect("a path")),
            ],
        );
        assert!(said.contains("delivered 3 None"), "{said}");
        let asked = &proxy.asked()[number];
        let wanted = (&*asked.method, &*asked.target);
        assert_eq!(wanted, ("CONNECT", "localhost:4999"));
    }
}

#[test]
fn r12_plain_http_is_passed_on_with_its_whole_uri() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    proxy.demands("Basic dXNlcjpjYW5hcnktNTVkMg==");
    let with_password = proxy
        .endpoint()
        .replace("http://", &format!("http://user:{PASSWORD}@"));
    let said = child_with(
        Protocol::HttpProtobuf,
        "http://collector.test:4318",
        &[("http_proxy", &with_password)],
    );
    assert_delivered(&said, &collector);
    let asked = &proxy.asked()[0];
    let wanted = (&*asked.method, &*asked.target);
    assert_eq!(wanted, ("POST", "http://collector.test:4318/v1/traces"));
    assert_eq!(asked.header("host"), Some("collector.test:4318"));
}

#[test]
fn r12_a_proxy_gets_its_password_and_the_collector_does_not() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    proxy.demands("Basic dXNlcjpjYW5hcnktNTVkMg==");
    let with_password = proxy
        .endpoint()
        .replace("http://", &format!("http://user:{PASSWORD}@"));
    let said = child_with(
        Protocol::Grpc,
        "http://collector.test:4317",
        &[("http_proxy", &with_password)],
    );
    assert_delivered(&said, &collector);
    collector.look(|log| {
        assert_eq!(log.requests[0].header("proxy-authorization"), "");
    });
}

#[test]
fn r12_a_proxy_that_wants_other_credentials_or_is_not_there_is_named() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    proxy.demands("Basic other");
    let with_password = proxy
        .endpoint()
        .replace("http://", &format!("http://user:{PASSWORD}@"));
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let endpoint = "http://collector.test:4317";
        let said = child_with(protocol, endpoint, &[("HTTP_PROXY", &with_password)]);
        assert!(said.contains("407") && said.contains("proxy"), "{said}");
        assert!(said.contains("credentials"), "{said}");

        let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = gone.local_addr().expect("it is bound").to_string();
        drop(gone);
        let said = child_with(protocol, endpoint, &[("HTTP_PROXY", &address)]);
        assert!(said.contains(&format!("the proxy {address}")), "{said}");
    }
    assert_eq!(collector.look(|log| log.requests.len()), 0);
}

#[test]
fn r12_a_host_may_be_excluded() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    let said = child_with(
        Protocol::HttpProtobuf,
        &collector.endpoint(),
        &[
            ("HTTP_PROXY", &proxy.endpoint()),
            ("NO_PROXY", "example.test, 127.0.0.1"),
        ],
    );
    assert_delivered(&said, &collector);
    assert_eq!(proxy.asked(), []);
}

#[test]
fn p27_no_proxy_is_used_unless_it_is_asked_for() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let said = child_with(
            protocol,
            &collector.endpoint(),
            &[
                (CHILD, "without a proxy"),
                ("HTTP_PROXY", &proxy.endpoint()),
                ("ALL_PROXY", &proxy.endpoint()),
            ],
        );
        assert_delivered(&said, &collector);
    }
    assert_eq!(proxy.asked(), []);
}

/// One that knows no other cipher than this.
fn install_a_provider() {
    use tokio_rustls::rustls::crypto::ring;
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    provider.install_default().expect("nobody else has one");
}

#[test]
fn f24_the_provider_of_the_program_is_used() {
    let certificates = Certificates::new();
    let server = certificates.server(Flaw::None);
    let collector = Collector::start_tls(server.server_config(&Demands {
        // Which that provider cannot do.
        tls12_only: true,
        ..Demands::default()
    }));
    let ca = certificates.ca_file();
    let child = |how: &str| {
        let variables = [
            (CHILD, how),
            ("PROXY_TEST_CA", ca.to_str().expect("a path")),
        ];
        child_with(Protocol::HttpProtobuf, &collector.endpoint(), &variables)
    };
    let said = child("with a provider");
    assert!(said.contains("delivered 0 Some("), "{said}");
    assert!(said.contains("TLS"), "{said}");
    // Two may be linked, and none of them is the default then.
    assert_delivered(&child("without one"), &collector);
}
