//! What was exported, by prost.

use std::collections::HashMap;
use std::ops::Deref;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

/// A span with what stands around it.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    span: Span,
    pub(crate) scope: String,
    pub(crate) resource: Resource,
}

impl Deref for Exported {
    type Target = Span;

    fn deref(&self) -> &Span {
        &self.span
    }
}

impl Exported {
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Code and message; an absent status is an empty one.
    pub(crate) fn status(&self) -> (i32, &str) {
        self.span
            .status
            .as_ref()
            .map_or((0, ""), |Status { message, code }| (*code, message))
    }

    pub(crate) fn event(&self, name: &str) -> &Event {
        let mut found = self.events.iter().filter(|event| event.name == name);
        let event = found.next();
        assert!(found.next().is_none(), "several events {name:?}");
        event.unwrap_or_else(|| panic!("no event {name:?} in {:?}", self.event_names()))
    }

    pub(crate) fn event_names(&self) -> Vec<&str> {
        self.events.iter().map(|event| &*event.name).collect()
    }

    #[track_caller]
    pub(crate) fn assert_child_of(&self, parent: &Self) {
        let (name, other) = (&self.name, &parent.name);
        assert_eq!(
            self.trace_id, parent.trace_id,
            "{name}'s trace is {other}'s"
        );
        assert_eq!(
            self.parent_span_id, parent.span_id,
            "{name}'s parent is {other}"
        );
    }

    #[track_caller]
    pub(crate) fn assert_root(&self) {
        assert!(self.parent_span_id.is_empty(), "{} is a root", self.name);
    }
}

/// Spans in the order of their export.
#[derive(Clone, Debug)]
pub(crate) struct Spans(Vec<Exported>);

impl Deref for Spans {
    type Target = [Exported];

    fn deref(&self) -> &[Exported] {
        &self.0
    }
}

impl Spans {
    /// The one span of this name.
    #[track_caller]
    pub(crate) fn named(&self, name: &str) -> &Exported {
        match self.all_named(name)[..] {
            [span] => span,
            ref found => panic!("{} spans {name:?} in {:?}", found.len(), self.names()),
        }
    }

    pub(crate) fn all_named(&self, name: &str) -> Vec<&Exported> {
        self.iter().filter(|span| span.name == name).collect()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.iter().map(|span| &*span.name).collect()
    }

    /// The only span.
    #[track_caller]
    pub(crate) fn only(&self) -> &Exported {
        match &self.0[..] {
            [span] => span,
            _ => panic!("not one span: {:?}", self.names()),
        }
    }
}

/// The spans of these requests.
pub(crate) fn decode(requests: &[Vec<u8>]) -> Spans {
    let mut spans = Vec::new();
    for request in requests {
        let request = ExportTraceServiceRequest::decode(&request[..]).unwrap();
        for resource_spans in request.resource_spans {
            let resource = resource_spans.resource.unwrap();
            for scope_spans in resource_spans.scope_spans {
                let scope = scope_spans.scope.unwrap().name;
                spans.extend(scope_spans.spans.into_iter().map(|span| Exported {
                    span,
                    scope: scope.clone(),
                    resource: resource.clone(),
                }));
            }
        }
    }
    Spans(spans)
}

/// Whatever has attributes.
pub(crate) trait Attributed {
    fn pairs(&self) -> &[KeyValue];

    /// The value of this key; `None` where there is no such key.
    fn value(&self, key: &str) -> Option<Value> {
        let pair = self.pairs().iter().find(|pair| pair.key == key)?;
        pair.value.clone()?.value
    }

    fn has(&self, key: &str) -> bool {
        self.pairs().iter().any(|pair| pair.key == key)
    }

    fn keys(&self) -> Vec<&str> {
        self.pairs().iter().map(|pair| &*pair.key).collect()
    }

    /// All but what the callsite adds.
    fn own_keys(&self) -> Vec<&str> {
        let constant = |key: &str| key.starts_with("code.") || key == "level" || key == "target";
        let mut keys = self.keys();
        keys.retain(|key| !constant(key));
        keys
    }

    /// Each value in its encoding, in which `NaN` equals itself.
    fn encoded(&self) -> HashMap<String, Vec<u8>> {
        self.pairs()
            .iter()
            .map(|pair| {
                (
                    pair.key.clone(),
                    pair.value.as_ref().unwrap().encode_to_vec(),
                )
            })
            .collect()
    }
}

impl Attributed for Span {
    fn pairs(&self) -> &[KeyValue] {
        &self.attributes
    }
}

impl Attributed for Event {
    fn pairs(&self) -> &[KeyValue] {
        &self.attributes
    }
}

impl Attributed for Link {
    fn pairs(&self) -> &[KeyValue] {
        &self.attributes
    }
}

impl Attributed for Resource {
    fn pairs(&self) -> &[KeyValue] {
        &self.attributes
    }
}

pub(crate) fn text(value: impl Into<String>) -> Option<Value> {
    Some(Value::StringValue(value.into()))
}

pub(crate) fn texts(values: &[&str]) -> Option<Value> {
    let values = values
        .iter()
        .map(|value| AnyValue {
            value: text(*value),
        })
        .collect();
    Some(Value::ArrayValue(ArrayValue { values }))
}

pub(crate) fn int(value: i64) -> Option<Value> {
    Some(Value::IntValue(value))
}

pub(crate) fn truth(value: bool) -> Option<Value> {
    Some(Value::BoolValue(value))
}

pub(crate) fn double(value: f64) -> Option<Value> {
    Some(Value::DoubleValue(value))
}

pub(crate) fn bytes(value: &[u8]) -> Option<Value> {
    Some(Value::BytesValue(value.to_vec()))
}

/// No such attribute.
pub(crate) fn no_value() -> Option<Value> {
    None
}
