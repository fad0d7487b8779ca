use super::*;
use crate::config::Concurrency;
use crate::env::read;
use crate::layer;
use crate::testing::InMemory;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    read(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn plan_of(builder: Builder, pairs: &[(&str, &str)]) -> Plan {
    builder.plan(environment(pairs)).unwrap()
}

fn with(builder: Builder, pairs: &[(&str, &str)]) -> Plan {
    plan_of(builder.with_transport(InMemory::new()), pairs)
}

fn value<'r>(plan: &'r Plan, key: &str) -> Option<&'r str> {
    let resource = plan.config.resource.iter();
    let found: Vec<_> = resource.filter(|(known, _)| known == key).collect();
    assert!(found.len() <= 1, "{key} is twice");
    found.first().map(|(_, value)| value.as_str())
}

#[test]
fn spec_9_5_the_service_name_goes_before_the_resource_attributes() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=low,team=a");
    let plan = with(layer(), &[attributes]);
    assert_eq!(value(&plan, "service.name"), Some("low"));
    let plan = with(layer(), &[attributes, ("OTEL_SERVICE_NAME", "high")]);
    assert_eq!(value(&plan, "service.name"), Some("high"));
    assert_eq!(value(&plan, "team"), Some("a"));
}

#[test]
fn spec_9_6_the_code_goes_before_the_environment() {
    let pairs = [
        ("OTEL_RESOURCE_ATTRIBUTES", "team=a"),
        ("OTEL_SERVICE_NAME", "low"),
    ];
    let code = layer()
        .with_service_name("high")
        .with_resource_attribute("team", "b");
    let plan = with(code, &pairs);
    assert_eq!(
        (value(&plan, "service.name"), value(&plan, "team")),
        (Some("high"), Some("b"))
    );
}

#[test]
fn spec_9_1_to_9_3_the_resource_has_a_service_and_names_this_sdk() {
    let plan = with(layer(), &[]);
    assert!(value(&plan, "service.name").is_some_and(|name| name.starts_with("unknown_service:")));
    assert_eq!(value(&plan, "telemetry.sdk.name"), Some("tracing-otlp"));
    assert_eq!(value(&plan, "telemetry.sdk.language"), Some("rust"));
    assert_eq!(
        value(&plan, "telemetry.sdk.version"),
        Some(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn spec_3_4_a_batch_of_the_environment_fits_its_queue() {
    let batch = |queue, batch| {
        let pairs = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", queue),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", batch),
        ];
        let plan = with(layer(), &pairs);
        let warnings = plan.explanation.warnings().to_vec();
        let Batch {
            max_records,
            max_queue_records,
            ..
        } = plan.config.batch;
        ((max_queue_records, max_records), warnings)
    };
    assert_eq!(batch("2048", "512"), ((Some(2048), 512), Vec::new()));
    assert_eq!(batch("100", ""), ((Some(100), 100), Vec::new()));
    assert_eq!(batch("1", ""), ((Some(8), 8), Vec::new()));
    let (sizes, warnings) = batch("100", "512");
    assert_eq!(sizes, (Some(100), 100));
    assert!(
        warnings.len() == 1 && warnings[0].contains("512"),
        "{warnings:?}"
    );
}

#[test]
fn spec_10_batch_and_limits_of_the_code_replace_the_environments() {
    let pairs = [
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "2"),
    ];
    let plan = with(layer(), &pairs);
    assert_eq!(plan.config.batch.interval, Duration::from_millis(1));
    assert_eq!(plan.config.limits, Limits::default().with_events(2));
    let code = layer()
        .with_batch(Batch::default())
        .with_limits(Limits::default());
    let plan = with(code, &pairs);
    let batch = Batch::default().with_max_bytes(MAX_REQUEST);
    assert_eq!(plan.config.batch, batch);
    assert_eq!(plan.config.limits, Limits::default());
}

#[test]
fn a_request_grows_within_its_part_of_the_memory() {
    let most = |builder| with(builder, &[]).config.batch.max_bytes;
    assert_eq!(most(layer()), Some(MAX_REQUEST));
    let small = layer().with_memory_limit(8 << 20);
    assert_eq!(most(small), Some(2 << 20));
    let fixed = Batch::default().with_adaptive_size(false);
    assert_eq!(most(layer().with_batch(fixed)), Some(1 << 20));
    let chosen = Batch::default().with_max_bytes(5_000);
    assert_eq!(most(layer().with_batch(chosen)), Some(5_000));
}

#[test]
#[cfg(all(feature = "grpc", feature = "gzip"))]
fn what_is_encoded_anew_leaves_memory_for_all_that_are_in_flight() {
    use crate::config::Compression;

    let plan = |concurrency| {
        let builder = layer().with_compression(Compression::Gzip);
        plan_of(builder.with_concurrency(concurrency), &[])
    };
    let most = |requests| plan(Concurrency::Fixed(requests)).config.batch.max_bytes;
    assert_eq!(most(1), Some(1 << 20));
    assert_eq!(most(4), Some(1 << 20));
    assert_eq!(most(8), Some(512 << 10));
    let [one, eight] = [1, 8].map(|requests| plan(Concurrency::Fixed(requests)).footprint);
    assert!(eight > 3 * one && eight < 16 << 20, "{one} and {eight}");
}

#[test]
fn a_chunk_holds_at_most_an_eighth_of_a_small_queue() {
    let batch = Batch::default()
        .with_max_queue_records(64)
        .with_max_records(16);
    let config = Config {
        batch,
        ..Config::default()
    };
    assert_eq!(sizes(&config).chunk_records, 8);
}

#[test]
fn spec_2_19_and_10_10_an_attempt_ends_at_the_smaller_of_both_time_outs() {
    let timeout = |code: Option<u64>, attempt, export| {
        let pairs = [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", attempt),
            ("OTEL_BSP_EXPORT_TIMEOUT", export),
        ];
        let builder = match code {
            Some(code) => layer().with_timeout(Duration::from_millis(code)),
            None => layer(),
        };
        with(builder, &pairs).config.timeout.as_millis()
    };
    assert_eq!(timeout(None, "", ""), 10_000);
    assert_eq!(timeout(None, "", "30000"), 10_000);
    assert_eq!(timeout(None, "", "5000"), 5_000);
    assert_eq!(timeout(None, "60000", ""), 60_000);
    assert_eq!(timeout(None, "60000", "20000"), 20_000);
    assert_eq!(timeout(None, "7000", "0"), 7_000);
    assert_eq!(timeout(None, "0", "5000"), 5_000);
    assert_eq!(timeout(None, "0", "0"), 0);
    assert_eq!(timeout(Some(0), "7000", "5000"), 0);
    assert_eq!(timeout(Some(9_000), "7000", "5000"), 9_000);
}

fn is_off(builder: Builder, pairs: &[(&str, &str)]) -> bool {
    plan_of(builder, pairs).transport.is_none()
}

#[test]
fn spec_10_1_a_disabled_sdk_exports_nothing_unless_the_code_enables_it() {
    let disabled = [("OTEL_SDK_DISABLED", "true")];
    let ours = || layer().with_transport(InMemory::new());
    assert!(is_off(ours(), &disabled));
    assert!(!is_off(ours(), &[("OTEL_SDK_DISABLED", "yes")]));
    assert!(!is_off(ours().with_disabled(false), &disabled));
    assert!(is_off(ours().with_disabled(true), &[]));
}

#[test]
fn spec_10_37_no_exporter_is_none_unless_the_code_names_one() {
    let none = [("OTEL_TRACES_EXPORTER", "none")];
    assert!(is_off(layer(), &none));
    assert!(!is_off(layer().with_transport(InMemory::new()), &none));
    #[cfg(feature = "grpc")]
    {
        assert!(!is_off(layer().with_endpoint("http://a:1"), &none));
        assert!(!is_off(layer().with_traces_endpoint("http://a:1"), &none));
        let disabled = ("OTEL_SDK_DISABLED", "true");
        assert!(is_off(layer().with_endpoint("http://a:1"), &[disabled]));
    }
}

#[test]
fn what_is_switched_off_answers_at_once_and_records_nothing() {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::prelude::*;

    let memory = InMemory::new();
    let builder = layer()
        .with_transport(memory.clone())
        .with_disabled(true)
        .with_filter(Targets::new().with_default(tracing::Level::TRACE));
    let (otlp, guard) = builder.build().unwrap();
    let handle = guard.handle();
    let work = || {
        let span = tracing::info_span!("work", items = 3);
        span.in_scope(|| tracing::info!("done"));
    };
    let subscriber = tracing_subscriber::registry().with(otlp);
    tracing::subscriber::with_default(subscriber, || {
        work();
        handle.set_filter(Targets::new().with_default(tracing::Level::TRACE));
        work();
    });
    let empty = crate::Report::default();
    let forever = Duration::MAX;
    assert_eq!(handle.flush(forever).unwrap(), empty);
    assert_eq!(handle.shutdown(forever).unwrap(), empty);
    let stats = handle.stats();
    assert!(stats.is_balanced() && stats.accepted() == 0, "{stats}");
    drop(guard);
    assert!(memory.requests().is_empty());
}

#[test]
fn a_wrong_value_in_the_code_is_an_error() {
    let error = |builder: Builder| {
        let plan = builder.with_transport(InMemory::new());
        let error = plan.plan(environment(&[])).err().unwrap();
        assert!(error.is_config());
        error.to_string()
    };
    let none = Concurrency::Fixed(0);
    assert!(error(layer().with_concurrency(none)).contains("with_concurrency: 0"));
    assert!(error(layer().with_memory_limit(7)).contains("with_memory_limit: 7"));
    let batch = Batch::default().with_max_queue_records(9);
    assert!(error(layer().with_batch(batch)).contains("8192"));
}
