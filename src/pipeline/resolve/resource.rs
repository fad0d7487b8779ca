//! The resource: who the records are about.

use std::fmt::Write;

use crate::config::Origin;
use crate::env::Environment;
use crate::error::Error;
use crate::model::Value;
use crate::pipeline::builder::Described;
use crate::pipeline::explain::Explanation;
use crate::proto::resource::{EntityRef, Resource};
use crate::resource::{
    Attribute, Detector, Entity, Merged, SCHEMA_URL, SchemaUrl, World, is_schema_url,
};

const SERVICE_NAME: &str = "service.name";
const ENTITIES: Origin = Origin::Environment("OTEL_ENTITIES");

/// The resource of this process.
pub(super) fn of_process(
    code: Described,
    environment: &Environment,
    explained: &mut Explanation,
) -> Result<Resource, Error> {
    describe(code, environment, &World::of_process(), explained)
}

/// What the SDK provides, under what the detectors find, under the environment, under the code (specification, resource SDK;
/// within the environment, entity propagation: the entities, the service's name, the attributes).
fn describe(
    code: Described,
    environment: &Environment,
    world: &World,
    explained: &mut Explanation,
) -> Result<Resource, Error> {
    validate(&code)?;
    let mut merged = Merged::default();
    provide(world, &mut merged);
    let mut found = None;
    for detector in &code.detectors {
        for (key, value) in detector.detect(world) {
            let origin = Origin::Detector(detector.origin());
            found = Some(origin);
            // What it has to say is there already, or another one knows better.
            if *detector != Detector::Service {
                merged.update(key.to_owned(), value, origin);
            }
        }
    }
    surround(environment, &mut merged);
    for (key, value) in code.attributes {
        let origin = Origin::Code("Builder::with_resource_attribute");
        merged.update(key, value, origin);
    }
    if let Some(name) = code.service_name {
        let origin = Origin::Code("Builder::with_service_name");
        merged.update(SERVICE_NAME.to_owned(), name.into(), origin);
    }
    let entities: &[Entity] = environment
        .entities
        .as_ref()
        .map_or(&[], |entities| &entities.value);
    let schema_url = schema_url(code.schema_url, found, entities, explained);
    let entity_refs = entity_refs(entities, &merged, explained);
    let attributes = merged.into_attributes().into_iter();
    let resource = Resource {
        attributes: attributes
            .map(|attribute| state(attribute, explained))
            .collect(),
        entity_refs,
        schema_url: schema_url.map_or_else(String::new, |(url, origin)| {
            explained.state("resource schema_url", &url, origin);
            url
        }),
    };
    for entity in &resource.entity_refs {
        let name = format!("resource entity {:?}", entity.kind);
        explained.state(name, format_args!("{:?}", entity.id_keys), ENTITIES);
    }
    Ok(resource)
}

fn validate(code: &Described) -> Result<(), Error> {
    if code.attributes.iter().any(|(key, _)| key.is_empty()) {
        return Err(Error::config(
            "Builder::with_resource_attribute: the key of an attribute is empty",
        ));
    }
    let Some(url) = &code.schema_url else {
        return Ok(());
    };
    if !is_schema_url(url) {
        return Err(Error::config(format!(
            "Builder::with_schema_url: {url:?} is no URL, as {SCHEMA_URL} is one"
        )));
    }
    // Whether they find something or not: a program should not fail to start in another place alone.
    if !code.detectors.is_empty() && url != SCHEMA_URL {
        return Err(Error::config(format!(
            "Builder::with_schema_url: {url:?} is not the schema of the detectors, {SCHEMA_URL:?} (Builder::with_detectors)"
        )));
    }
    Ok(())
}

/// "The SDK MUST provide access to a Resource with at least the attributes listed at Semantic Attributes with SDK-provided
/// Default Value", and the instance's id.
fn provide(world: &World, merged: &mut Merged<Origin>) {
    let of_service = Detector::Service.detect(world);
    let of_sdk = [
        // "Any other SDK MUST use its own, stable identifier".
        ("telemetry.sdk.name", env!("CARGO_PKG_NAME").into()),
        ("telemetry.sdk.language", "rust".into()),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION").into()),
    ];
    for (key, value) in of_service.into_iter().chain(of_sdk) {
        merged.update(key.to_owned(), value, Origin::Default);
    }
}

/// The environment, from the least to the most.
fn surround(environment: &Environment, merged: &mut Merged<Origin>) {
    if let Some(list) = &environment.resource {
        for (key, value) in &list.value {
            merged.update(key.clone(), value.clone().into(), list.origin);
        }
    }
    if let Some(name) = &environment.service_name {
        let value = name.value.clone().into();
        merged.update(SERVICE_NAME.to_owned(), value, name.origin);
    }
    if let Some(entities) = &environment.entities {
        for (key, value) in entities.value.iter().flat_map(Entity::attributes) {
            merged.update(key.clone(), value.clone().into(), entities.origin);
        }
    }
}

/// The code's, else what detectors and entities agree upon: "If all detected entities and initial Resource have the same URL,
/// then this is chosen. Otherwise, the Schema URL of the resulting Resource SHOULD be empty."
fn schema_url(
    code: Option<String>,
    found: Option<Origin>,
    entities: &[Entity],
    explained: &mut Explanation,
) -> Option<(String, Origin)> {
    if let Some(url) = code {
        return Some((url, Origin::Code("Builder::with_schema_url")));
    }
    let mut schema = SchemaUrl::new();
    let of_detectors = found.map(|origin| (SCHEMA_URL, origin));
    let of_entities = entities
        .iter()
        .map(|entity| (entity.schema_url.as_str(), ENTITIES));
    for (url, origin) in of_detectors.into_iter().chain(of_entities) {
        if let Err((known, of_known)) = schema.update(url, origin) {
            explained.warn(format!(
                "the resource has no schema URL: {known:?} ({of_known}) and {url:?} ({origin}) differ"
            ));
            return None;
        }
    }
    schema.into_setting()
}

/// The entities whose identity holds in the resource; else it would be another one's.
fn entity_refs(
    entities: &[Entity],
    merged: &Merged<Origin>,
    explained: &mut Explanation,
) -> Vec<EntityRef> {
    let mut refs = Vec::with_capacity(entities.len());
    for entity in entities {
        let other = entity.id.iter().find_map(|(key, value)| {
            let attribute = merged.find(key)?;
            (attribute.value != Value::from(value)).then_some((key, attribute.origin))
        });
        match other {
            Some((key, origin)) => explained.warn(format!(
                "OTEL_ENTITIES: entity {:?} is left out: {origin} sets {key:?}",
                entity.kind
            )),
            None => refs.push(entity.to_ref()),
        }
    }
    refs
}

fn state(attribute: Attribute<Origin>, explained: &mut Explanation) -> (String, Value<'static>) {
    let Attribute { key, value, origin } = attribute;
    let mut shown = String::new();
    show(&value, &mut shown);
    explained.state(format!("resource {key:?}"), shown, origin);
    (key, value)
}

/// A value as JSON would have it, but for bytes.
fn show(value: &Value<'_>, out: &mut String) {
    // Nothing fails that is written to memory.
    let _ = match value {
        Value::Empty => write!(out, "null"),
        Value::Str(text) => write!(out, "{text:?}"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Double(value) => write!(out, "{value}"),
        Value::Bytes(bytes) => write!(out, "{} bytes", bytes.len()),
        Value::Array(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                show(value, out);
            }
            write!(out, "]")
        }
        Value::Map(pairs) => {
            out.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                let _ = write!(out, "{}{key:?}: ", if place > 0 { ", " } else { "" });
                show(value, out);
            }
            write!(out, "}}")
        }
    };
}

#[cfg(test)]
mod tests;
