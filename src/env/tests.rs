use proptest::prelude::*;

use super::*;

fn of(pairs: &[(&str, &str)]) -> Environment {
    read(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn value<T: Clone>(setting: &Option<Setting<T>>) -> Option<T> {
    setting.as_ref().map(|setting| setting.value.clone())
}

/// The fields alone.
fn without_warnings(environment: Environment) -> Environment {
    Environment {
        warnings: Vec::new(),
        ..environment
    }
}

#[test]
fn what_is_declared_is_documented_and_what_is_documented_is_declared() {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    let mut in_table: Vec<&str> = TABLE
        .lines()
        .filter_map(|row| row.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|names| names.split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    assert!(
        TABLE.lines().all(|row| row.matches(" | ").count() == 2),
        "{TABLE}"
    );
    in_table.sort_unstable();
    in_table.dedup();
    assert_eq!(in_table, names);
}

#[test]
fn every_declared_variable_is_read() {
    for name in NAMES {
        // A value that some parser takes, or else one that is warned about.
        let told = |value: &str| {
            let environment = of(&[(name, value)]);
            !environment.warnings.is_empty() || environment != Environment::default()
        };
        assert!(told("?"), "{name} has no effect");
    }
}

#[test]
fn spec_2_13_an_empty_variable_of_the_signal_leaves_the_general_one() {
    for empty in ["", "  "] {
        let environment = of(&[
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", empty),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", empty),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "9"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", empty),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", empty),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b"),
        ]);
        for of_signal in [environment.traces, environment.logs] {
            let timeout = of_signal.timeout.unwrap();
            assert_eq!(timeout.value, Duration::from_millis(9));
            let general = Origin::Environment("OTEL_EXPORTER_OTLP_TIMEOUT");
            assert_eq!(timeout.origin, general);
            assert!(of_signal.headers.unwrap().value.has("a"));
        }
    }
}

#[test]
fn spec_2_1_the_variable_of_the_signal_goes_before_the_general_one() {
    let pairs = [
        ("PROTOCOL", "grpc", "http/json"),
        ("HEADERS", "a=1", "b=2"),
        ("TIMEOUT", "1", "2"),
        ("COMPRESSION", "gzip", "zstd"),
        ("INSECURE", "true", "false"),
        ("CERTIFICATE", "/a", "/b"),
        ("CLIENT_KEY", "/a", "/b"),
        ("CLIENT_CERTIFICATE", "/a", "/b"),
    ];
    for (name, signal, general) in pairs {
        let of_all = format!("OTEL_EXPORTER_OTLP_{name}");
        let alone = of(&[(&of_all, general)]);
        assert_ne!(alone.traces, OfSignal::default(), "{name}");
        assert_ne!(alone.logs, OfSignal::default(), "{name}");
        for known in Signal::ALL {
            let prefix = known.name().to_uppercase();
            let of_signal = format!("OTEL_EXPORTER_OTLP_{prefix}_{name}");
            let both = of(&[(&of_signal, signal), (&of_all, general)]);
            let own = of(&[(&of_signal, signal)]);
            assert_eq!(both.of(*known), own.of(*known), "{of_signal}");
            assert_ne!(both.of(*known), alone.of(*known), "{of_signal}");
            for other in Signal::ALL.iter().filter(|other| *other != known) {
                assert_eq!(both.of(*other), alone.of(*other), "{of_signal}");
                assert_eq!(own.of(*other), &OfSignal::default(), "{of_signal}");
            }
        }
    }
}

#[test]
fn spec_9_7_resource_attributes_are_percent_decoded() {
    let environment = of(&[("OTEL_RESOURCE_ATTRIBUTES", "team=a%20b, k%3D=%C3%A9=,")]);
    let expected =
        [("team", "a b"), ("k=", "é=")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(environment.resource.unwrap().value, expected);
}

#[test]
fn spec_9_8_resource_attributes_with_any_error_are_ignored_whole_and_reported() {
    for wrong in ["a=1,b", "a=1,=2", "a=%zz", "a=%+1", "a=%f", "a=%ff"] {
        let environment = of(&[("OTEL_RESOURCE_ATTRIBUTES", wrong)]);
        assert_eq!(environment.resource, None, "{wrong}");
        let warnings = environment.warnings;
        assert!(
            warnings.len() == 1 && warnings[0].contains(wrong),
            "{warnings:?}"
        );
    }
}

#[test]
fn spec_10_numbers_out_of_range_are_warned_about_and_ignored() {
    let environment = of(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "1.5"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2147483648"),
        // Several settings ask for it; it is warned about once.
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "7"),
    ]);
    let warnings = environment.warnings.clone();
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    for shown in ["\"0\"", "\"-1\"", "\"1.5\"", "\"2147483648\"", "\"many\""] {
        assert!(
            warnings.iter().any(|warning| warning.contains(shown)),
            "{shown}"
        );
    }
    assert_eq!(
        without_warnings(environment),
        of(&[("OTEL_SPAN_LINK_COUNT_LIMIT", "7")])
    );
}

#[test]
fn spec_10_a_wrong_variable_of_the_signal_leaves_the_general_one() {
    let environment = of(&[
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "9"),
    ]);
    assert_eq!(
        value(&environment.traces.timeout),
        Some(Duration::from_millis(9))
    );
    assert_eq!(environment.warnings.len(), 1);
}

#[test]
fn spec_10_9_and_10_30_durations_are_milliseconds_and_a_timeout_may_be_zero() {
    let environment = of(&[
        ("OTEL_BSP_SCHEDULE_DELAY", " 250 "),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
    ]);
    assert_eq!(
        value(&environment.traces.schedule_delay),
        Some(Duration::from_millis(250))
    );
    assert_eq!(value(&environment.traces.timeout), Some(Duration::ZERO));
    assert_eq!(
        value(&environment.traces.export_timeout),
        Some(Duration::ZERO)
    );
}

#[test]
fn spec_10_18_to_10_23_limits_of_the_model_go_before_the_general_one() {
    let general = of(&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "5")]);
    assert_eq!(value(&general.traces.attributes), Some(5));
    assert_eq!(value(&general.attributes_per_event), Some(5));
    let environment = of(&[
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "2"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "3"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "4"),
    ]);
    let limits = [
        environment.traces.attributes,
        environment.events,
        environment.links,
        environment.attributes_per_event,
    ];
    assert_eq!(
        limits.map(|limit| value(&limit)),
        [Some(0), Some(2), Some(3), Some(4)]
    );
}

#[test]
fn spec_10_1_and_10_32_only_true_is_true() {
    let cases = [
        ("true", true, 0),
        ("TRUE", true, 0),
        (" True ", true, 0),
        ("false", false, 0),
        ("False", false, 0),
        ("1", false, 1),
        ("yes", false, 1),
    ];
    for (text, expected, warnings) in cases {
        let environment = of(&[("OTEL_SDK_DISABLED", text)]);
        assert_eq!(value(&environment.disabled), Some(expected), "{text}");
        assert_eq!(environment.warnings.len(), warnings, "{text}");
    }
    let environment = of(&[("OTEL_EXPORTER_OTLP_INSECURE", "true")]);
    assert_eq!(value(&environment.traces.insecure), Some(true));
}

#[test]
fn spec_2_11_choices_know_no_case_and_an_unknown_one_is_warned_about_and_ignored() {
    let environment = of(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/Protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
        ("OTEL_LOG_LEVEL", "Warn"),
    ]);
    assert_eq!(
        value(&environment.traces.protocol),
        Some(Protocol::HttpProtobuf)
    );
    assert_eq!(
        value(&environment.traces.compression),
        Some(Compression::Gzip)
    );
    assert_eq!(value(&environment.log_level), Some(Level::Warn));
    let environment = of(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_LOG_LEVEL", "loud"),
    ]);
    let warnings = environment.warnings.clone();
    assert_eq!(without_warnings(environment), Environment::default());
    assert_eq!(warnings.len(), 3);
    assert!(
        warnings.contains(
            &"OTEL_EXPORTER_OTLP_PROTOCOL=\"http\" is ignored: expected one of grpc, http/protobuf, http/json"
                .to_owned()
        ),
        "{warnings:?}"
    );
}

#[test]
fn spec_10_5_the_level_of_what_is_said() {
    let level = |text| value(&of(&[("OTEL_LOG_LEVEL", text)]).log_level);
    assert_eq!(level("none"), Some(Level::Off));
    assert_eq!(level("off"), Some(Level::Off));
    assert_eq!(level("error"), Some(Level::Error));
    assert_eq!(level("info"), Some(Level::Info));
    assert_eq!(level("DEBUG"), Some(Level::Debug));
}

#[test]
fn spec_10_37_of_exporters_the_first_that_is_known_is_used() {
    let cases = [
        ("otlp", Some(Exporter::Otlp), 0),
        ("None", Some(Exporter::None), 0),
        ("otlp/stdout", Some(Exporter::Stdout), 0),
        ("otlp,", Some(Exporter::Otlp), 0),
        ("console, none", Some(Exporter::None), 1),
        ("otlp,none", Some(Exporter::Otlp), 1),
        ("console", None, 1),
        ("zipkin", None, 1),
        ("logging", None, 1),
    ];
    for (text, expected, warnings) in cases {
        let environment = of(&[("OTEL_TRACES_EXPORTER", text)]);
        assert_eq!(value(&environment.traces.exporter), expected, "{text}");
        assert_eq!(environment.warnings.len(), warnings, "{text}");
        let shown = environment
            .warnings
            .iter()
            .all(|warning| warning.contains(text));
        assert!(shown, "the user's own value is shown");
    }
}

#[test]
fn spec_6_21_and_10_6_propagators_are_a_list_without_doubles() {
    use Propagator::{B3, B3Multi, Baggage, TraceContext};

    let cases: [(&str, Option<&[Propagator]>, usize); 12] = [
        ("tracecontext,baggage", Some(&[TraceContext, Baggage]), 0),
        ("B3Multi, b3,,b3multi", Some(&[B3Multi, B3]), 0),
        ("none", Some(&[]), 0),
        ("NONE,none", Some(&[]), 0),
        ("b3,none", Some(&[B3]), 1),
        ("jaeger,tracecontext", Some(&[TraceContext]), 1),
        ("none,xray", Some(&[]), 1),
        ("jaeger,ottrace", None, 1),
        ("tracecontext;baggage", None, 1),
        (",", None, 1),
        (" ", None, 0),
        ("", None, 0),
    ];
    for (text, expected, warnings) in cases {
        let environment = of(&[("OTEL_PROPAGATORS", text)]);
        assert_eq!(
            value(&environment.propagators).as_deref(),
            expected,
            "{text}"
        );
        assert_eq!(environment.warnings.len(), warnings, "{text}");
        let shown = |warning: &String| warning.contains(&format!("OTEL_PROPAGATORS={text:?}"));
        assert!(
            environment.warnings.iter().all(shown),
            "{:?}",
            environment.warnings
        );
    }
    let warning = of(&[("OTEL_PROPAGATORS", "jaeger,b3")]).warnings.remove(0);
    let expected = "OTEL_PROPAGATORS=\"jaeger,b3\" means b3: expected any of tracecontext, baggage, b3 and b3multi, or none alone";
    assert_eq!(warning, expected);
}

#[test]
fn spec_10_7_the_sampler_has_a_name() {
    let cases = [
        ("always_on", Some(Named::AlwaysOn)),
        ("ALWAYS_OFF", Some(Named::AlwaysOff)),
        ("traceidratio", Some(Named::TraceIdRatio)),
        (" parentbased_always_on ", Some(Named::ParentBasedAlwaysOn)),
        ("parentbased_always_off", Some(Named::ParentBasedAlwaysOff)),
        (
            "ParentBased_TraceIdRatio",
            Some(Named::ParentBasedTraceIdRatio),
        ),
        ("jaeger_remote", None),
        ("parentbased_jaeger_remote", None),
        ("XRay", None),
        ("ratio", None),
    ];
    for (text, expected) in cases {
        let environment = of(&[("OTEL_TRACES_SAMPLER", text)]);
        assert_eq!(value(&environment.sampler), expected, "{text}");
        let warnings = environment.warnings;
        assert_eq!(warnings.len(), usize::from(expected.is_none()), "{text}");
        let named = warnings
            .iter()
            .all(|warning| warning.contains(text) && warning.contains("parentbased_traceidratio"));
        assert!(named, "{warnings:?}");
    }
}

#[test]
fn spec_2_12_headers_are_a_list_with_percent_encoding() {
    let list = "api-key=a%20b%2Cc, Authorization = Basic dXNlcg==,x=,";
    let headers = of(&[("OTEL_EXPORTER_OTLP_HEADERS", list)])
        .traces
        .headers
        .unwrap();
    let expected = [
        ("api-key", "a b,c"),
        ("Authorization", "Basic dXNlcg=="),
        ("x", ""),
    ];
    assert_eq!(headers.value.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn spec_2_12_a_list_of_headers_that_cannot_be_read_is_ignored_without_showing_a_value() {
    let cases = [
        ("a=1,x-key=canary;metadata", "\"x-key\" has a `;`"),
        ("a=1,canary", "item 2 has no `=`"),
        ("x-key=canary%zz", "\"x-key\" is not percent-encoded"),
        ("=canary", "item 1 has no key"),
        ("canary;x=1;y", "item 1 has a `;`"),
        ("%ff=canary", "item 1 is not percent-encoded"),
    ];
    for (list, why) in cases {
        let environment = of(&[("OTEL_EXPORTER_OTLP_TRACES_HEADERS", list)]);
        assert_eq!(environment.traces.headers, None);
        let warnings = environment.warnings;
        assert!(
            warnings.len() == 1 && warnings[0].contains(why),
            "{warnings:?}"
        );
        assert!(
            warnings[0].contains("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
                && !warnings[0].contains("canary"),
            "{warnings:?}"
        );
    }
}

#[test]
fn p_29_no_debug_text_shows_a_header() {
    let environment = of(&[("OTEL_EXPORTER_OTLP_HEADERS", "x-key=canary")]);
    let text = format!("{environment:?}");
    assert!(text.contains("x-key") && !text.contains("canary"), "{text}");
}

#[test]
fn variables_of_signals_that_are_not_sent_are_not_warned_about() {
    let environment = of(&[
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "nonsense"),
        ("OTEL_METRICS_EXPORTER", "nonsense"),
        ("OTEL_OF_OTHERS", "nonsense"),
    ]);
    assert_eq!(environment, Environment::default());
}

proptest! {
    #[test]
    fn no_value_does_harm_or_is_warned_about_twice(value in "(?s).{0,40}|[0-9a-z%=;, -]{0,20}") {
        for name in NAMES {
            let environment = of(&[(name, &value)]);
            prop_assert!(environment.warnings.len() <= 1);
        }
        let all = read(NAMES.iter().map(|name| ((*name).to_owned(), value.clone())));
        let mut warnings = all.warnings.clone();
        warnings.sort();
        warnings.dedup();
        prop_assert_eq!(warnings.len(), all.warnings.len());
    }

    /// A comma begins another item, whose name may be shown.
    #[test]
    fn warnings_never_contain_the_value_of_a_header(
        list in "([ -~]{0,12},)?",
        name in "[ -+--<>-~]{0,8}",
        before in "[ -+--~]{0,8}",
        after in "([%;=][ -+--~]{0,8})?",
    ) {
        prop_assume!(!list.contains("canary") && !name.contains("canary"));
        let list = format!("{list}{name}={before}canary{after}");
        let environment = of(&[("OTEL_EXPORTER_OTLP_HEADERS", &list)]);
        for warning in &environment.warnings {
            prop_assert!(!warning.contains("canary"), "{list:?} {warning:?}");
        }
        let debug = format!("{environment:?}");
        prop_assert!(!debug.contains("canary"), "{}", debug);
    }
}

#[test]
fn spec_10_17_to_10_24_the_models_limit_goes_before_the_general_one() {
    let general = [
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "8"),
    ];
    let read = of(&general);
    assert_eq!(value(&read.traces.value_length), Some(7));
    for count in [
        &read.traces.attributes,
        &read.attributes_per_event,
        &read.attributes_per_link,
    ] {
        assert_eq!(value(count), Some(8));
    }
    // The number of events and links is the span's own.
    assert_eq!((&read.events, &read.links), (&None, &None));
    let own = [
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "3"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "4"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "5"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "0"),
    ];
    let read = of(&[&general[..], &own].concat());
    let found = [
        &read.traces.value_length,
        &read.traces.attributes,
        &read.attributes_per_event,
        &read.attributes_per_link,
        &read.events,
        &read.links,
    ];
    assert_eq!(found.map(value), [1, 2, 3, 4, 5, 0].map(Some));
    // A limit that cannot be read is as one that is not set.
    let read = of(&[
        &general[..],
        &[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1")],
    ]
    .concat());
    assert_eq!(value(&read.traces.value_length), Some(7));
    assert_eq!(read.warnings.len(), 1);
    assert_eq!(
        value(
            &of(&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0")])
                .traces
                .value_length
        ),
        Some(0)
    );
}

#[test]
fn spec_10_47_exceptions_as_logs_are_asked_for_by_a_list() {
    use ExceptionSignal::{Logs, LogsDup};

    let read = |list: &str| {
        let read = of(&[("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", list)]);
        (value(&read.exception_signal), read.warnings.len())
    };
    assert_eq!(read(""), (None, 0));
    assert_eq!(read("logs"), (Some(Logs), 0));
    assert_eq!(read(" Logs/Dup "), (Some(LogsDup), 0));
    assert_eq!(read("logs, logs/dup"), (Some(LogsDup), 0));
    assert_eq!(read("logs/dup,,logs"), (Some(LogsDup), 0));
    assert_eq!(read("logs,http"), (Some(Logs), 1));
    assert_eq!(read("events"), (None, 1));
}
