use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;

use super::*;
use crate::env::read;
use crate::layer;
use crate::pipeline::builder::Builder;
use crate::testing::InMemory;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    read(pairs.iter().map(owned))
}

/// A world in which there is nothing.
fn describe_nowhere(said: Described, pairs: &[(&str, &str)]) -> (Resource, Explanation) {
    let mut explained = Explanation::default();
    let nowhere = World::default();
    let resource = describe(said, &environment(pairs), &nowhere, &mut explained).unwrap();
    (resource, explained)
}

fn said(name: Option<&str>, attributes: &[(&str, &str)]) -> Described {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), Value::from(*value).into_owned());
    Described {
        service_name: name.map(str::to_owned),
        attributes: attributes.iter().map(owned).collect(),
        ..Described::default()
    }
}

fn value<'r>(resource: &'r Resource, key: &str) -> Option<&'r str> {
    let all = resource.attributes.iter();
    let found: Vec<_> = all.filter(|(known, _)| known == key).collect();
    assert!(found.len() <= 1, "{key} is twice");
    found.first().map(|(_, value)| match value {
        Value::Str(text) => text.as_ref(),
        other => panic!("{other:?} is no text"),
    })
}

/// Why `build` fails.
fn refused(builder: Builder) -> String {
    let error = builder.with_transport(InMemory::new()).build();
    let error = error.map(drop).unwrap_err();
    assert!(error.is_config(), "{error}");
    error.to_string()
}

const LISTED: (&str, &str) = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=low,team=a,zone=z");

#[test]
fn spec_9_1_the_default_resource_names_a_service_and_the_sdk() {
    let (resource, _) = describe_nowhere(Described::default(), &[]);
    let keys: Vec<&str> = resource
        .attributes
        .iter()
        .map(|(key, _)| key.as_str())
        .collect();
    let expected = [
        "service.name",
        "service.instance.id",
        "telemetry.sdk.name",
        "telemetry.sdk.language",
        "telemetry.sdk.version",
    ];
    assert_eq!(keys, expected, "and no detector runs that was not named");
    assert_eq!(value(&resource, "telemetry.sdk.language"), Some("rust"));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(value(&resource, "telemetry.sdk.version"), Some(version));
}

#[test]
fn spec_9_2_the_service_name_falls_back_to_the_executable() {
    let (resource, _) = describe_nowhere(Described::default(), &[]);
    assert_eq!(value(&resource, "service.name"), Some("unknown_service"));
    let builder = layer().with_transport(InMemory::new());
    let plan = builder.plan(environment(&[])).unwrap();
    let executable = std::env::current_exe().unwrap();
    let expected = format!(
        "unknown_service:{}",
        executable.file_name().unwrap().to_string_lossy()
    );
    assert_eq!(
        value(&plan.config.resource, "service.name"),
        Some(expected.as_str())
    );
}

#[test]
fn spec_9_3_and_9_4_the_sdk_has_a_name_of_its_own_and_is_no_distribution() {
    let (resource, _) = describe_nowhere(Described::default(), &[]);
    assert_eq!(value(&resource, "telemetry.sdk.name"), Some("tracing-otlp"));
    assert_eq!(value(&resource, "telemetry.distro.name"), None);
}

#[test]
fn spec_9_5_and_10_2_the_service_name_goes_before_the_resource_attributes() {
    let (resource, _) = describe_nowhere(Described::default(), &[LISTED]);
    assert_eq!(value(&resource, "service.name"), Some("low"));
    let (resource, _) = describe_nowhere(
        Described::default(),
        &[("OTEL_SERVICE_NAME", "high"), LISTED],
    );
    assert_eq!(value(&resource, "service.name"), Some("high"));
    assert_eq!(value(&resource, "team"), Some("a"));
}

#[test]
fn spec_9_6_and_10_3_the_code_goes_before_the_environment() {
    let pairs = [LISTED, ("OTEL_SERVICE_NAME", "middle")];
    let code = said(Some("high"), &[("team", "b"), ("zone", "")]);
    let (resource, explained) = describe_nowhere(code, &pairs);
    assert_eq!(value(&resource, "service.name"), Some("high"));
    assert_eq!(value(&resource, "team"), Some("b"));
    assert_eq!(value(&resource, "zone"), Some(""), "even if it is empty");
    let text = explained.to_string();
    for line in [
        "resource \"service.name\" = \"high\" (Builder::with_service_name)\n",
        "resource \"team\" = \"b\" (Builder::with_resource_attribute)\n",
        "resource \"telemetry.sdk.language\" = \"rust\" (default)\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn spec_9_6_detectors_go_below_the_environment() {
    let code = || Described {
        detectors: vec![Detector::Os, Detector::Host],
        ..Described::default()
    };
    let (found, explained) = describe_nowhere(code(), &[]);
    let kind = value(&found, "os.type").unwrap();
    let line = format!("resource \"os.type\" = {kind:?} (detector os)\n");
    assert!(explained.to_string().contains(&line), "{explained}");
    assert!(value(&found, "host.arch").is_some());
    let listed = ("OTEL_RESOURCE_ATTRIBUTES", "os.type=plan9");
    let (found, explained) = describe_nowhere(code(), &[listed]);
    assert_eq!(value(&found, "os.type"), Some("plan9"));
    let line = "resource \"os.type\" = \"plan9\" (OTEL_RESOURCE_ATTRIBUTES)\n";
    assert!(explained.to_string().contains(line), "{explained}");
}

#[test]
fn spec_9_10_a_detector_that_finds_something_sets_the_schema() {
    let of = |detectors: &[Detector], pairs| {
        let said = Described {
            detectors: detectors.to_vec(),
            ..Described::default()
        };
        describe_nowhere(said, pairs).0.schema_url
    };
    assert_eq!(of(&[], &[]), "");
    // Here it finds nothing.
    assert_eq!(of(&[Detector::Aws], &[]), "");
    assert_eq!(SCHEMA_URL, "https://opentelemetry.io/schemas/1.44.0");
    assert_eq!(of(&[Detector::Os], &[]), SCHEMA_URL);
    assert_eq!(of(&[Detector::Aws, Detector::Service], &[]), SCHEMA_URL);
}

/// "A resource always has these; the detector adds nothing but the schema URL."
#[test]
fn the_service_detector_takes_no_name_away_that_another_detector_knows() {
    let world = World::of_variables(&[("WEBSITE_SITE_NAME", "shop")]);
    for detectors in [
        [Detector::Service, Detector::Azure],
        [Detector::Azure, Detector::Service],
    ] {
        let said = Described {
            detectors: detectors.to_vec(),
            ..Described::default()
        };
        let mut explained = Explanation::default();
        let resource = describe(said, &environment(&[]), &world, &mut explained).unwrap();
        assert_eq!(value(&resource, "service.name"), Some("shop"));
    }
}

#[test]
fn spec_9_9_another_schema_than_the_detectors_is_an_error_that_names_both() {
    let other = "https://opentelemetry.io/schemas/1.0.0";
    let both = layer()
        .with_schema_url(other)
        .with_detectors([Detector::Aws]);
    let error = refused(both);
    assert!(
        error.contains(other) && error.contains(SCHEMA_URL),
        "{error}"
    );
    let wrong = refused(layer().with_schema_url("1.44.0"));
    assert!(wrong.contains("\"1.44.0\""), "{wrong}");
    let same = Described {
        schema_url: Some(SCHEMA_URL.to_owned()),
        detectors: vec![Detector::Os],
        ..Described::default()
    };
    assert_eq!(describe_nowhere(same, &[]).0.schema_url, SCHEMA_URL);
    let alone = Described {
        schema_url: Some(other.to_owned()),
        ..Described::default()
    };
    let (resource, explained) = describe_nowhere(alone, &[]);
    assert_eq!(resource.schema_url, other);
    assert!(explained.to_string().contains(
        "schema_url = https://opentelemetry.io/schemas/1.0.0 (Builder::with_schema_url)"
    ));
}

#[test]
fn spec_9_9_schemas_of_the_environment_that_differ_leave_none() {
    let of = |said: Described, list| {
        let (resource, explained) = describe_nowhere(said, &[("OTEL_ENTITIES", list)]);
        (resource.schema_url, explained.warnings().len())
    };
    let none = Described::default;
    assert_eq!(of(none(), "a{k=1}@urn:a"), ("urn:a".to_owned(), 0));
    assert_eq!(
        of(none(), "a{k=1}@urn:a;b{l=1};c{m=1}@urn:a"),
        ("urn:a".to_owned(), 0)
    );
    assert_eq!(of(none(), "a{k=1}@urn:a;b{l=1}@urn:b"), (String::new(), 1));
    let detected = || Described {
        detectors: vec![Detector::Os],
        ..Described::default()
    };
    assert_eq!(of(detected(), "a{k=1}@urn:a"), (String::new(), 1));
    let code = Described {
        schema_url: Some("urn:code".to_owned()),
        ..Described::default()
    };
    assert_eq!(of(code, "a{k=1}@urn:a"), ("urn:code".to_owned(), 0));
}

#[test]
fn spec_9_15_and_10_4_entities_give_attributes_and_beat_the_other_variables() {
    let entities =
        "service{service.name=entity,service.instance.id=i}[zone=y]@urn:s;host{host.id=h}";
    let pairs = [
        LISTED,
        ("OTEL_SERVICE_NAME", "middle"),
        ("OTEL_ENTITIES", entities),
    ];
    let (resource, explained) = describe_nowhere(Described::default(), &pairs);
    assert_eq!(value(&resource, "service.name"), Some("entity"));
    assert_eq!(value(&resource, "service.instance.id"), Some("i"));
    assert_eq!(value(&resource, "zone"), Some("y"));
    assert_eq!(value(&resource, "host.id"), Some("h"));
    assert_eq!(value(&resource, "team"), Some("a"));
    let text = explained.to_string();
    assert!(
        text.contains("resource \"host.id\" = \"h\" (OTEL_ENTITIES)\n"),
        "{text}"
    );
    assert!(
        text.contains("resource entity \"host\" = [\"host.id\"] (OTEL_ENTITIES)\n"),
        "{text}"
    );
}

#[test]
fn spec_1_18_entities_refer_to_attributes_of_the_resource() {
    let entities = "service{service.name=s}[zone=y]@urn:s;host{host.id=h}";
    let code = said(None, &[("zone", "code")]);
    let (resource, _) = describe_nowhere(code, &[("OTEL_ENTITIES", entities)]);
    let decoded = ResourceSpans::decode(&resource.encode()[..]).unwrap();
    assert_eq!(decoded.schema_url, "urn:s");
    let decoded = decoded.resource.unwrap();
    let kinds: Vec<&str> = decoded
        .entity_refs
        .iter()
        .map(|entity| entity.r#type.as_str())
        .collect();
    assert_eq!(kinds, ["service", "host"]);
    for entity in &decoded.entity_refs {
        assert!(!entity.id_keys.is_empty());
        for key in entity.id_keys.iter().chain(&entity.description_keys) {
            assert!(
                decoded.attributes.iter().any(|known| known.key == *key),
                "{key}"
            );
        }
    }
    assert_eq!(decoded.entity_refs[0].description_keys, ["zone"]);
    assert_eq!(decoded.entity_refs[0].schema_url, "urn:s");
    assert_eq!(decoded.entity_refs[1].schema_url, "");
}

#[test]
fn spec_1_18_an_entity_whose_identity_the_code_changes_is_left_out() {
    let entities = [("OTEL_ENTITIES", "service{service.name=s};host{host.id=h}")];
    let (resource, explained) = describe_nowhere(said(Some("code"), &[]), &entities);
    let kinds: Vec<&str> = resource
        .entity_refs
        .iter()
        .map(|entity| entity.kind.as_str())
        .collect();
    assert_eq!(kinds, ["host"]);
    let warnings = explained.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("Builder::with_service_name"),
        "{warnings:?}"
    );
    let (resource, _) = describe_nowhere(said(Some("s"), &[]), &entities);
    assert_eq!(
        resource.entity_refs.len(),
        2,
        "the same value is the same identity"
    );
}

#[test]
fn spec_1_3_and_5_5_keys_are_unique_and_no_limit_applies() {
    let long = "x".repeat(70_000);
    let mut attributes: Vec<(String, Value<'static>)> = Vec::new();
    for key in 0..300 {
        for value in [1_i64, 2] {
            attributes.push((format!("k{key}"), value.into()));
        }
    }
    attributes.push(("Long".to_owned(), long.clone().into()));
    attributes.push(("long".to_owned(), Value::Empty));
    let code = Described {
        attributes,
        ..Described::default()
    };
    let (resource, _) = describe_nowhere(code, &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "1")]);
    let decoded = ResourceSpans::decode(&resource.encode()[..]).unwrap();
    let decoded = decoded.resource.unwrap();
    assert_eq!(decoded.dropped_attributes_count, 0);
    let mut keys: Vec<&str> = decoded
        .attributes
        .iter()
        .map(|known| known.key.as_str())
        .collect();
    assert_eq!(keys.len(), 5 + 300 + 2);
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 5 + 300 + 2);
    assert_eq!(value(&resource, "Long"), Some(long.as_str()));
}

#[test]
fn spec_1_5_an_empty_key_in_the_code_is_an_error() {
    let error = refused(layer().with_resource_attribute("", "a"));
    assert!(
        error.contains("Builder::with_resource_attribute"),
        "{error}"
    );
}

#[test]
fn spec_9_13_pipelines_of_a_process_are_one_instance() {
    let id = || {
        let (resource, _) = describe_nowhere(Described::default(), &[]);
        value(&resource, "service.instance.id").unwrap().to_owned()
    };
    assert_eq!(id(), id());
    let code = said(None, &[("service.instance.id", "own")]);
    let (resource, _) = describe_nowhere(code, &[]);
    assert_eq!(value(&resource, "service.instance.id"), Some("own"));
}

#[test]
fn values_of_every_type_are_explained() {
    let value = Value::Map(vec![
        (
            "a".into(),
            Value::Array(vec![1_i64.into(), true.into(), Value::Empty]),
        ),
        ("b".into(), vec![1_u8, 2].into()),
        ("c".into(), 0.5.into()),
    ]);
    let code = Described {
        attributes: vec![("all".to_owned(), value)],
        ..Described::default()
    };
    let (_, explained) = describe_nowhere(code, &[]);
    let line = "resource \"all\" = {\"a\": [1, true, null], \"b\": 2 bytes, \"c\": 0.5} (Builder::with_resource_attribute)\n";
    assert!(explained.to_string().contains(line), "{explained}");
}
