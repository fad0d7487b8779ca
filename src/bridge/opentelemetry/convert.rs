//! Ids, contexts, values: ours as theirs, and theirs as ours.

use super::opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use super::opentelemetry::trace::{self as otel, TraceContextExt};
use super::opentelemetry::{self, Array, KeyValue};

use crate::context::{Baggage, Context, SpanContext, TraceFlags, TraceState};
use crate::id::{SpanId, TraceId};
use crate::model::{Status, Value};

/// What a context of ours says that theirs cannot: B3's wishes.
#[derive(Debug)]
struct Carried(Context);

impl From<TraceId> for otel::TraceId {
    fn from(id: TraceId) -> Self {
        Self::from_bytes(id.to_bytes())
    }
}

impl From<SpanId> for otel::SpanId {
    fn from(id: SpanId) -> Self {
        Self::from_bytes(id.to_bytes())
    }
}

impl From<&SpanContext> for otel::SpanContext {
    fn from(ours: &SpanContext) -> Self {
        let state = ours.trace_state();
        let state = if state.is_empty() {
            otel::TraceState::NONE
        } else {
            // Their grammar is that of level 1, which has less keys.
            otel::TraceState::from_key_value(state.iter()).unwrap_or_default()
        };
        Self::new(
            ours.trace_id().into(),
            ours.span_id().into(),
            otel::TraceFlags::new(ours.flags().bits()),
            ours.is_remote(),
            state,
        )
    }
}

/// The span that it leads to is not of this process's `tracing`, so that nothing can be said to it. Keeps baggage.
impl From<&Context> for opentelemetry::Context {
    fn from(ours: &Context) -> Self {
        onto(&Self::new(), ours)
    }
}

/// Their context with all that ours says.
pub(in crate::bridge) fn onto(
    theirs: &opentelemetry::Context,
    ours: &Context,
) -> opentelemetry::Context {
    let mut theirs = with_baggage(theirs.clone(), ours.baggage());
    if let Some(span) = ours.span() {
        theirs = theirs.with_remote_span_context(span.into());
    }
    if ours.has_wish() {
        theirs = theirs.with_value(Carried(ours.clone()));
    }
    theirs
}

/// Their context with this baggage, if there is any.
pub(in crate::bridge) fn with_baggage(
    theirs: opentelemetry::Context,
    baggage: &Baggage,
) -> opentelemetry::Context {
    if baggage.is_empty() {
        return theirs;
    }
    let member = |(key, value, metadata): (&str, &str, &str)| {
        KeyValueMetadata::new(key.to_owned(), value.to_owned(), metadata)
    };
    let members: Vec<_> = baggage.iter().map(member).collect();
    theirs.with_baggage(members)
}

/// The id, unless it is their invalid one.
pub fn trace_id(theirs: otel::TraceId) -> Option<TraceId> {
    TraceId::from_bytes(theirs.to_bytes())
}

/// The id, unless it is their invalid one.
pub fn span_id(theirs: otel::SpanId) -> Option<SpanId> {
    SpanId::from_bytes(theirs.to_bytes())
}

/// The context, unless it is not valid. A tracestate that is not valid is left out.
pub fn span_context(theirs: &otel::SpanContext) -> Option<SpanContext> {
    let (trace, span) = trace_id(theirs.trace_id()).zip(span_id(theirs.span_id()))?;
    let flags = TraceFlags::new(theirs.trace_flags().to_u8());
    let state = if *theirs.trace_state() == otel::TraceState::NONE {
        TraceState::default()
    } else {
        TraceState::parse(&theirs.trace_state().header()).unwrap_or_default()
    };
    Some(if theirs.is_remote() {
        SpanContext::remote(trace, span, flags, state)
    } else {
        SpanContext::local(trace, span, flags, state)
    })
}

/// Span and baggage of their context.
impl From<&opentelemetry::Context> for Context {
    fn from(theirs: &opentelemetry::Context) -> Self {
        let span = span_context(theirs.span().span_context());
        let carried = theirs.get::<Carried>().map(|Carried(ours)| ours);
        let mut ours = match (carried, span) {
            (Some(carried), span) if carried.span() == span.as_ref() => carried.clone(),
            (_, Some(span)) => Self::from(span),
            (_, None) => Self::default(),
        };
        let baggage = theirs.baggage();
        if !baggage.is_empty() {
            let text = |(key, (value, metadata)): (&opentelemetry::Key, &(_, _))| {
                let value: &opentelemetry::StringValue = value;
                let metadata: &opentelemetry::baggage::BaggageMetadata = metadata;
                [key.as_str(), value.as_str(), metadata.as_str()].map(str::to_owned)
            };
            let mut members: Vec<_> = baggage.iter().map(text).collect();
            // Theirs have no order.
            members.sort_unstable();
            let baggage = members.iter().fold(Baggage::default(), |all, member| {
                let [key, value, metadata] = member;
                all.with_metadata(key, value, metadata)
            });
            ours = ours.with_baggage(baggage);
        }
        ours
    }
}

/// Keys and values, borrowed.
pub(in crate::bridge) fn pairs(theirs: &[KeyValue]) -> impl Iterator<Item = (&str, Value<'_>)> {
    theirs
        .iter()
        .map(|pair| (pair.key.as_str(), value(&pair.value)))
}

pub(in crate::bridge) fn value(theirs: &opentelemetry::Value) -> Value<'_> {
    use opentelemetry::Value as Theirs;
    match theirs {
        Theirs::Bool(value) => (*value).into(),
        Theirs::I64(value) => (*value).into(),
        Theirs::F64(value) => (*value).into(),
        Theirs::String(text) => text.as_str().into(),
        Theirs::Array(Array::Bool(values)) => values.as_slice().into(),
        Theirs::Array(Array::I64(values)) => values.as_slice().into(),
        Theirs::Array(Array::F64(values)) => values.as_slice().into(),
        Theirs::Array(Array::String(texts)) => {
            Value::Array(texts.iter().map(|text| text.as_str().into()).collect())
        }
        // Neither may grow within this version.
        other => other.to_string().into(),
    }
}

pub(super) fn status(theirs: otel::Status) -> Status {
    match theirs {
        otel::Status::Unset => Status::Unset,
        otel::Status::Ok => Status::Ok,
        otel::Status::Error { description } => Status::Error(description),
    }
}
