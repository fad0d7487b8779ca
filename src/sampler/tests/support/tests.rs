//! Spans to decide about.

use proptest::prelude::*;

use crate::context::{SpanContext, TraceFlags, TraceState};
use crate::id::{SpanId, TraceId};
use crate::model::{SpanKind, Value};
use crate::proto::trace::SPAN_ATTRIBUTE;
use crate::proto::value::put_attribute;
use crate::sampler::*;

/// Remote or not, and sampled or not, in the order of `ParentBased`'s samplers.
pub(super) type Kind = Option<(bool, bool)>;
pub(super) const PARENTS: [Kind; 5] = [
    None,
    Some((true, true)),
    Some((true, false)),
    Some((false, true)),
    Some((false, false)),
];

pub(super) fn trace_state(header: &str) -> TraceState {
    match header {
        "" => TraceState::default(),
        header => TraceState::parse(header).unwrap(),
    }
}

pub(super) fn trace_ids() -> impl Strategy<Value = TraceId> {
    (1..=u128::MAX).prop_map(|bits| TraceId::from_bytes(bits.to_be_bytes()).unwrap())
}

pub(super) fn attributes(pairs: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut record = Vec::new();
    for (key, value) in pairs {
        put_attribute(&mut record, SPAN_ATTRIBUTE, key, value, &Default::default());
    }
    record
}

pub(super) fn root(record: &[u8]) -> Candidate<'_> {
    Candidate {
        parent: None,
        trace_id: TraceId::random(),
        is_random: true,
        name: "name",
        kind: SpanKind::Client,
        target: "target",
        record,
    }
}

pub(super) fn remote(sampled: bool, state: &str) -> SpanContext {
    let flags = TraceFlags::new(0x02 | u8::from(sampled));
    let id = TraceId::random();
    SpanContext::remote(id, SpanId::random(), flags, trace_state(state))
}

pub(super) fn child(parent: &SpanContext) -> Candidate<'_> {
    Candidate {
        parent: Some(parent),
        trace_id: parent.trace_id(),
        is_random: parent.flags().is_random(),
        ..root(b"")
    }
}

pub(super) fn parent_of(kind: Kind, id: TraceId) -> (Parent, Option<SpanContext>) {
    let Some((is_remote, sampled)) = kind else {
        return (Parent::None, None);
    };
    let flags = TraceFlags::new(0x02 | u8::from(sampled));
    let state = TraceState::default();
    if is_remote {
        let context = SpanContext::remote(id, SpanId::random(), flags, state);
        (Parent::Remote { sampled }, Some(context))
    } else {
        let context = SpanContext::local(id, SpanId::random(), flags, state);
        (Parent::Local { sampled }, Some(context))
    }
}

/// The decision, as the layer asks for it: early, else in full. Both agree.
pub(super) fn decide(sampler: &Sampler, kind: Kind) -> Decision {
    decide_of(sampler, kind, TraceId::random())
}

pub(super) fn decide_of(sampler: &Sampler, kind: Kind, id: TraceId) -> Decision {
    let (early, parent) = parent_of(kind, id);
    let span = Candidate {
        parent: parent.as_ref(),
        trace_id: id,
        ..root(b"")
    };
    let decision = sampler.sample(&span).decision;
    let early = sampler.early(id, early, true);
    assert!(early.is_none_or(|early| early == decision));
    decision
}

/// Samplers of which the early answer says something.
pub(super) fn samplers() -> impl Strategy<Value = Sampler> {
    let leaf = prop_oneof![
        Just(Sampler::always_on()),
        Just(Sampler::always_off()),
        (0.0..=1.0).prop_map(Sampler::ratio),
        (0.0..=1.0).prop_map(Sampler::probability),
    ];
    let all = leaf.prop_recursive(3, 20, 5, |inner| {
        let five = prop::collection::vec(inner.clone(), 5);
        prop_oneof![
            inner.prop_map(Sampler::always_record),
            five.prop_map(|five| match <[Sampler; 5]>::try_from(five) {
                Ok([root, a, b, c, d]) => ParentBased::new(root)
                    .with_remote_parent_sampled(a)
                    .with_remote_parent_not_sampled(b)
                    .with_local_parent_sampled(c)
                    .with_local_parent_not_sampled(d)
                    .into(),
                Err(_) => Sampler::default(),
            }),
        ]
    });
    all.prop_map(Sampler::hushed)
}

struct Closure<F>(F);

impl<F> fmt::Debug for Closure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closure")
    }
}

impl<F> ShouldSample for Closure<F>
where
    F: Fn(&Candidate<'_>) -> Sampling + Send + Sync + 'static,
{
    fn should_sample(&self, span: &Candidate<'_>) -> Sampling {
        self.0(span)
    }

    fn description(&self) -> String {
        "Closure".to_owned()
    }
}

pub(super) fn custom(
    decide: impl Fn(&Candidate<'_>) -> Sampling + Send + Sync + 'static,
) -> Sampler {
    Sampler::custom(Closure(decide))
}

#[derive(Debug)]
pub(super) struct Undescribed;

impl ShouldSample for Undescribed {
    fn should_sample(&self, _: &Candidate<'_>) -> Sampling {
        Decision::Drop.into()
    }

    fn description(&self) -> String {
        panic!("no name")
    }
}

/// A panic's payload that panics when it is dropped.
pub(super) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the drop of a payload");
    }
}
