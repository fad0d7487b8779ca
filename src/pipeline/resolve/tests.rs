use super::*;
use crate::config::{Concurrency, Limits};
use crate::context::Propagator;
use crate::env::read;
use crate::layer;
use crate::layer::Events;
use crate::sampler::Sampler;
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
fn spec_5_4_the_limits_of_code_and_environment_come_together() {
    let pairs = [
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "12"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "3"),
    ];
    let limits = with(layer(), &pairs).config.limits;
    let expected = Limits::default()
        .with_value_length(12)
        .with_attributes_per_link(3);
    assert_eq!(limits, expected);
    assert_eq!(limits.value().length, 12);
    let none = with(layer().with_limits(Limits::default()), &pairs)
        .config
        .limits;
    assert_eq!(none.value().length, usize::MAX);
    assert_eq!(none.value_depth, 64);
}

#[test]
fn spec_14_3_exceptions_go_where_the_variable_says_unless_the_code_speaks_of_events() {
    const NAME: &str = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN";
    for (value, expected) in [("logs", Events::Logs), ("logs/dup", Events::Both)] {
        let routing = with(layer(), &[(NAME, value)]).routing;
        assert_eq!(routing.events, Events::SpanEvents);
        assert_eq!(
            (routing.exceptions, routing.has_logs()),
            (Some(expected), true)
        );
        let code = layer().with_events(Events::Off);
        let routing = with(code, &[(NAME, value)]).routing;
        assert_eq!((routing.exceptions, routing.has_logs()), (None, false));
    }
    let routing = with(layer(), &[]).routing;
    assert_eq!((routing.exceptions, routing.has_logs()), (None, false));
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
    let footprint = |requests| plan(Concurrency::Fixed(requests)).carriers[0].footprint;
    let [one, eight] = [1, 8].map(footprint);
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
    assert_eq!(sizes(Signal::Traces, &config).chunk_records, 8);
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
        let carriers = with(builder, &pairs).carriers;
        carriers[0].carried[0].timeout.as_millis()
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
    plan_of(builder, pairs).carriers.is_empty()
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

/// What would decide about everything else is not passed over in silence.
#[test]
fn spec_10_45_a_file_of_settings_is_not_read_and_that_is_said() {
    let plan = with(layer(), &[("OTEL_CONFIG_FILE", "/etc/otel.yaml")]);
    let warnings = plan.explanation.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("OTEL_CONFIG_FILE=\"/etc/otel.yaml\" is"),
        "{warnings:?}"
    );
}

/// The sampler's line of the explanation, and the warnings.
fn sampled_by(builder: Builder, pairs: &[(&str, &str)]) -> (String, Vec<String>) {
    let plan = with(builder, pairs);
    let text = plan.explanation.to_string();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("sampler = "));
    let warnings = plan.explanation.warnings().to_vec();
    let line = line.unwrap().to_owned();
    assert!(line.starts_with(&plan.sampler.description()), "{line}");
    (line, warnings)
}

#[test]
fn spec_4_1_and_10_7_the_default_sampler_is_parent_based_always_on() {
    let default = Sampler::default().description();
    let expected = (format!("{default} (default)"), vec![]);
    assert_eq!(sampled_by(layer(), &[]), expected);
    let named = [("OTEL_TRACES_SAMPLER", "parentbased_always_on")];
    let expected = (format!("{default} (OTEL_TRACES_SAMPLER)"), vec![]);
    assert_eq!(sampled_by(layer(), &named), expected);
}

#[test]
fn spec_4_22_and_4_24_what_the_code_says_of_ids_and_targets_is_explained() {
    #[derive(Debug)]
    struct Fixed;

    impl IdGenerator for Fixed {
        fn trace_id(&self) -> crate::TraceId {
            crate::TraceId::from_bytes([1; 16]).unwrap()
        }

        fn span_id(&self) -> crate::SpanId {
            crate::SpanId::from_bytes([2; 8]).unwrap()
        }
    }

    let plan = with(layer(), &[]);
    assert!(plan.id_generator.is_none() && plan.disabled_targets.is_empty());
    let builder = layer()
        .with_id_generator(Fixed)
        .with_disabled_targets(["hyper*", "h2"]);
    let plan = with(builder, &[]);
    assert_eq!(plan.id_generator.unwrap().trace_id().to_bytes(), [1; 16]);
    let text = plan.explanation.to_string();
    assert!(text.contains("disabled_targets = hyper*, h2 (Builder::with_disabled_targets)\n"));
    assert!(
        text.contains("id_generator = one of the program's own (Builder::with_id_generator)\n")
    );
}

#[test]
fn spec_10_7_the_code_goes_before_the_environment() {
    let pairs = [
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_TRACES_SAMPLER_ARG", "wrong"),
    ];
    let (line, warnings) = sampled_by(layer().with_sampler(Sampler::always_on()), &pairs);
    assert_eq!(line, "AlwaysOnSampler (Builder::with_sampler)");
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn spec_10_8_the_argument_is_a_ratio_or_is_warned_about_and_ignored() {
    const BOTH: &str = "(OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG)";
    let of = |name, argument| {
        let pairs = [
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        sampled_by(layer(), &pairs)
    };
    for (argument, ratio) in [
        ("0.25", "0.250000"),
        ("0", "0.000000"),
        (" 1 ", "1.000000"),
        ("1e-3", "0.001000"),
    ] {
        let (line, warnings) = of("traceidratio", argument);
        assert_eq!(line, format!("TraceIdRatioBased{{{ratio}}} {BOTH}"));
        assert_eq!(warnings, [""; 0]);
        let (line, _) = of("parentbased_traceidratio", argument);
        assert!(line.contains(&format!("root:TraceIdRatioBased{{{ratio}}}")));
    }
    for wrong in ["1.5", "-0.1", "a half", "NaN", "inf", "0,5"] {
        let (line, warnings) = of("traceidratio", wrong);
        assert_eq!(line, "TraceIdRatioBased{1.000000} (OTEL_TRACES_SAMPLER)");
        assert!(
            warnings.len() == 1 && warnings[0].contains(wrong),
            "{warnings:?}"
        );
    }
    let (line, warnings) = of("traceidratio", "");
    assert_eq!(line, "TraceIdRatioBased{1.000000} (OTEL_TRACES_SAMPLER)");
    assert_eq!(warnings, [""; 0], "not set is 1");
    // Nobody asks for it.
    let (_, warnings) = of("always_on", "0.5");
    assert!(warnings[0].contains("always_on takes no argument"));
    let (line, warnings) = of("", "0.5");
    assert!(line.ends_with("(default)"), "{line}");
    assert!(warnings[0].contains("expected OTEL_TRACES_SAMPLER"));
}

#[test]
fn spec_6_21_propagators_are_the_codes_then_the_environments_and_hold_in_a_disabled_sdk() {
    let of = |builder: Builder, pairs: &[(&str, &str)]| {
        let plan = with(builder, pairs);
        plan.propagators.to_string()
    };
    let b3 = ("OTEL_PROPAGATORS", "b3,b3multi,b3");
    let code = || layer().with_propagators([Propagator::Baggage, Propagator::Baggage]);
    assert_eq!(of(layer(), &[]), "tracecontext,baggage");
    assert_eq!(of(layer(), &[b3]), "b3,b3multi");
    assert_eq!(of(code(), &[b3]), "baggage");
    assert_eq!(of(layer().with_propagators([]), &[b3]), "none");
    assert_eq!(of(layer(), &[("OTEL_PROPAGATORS", "none")]), "none");
    assert_eq!(
        of(layer(), &[("OTEL_PROPAGATORS", "jaeger")]),
        "tracecontext,baggage"
    );
    assert_eq!(
        of(layer(), &[b3, ("OTEL_SDK_DISABLED", "true")]),
        "b3,b3multi"
    );
    assert_eq!(of(code().with_disabled(true), &[]), "baggage");
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
    assert!(error(layer().with_sampler(Sampler::ratio(1.5))).contains("Sampler::ratio(1.5)"));
    let batch = Batch::default().with_max_queue_records(9);
    assert!(error(layer().with_batch(batch)).contains("8192"));
}
