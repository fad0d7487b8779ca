use std::time::Duration;

use crate::config::{Batch, Compression, Concurrency, Errors, Limits, Protocol, Tls};
use crate::context::Propagator;
use crate::layer::Events;
use crate::pipeline::builder::{Builder, layer};
use crate::sampler::Sampler;
use crate::testing::InMemory;

const CANARY: &str = "canary-7f3a";

fn explain(builder: Builder, pairs: &[(&str, &str)]) -> String {
    let environment = crate::env::read(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    builder.plan(environment).unwrap().explanation.to_string()
}

/// Without the first line, which depends on version and features.
#[cfg(feature = "grpc")]
fn settings(text: &str) -> &str {
    text.split_once('\n').unwrap().1
}

/// As [`settings`], without the id that each process has of its own.
#[cfg(feature = "grpc")]
fn of_no_instance(text: &str) -> String {
    let instance = "\"service.instance.id\" = \"";
    let (before, behind) = settings(text).split_once(instance).unwrap();
    let (id, behind) = behind.split_once('"').unwrap();
    assert_eq!(id.len(), 36);
    format!("{before}{instance}{{instance}}\"{behind}")
}

#[test]
#[cfg(feature = "grpc")]
fn a_default_pipeline_is_explained() {
    let text = explain(layer().with_service_name("shop"), &[]);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("tracing-otlp ") && first.contains("grpc"));
    let version = env!("CARGO_PKG_VERSION");
    let expected = include_str!("default.txt").replace("{version}", version);
    assert_eq!(of_no_instance(&text), expected);
}

fn everything() -> Builder {
    let filter: tracing_subscriber::filter::Targets = "shop=debug".parse().unwrap();
    layer()
        .with_service_name("shop")
        .with_resource_attribute("team", "a \"b\"\n")
        .with_protocol(Protocol::Grpc)
        .with_endpoint("https://ignored:1")
        .with_traces_endpoint("http://collector:4317")
        .with_insecure(true)
        .with_header("x-api-key", CANARY)
        .with_header_provider(|_| Ok(vec![("x".to_owned(), CANARY.to_owned())]))
        .with_bearer_token_file("/run/token")
        .with_compression(Compression::Gzip)
        .with_compression_level(6)
        .with_proxy_from_environment(true)
        .with_user_agent("shop/1.2")
        .with_max_response_bytes(1 << 20)
        .with_timeout(Duration::from_secs(3))
        .with_batch(
            Batch::default()
                .with_max_records(512)
                .with_max_queue_records(2048),
        )
        .with_concurrency(Concurrency::Adaptive(4))
        .with_limits(Limits::default().with_links(7))
        .with_memory_limit(8 << 20)
        .with_shutdown_timeout(Duration::from_secs(1))
        .with_hold_on_config_error(true)
        .with_disabled(false)
        .with_location(false)
        .with_target(true)
        .with_level(true)
        .with_threads(true)
        .with_events(Events::Off)
        .with_propagators([Propagator::B3, Propagator::TraceContext, Propagator::B3])
        .with_errors(Errors::default().with_panics(false))
        .with_filter(filter)
        .with_sampler(Sampler::rate_limited(10.0))
}

#[test]
#[cfg(feature = "grpc")]
fn a_pipeline_with_everything_set_is_explained() {
    let headers = format!("x-tenant={CANARY},X-Api-Key=under-the-codes");
    let pairs = [
        ("OTEL_EXPORTER_OTLP_HEADERS", headers.as_str()),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=low,zone=z"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_PROPAGATORS", "baggage"),
    ];
    let text = explain(everything(), &pairs);
    let version = env!("CARGO_PKG_VERSION");
    let expected = include_str!("everything.txt").replace("{version}", version);
    assert_eq!(of_no_instance(&text), expected);
}

#[test]
fn p_29_no_secret_is_in_a_builders_debug_text() {
    let tls = Tls::new().with_client_pem(CANARY, CANARY);
    let text = format!("{:?}", everything().with_tls(tls));
    assert!(
        text.contains("x-api-key") && !text.contains(CANARY),
        "{text}"
    );
}

#[test]
fn what_is_switched_off_is_explained() {
    let builder = || layer().with_transport(InMemory::new());
    let text = explain(builder(), &[("OTEL_SDK_DISABLED", "true")]);
    assert!(
        text.contains("disabled = true (OTEL_SDK_DISABLED)\n"),
        "{text}"
    );
    let text = explain(layer(), &[("OTEL_TRACES_EXPORTER", "none")]);
    assert!(
        text.contains("exporter = none (OTEL_TRACES_EXPORTER)\n"),
        "{text}"
    );
}

#[test]
fn a_handle_explains_its_pipeline() {
    let builder = layer().with_transport(InMemory::new()).with_level(true);
    let (_layer, guard) = builder.build().unwrap();
    let text = guard.handle().explain().to_string();
    assert!(
        text.contains("record.level = true (Builder::with_level)"),
        "{text}"
    );
    assert!(text.contains("(Builder::with_transport)"), "{text}");
}
