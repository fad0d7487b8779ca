//! The resource: who the records are about.

use std::collections::HashMap;

use crate::config::{Origin, Setting};
use crate::env::Environment;
use crate::pipeline::explain::Explanation;

/// What the SDK provides, under the environment, under the code (specification, resource SDK).
pub(super) fn describe(
    service_name: Option<String>,
    code: Vec<(String, String)>,
    environment: &Environment,
    explained: &mut Explanation,
) -> Vec<(String, String)> {
    let own = [
        ("service.name", unknown_service().as_str()),
        // "Any other SDK MUST use its own, stable identifier".
        ("telemetry.sdk.name", env!("CARGO_PKG_NAME")),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let listed = environment.resource.iter().flat_map(|list| {
        let pairs = list.value.iter().cloned();
        pairs.map(|pair| (pair, list.origin))
    });
    let method = Origin::Code("Builder::with_resource_attribute");
    let all = own
        .into_iter()
        .map(|pair| (pair, Origin::Default))
        .chain(listed)
        .chain(environment.service_name.clone().map(named))
        .chain(code.into_iter().map(|pair| (pair, method)))
        .chain(service_name.map(|name| {
            let origin = Origin::Code("Builder::with_service_name");
            named(Setting::new(name, origin))
        }));
    // The last of each key, where the first of it stood.
    let mut places = HashMap::new();
    let mut resource = Vec::new();
    for ((key, value), origin) in all {
        let place = *places.entry(key.clone()).or_insert(resource.len());
        match resource.get_mut(place) {
            Some(known) => *known = ((key, value), origin),
            None => resource.push(((key, value), origin)),
        }
    }
    let explained = |((key, value), origin): ((String, String), Origin)| {
        explained.state(
            format!("resource {key:?}"),
            format_args!("{value:?}"),
            origin,
        );
        (key, value)
    };
    resource.into_iter().map(explained).collect()
}

fn named(name: Setting<String>) -> ((String, String), Origin) {
    (("service.name".to_owned(), name.value), name.origin)
}

fn unknown_service() -> String {
    let executable = std::env::current_exe().ok();
    let executable = executable.as_ref().and_then(|path| path.file_name());
    match executable {
        Some(name) => format!("unknown_service:{}", name.to_string_lossy()),
        None => "unknown_service".to_owned(),
    }
}
