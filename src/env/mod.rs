//! `OTEL_*` variables: from pairs of names and values to settings, without looking at the process.
//!
//! Rules (OpenTelemetry specification, environment variables): an empty value is no value; a value that cannot be read is
//! warned about and ignored; the variable of the signal goes before the general one.

mod entities;
mod parse;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use self::parse::Variable;
use crate::config::{
    Compression, ExceptionSignal, Exporter, HeaderList, Origin, Protocol, Setting,
};
use crate::context::Propagator;
use crate::resource::Entity;
use crate::sampler::Named;
use crate::say::Level;
use crate::signal::Signal;

/// A row of the documentation.
macro_rules! row {
    ($first:literal $(, $other:literal)*; $default:literal; $meaning:literal) => {
        concat!("| `", $first, "`", $(", `", $other, "`",)* " | ", $default, " | ", $meaning, " |")
    };
}

/// Declares the variables: a field, its type, the parser, the names of which the first that is set holds, and the row of the
/// documentation. What each signal has of its own is declared once for all: its name for traces, for logs, and the general ones
/// behind both. What is declared is read and documented, and nothing else is.
macro_rules! declare {
    (
        $($field:ident: $value:ty = $parser:ident($first:literal $(, $other:literal)*), $default:literal, $meaning:literal;)*
        ;each signal {
            $($own:ident: $own_value:ty = $own_parser:ident[$traces:literal, $logs:literal $(, $general:literal)*], $own_default:literal, $own_meaning:literal;)*
        }
    ) => {
        /// What the environment says; `None` where it says nothing.
        #[derive(Clone, Debug, Default, PartialEq)]
        #[cfg_attr(
            not(any(feature = "grpc", feature = "http")),
            allow(dead_code, reason = "without a network there is no destination to describe")
        )]
        pub(crate) struct Environment {
            $(pub(crate) $field: Option<Setting<$value>>,)*
            pub(crate) traces: OfSignal,
            pub(crate) logs: OfSignal,
            /// What was wrong, with the variable's name, and its value unless that is a secret.
            pub(crate) warnings: Vec<String>,
        }

        /// What the environment says of one signal.
        #[derive(Clone, Debug, Default, PartialEq)]
        #[cfg_attr(
            not(any(feature = "grpc", feature = "http")),
            allow(dead_code, reason = "without a network there is no destination to describe")
        )]
        pub(crate) struct OfSignal {
            $(pub(crate) $own: Option<Setting<$own_value>>,)*
        }

        /// Reads the variables out of an environment.
        pub(crate) fn read(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
            let mut reader = Reader::new(variables);
            Environment {
                $($field: reader.first(&[$first $(, $other)*], parse::$parser),)*
                traces: OfSignal {
                    $($own: reader.first(&[$traces $(, $general)*], parse::$own_parser),)*
                },
                logs: OfSignal {
                    $($own: reader.first(&[$logs $(, $general)*], parse::$own_parser),)*
                },
                warnings: reader.warnings,
            }
        }

        /// Every variable that is read.
        #[cfg(any(test, fuzzing))]
        pub(crate) const NAMES: &[&str] = &[
            $($first $(, $other)*,)*
            $($traces, $logs $(, $general)*,)*
        ];

        /// The rows of the documentation.
        #[cfg(test)]
        const TABLE: &str = concat!(
            $(row!($first $(, $other)*; $default; $meaning), "\n",)*
            $(row!($traces, $logs $(, $general)*; $own_default; $own_meaning), "\n",)*
        );

        #[doc = "The environment variables that have an effect; this module is documentation only."]
        #[doc = ""]
        #[doc = "Code beats the environment, which beats the default; [`Handle::explain`](crate::Handle::explain) tells who said what."]
        #[doc = "Where a row has several names, the first that is set holds. Of one signal's (`TRACES`, `BSP` and `SPAN` are spans', `LOGS`,"]
        #[doc = "`BLRP` and `LOGRECORD` log records'), only its own and the general ones."]
        #[doc = ""]
        #[doc = "| Variable | Default | Meaning |"]
        #[doc = "|---|---|---|"]
        $(#[doc = row!($first $(, $other)*; $default; $meaning)])*
        $(#[doc = row!($traces, $logs $(, $general)*; $own_default; $own_meaning)])*
        #[doc = ""]
        #[doc = "- An empty value is no value: an empty variable of the signal leaves the general one."]
        #[doc = "- A wrong value is named on stderr and ignored, as if it were not set; of headers no value is ever shown."]
        #[doc = "- Numbers are from 0 to 2147483647. Names of choices know no upper and lower case."]
        #[doc = "- Of booleans, only `true` is true; anything else is false, with a warning unless it is `false`."]
        #[doc = "- Headers and resource attributes are `key=value,key=value`, percent-encoded. A list that cannot be read is"]
        #[doc = "  ignored whole. In a header, `;` has to be written as `%3B`, since metadata behind a value is not supported."]
        #[doc = "- Of `OTEL_ENTITIES`, what cannot be read is skipped with a warning; of one type, the last entity holds."]
        #[doc = "- `OTEL_EXPORTER_OTLP_TIMEOUT` bounds one attempt, `OTEL_BSP_EXPORT_TIMEOUT` one export. Here an export that"]
        #[doc = "  fails is not given up: its records are kept and sent again. So both bound an attempt, and the smaller one holds,"]
        #[doc = "  where the former has its default if it is not set, and the latter none. `Builder::with_timeout` beats both."]
        #[doc = "- `OTEL_TRACES_EXPORTER` and `OTEL_LOGS_EXPORTER` choose for programs whose code does not: `Builder::with_transport`,"]
        #[doc = "  `with_endpoint` and a signal's own endpoint beat them. `OTEL_SDK_DISABLED` switches those off too; only"]
        #[doc = "  `Builder::with_disabled` beats it."]
        #[doc = "- Of samplers, `jaeger_remote`, `parentbased_jaeger_remote` and `xray` are not known; `Sampler::custom` takes one's own."]
        #[doc = "- `console` and further exporters are not known."]
        pub mod environment {}
    };
}

declare! {
    disabled: bool = boolean("OTEL_SDK_DISABLED"),
        "`false`", "`true`: nothing is recorded, and no thread is started";
    log_level: Level = level("OTEL_LOG_LEVEL"),
        "`info`", "what is said on stderr: `none`, `error`, `warn`, `info`, or `debug` with the effective configuration";
    service_name: String = text("OTEL_SERVICE_NAME"),
        "`unknown_service:<executable>`", "resource attribute `service.name`";
    resource: Vec<(String, String)> = resource("OTEL_RESOURCE_ATTRIBUTES"),
        "", "further resource attributes, `key=value,key=value`, percent-encoded";
    entities: Vec<Entity> = entities("OTEL_ENTITIES"),
        "", "entities of the resource, `type{id=value}[description=value]@schema;...`, percent-encoded; beats the two above";
    sampler: Named = sampler("OTEL_TRACES_SAMPLER"),
        "`parentbased_always_on`", "`always_on`, `always_off`, `traceidratio`, or these behind `parentbased_`";
    sampler_arg: String = text("OTEL_TRACES_SAMPLER_ARG"),
        "`1`", "the ratio of `traceidratio` and `parentbased_traceidratio`, from 0 to 1";
    propagators: Vec<Propagator> = propagators("OTEL_PROPAGATORS"),
        "`tracecontext,baggage`", "forms in which contexts travel: any of `tracecontext`, `baggage`, `b3` and `b3multi`, or `none`; also with a disabled SDK";
    events: u32 = count("OTEL_SPAN_EVENT_COUNT_LIMIT"),
        "128", "events of a span";
    links: u32 = count("OTEL_SPAN_LINK_COUNT_LIMIT"),
        "128", "links of a span";
    attributes_per_event: u32 = count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
        "128", "attributes of an event";
    attributes_per_link: u32 = count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
        "128", "attributes of a link";
    config_file: String = text("OTEL_CONFIG_FILE"),
        "", "not read, with a warning: declarative configuration is not supported";
    exception_signal: ExceptionSignal = exception_signal("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"),
        "", "`logs` or `logs/dup`: exceptions become log records, or both; else span events. Not read where the code says `with_events`";
    endpoint: String = text("OTEL_EXPORTER_OTLP_ENDPOINT"),
        "`http://localhost:4317`", "where to send; HTTP appends `v1/traces` or `v1/logs`, and its default is `http://localhost:4318`";
    ;each signal {
        exporter: Exporter = exporter["OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"],
            "`otlp`", "`otlp`, `none`, or `otlp/stdout` (feature `file`); of a list, the first that is known";
        endpoint: String = text["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"],
            "", "where to send this signal's records: the URL itself, to which HTTP appends no path";
        protocol: Protocol = protocol["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
            "`grpc`", "`grpc`, `http/protobuf` or `http/json`, as far as it is built in; `http/protobuf` is the default without the feature `grpc`";
        insecure: bool = boolean["OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_LOGS_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"],
            "`false`", "gRPC to an endpoint without a scheme is not encrypted";
        headers: HeaderList = headers["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
            "", "headers of each request, `key=value,key=value`, percent-encoded";
        timeout: Duration = milliseconds["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
            "10000", "one attempt's deadline, milliseconds; 0 is none";
        compression: Compression = compression["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
            "`none`", "`none`, `gzip` or `zstd`, as far as it is built in";
        certificate: PathBuf = path["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
            "the system's roots", "PEM file of the certificates to trust";
        client_key: PathBuf = path["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"],
            "", "PEM file of the client's key; only together with its certificate";
        client_certificate: PathBuf = path["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"],
            "", "PEM file of the client's certificate and its chain; only together with its key";
        schedule_delay: Duration = milliseconds["OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY"],
            "5000; of log records 1000", "how long a record waits for others, milliseconds (at least 10)";
        export_timeout: Duration = milliseconds["OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BLRP_EXPORT_TIMEOUT"],
            "", "a further bound of an attempt, milliseconds; 0 is none";
        max_queue_size: usize = positive["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_QUEUE_SIZE"],
            "", "records that may wait (at least 8); not set, the memory limit bounds them";
        max_export_batch_size: usize = positive["OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"],
            "8192", "records of one request, at most those that may wait";
        attributes: u32 = count["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
            "128", "attributes of a span, or of a log record";
        value_length: u32 = count["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
            "", "characters of an attribute's text, and bytes of a byte sequence; not set, the record's size bounds them";
    }
}

impl Environment {
    pub(crate) fn of(&self, signal: Signal) -> &OfSignal {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }
}

struct Reader {
    set: HashMap<String, String>,
    warnings: Vec<String>,
}

impl Reader {
    fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let set: HashMap<_, _> = variables
            .into_iter()
            .filter(|(name, value)| name.starts_with("OTEL_") && !value.trim().is_empty())
            .collect();
        Self {
            set,
            warnings: Vec::new(),
        }
    }

    /// The first variable that is set and can be read.
    fn first<T>(
        &mut self,
        names: &[&'static str],
        parser: fn(&mut Variable<'_>) -> Option<T>,
    ) -> Option<Setting<T>> {
        names.iter().find_map(|name| {
            let mut variable = Variable {
                name,
                value: self.set.get(*name)?,
                warnings: &mut self.warnings,
            };
            let value = parser(&mut variable)?;
            Some(Setting::new(value, Origin::Environment(name)))
        })
    }
}

#[cfg(test)]
mod tests;
