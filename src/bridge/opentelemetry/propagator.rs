//! Their propagator over ours, and ours over theirs.

use std::borrow::Cow;

use super::convert;
use super::opentelemetry::Context;
use super::opentelemetry::propagation::text_map_propagator::FieldIter;
use super::opentelemetry::propagation::{self as otel, TextMapPropagator};
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
            if !fields.contains(&field) {
                fields.push(field);
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

/// A propagator of theirs as one of ours, for [`Builder::with_custom_propagator`](crate::Builder::with_custom_propagator). Before it reads, all
/// that the carrier holds is copied, as theirs is lent to it.
pub fn propagator(
    theirs: impl TextMapPropagator + Send + Sync + 'static,
) -> impl context::CustomPropagator {
    Theirs(theirs)
}

#[derive(Debug)]
struct Theirs<P>(P);

impl<P: TextMapPropagator + Send + Sync + 'static> context::CustomPropagator for Theirs<P> {
    fn inject(&self, context: &context::Context, carrier: &mut dyn context::Injector) {
        self.0.inject_context(&context.into(), &mut Lent(carrier));
    }

    fn extract(
        &self,
        context: context::Context,
        carrier: &dyn context::Extractor,
    ) -> context::Context {
        let copied = |key: Cow<'_, str>| {
            let values = carrier.get_all(&key).into_iter().map(Cow::into_owned);
            (key.to_string(), values.collect())
        };
        let copied = Copied(carrier.keys().into_iter().map(copied).collect());
        let found = self.0.extract_with_context(&(&context).into(), &copied);
        (&found).into()
    }

    fn fields(&self) -> Vec<String> {
        self.0.fields().map(str::to_owned).collect()
    }
}

struct Lent<'a>(&'a mut dyn context::Injector);

impl otel::Injector for Lent<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.set(key, &value);
    }
}

/// Keys and their values.
struct Copied(Vec<(String, Vec<String>)>);

impl Copied {
    fn values(&self, key: &str) -> Option<&[String]> {
        let mut all = self.0.iter();
        let (_, values) = all.find(|(known, _)| known.eq_ignore_ascii_case(key))?;
        Some(values)
    }
}

impl otel::Extractor for Copied {
    fn get(&self, key: &str) -> Option<&str> {
        self.values(key)?.first().map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        Some(self.values(key)?.iter().map(String::as_str).collect())
    }
}
