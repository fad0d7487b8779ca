//! When a span's place in its trace is fixed, and whether it is recorded.
//!
//! A span *starts* when it is entered, or has a child, an event or a link to it, or its context is asked for. Until then its
//! parent may be set; after that nobody may, since others have seen its ids. The sampler is asked when a span is created; of a
//! root that will likely get a parent from another process (its callsite declares `otel.kind`) when it starts.

use tracing_core::Metadata;

use super::OtlpLayer;
use super::fresh::Start;
use super::scratch;
use super::shard::Shard;
use super::span::{Extra, Place};
use super::store::Settled;
use super::written::Written;
use crate::context::{Context, SpanContext, TraceFlags};
use crate::error::Error;
use crate::proto::trace::{self, HAS_IS_REMOTE, IS_REMOTE, Ids, RANDOM, SAMPLED};
use crate::sampler::{Candidate, Decision, Parent, Sampling};
use crate::stats::DropReason;

/// The flags that a span takes over from its parent; of those that are not defined none, as whoever makes flags has to set them
/// (W3C Trace Context level 2, section 3.2.2.5.3). Until the sampler has decided, the sampled flag is the parent's.
fn inherited(parent: &SpanContext) -> u32 {
    u32::from(parent.flags().of_child(parent.is_sampled()).bits())
}

/// The bits of Span.flags that are the trace's flags.
const TRACE_FLAGS: u32 = 0xFF;

impl OtlpLayer {
    /// A span is entered that may not have started.
    #[cold]
    pub(super) fn enter_slowly(&self, id: u64) {
        if let Some(place) = self.settle(id) {
            self.mirror.started(id, &place);
        }
    }

    /// Where the span is, for good: it starts if it has not yet. `None` for a span that is not this layer's.
    #[inline]
    pub(super) fn settle(&self, id: u64) -> Option<Place> {
        match self.store.settle(id)? {
            Settled::At(place) => Some(place),
            Settled::Undecided => self.decide(id),
        }
    }

    /// What others are told of the span: it starts if it has not yet.
    pub(super) fn context_of(&self, id: u64) -> Option<Context> {
        let place = self.settle(id)?;
        let extra = if place.has_extra {
            self.store.extra(id)
        } else {
            Extra::default()
        };
        let context = Context::from(place.context(&extra));
        Some(context.with_baggage(extra.baggage).with_debug(extra.debug))
    }

    /// Puts a span that has not started below another one, as a rule one of another process. An empty context changes nothing.
    ///
    /// # Errors
    ///
    /// The span has started, or is not this layer's.
    pub(super) fn set_parent(&self, id: u64, parent: &Context) -> Result<(), Error> {
        if *parent == Context::default() {
            return Ok(());
        }
        let extra = Extra {
            trace_state: parent
                .span()
                .map(|span| span.trace_state().clone())
                .unwrap_or_default(),
            baggage: parent.baggage().clone(),
            debug: parent.is_debug(),
            deferred: parent.is_deferred(),
        };
        let changed = self.store.unsettled(id, |shard| match parent.span() {
            Some(span) => self.put_below(shard, id, span, extra),
            None => {
                shard.set_extra(id, extra);
                if parent.is_denied() {
                    self.deny(shard, id);
                }
            }
        });
        match changed {
            Some(()) => Ok(()),
            None if self.store.knows(id) => Err(Error::started()),
            None => Err(Error::disabled()),
        }
    }

    /// Called with the shard's lock: no user code runs.
    fn put_below(&self, shard: &mut Shard, id: u64, parent: &SpanContext, extra: Extra) {
        let sampler = &self.parts.sampler;
        let early = if extra.debug {
            Some(Decision::RecordAndSample)
        } else {
            let parent_asked = asked(Some(parent).filter(|_| !extra.deferred));
            sampler.early(
                parent.trace_id(),
                parent_asked,
                !extra.trace_state.is_empty(),
            )
        };
        if early != Some(Decision::Drop) {
            self.dress(shard, id);
        }
        let Some((start, place)) = shard.state(id) else {
            return;
        };
        let remote = if parent.is_remote() { IS_REMOTE } else { 0 };
        let mut place = Place {
            ids: Ids {
                trace: parent.trace_id(),
                span: place.ids.span,
                flags: HAS_IS_REMOTE | remote | inherited(parent),
            },
            ..*place
        };
        *start = match early {
            None => Start::Undecided,
            Some(decision) => {
                place.decide(decision);
                Start::Parked
            }
        };
        shard.set_place(id, place, parent.span_id());
        shard.set_extra(id, extra);
        if early == Some(Decision::Drop) {
            shard.strip(id);
        }
    }

    /// A caller does not want a trace that begins here. What a sampler does with such a parent counts.
    fn deny(&self, shard: &mut Shard, id: u64) {
        let Some((_, place)) = shard.state(id) else {
            return;
        };
        let denied = Parent::Remote { sampled: false };
        if self.parts.sampler.early(place.ids.trace, denied, false) == Some(Decision::Drop) {
            place.decide(Decision::Drop);
            shard.strip(id);
        }
    }

    /// A span that was not recorded is from now on, with what its callsite knows. What it was told meanwhile nobody has looked at:
    /// all attributes that its callsite declares count as dropped.
    fn dress(&self, shard: &mut Shard, id: u64) {
        let Some(bare) = shard.bare.get(id).copied().filter(|bare| !bare.is_lost) else {
            return;
        };
        let template = self.templates.get(bare.metadata);
        let now = self.parts.clock.at(bare.place.epoch);
        let mut written = Written::new(template);
        written.dropped = written.dropped.saturating_add(template.declared());
        let is_lost = scratch::with(|scratch| {
            trace::put_head(&mut scratch.record, &bare.place.ids, now);
            scratch.record.extend_from_slice(&template.constants);
            !shard.dress(id, template.is_late, &written, &mut scratch.record)
        });
        if is_lost {
            self.parts.ledger.refuse(DropReason::OpenSpans);
        }
    }

    /// Asks the sampler, now that the span starts.
    #[cold]
    fn decide(&self, id: u64) -> Option<Place> {
        scratch::with(|scratch| {
            let copied = self.store.update(id, |span, _| {
                scratch.record.extend_from_slice(&span.record);
                (span.place, span.metadata, span.extra.clone())
            });
            let Some((place, metadata, extra)) = copied else {
                return;
            };
            let parent = trace::parent_of(&scratch.record).map(|span| {
                let parent = Ids { span, ..place.ids };
                SpanContext::remote(
                    parent.trace,
                    span,
                    TraceFlags::new(parent.flags as u8),
                    extra.trace_state.clone(),
                )
            });
            // A caller that leaves the decision to us is none as far as that goes.
            let parent = parent.filter(|_| !extra.deferred);
            let sampling = self.ask(parent.as_ref(), &place, metadata, &scratch.record);
            self.store.unsettled(id, |shard| {
                // Another thread may have been faster.
                if let Some((start @ Start::Undecided, _)) = shard.state(id) {
                    *start = Start::Parked;
                    self.apply(shard, id, sampling);
                }
            });
        });
        match self.store.settle(id)? {
            Settled::At(place) => Some(place),
            Settled::Undecided => None,
        }
    }

    /// What the sampler says of a span, of which this much is written.
    pub(super) fn ask(
        &self,
        parent: Option<&SpanContext>,
        place: &Place,
        metadata: &Metadata<'_>,
        record: &[u8],
    ) -> Sampling {
        if let Some(decision) = self.early(place, asked(parent)) {
            return decision.into();
        }
        let (name, kind) = trace::name_and_kind(record);
        let candidate = Candidate {
            parent,
            trace_id: place.ids.trace,
            is_random: place.ids.flags & RANDOM != 0,
            name: name.unwrap_or(metadata.name()),
            kind,
            target: metadata.target(),
            record,
        };
        self.parts.sampler.sample(&candidate)
    }

    /// Does as the sampler says. Called with the shard's lock.
    fn apply(&self, shard: &mut Shard, id: u64, sampling: Sampling) {
        if sampling.decision == Decision::Drop {
            if let Some((_, place)) = shard.state(id) {
                place.decide(Decision::Drop);
            }
            shard.apply_trace_state(id, sampling.trace_state);
            return shard.strip(id);
        }
        let Some((_, place)) = shard.state(id) else {
            return;
        };
        place.decide(sampling.decision);
        shard.apply_trace_state(id, sampling.trace_state);
        let Shard { open, account, .. } = shard;
        if let Some(span) = open.get_mut(id) {
            trace::set_ids(&mut span.record, &span.place.ids, None);
            span.put_attributes(&sampling.attributes, &self.bounds, account);
        }
    }
}

/// A parent as the sampler's early decision sees it.
fn asked(parent: Option<&SpanContext>) -> Parent {
    match parent {
        None => Parent::None,
        Some(parent) if parent.is_remote() => Parent::Remote {
            sampled: parent.is_sampled(),
        },
        Some(parent) => Parent::Local {
            sampled: parent.is_sampled(),
        },
    }
}

impl Place {
    /// What others are told of the span.
    pub(super) fn context(&self, extra: &Extra) -> SpanContext {
        let Ids { trace, span, flags } = self.ids;
        let flags = TraceFlags::new((flags & TRACE_FLAGS) as u8);
        SpanContext::local(trace, span, flags, extra.trace_state.clone())
    }

    /// Takes the sampler's decision over.
    #[inline]
    pub(super) fn decide(&mut self, decision: Decision) {
        self.is_recorded = decision != Decision::Drop;
        self.ids.flags &= !SAMPLED;
        if decision == Decision::RecordAndSample {
            self.ids.flags |= SAMPLED;
        }
    }
}
