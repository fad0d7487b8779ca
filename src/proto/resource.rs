//! `Resource` (resource.proto), `EntityRef` (common.proto), and what stands around them in `ResourceSpans` (trace.proto).

use super::value::{ValueBounds, put_attribute};
use super::wire::{self, LEN, tag};
use crate::model::Value;

/// ResourceSpans.resource.
const RESOURCE: u8 = tag(1, LEN);
/// ResourceSpans.schema_url: "This schema_url applies to the data in the "resource" field."
const SCHEMA_URL: u8 = tag(3, LEN);
/// Resource.attributes.
const ATTRIBUTES: u8 = tag(1, LEN);
/// Resource.entity_refs.
const ENTITY_REFS: u8 = tag(3, LEN);
/// EntityRef.schema_url.
const ENTITY_SCHEMA_URL: u8 = tag(1, LEN);
/// EntityRef.type.
const TYPE: u8 = tag(2, LEN);
/// EntityRef.id_keys.
const ID_KEYS: u8 = tag(3, LEN);
/// EntityRef.description_keys.
const DESCRIPTION_KEYS: u8 = tag(4, LEN);

/// Who the records are about. It does not change once it is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resource {
    /// The keys are distinct and not empty.
    pub(crate) attributes: Vec<(String, Value<'static>)>,
    pub(crate) entity_refs: Vec<EntityRef>,
    /// Of the attributes; empty where it is not known.
    pub(crate) schema_url: String,
}

/// An entity among a resource's attributes: "These keys MUST exist in Resource.attributes".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntityRef {
    /// Not empty.
    pub(crate) kind: String,
    /// At least one.
    pub(crate) id_keys: Vec<String>,
    pub(crate) description_keys: Vec<String>,
    /// Empty where it is not known.
    pub(crate) schema_url: String,
}

impl Resource {
    /// The fields `resource` and `schema_url` of `ResourceSpans`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // "Resource attributes SHOULD be exempt" from the limits; the depth alone is held, so that anybody can read it.
        let bounds = ValueBounds::default();
        let mut content = Vec::new();
        for (key, value) in &self.attributes {
            put_attribute(&mut content, ATTRIBUTES, key, value, &bounds);
        }
        for entity in &self.entity_refs {
            wire::put_len(&mut content, ENTITY_REFS, &entity.encode());
        }
        let mut out = Vec::with_capacity(content.len() + self.schema_url.len() + 12);
        wire::put_len(&mut out, RESOURCE, &content);
        put_text(&mut out, SCHEMA_URL, &self.schema_url);
        out
    }
}

impl EntityRef {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_text(&mut out, ENTITY_SCHEMA_URL, &self.schema_url);
        put_text(&mut out, TYPE, &self.kind);
        for key in &self.id_keys {
            wire::put_len(&mut out, ID_KEYS, key.as_bytes());
        }
        for key in &self.description_keys {
            wire::put_len(&mut out, DESCRIPTION_KEYS, key.as_bytes());
        }
        out
    }
}

/// A text that is no text is as good as none.
fn put_text(out: &mut Vec<u8>, tag: u8, text: &str) {
    if !text.is_empty() {
        wire::put_len(out, tag, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, EntityRef as Expected};
    use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
    use prost::Message;

    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_resource_reads_as_it_was_written() {
        let texts = Value::Array(vec!["a".into(), "b".into()]);
        let resource = Resource {
            attributes: vec![
                ("empty".to_owned(), Value::Empty),
                ("text".to_owned(), "".into()),
                ("pid".to_owned(), 7_i64.into()),
                ("groups".to_owned(), texts),
                ("long".to_owned(), "x".repeat(300).into()),
            ],
            entity_refs: vec![EntityRef {
                kind: "host".to_owned(),
                id_keys: owned(&["pid", "text"]),
                description_keys: owned(&["long"]),
                schema_url: "https://one".to_owned(),
            }],
            schema_url: "https://two".to_owned(),
        };
        let decoded = ResourceSpans::decode(&resource.encode()[..]).unwrap();
        assert_eq!(decoded.schema_url, "https://two");
        let decoded = decoded.resource.unwrap();
        let value = |key: &str| {
            let found = decoded.attributes.iter().find(|known| known.key == key);
            found.unwrap().value.clone().unwrap().value
        };
        let any = |text: &str| Any::StringValue(text.to_owned());
        assert_eq!(value("empty"), None);
        assert_eq!(value("text"), Some(any("")));
        assert_eq!(value("pid"), Some(Any::IntValue(7)));
        assert_eq!(value("long"), Some(any(&"x".repeat(300))));
        let values = ["a", "b"].map(|text| AnyValue {
            value: Some(any(text)),
        });
        let values = values.to_vec();
        assert_eq!(
            value("groups"),
            Some(Any::ArrayValue(ArrayValue { values }))
        );
        let entity = Expected {
            schema_url: "https://one".to_owned(),
            r#type: "host".to_owned(),
            id_keys: owned(&["pid", "text"]),
            description_keys: owned(&["long"]),
        };
        assert_eq!(decoded.entity_refs, [entity]);
    }

    #[test]
    fn without_a_schema_none_is_claimed() {
        let decoded = ResourceSpans::decode(&Resource::default().encode()[..]).unwrap();
        let empty = ResourceSpans {
            resource: Some(Default::default()),
            ..ResourceSpans::default()
        };
        assert_eq!(decoded, empty);
    }
}
