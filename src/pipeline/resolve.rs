//! What holds in the end: the code's values over the environment's over the defaults.

use std::collections::HashMap;

use crate::config::{Batch, Config, Limits};
use crate::env::Environment;
use crate::error::Error;
use crate::export::Transport;
use crate::queue::{CHUNK, Sizes};

/// interim
pub(super) fn default_transport(
    code: Option<String>,
    environment: Option<&(String, &'static str)>,
    default: &str,
    warnings: &mut Vec<String>,
) -> Result<Box<dyn Transport>, Error> {
    use crate::export::{Destination, Endpoint, Otlp, Written};
    let protocol = match std::env::var("P").as_deref() {
        Ok("http") => crate::config::Protocol::HttpProtobuf,
        _ => crate::config::Protocol::Grpc,
    };
    let make = |text: &str, origin: &str| {
        let endpoint = Endpoint::parse(
            Written {
                text,
                origin,
                whole: false,
                insecure: false,
            },
            protocol,
        )?;
        let d = Destination {
            protocol,
            endpoint,
            headers: Default::default(),
            compression: Default::default(),
            level: None,
            tls: Default::default(),
            proxy: false,
            max_response: 4 << 20,
            user_agent: None,
        };
        Ok(Box::new(Otlp::new(d, Default::default())?) as Box<dyn Transport>)
    };
    if let Some(endpoint) = code {
        return make(&endpoint, "Builder::with_endpoint");
    }
    if let Some((endpoint, name)) = environment {
        match make(endpoint, name) {
            Ok(transport) => return Ok(transport),
            Err(error) => {
                let error: Error = error;
                warnings.push(format!("{error}; {default} is used"))
            }
        }
    }
    make(default, "the default")
}

/// The resource: what the SDK provides, under the environment, under the code (specification, resource SDK).
pub(super) fn describe(
    service_name: Option<String>,
    code: Vec<(String, String)>,
    environment: &Environment,
) -> Vec<(String, String)> {
    let executable = std::env::current_exe().ok();
    let executable = executable
        .as_ref()
        .and_then(|path| path.file_name())
        .map(|name| name.to_string_lossy());
    let unknown = executable.map_or("unknown_service".to_owned(), |name| {
        format!("unknown_service:{name}")
    });
    let own = [
        ("service.name", unknown.as_str()),
        // "Any other SDK MUST use its own, stable identifier".
        ("telemetry.sdk.name", env!("CARGO_PKG_NAME")),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let named = |name: Option<String>| name.map(|name| ("service.name".to_owned(), name));
    let all = own
        .into_iter()
        .chain(environment.resource.iter().cloned())
        .chain(named(environment.service_name.clone()))
        .chain(code)
        .chain(named(service_name));
    // The last of each key, where the first of it stood.
    let mut places = HashMap::new();
    let mut resource: Vec<(String, String)> = Vec::new();
    for (key, value) in all {
        match places.get(&key) {
            Some(place) => resource[*place] = (key, value),
            None => {
                places.insert(key.clone(), resource.len());
                resource.push((key, value));
            }
        }
    }
    resource
}

pub(super) fn limits(environment: &Environment) -> Limits {
    let default = Limits::default();
    Limits {
        attributes: environment.attributes.unwrap_or(default.attributes),
        events: environment.events.unwrap_or(default.events),
        links: environment.links.unwrap_or(default.links),
        attributes_per_event: environment
            .attributes_per_event
            .unwrap_or(default.attributes_per_event),
        ..default
    }
}

pub(super) fn batch(environment: &Environment, warnings: &mut Vec<String>) -> Batch {
    let default = Batch::default();
    // Below eight, chunks of an eighth of the queue would be empty.
    let queue = environment.max_queue_size.map(|records| records.max(8));
    let most = queue.unwrap_or(usize::MAX);
    if let Some(asked) = environment
        .max_export_batch_size
        .filter(|asked| *asked > most)
    {
        warnings.push(format!(
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE={asked} exceeds OTEL_BSP_MAX_QUEUE_SIZE: {most} is used"
        ));
    }
    Batch {
        interval: environment.schedule_delay.unwrap_or(default.interval),
        max_records: environment
            .max_export_batch_size
            .unwrap_or(default.max_records)
            .min(most),
        max_queue_records: queue,
        ..default
    }
}

pub(super) fn sizes(config: &Config) -> Sizes {
    let Batch {
        max_bytes,
        max_records,
        max_queue_records,
        ..
    } = config.batch;
    let chunk_bytes = CHUNK.min(config.memory / 64).min(max_bytes);
    // With the specification's queue, an eighth of it may wait in a chunk.
    let eighth = max_queue_records.map_or(usize::MAX, |records| (records / 8).max(1));
    let half = max_queue_records.map_or(usize::MAX, |records| (records / 2).max(1));
    Sizes {
        chunk_bytes,
        chunk_records: max_records.min(eighth),
        // Chunks that are pushed are full, or half full where a large record did not fit; the budget is reached first.
        ring: max_queue_records
            .unwrap_or(2 * config.memory / chunk_bytes + 64)
            .min(1 << 16),
        max_records: max_queue_records.unwrap_or(usize::MAX),
        wake_bytes: max_bytes.min(config.memory / 4),
        wake_records: max_records.min(half),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        crate::env::read(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    fn value<'r>(resource: &'r [(String, String)], key: &str) -> Option<&'r str> {
        let found: Vec<_> = resource.iter().filter(|(known, _)| known == key).collect();
        assert!(found.len() <= 1, "{key} is twice");
        found.first().map(|(_, value)| value.as_str())
    }

    #[test]
    fn spec_9_5_the_service_name_goes_before_the_resource_attributes() {
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=low,team=a");
        let resource = describe(None, Vec::new(), &environment(&[attributes]));
        assert_eq!(value(&resource, "service.name"), Some("low"));
        let resource = describe(
            None,
            Vec::new(),
            &environment(&[attributes, ("OTEL_SERVICE_NAME", "high")]),
        );
        assert_eq!(value(&resource, "service.name"), Some("high"));
        assert_eq!(value(&resource, "team"), Some("a"));
    }

    #[test]
    fn spec_9_6_the_code_goes_before_the_environment() {
        let environment = environment(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a"),
            ("OTEL_SERVICE_NAME", "low"),
        ]);
        let code = vec![("team".to_owned(), "b".to_owned())];
        let resource = describe(Some("high".to_owned()), code, &environment);
        assert_eq!(
            (value(&resource, "service.name"), value(&resource, "team")),
            (Some("high"), Some("b"))
        );
    }

    #[test]
    fn spec_9_1_to_9_3_the_resource_has_a_service_and_names_this_sdk() {
        let resource = describe(None, Vec::new(), &environment(&[]));
        assert!(
            value(&resource, "service.name")
                .is_some_and(|name| name.starts_with("unknown_service:"))
        );
        assert_eq!(value(&resource, "telemetry.sdk.name"), Some("tracing-otlp"));
        assert_eq!(value(&resource, "telemetry.sdk.language"), Some("rust"));
        assert_eq!(
            value(&resource, "telemetry.sdk.version"),
            Some(env!("CARGO_PKG_VERSION"))
        );
    }

    #[test]
    fn spec_3_4_a_batch_of_the_environment_fits_its_queue() {
        let mut warnings = Vec::new();
        let pairs = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "2048"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512"),
        ];
        let small = batch(&environment(&pairs), &mut warnings);
        assert_eq!(
            (small.max_queue_records, small.max_records),
            (Some(2048), 512)
        );
        assert!(warnings.is_empty(), "{warnings:?}");
        let pairs = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512"),
        ];
        let small = batch(&environment(&pairs), &mut warnings);
        assert_eq!(
            (small.max_queue_records, small.max_records),
            (Some(100), 100)
        );
        assert!(
            warnings.len() == 1 && warnings[0].contains("512"),
            "{warnings:?}"
        );
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
    #[cfg(feature = "grpc")]
    fn a_wrong_endpoint_is_an_error_in_code_and_a_warning_in_the_environment() {
        let default = crate::config::ENDPOINT;
        let mut warnings = Vec::new();
        let wrong = "collector:4317".to_owned();
        let error = default_transport(Some(wrong.clone()), None, default, &mut warnings).err();
        assert!(
            error.is_some_and(
                |error| error.is_config() && error.to_string().contains("with_endpoint")
            )
        );
        let named = (wrong, "OTEL_EXPORTER_OTLP_ENDPOINT");
        assert!(default_transport(None, Some(&named), default, &mut warnings).is_ok());
        assert!(
            warnings.len() == 1 && warnings[0].contains("OTEL_EXPORTER_OTLP_ENDPOINT"),
            "{warnings:?}"
        );
    }

    #[test]
    #[cfg(feature = "grpc")]
    fn a_password_in_an_endpoint_is_refused_and_not_shown() {
        let endpoint = "http://user:secret@collector:4317".to_owned();
        let error = default_transport(Some(endpoint), None, "", &mut Vec::new()).err();
        let text = error
            .map(|error| format!("{error} {error:?}"))
            .unwrap_or_default();
        assert!(
            text.contains("endpoint") && !text.contains("secret"),
            "{text}"
        );
    }
}
