//! Spans as their API has them.

use std::borrow::Cow;
use std::time::SystemTime;

use super::convert;
use super::opentelemetry::KeyValue;
use super::opentelemetry::trace::{self as otel, SpanContext, Status};
use crate::clock::unix_nanos;
use crate::layer::Far;

/// A span of the pipeline. One that a tracer of theirs made ends when it is dropped at the latest; one of `tracing`, in a context, when
/// `tracing` closes it.
#[derive(Debug)]
pub struct Span {
    context: SpanContext,
    /// `None`: it is not recorded, or has been ended.
    far: Option<Far>,
}

impl Span {
    pub(in crate::bridge) fn new(context: SpanContext, far: Far) -> Self {
        Self {
            context,
            far: Some(far),
        }
    }

    pub(in crate::bridge) fn not_recorded(context: SpanContext) -> Self {
        Self { context, far: None }
    }

    fn tell(&self, work: impl FnOnce(&Far)) {
        if let Some(far) = &self.far {
            work(far);
        }
    }

    fn end_at(&mut self, time: impl FnOnce() -> SystemTime) {
        if let Some(far) = self.far.take_if(|far| far.is_by_hand()) {
            far.end(unix_nanos(time()));
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
        self.far.as_ref().is_some_and(Far::is_recording)
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
        self.end_at(|| timestamp);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.end_at(SystemTime::now);
    }
}
