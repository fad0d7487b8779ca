//! When a span's place in its trace is fixed, and whether it is recorded.
//!
//! A span *starts* when it is entered, or has a child, an event or a link to it, or its context is asked for, or when it is
//! closed. Until then its parent may be set; after that nobody may, since others have seen its ids. The sampler is asked when a span
//! is created; of a root that will likely get a parent from another process (its callsite declares `otel.kind`) when it starts.

use tracing_core::Metadata;

use super::OtlpLayer;
use super::activity::Activity;
use super::asking;
use super::scratch;
use super::shard::Shard;
use super::shed::{SHED, is_shed};
use super::span::{Extra, Place};
use super::store::Settled;
use super::written::Written;
use crate::context::{Context, SpanContext, TraceFlags};
use crate::error::Error;
use crate::proto::trace::{self, HAS_IS_REMOTE, IS_REMOTE, Ids, RANDOM, SAMPLED, TRACE_FLAGS};
use crate::sampler::{Candidate, Decision, Parent, Sampling};
use crate::stats::DropReason;

/// The flags that a span takes over from its parent; of those that are not defined none, as whoever makes flags has to set them
/// (W3C Trace Context level 2, section 3.2.2.5.3). Until the sampler has decided, the sampled flag is the parent's.
fn inherited(parent: &SpanContext) -> u32 {
    u32::from(parent.flags().of_child(parent.is_sampled()).bits())
}

/// The place of a span below another parent.
fn below(place: &Place, parent: &SpanContext, shed: u32) -> Place {
    let remote = if parent.is_remote() { IS_REMOTE } else { 0 };
    Place {
        ids: Ids {
            trace: parent.trace_id(),
            span: place.ids.span,
            flags: HAS_IS_REMOTE | remote | shed | inherited(parent),
        },
        ..*place
    }
}

impl OtlpLayer {
    /// A span is entered that may not have started.
    #[cold]
    pub(super) fn enter_slowly(&self, id: u64) {
        if let Some(place) = self.settle(id) {
            self.learn(id, &place);
        }
    }

    /// Keeps the place of a span that is entered on this thread, unless its sampler is being asked.
    pub(super) fn learn(&self, id: u64, place: &Place) {
        if !asking::is_asked(self, id) {
            self.mirror.started(id, place);
        }
    }

    /// Where the span is, for good: it starts if it has not yet. `None` for a span that is not this layer's.
    #[inline]
    pub(super) fn settle(&self, id: u64) -> Option<Place> {
        if self.is_surrounded() {
            self.adopt(id);
        }
        match self.settled(id)? {
            Settled::At(place) => Some(place),
            Settled::Bidden => self.prepare(id).or_else(|| self.decide(id)),
            Settled::Undecided => self.decide(id),
        }
    }

    /// Starts the span, unless it is for others to say something first.
    #[inline]
    pub(super) fn settled(&self, id: u64) -> Option<Settled> {
        self.store.settle(id, |shard| self.fix_early(shard, id))
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
        if *parent == Context::default() || self.try_set_parent(id, parent) {
            return Ok(());
        }
        Err(if self.store.knows(id) {
            Error::started()
        } else {
            Error::disabled()
        })
    }

    /// As [`OtlpLayer::set_parent`]. `false`: the span has started, or is not this layer's, or the context is empty.
    pub(super) fn try_set_parent(&self, id: u64, parent: &Context) -> bool {
        if *parent == Context::default() {
            return false;
        }
        if self.put_created_below(id, parent) {
            return true;
        }
        let extra = Extra {
            trace_state: parent
                .span()
                .map(|span| span.trace_state().clone())
                .unwrap_or_default(),
            baggage: parent.baggage().clone(),
            debug: parent.is_debug(),
            deferred: parent.is_deferred(),
            charge: 0,
        };
        let changed = self.store.unsettled(id, |shard| match parent.span() {
            Some(span) => self.put_below(shard, id, span, extra),
            None => {
                shard.set_extra(id, extra);
                let is_debug = parent.is_debug() && !parent.is_denied();
                let is_new = is_debug && self.dress(shard, id);
                if parent.is_denied() {
                    self.deny(shard, id);
                } else if is_debug {
                    self.fix(shard, id, Decision::RecordAndSample);
                }
                is_new
            }
        });
        if changed == Some(true) {
            self.begin_open(id);
        }
        changed.is_some()
    }

    /// The common case: the span was created last on this thread, is recorded and stays so, and the parent carries nothing along. Then it
    /// need not be parked, since nobody else has a copy of its place. `false`: it is another case, and nothing has been done.
    fn put_created_below(&self, id: u64, parent: &Context) -> bool {
        let Some(span) = parent.span() else {
            return false;
        };
        let carries = !span.trace_state().is_empty() || !parent.baggage().is_empty();
        if carries || parent.is_debug() || parent.is_deferred() || !self.mirror.has_created(id) {
            return false;
        }
        let sampler = &self.parts.sampler;
        let early = sampler.early(span.trace_id(), asked(Some(span)), false);
        let Some(decision) = early.filter(|decision| *decision != Decision::Drop) else {
            return false;
        };
        let changed = self.store.while_last(id, |open| {
            if open.place.has_extra || is_shed(&open.place) {
                return None;
            }
            let mut place = below(&open.place, span, 0);
            place.decide(decision);
            open.set_place(place, Some(span.span_id()));
            Some(place)
        });
        if let Some(place) = changed {
            self.mirror.created(id, &place);
        }
        changed.is_some()
    }

    /// Called with the shard's lock: no user code runs. Says whether the span is recorded from now on, and was not before.
    fn put_below(&self, shard: &mut Shard, id: u64, parent: &SpanContext, extra: Extra) -> bool {
        let sampler = &self.parts.sampler;
        let shed = shard
            .state(id)
            .map_or(0, |(_, place)| place.ids.flags & SHED);
        let early = if shed != 0 {
            Some(Decision::Drop)
        } else if extra.debug {
            Some(Decision::RecordAndSample)
        } else {
            let parent_asked = asked(Some(parent).filter(|_| !extra.deferred));
            sampler.early(
                parent.trace_id(),
                parent_asked,
                !extra.trace_state.is_empty(),
            )
        };
        if let Some(decision) = early.filter(|decision| *decision != Decision::Drop)
            && extra.is_empty()
            && let Some(span) = shard.open.get_mut(id)
            && !span.place.has_extra
        {
            // As a rule: it is recorded, stays so, and nothing is carried along.
            let mut place = below(&span.place, parent, shed);
            place.decide(decision);
            span.start = span.start.decided();
            span.set_place(place, Some(parent.span_id()));
            return false;
        }
        let is_new = early != Some(Decision::Drop) && self.dress(shard, id);
        // Without a message there is nothing to show to a sampler: the parent decides.
        let is_lost = shard.bare.get(id).is_some_and(|bare| bare.is_lost);
        let as_parent = || is_lost.then(|| Decision::from_yes(parent.is_sampled()));
        let early = early.or_else(as_parent);
        if early == Some(Decision::Drop) {
            self.strip(shard, id);
        }
        let Some((start, place)) = shard.state(id) else {
            return is_new;
        };
        let mut place = below(place, parent, shed);
        *start = match early {
            None => start.undecided(),
            Some(decision) => {
                place.decide(decision);
                start.decided()
            }
        };
        shard.set_place(id, place, parent.span_id());
        shard.set_extra(id, extra);
        is_new
    }

    /// A caller does not want a trace that begins here. What a sampler does with such a parent counts.
    fn deny(&self, shard: &mut Shard, id: u64) {
        let Some((_, place)) = shard.state(id) else {
            return;
        };
        let denied = Parent::Remote { sampled: false };
        if self.parts.sampler.early(place.ids.trace, denied, false) == Some(Decision::Drop) {
            self.fix(shard, id, Decision::Drop);
        }
    }

    /// A span that was not recorded is from now on, with what its callsite knows. What it was told meanwhile counts as dropped.
    ///
    /// Says whether it is.
    fn dress(&self, shard: &mut Shard, id: u64) -> bool {
        let Some(bare) = shard.bare.get(id).copied().filter(|bare| !bare.is_lost) else {
            return false;
        };
        let template = self.templates.get(bare.metadata);
        let now = self.parts.clock.at(bare.place.epoch);
        let mut written = Written::new(template);
        written.dropped = written.dropped.saturating_add(bare.missed.into());
        let is_lost = scratch::with(|scratch| {
            trace::put_head(&mut scratch.record, &bare.place.ids, now);
            scratch.record.extend_from_slice(&template.constants);
            !shard.dress(id, template.is_late, &written, &mut scratch.record)
        });
        if is_lost {
            self.parts.traces.ledger.refuse(DropReason::OpenSpans);
        } else if let Some(span) = shard.open.get_mut(id) {
            // It begins now, as its message does.
            span.activity = Activity::begin(now);
        }
        !is_lost
    }

    /// Asks the sampler, now that the span starts.
    #[cold]
    fn decide(&self, id: u64) -> Option<Place> {
        let Some(_asking) = asking::begin(self, id) else {
            // The sampler itself records in the span, or asks for its context: it is where it will be, if nothing else is known.
            return self.store.place(id);
        };
        // Another thread may set another parent while the sampler is asked; the last answer holds in any case.
        for is_last in [false, false, true] {
            self.ask_once(id, is_last);
            if let Settled::At(place) = self.settled(id)? {
                return Some(place);
            }
        }
        None
    }

    /// Asks the sampler of a span, and does as it says if that still holds of the span, or is the last word.
    fn ask_once(&self, id: u64, is_last: bool) {
        scratch::with(|scratch| {
            let Some((place, metadata, extra)) = self.copied(id, &mut scratch.record) else {
                return;
            };
            let parent = parent(&place, &extra, &scratch.record);
            // A caller that leaves the decision to us is none as far as that goes.
            let parent = parent.filter(|_| !extra.deferred);
            let sampling = self.ask(parent.as_ref(), &place, metadata, &scratch.record);
            self.store.unsettled(id, |shard| {
                // Another thread may have been faster.
                if let Some((start, now)) = shard.state(id)
                    && start.is_undecided()
                    && (is_last || now.is_below_the_same(&place))
                {
                    self.apply(shard, id, sampling);
                }
            });
        });
    }

    /// Decides about a root that has got no parent until now, if the ids alone tell; says whether they do. Called with the shard's lock.
    #[cold]
    fn fix_early(&self, shard: &mut Shard, id: u64) -> bool {
        let record = shard.open.get(id).map_or(&[][..], |span| &span.record);
        if trace::parent_of(record).is_some() {
            return false;
        }
        let decision = shard
            .state(id)
            .and_then(|(_, place)| self.early(place, Parent::None));
        if let Some(decision) = decision {
            self.fix(shard, id, decision);
        }
        decision.is_some()
    }

    /// Nobody can be asked of the span, which is about to be closed: it is not recorded.
    pub(super) fn give_up(&self, id: u64) {
        self.store
            .unsettled(id, |shard| self.fix(shard, id, Decision::Drop));
        self.store.unbid(id);
    }

    /// What is known of a span that has not started; its message is copied. A root that the budget has no room for has none.
    fn copied(
        &self,
        id: u64,
        record: &mut Vec<u8>,
    ) -> Option<(Place, &'static Metadata<'static>, Extra)> {
        let copied = self.store.unsettled(id, |shard| {
            let extra = shard.extra(id);
            if let Some(span) = shard.open.get(id) {
                record.extend_from_slice(&span.record);
                return Some((span.place, span.metadata, extra));
            }
            let bare = shard.bare.get(id)?;
            Some((bare.place, bare.metadata, extra))
        });
        copied.flatten()
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
        let mut sampling = self.parts.sampler.sample(&candidate);
        if let Some(processors) = &self.parts.processors {
            processors.sampling(&mut sampling, self.bounds.bytes);
        }
        sampling
    }

    /// Does as the sampler says. Called with the shard's lock.
    fn apply(&self, shard: &mut Shard, id: u64, sampling: Sampling) {
        shard.apply_trace_state(id, sampling.trace_state);
        self.fix(shard, id, sampling.decision);
        let Shard { open, account, .. } = shard;
        if let Some(span) = open.get_mut(id) {
            span.put_attributes(&sampling.attributes, &self.bounds, account);
        }
    }

    /// From now on it is decided about a span that has not started. One that is not recorded so far stays so. Called with the
    /// shard's lock.
    fn fix(&self, shard: &mut Shard, id: u64, decision: Decision) {
        let Some((start, place)) = shard.state(id) else {
            return;
        };
        *start = start.decided();
        place.decide(decision);
        if decision == Decision::Drop {
            self.strip(shard, id);
        } else if let Some(span) = shard.open.get_mut(id) {
            trace::set_ids(&mut span.record, &span.place.ids, None);
        } else if let Some(bare) = shard.bare.get_mut(id) {
            bare.place.is_recorded = false;
        }
    }

    /// A span that was recorded is no longer. Its callsite's constants are not lost: they are known when it is recorded again.
    fn strip(&self, shard: &mut Shard, id: u64) {
        if let Some(span) = shard.open.get(id) {
            let constants = self.templates.get(span.metadata).constant_attributes;
            shard.strip(id, constants);
        }
    }
}

/// The parent of a span, of which this much is written.
fn parent(place: &Place, extra: &Extra, record: &[u8]) -> Option<SpanContext> {
    let Ids { trace, flags, .. } = place.ids;
    let (span, trace_state) = (trace::parent_of(record)?, extra.trace_state.clone());
    let trace_flags = TraceFlags::new((flags & TRACE_FLAGS) as u8);
    Some(if flags & IS_REMOTE != 0 {
        SpanContext::remote(trace, span, trace_flags, trace_state)
    } else {
        SpanContext::local(trace, span, trace_flags, trace_state)
    })
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
        let Ids { trace, span, .. } = self.ids;
        SpanContext::local(trace, span, self.flags(), extra.trace_state.clone())
    }

    /// The flags that others are told.
    pub(super) fn flags(&self) -> TraceFlags {
        TraceFlags::new((self.ids.flags & TRACE_FLAGS) as u8)
    }

    /// Whether a sampler would see the same of the parent.
    fn is_below_the_same(&self, other: &Self) -> bool {
        (self.ids.trace, self.ids.flags) == (other.ids.trace, other.ids.flags)
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
