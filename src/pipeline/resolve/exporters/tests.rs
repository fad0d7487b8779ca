//! Several destinations: each says everything about itself.

use super::*;
use crate::env::read;
use crate::pipeline::builder::layer;
use crate::pipeline::exporter::Exporter;
use crate::testing::InMemory;

fn plan_of(builder: Builder, pairs: &[(&str, &str)]) -> Result<Plan, Error> {
    let pairs = pairs.iter();
    let environment = read(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    builder.with_events(crate::Events::Both).plan(environment)
}

fn in_memory(name: &str) -> Exporter {
    Exporter::new(name).with_transport(InMemory::new())
}

/// Destinations and the signals that they get.
fn carried(plan: &Plan) -> Vec<(String, Signal)> {
    let carried = plan.carriers.iter().flat_map(|carrier| &carrier.carried);
    carried
        .map(|carried| (carried.destination.to_string(), carried.signal))
        .collect()
}

fn error(builder: Builder) -> String {
    let error = plan_of(builder, &[]).err().expect("a wrong value");
    assert!(error.is_config());
    error.to_string()
}

#[test]
fn spec_2_36_each_destination_gets_the_signals_that_it_wants() {
    let builder = layer()
        .with_exporter(in_memory("a"))
        .with_exporter(in_memory("b").with_signals([Signal::Logs]));
    let plan = plan_of(builder, &[]).expect("a plan");
    let expected = [
        ("a", Signal::Traces),
        ("a", Signal::Logs),
        ("b", Signal::Logs),
    ];
    let expected = expected.map(|(name, signal)| (name.to_owned(), signal));
    assert_eq!(carried(&plan), expected);
    let text = plan.explanation.to_string();
    assert!(
        text.contains("\nexporter b: logs.timeout = 10s (default)\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_told_apart_is_an_error() {
    let twice = layer()
        .with_exporter(in_memory("a"))
        .with_exporter(in_memory("a"));
    assert!(error(twice).contains("\"a\" is no name"));
    assert!(error(layer().with_exporter(in_memory(" "))).contains("is no name"));
    let both = layer()
        .with_endpoint("http://a:1")
        .with_exporter(in_memory("a"));
    assert!(error(both).contains("Builder::with_exporter"));
    let both = layer()
        .with_transport(InMemory::new())
        .with_exporter(in_memory("a"));
    assert!(error(both).contains("Builder::with_exporter"));
    let many = (0..17).fold(layer(), |builder, number| {
        builder.with_exporter(in_memory(&number.to_string()))
    });
    assert!(error(many).contains("17 is not from 1 to 16"));
}

#[test]
#[cfg(all(feature = "grpc", feature = "http"))]
fn p_29_what_the_environment_says_reaches_the_destination_that_it_describes_alone() {
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs:1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=canary"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "7000"),
    ];
    let builder = layer()
        .with_exporter(Exporter::from_environment("theirs"))
        .with_exporter(Exporter::new("other").with_endpoint("http://other:1"));
    let plan = plan_of(builder, &pairs).expect("a plan");
    let text = plan.explanation.to_string();
    let has = |line: &str| text.lines().any(|known| known == line);
    assert!(
        has("exporter theirs: endpoint = http://theirs:1 (OTEL_EXPORTER_OTLP_ENDPOINT)"),
        "{text}"
    );
    assert!(
        has("exporter theirs: header x-api-key = *** (OTEL_EXPORTER_OTLP_HEADERS)"),
        "{text}"
    );
    assert!(!text.contains("exporter other: header"), "{text}");
    assert!(
        has("exporter other: endpoint = http://other:1 (Exporter::with_endpoint)"),
        "{text}"
    );
    let timeouts: Vec<u128> = plan
        .carriers
        .iter()
        .map(|carrier| carrier.carried[0].timeout.as_millis())
        .collect();
    assert_eq!(timeouts, [7_000, 7_000, 10_000, 10_000]);
    let wrong = layer()
        .with_exporter(in_memory("a"))
        .with_exporter(Exporter::new("b").with_endpoint("ftp://b"));
    assert!(error(wrong).starts_with("exporter \"b\": "));
    let alone = Exporter::new("b").with_endpoint("ftp://b");
    let text = error(layer().with_exporter(alone));
    assert!(
        text.contains("Exporter::with_endpoint") && !text.contains("Builder"),
        "{text}"
    );
}

#[test]
fn the_builders_debug_text_of_an_exporter_shows_no_secret() {
    let exporter = Exporter::new("a").with_header("x-api-key", "canary");
    let text = format!("{exporter:?}");
    assert!(
        text.contains("x-api-key") && !text.contains("canary"),
        "{text}"
    );
}
