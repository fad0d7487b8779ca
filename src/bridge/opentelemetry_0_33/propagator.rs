//! Their propagator over ours.

use std::borrow::Cow;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{self as otel, TextMapPropagator};

use super::convert;
use crate::context::{self, Propagators};

/// Reads and writes contexts in the forms of a pipeline ([`Builder::with_propagators`](crate::Builder::with_propagators)), for those
/// who use OpenTelemetry's API. Made of a [`Handle`](crate::Handle).
#[derive(Clone, Debug)]
pub struct ContextPropagator {
    propagators: Propagators,
    fields: Vec<String>,
}

impl ContextPropagator {
    pub(crate) fn new(propagators: Propagators) -> Self {
        let mut fields = Vec::new();
        for field in propagators.fields() {
            if !fields.iter().any(|known| known == field) {
                fields.push(field.to_owned());
            }
        }
        Self {
            propagators,
            fields,
        }
    }
}

impl TextMapPropagator for ContextPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn otel::Injector) {
        self.propagators
            .inject(&context.into(), &mut Injector(injector));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn otel::Extractor) -> Context {
        let found = self.propagators.extract(&Extractor(extractor));
        convert::onto(context, &found)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

struct Injector<'a>(&'a mut dyn otel::Injector);

impl context::Injector for Injector<'_> {
    fn set(&mut self, key: &str, value: &str) {
        self.0.set(key, value.to_owned());
    }
}

struct Extractor<'a>(&'a dyn otel::Extractor);

impl context::Extractor for Extractor<'_> {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        self.0.get(key).map(Cow::Borrowed)
    }

    fn get_all(&self, key: &str) -> Vec<Cow<'_, str>> {
        let all = self.0.get_all(key).unwrap_or_default();
        all.into_iter().map(Cow::Borrowed).collect()
    }

    fn keys(&self) -> Vec<Cow<'_, str>> {
        self.0.keys().into_iter().map(Cow::Borrowed).collect()
    }
}
