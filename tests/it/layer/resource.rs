//! The resource that each request carries.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;
use tracing::info_span;
use tracing_otlp::{Builder, Detector, Value};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, int, no_value, record_with, text, texts, truth};

const SCHEMA: &str = "https://opentelemetry.io/schemas/1.44.0";

/// What two flushes send.
fn requests(settings: impl FnOnce(Builder) -> Builder) -> Vec<ResourceSpans> {
    let (layer, pipeline) = Pipeline::with(settings);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..2 {
            drop(info_span!("span"));
            pipeline
                .handle()
                .flush(std::time::Duration::from_secs(60))
                .unwrap();
        }
    });
    let requests = pipeline.requests();
    assert_eq!(requests.len(), 2);
    let decoded = requests
        .iter()
        .map(|request| ExportTraceServiceRequest::decode(&request[..]));
    decoded
        .flat_map(|request| request.unwrap().resource_spans)
        .collect()
}

#[test]
fn spec_9_16_every_request_has_the_same_resource() {
    let all = requests(|builder| {
        builder
            .with_detectors(Detector::all())
            .with_resource_attribute("shard", 7)
    });
    let [first, second] = &all[..] else {
        panic!("{all:?}");
    };
    assert_eq!(first.resource, second.resource);
    assert_eq!(first.schema_url, second.schema_url);
    let keys: Vec<&str> = first
        .resource
        .as_ref()
        .unwrap()
        .attributes
        .iter()
        .map(|pair| pair.key.as_str())
        .collect();
    for key in [
        "service.instance.id",
        "process.pid",
        "host.arch",
        "os.type",
        "shard",
    ] {
        assert!(keys.contains(&key), "{keys:?}");
    }
}

#[test]
fn spec_1_15_the_schema_is_that_of_the_resource_and_not_of_its_scopes() {
    let detected = requests(|builder| builder.with_detectors([Detector::Os]));
    let said = requests(|builder| builder.with_schema_url("urn:a"));
    for (all, schema) in [(detected, SCHEMA), (said, "urn:a")] {
        for resource_spans in all {
            assert_eq!(resource_spans.schema_url, schema);
            for scope_spans in resource_spans.scope_spans {
                assert_eq!(scope_spans.schema_url, "");
                assert_eq!(scope_spans.spans.len(), 1);
            }
        }
    }
}

#[test]
fn spec_9_14_no_request_has_the_command_line() {
    for resource_spans in requests(|builder| builder.with_detectors(Detector::all())) {
        for pair in resource_spans.resource.unwrap().attributes {
            assert!(!pair.key.starts_with("process.command"), "{}", pair.key);
        }
    }
}

#[test]
fn spec_9_13_an_instance_is_named_without_being_asked() {
    let resource_spans = requests(|builder| builder).remove(0);
    let attributes = resource_spans.resource.unwrap().attributes;
    let id = attributes
        .into_iter()
        .find(|pair| pair.key == "service.instance.id");
    match id.unwrap().value.unwrap().value {
        Some(Any::StringValue(id)) => assert_eq!((id.len(), id.get(14..15)), (36, Some("4"))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn spec_1_8_a_resource_has_values_of_every_type() {
    let spans = record_with(
        |builder| {
            builder
                .with_resource_attribute("text", String::new())
                .with_resource_attribute("on", false)
                .with_resource_attribute("count", 0_u8)
                .with_resource_attribute("list", Value::Array(vec!["a".into(), "b".into()]))
                .with_resource_attribute("none", Value::Empty)
                .with_resource_attribute("Text", "case")
        },
        || drop(info_span!("span")),
    );
    let resource = &spans.only().resource;
    assert_eq!(resource.value("text"), text(""));
    assert_eq!(resource.value("Text"), text("case"));
    assert_eq!(resource.value("on"), truth(false));
    assert_eq!(resource.value("count"), int(0));
    assert_eq!(resource.value("list"), texts(&["a", "b"]));
    assert_eq!(resource.value("none"), no_value());
}
