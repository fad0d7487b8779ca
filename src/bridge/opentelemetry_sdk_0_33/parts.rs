//! Their samplers, generators of ids and resources.

use opentelemetry::trace::{self as otel, Link, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SamplingDecision, ShouldSample};

use super::request;
use crate::bridge::opentelemetry_0_33::api::convert;
use crate::bridge::opentelemetry_0_33::{kind_of, span_id, trace_id};
use crate::context::TraceState;
use crate::id::{SpanId, TraceId};
use crate::id_generator::IdGenerator;
use crate::model::Value;
use crate::sampler::{self, Candidate, Decision, Sampler, Sampling};

/// A sampler of theirs, as one of ours: see [`Sampler::custom`] for when it is called. It does not see attributes of links.
pub fn sampler(theirs: impl ShouldSample + 'static) -> Sampler {
    Sampler::custom(Theirs(theirs))
}

#[derive(Debug)]
struct Theirs<S>(S);

impl<S: ShouldSample + 'static> sampler::ShouldSample for Theirs<S> {
    fn should_sample(&self, span: &Candidate<'_>) -> Sampling {
        let parent = span.parent().map(otel::SpanContext::from);
        let state = parent.as_ref().map(|parent| parent.trace_state().clone());
        let parent = parent.map(|parent| Context::new().with_remote_span_context(parent));
        let attributes: Vec<_> = span.attributes().filter_map(request::pair).collect();
        let link = |(trace, span): (TraceId, SpanId)| {
            let flags = otel::TraceFlags::default();
            let state = otel::TraceState::NONE;
            Link::with_context(otel::SpanContext::new(
                trace.into(),
                span.into(),
                flags,
                false,
                state,
            ))
        };
        let links: Vec<_> = span.links().map(link).collect();
        let answer = self.0.should_sample(
            parent.as_ref(),
            span.trace_id().into(),
            span.name(),
            &kind_of(span.kind()),
            &attributes,
            &links,
        );
        let decision = match answer.decision {
            SamplingDecision::Drop => Decision::Drop,
            SamplingDecision::RecordOnly => Decision::RecordOnly,
            SamplingDecision::RecordAndSample => Decision::RecordAndSample,
        };
        let mut sampling = Sampling::from(decision);
        for KeyValue { key, value, .. } in answer.attributes {
            sampling = sampling.with_attribute(key, convert::value(&value).into_owned());
        }
        if answer.trace_state != state.unwrap_or_default()
            && let Some(state) = TraceState::parse(&answer.trace_state.header())
        {
            sampling = sampling.with_trace_state(state);
        }
        sampling
    }

    fn description(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A generator of theirs, as one of ours. Where it makes an invalid id, ours makes a random one.
pub fn id_generator(
    theirs: impl opentelemetry_sdk::trace::IdGenerator + 'static,
) -> impl IdGenerator {
    Ids(theirs)
}

#[derive(Debug)]
struct Ids<G>(G);

impl<G: opentelemetry_sdk::trace::IdGenerator + 'static> IdGenerator for Ids<G> {
    fn trace_id(&self) -> TraceId {
        trace_id(self.0.new_trace_id()).unwrap_or_else(TraceId::random)
    }

    fn span_id(&self) -> SpanId {
        span_id(self.0.new_span_id()).unwrap_or_else(SpanId::random)
    }
}

/// What a resource of theirs says, for [`Builder::with_resource_attribute`](crate::Builder::with_resource_attribute).
pub fn resource_attributes(theirs: &Resource) -> impl Iterator<Item = (String, Value<'static>)> {
    theirs
        .iter()
        .map(|(key, value)| (key.as_str().to_owned(), convert::value(value).into_owned()))
}
