//! What is particular to log records, and that each signal has its own.

use std::time::Duration;

use super::*;
use crate::config::Limits;
use crate::env::read;
use crate::pipeline::builder::layer;
use crate::testing::InMemory;

fn plan_of(builder: Builder, pairs: &[(&str, &str)]) -> Plan {
    let pairs = pairs.iter();
    let environment = read(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    builder
        .with_events(crate::Events::Both)
        .plan(environment)
        .expect("a plan")
}

fn with(builder: Builder, pairs: &[(&str, &str)]) -> Plan {
    plan_of(builder.with_transport(InMemory::new()), pairs)
}

/// The lines of the explanation that begin so.
#[cfg(all(feature = "grpc", feature = "http", feature = "gzip"))]
fn lines(plan: &Plan, start: &str) -> Vec<String> {
    let text = plan.explanation.to_string();
    let lines = text.lines().filter(|line| line.starts_with(start));
    lines.map(str::to_owned).collect()
}

#[test]
fn spec_10_13_to_10_16_batches_of_logs_have_their_own_variables() {
    let batch = |pairs: &[(&str, &str)]| with(layer(), pairs).config.logs.batch;
    assert_eq!(batch(&[]).interval, Duration::from_secs(1));
    let of_spans = [
        ("OTEL_BSP_SCHEDULE_DELAY", "7"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "99"),
    ];
    assert_eq!(batch(&of_spans), batch(&[]));
    let own = [
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "2048"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "512"),
    ];
    let found = batch(&own);
    assert_eq!(found.interval, Duration::from_millis(20));
    assert_eq!(found.max_queue_records, Some(2048));
    assert_eq!(found.max_records, 512);
    let traces = with(layer(), &own).config.batch;
    assert_eq!(traces.interval, Duration::from_secs(5));
    let code = Logs::new().with_batch(Batch::default().with_interval(Duration::from_secs(3)));
    let found = with(layer().with_logs(code), &own).config.logs.batch;
    assert_eq!(found.interval, Duration::from_secs(3));
    assert_eq!(found.max_queue_records, None);
}

#[test]
fn spec_10_14_and_10_30_time_outs_are_each_signals_own() {
    let timeouts = |builder, pairs: &[(&str, &str)]| {
        let carriers = with(builder, pairs).carriers;
        let carried = &carriers[0].carried;
        [&carried[0], &carried[1]].map(|carried| (carried.signal, carried.timeout.as_millis()))
    };
    let pairs = [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "9000"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "8000"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "700"),
    ];
    let both = |traces, logs| [(Signal::Traces, traces), (Signal::Logs, logs)];
    assert_eq!(timeouts(layer(), &[]), both(10_000, 10_000));
    assert_eq!(timeouts(layer(), &pairs[..2]), both(9_000, 8_000));
    assert_eq!(timeouts(layer(), &pairs), both(9_000, 700));
    let code = layer().with_timeout(Duration::from_secs(1));
    assert_eq!(timeouts(code, &pairs), both(1_000, 1_000));
}

#[test]
fn spec_5_4_and_10_25_limits_of_logs_go_before_the_general_ones() {
    let limits = |builder, pairs: &[(&str, &str)]| with(builder, pairs).config.logs.limits;
    let general = [
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "6"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
    ];
    let expected = Limits::default().with_attributes(5).with_value_length(6);
    assert_eq!(limits(layer(), &general), expected);
    let own = [
        general[0],
        general[1],
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "7"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "8"),
    ];
    let expected = Limits::default().with_attributes(7).with_value_length(8);
    assert_eq!(limits(layer(), &own), expected);
    assert_eq!(with(layer(), &own).config.limits.attributes, 5);
    let code = Logs::new().with_limits(Limits::default());
    assert_eq!(limits(layer().with_logs(code), &own), Limits::default());
}

#[test]
fn limits_and_batches_of_logs_are_checked() {
    let error = |logs: Logs| {
        let builder = layer().with_transport(InMemory::new()).with_logs(logs);
        let plan = builder.with_events(crate::Events::Both).plan(read([]));
        plan.err().expect("a wrong value").to_string()
    };
    let record = Limits::default().with_record_bytes(7);
    assert!(error(Logs::new().with_limits(record)).contains("with_record_bytes: 7"));
    let batch = Batch::default().with_max_queue_records(9);
    assert!(error(Logs::new().with_batch(batch)).contains("8192"));
}

#[cfg(all(feature = "grpc", feature = "http", feature = "gzip"))]
mod destinations {
    use super::*;
    use crate::config::Protocol;

    #[test]
    fn spec_2_1_and_10_27_each_signal_goes_where_its_variables_say() {
        let pairs = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1/x"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-logs=secret"),
        ];
        let plan = plan_of(layer(), &pairs);
        assert_eq!(
            lines(&plan, "endpoint"),
            ["endpoint = http://a:1 (OTEL_EXPORTER_OTLP_ENDPOINT)"]
        );
        assert_eq!(
            lines(&plan, "logs.endpoint"),
            ["logs.endpoint = http://a:1/x/v1/logs (OTEL_EXPORTER_OTLP_ENDPOINT)"]
        );
        assert_eq!(
            lines(&plan, "logs.header"),
            ["logs.header x-logs = *** (OTEL_EXPORTER_OTLP_LOGS_HEADERS)"]
        );
        assert!(lines(&plan, "header").is_empty());
        assert_eq!(
            lines(&plan, "compression"),
            ["compression = none (default)"]
        );
        assert_eq!(
            lines(&plan, "logs.compression = "),
            ["logs.compression = gzip (OTEL_EXPORTER_OTLP_LOGS_COMPRESSION)"]
        );
        let footprints: Vec<bool> = plan
            .carriers
            .iter()
            .map(|carrier| carrier.footprint > 0)
            .collect();
        assert_eq!(footprints, [false, true]);
        assert_eq!(plan.config.batch.max_bytes, Some(MAX_REQUEST));
        assert_eq!(plan.config.logs.batch.max_bytes, Some(FIRST_REQUEST));
    }

    #[test]
    fn spec_2_3_the_endpoint_of_logs_is_the_url_itself() {
        let own = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://b/y");
        let http = || layer().with_protocol(Protocol::HttpProtobuf);
        let endpoint = |builder, pairs: &[_]| lines(&plan_of(builder, pairs), "logs.endpoint");
        let expected = "logs.endpoint = http://b/y (OTEL_EXPORTER_OTLP_LOGS_ENDPOINT)";
        assert_eq!(endpoint(http(), &[own]), [expected]);
        let general = http().with_endpoint("http://c/z");
        let expected = "logs.endpoint = http://c/z/v1/logs (Builder::with_endpoint)";
        assert_eq!(endpoint(general, &[own]), [expected]);
        let both = http()
            .with_endpoint("http://c/z")
            .with_logs_endpoint("http://d");
        let expected = "logs.endpoint = http://d/ (Builder::with_logs_endpoint)";
        assert_eq!(endpoint(both, &[own]), [expected]);
    }

    #[test]
    fn spec_10_38_each_signal_may_be_off() {
        let carried = |builder, pairs: &[(&str, &str)]| -> Vec<Signal> {
            let carriers = plan_of(builder, pairs).carriers;
            let carried = carriers.iter().flat_map(|carrier| &carrier.carried);
            carried.map(|carried| carried.signal).collect()
        };
        let no_logs = ("OTEL_LOGS_EXPORTER", "none");
        let no_traces = ("OTEL_TRACES_EXPORTER", "none");
        assert_eq!(carried(layer(), &[]), [Signal::Traces, Signal::Logs]);
        assert_eq!(carried(layer(), &[no_logs]), [Signal::Traces]);
        assert_eq!(carried(layer(), &[no_traces]), [Signal::Logs]);
        assert_eq!(carried(layer(), &[no_traces, no_logs]), []);
        let named = layer().with_logs_endpoint("http://a:1");
        assert_eq!(carried(named, &[no_traces, no_logs]), [Signal::Logs]);
        let disabled = ("OTEL_SDK_DISABLED", "true");
        assert_eq!(carried(layer(), &[disabled]), []);
    }

    #[test]
    fn what_is_wrong_for_both_signals_is_said_once() {
        let pairs = [("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://a")];
        let plan = plan_of(layer(), &pairs);
        assert_eq!(plan.explanation.warnings().len(), 1);
    }
}

#[test]
#[cfg(feature = "file")]
fn spec_13_2_a_file_takes_logs_where_they_have_a_file_of_their_own() {
    use crate::export::File;

    let plan = plan_of(layer().with_transport(File::at("t.jsonl")), &[]);
    assert_eq!(plan.carriers[0].carried.len(), 1);
    let warnings = plan.explanation.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("takes no logs"),
        "{warnings:?}"
    );
    let file = File::at("t.jsonl").with_logs_at("l.jsonl");
    let plan = plan_of(layer().with_transport(file), &[]);
    assert_eq!(plan.carriers[0].carried.len(), 2);
}
