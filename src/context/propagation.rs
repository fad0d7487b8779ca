//! Contexts on their way between processes: which headers, in which form.

use std::borrow::Cow;
use std::sync::Arc;

use super::Context;

/// Where a context is read from: the headers of a request, the entries of a message, the variables of the environment.
pub trait Extractor {
    /// The first value of this key; keys of HTTP headers know no upper and lower case.
    fn get(&self, key: &str) -> Option<Cow<'_, str>>;

    /// All values of this key, in their order.
    fn get_all(&self, key: &str) -> Vec<Cow<'_, str>> {
        self.get(key).into_iter().collect()
    }

    /// All keys.
    fn keys(&self) -> Vec<Cow<'_, str>>;
}

/// Where a context is written to.
pub trait Injector {
    /// Sets the value of a key.
    fn set(&mut self, key: &str, value: &str);
}

/// A form in which a context travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Propagator {
    /// W3C Trace Context: `traceparent` and `tracestate`.
    TraceContext,
    /// W3C Baggage: `baggage`.
    Baggage,
    /// B3 in one header, `b3`.
    B3,
    /// B3 in several headers, `X-B3-*`.
    B3Multi,
}

/// The forms that a pipeline reads and writes, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Propagators(Arc<[Propagator]>);

impl Default for Propagators {
    /// `tracecontext,baggage` (specification, `OTEL_PROPAGATORS`).
    fn default() -> Self {
        Self(Arc::new([Propagator::TraceContext, Propagator::Baggage]))
    }
}

impl Propagators {
    pub(crate) fn inject(&self, _context: &Context, _carrier: &mut dyn Injector) {}

    pub(crate) fn extract(&self, _carrier: &dyn Extractor) -> Context {
        Context::default()
    }
}
