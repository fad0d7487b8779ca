//! Spans as their API has them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{self as otel, SpanContext, Status};

use super::convert;
use crate::clock::unix_nanos;
use crate::layer::{Far, Manual, Scope};

/// A span of [`Tracer`](super::Tracer), which ends when it is dropped at the latest; or, in an active context, a span of `tracing`.
#[derive(Debug)]
pub struct Span {
    context: SpanContext,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    NotRecorded,
    /// It ends when `tracing` closes it.
    OfTracing(Far),
    ByHand(ByHand),
}

#[derive(Debug)]
struct ByHand {
    far: Far,
    manual: Arc<Manual>,
    scope: &'static Scope,
}

impl Span {
    pub(in crate::bridge) fn not_recorded(context: SpanContext) -> Self {
        Self {
            context,
            inner: Inner::NotRecorded,
        }
    }

    pub(in crate::bridge) fn of_tracing(context: SpanContext, far: Far) -> Self {
        Self {
            context,
            inner: Inner::OfTracing(far),
        }
    }

    pub(super) fn by_hand(
        context: SpanContext,
        far: Far,
        manual: Arc<Manual>,
        scope: &'static Scope,
    ) -> Self {
        Self {
            context,
            inner: Inner::ByHand(ByHand { far, manual, scope }),
        }
    }

    fn far(&self) -> Option<&Far> {
        match &self.inner {
            Inner::NotRecorded => None,
            Inner::OfTracing(far) | Inner::ByHand(ByHand { far, .. }) => Some(far),
        }
    }

    fn tell(&self, work: impl FnOnce(&Far)) {
        if let Some(far) = self.far() {
            work(far);
        }
    }

    fn end_at(&mut self, time: SystemTime) {
        if let Inner::ByHand(ByHand { far, manual, scope }) = &self.inner {
            manual.end(far, scope, unix_nanos(time));
            self.inner = Inner::NotRecorded;
        }
    }
}

impl otel::Span for Span {
    fn add_event_with_timestamp<T>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) where
        T: Into<Cow<'static, str>>,
    {
        self.tell(|far| far.add_event(&name.into(), timestamp, convert::pairs(&attributes)));
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.far().is_some_and(Far::is_recording)
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        let value = convert::value(&attribute.value);
        self.tell(|far| far.set_attribute(attribute.key.as_str(), value));
    }

    fn set_status(&mut self, status: Status) {
        self.tell(|far| far.set_status(convert::status(status)));
    }

    fn update_name<T>(&mut self, name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        self.tell(|far| far.update_name(&name.into()));
    }

    fn add_link(&mut self, to: SpanContext, attributes: Vec<KeyValue>) {
        let Some(to) = convert::span_context(&to) else {
            return;
        };
        self.tell(|far| far.add_link(&to, convert::pairs(&attributes)));
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.end_at(timestamp);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Inner::ByHand(_) = self.inner {
            self.end_at(SystemTime::now());
        }
    }
}
