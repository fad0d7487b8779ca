//! A new span: its message begins, or only its place is kept.

use std::fmt::Debug;

use tracing_core::Subscriber;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::OtlpLayer;
use super::callsite::{Known, Role, Template};
use super::ext;
use super::fresh::Start;
use super::registry;
use super::scratch::{self, Scratch};
use super::shard::{Bare, Opened};
use super::shed;
use super::span::{Extra, Place};
use super::visit::{Bounds, Fields};
use super::written::Written;
use crate::context::TraceState;
use crate::id::{SpanId, TraceId};
use crate::id_generator::IdGenerator;
use crate::proto::trace::{self, HAS_IS_REMOTE, IS_REMOTE, Ids, RANDOM, SAMPLED};
use crate::quiet;
use crate::sampler::{Decision, Parent, Sampling};
use crate::stats::DropReason;

/// A span that is being created.
#[derive(Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) template: &'a Template,
    pub(super) attributes: &'a Attributes<'a>,
    pub(super) id: u64,
    pub(super) parent: Option<Above>,
    pub(super) place: &'a Place,
    pub(super) start: Start,
}

/// The parent of a new span.
#[derive(Clone, Copy)]
pub(super) struct Above {
    pub(super) id: u64,
    pub(super) span: SpanId,
    pub(super) sampled: bool,
}

impl<'a> New<'a> {
    #[inline]
    pub(super) fn of(
        template: &'a Template,
        attributes: &'a Attributes<'a>,
        id: u64,
        parent: Option<Above>,
        place: &'a Place,
    ) -> Self {
        Self {
            template,
            attributes,
            id,
            parent,
            place,
            start: Start::Plain,
        }
    }
}

impl OtlpLayer {
    /// Makes `place` that of a new root, of which nothing is decided yet.
    #[inline(always)]
    pub(super) fn begin(&self, place: &mut Place) {
        let mut random = RANDOM;
        match &self.parts.id_generator {
            None => {
                place.ids.trace = TraceId::random();
                place.ids.span = SpanId::random();
            }
            Some(generator) => random = generate(&**generator, &mut place.ids),
        }
        place.ids.flags = HAS_IS_REMOTE | random;
        place.epoch = self.parts.clock.epoch();
        place.is_recorded = true;
        place.has_extra = false;
    }

    /// Makes the parent's place that of a new child, of which nothing is decided yet.
    #[inline]
    pub(super) fn descend(&self, place: &mut Place) {
        place.ids.flags &= !(SAMPLED | IS_REMOTE);
        match &self.parts.id_generator {
            None => place.ids.span = SpanId::random(),
            Some(generator) => generate_span(&**generator, &mut place.ids),
        }
    }

    /// The sampler's early decision. About a root whose trace id is not random it is always asked in full.
    #[inline]
    pub(super) fn early(&self, place: &Place, parent: Parent) -> Option<Decision> {
        let Ids { trace, flags, .. } = place.ids;
        if parent == Parent::None && flags & RANDOM == 0 {
            return None;
        }
        self.parts.sampler.early(trace, parent, place.has_extra)
    }

    /// A span that is not plain.
    #[inline(never)]
    pub(super) fn open_any<S>(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut place = Place::NOWHERE;
        let parent = registry::parent(self, attributes, id, context, &mut place);
        self.open(template, attributes, id.into_u64(), parent, &mut place);
    }

    /// `place`: the parent's, if there is one.
    pub(super) fn open(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
        parent: Option<u64>,
        place: &mut Place,
    ) {
        let above = parent.map(|id| Above {
            id,
            span: place.ids.span,
            sampled: place.ids.flags & SAMPLED != 0,
        });
        let early = match above {
            None => {
                self.begin(place);
                if ext::is_remote_parent_attached() {
                    return self.open_below_remote(template, attributes, id, place);
                }
                self.early(place, Parent::None)
            }
            Some(Above { sampled, .. }) => {
                if !sampled && shed::is_shed(place) {
                    return self.open_shed(template, id, parent, place);
                }
                self.descend(place);
                self.early(place, Parent::Local { sampled })
            }
        };
        if early == Some(Decision::RecordAndSample) {
            place.decide(Decision::RecordAndSample);
            self.open_sampled(template, attributes, id, above, place);
        } else if early == Some(Decision::Drop)
            && (above.is_some() || !self.awaits_parent(template))
        {
            place.decide(Decision::Drop);
            self.open_bare(template, attributes, id, parent, place);
        } else {
            self.open_slowly(New::of(template, attributes, id, above, place), early);
        }
    }

    /// A span that is sampled and whose place is decided: its message begins.
    ///
    /// Its parts come one by one, so that they stay in registers.
    #[inline(always)]
    pub(super) fn open_sampled<'a>(
        &self,
        template: &'a Template,
        attributes: &'a Attributes<'a>,
        id: u64,
        parent: Option<Above>,
        place: &'a Place,
    ) {
        if place.has_extra | self.is_hooked {
            return self.open_recorded(New::of(template, attributes, id, parent, place));
        }
        let mut scratch = scratch::take();
        let above = parent.map(|parent| parent.span);
        let fields = self.write_span(template, attributes, place, above, &mut scratch);
        let opened = Opened {
            place,
            start: Start::Plain,
            extra: None,
            metadata: template.metadata,
            is_late: template.is_late,
            written: &fields.written,
        };
        let record = &mut fields.scratch.record;
        if !self.keep_span(id, parent, &opened, record) {
            self.keep_lost(New::of(template, attributes, id, parent, place), None);
        }
        scratch::put_back(scratch);
    }

    /// A span that is recorded, whatever it carries along and whenever it starts.
    #[inline(never)]
    fn open_recorded(&self, new: New<'_>) {
        let extra = self.inherited(&new);
        scratch::with(|scratch| {
            let mut written = self.write_new(&new, scratch);
            self.begin_hooked(&new, &mut written, scratch);
            self.keep(new, &written, extra.as_ref(), &mut scratch.record);
        });
    }

    /// A span that is not recorded: only its place is kept.
    #[inline(always)]
    pub(super) fn open_bare(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
        parent: Option<u64>,
        place: &Place,
    ) {
        let bare = Bare {
            place: *place,
            start: Start::Plain,
            metadata: template.metadata,
            missed: missed(template, attributes),
            missed_links: 0,
            is_lost: false,
            is_hosted: false,
        };
        if place.has_extra {
            return self.keep_carrying(id, bare, parent);
        }
        self.keep_bare(id, bare, None);
    }

    #[inline(never)]
    pub(super) fn keep_carrying(&self, id: u64, bare: Bare, parent: Option<u64>) {
        let extra = parent.map(|parent| self.store.extra(parent));
        self.keep_bare(id, bare, extra.as_ref());
    }

    /// The sampler wants to know more than ids, or will be asked later.
    #[cold]
    pub(super) fn open_slowly(&self, mut new: New<'_>, early: Option<Decision>) {
        if new.parent.is_none() && self.awaits_parent(new.template) {
            new.start = Start::Undecided;
            return self.open_recorded(new);
        }
        scratch::with(|scratch| {
            let mut written = self.write_new(&new, scratch);
            let extra = self.inherited(&new).unwrap_or_default();
            let Sampling {
                decision,
                attributes,
                trace_state,
            } = match early {
                Some(decision) => decision.into(),
                None => self.ask_for_child(&new, &extra, scratch),
            };
            let mut place = *new.place;
            place.decide(decision);
            let new = New {
                place: &place,
                ..new
            };
            if !place.is_recorded {
                let bare = Bare {
                    place,
                    start: Start::Plain,
                    metadata: new.template.metadata,
                    missed: missed(new.template, new.attributes),
                    missed_links: 0,
                    is_lost: false,
                    is_hosted: false,
                };
                self.keep_bare(new.id, bare, Some(&extra));
                return self.carry(new.id, trace_state);
            }
            trace::set_ids(&mut scratch.record, &place.ids, None);
            self.begin_hooked(&new, &mut written, scratch);
            self.keep(new, &written, Some(&extra), &mut scratch.record);
            self.store.update(new.id, |span, account| {
                span.put_attributes(&attributes, &self.bounds, account)
            });
            self.carry(new.id, trace_state);
        });
    }

    /// A span that was just created carries the sampler's tracestate along, if there is room for it.
    fn carry(&self, id: u64, trace_state: Option<TraceState>) {
        if let Some(trace_state) = trace_state
            && let Some(place) = self.store.carry(id, trace_state)
        {
            self.mirror.created(id, &place);
        }
    }

    /// Whether a root of this callsite is likely to get a parent before it starts.
    #[inline]
    pub(super) fn awaits_parent(&self, template: &Template) -> bool {
        template.late_kind || self.is_surrounded()
    }

    /// A root that is created inside `with_remote_parent`.
    #[cold]
    pub(super) fn open_below_remote(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
        place: &Place,
    ) {
        self.open_undecided(template, attributes, id, place);
        if let Some(parent) = ext::remote_parent() {
            // It has not started: it has just been made.
            let _ = self.set_parent(id, &parent);
        }
    }

    /// A root about which is decided when it starts.
    pub(super) fn open_undecided(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
        place: &Place,
    ) {
        self.open_recorded(New {
            start: Start::Undecided,
            ..New::of(template, attributes, id, None, place)
        });
    }

    fn ask_for_child(&self, new: &New<'_>, extra: &Extra, scratch: &Scratch) -> Sampling {
        let parent = new.parent.map(|above| {
            let mut parent = *new.place;
            parent.ids.span = above.span;
            if above.sampled {
                parent.ids.flags |= SAMPLED;
            }
            parent.context(extra)
        });
        let metadata = new.template.metadata;
        self.ask(parent.as_ref(), new.place, metadata, &scratch.record)
    }

    /// What the parent carries along.
    fn inherited(&self, new: &New<'_>) -> Option<Extra> {
        if !new.place.has_extra {
            return None;
        }
        new.parent.map(|parent| self.store.extra(parent.id))
    }

    fn write_new(&self, new: &New<'_>, scratch: &mut Scratch) -> Written {
        let above = new.parent.map(|parent| parent.span);
        self.write_span(new.template, new.attributes, new.place, above, scratch)
            .written
    }

    /// Writes what is known of a new span into the scratch space.
    #[inline]
    fn write_span<'a>(
        &self,
        template: &'a Template,
        attributes: &Attributes<'_>,
        place: &Place,
        parent: Option<SpanId>,
        scratch: &'a mut Scratch,
    ) -> Fields<'a, false> {
        let start = self.parts.clock.at(place.epoch);
        trace::put_head(&mut scratch.record, &place.ids, start);
        if let Some(parent) = parent {
            trace::put_parent(&mut scratch.record, parent);
        }
        scratch.record.extend_from_slice(&template.constants);
        let bounds = Bounds {
            attributes: self.bounds.attributes,
            bytes: self.bounds.bytes,
        };
        let written = Written::new(template);
        let mut fields = Fields::<false>::new(template, scratch, written, bounds);
        if self.writes_more {
            self.write_more(attributes, &mut fields);
        } else {
            attributes.record(&mut fields);
        }
        self.truncated(fields.written.truncated);
        fields
    }

    fn keep(&self, new: New<'_>, written: &Written, extra: Option<&Extra>, record: &mut Vec<u8>) {
        let opened = Opened {
            place: new.place,
            start: new.start,
            extra,
            metadata: new.template.metadata,
            is_late: new.template.is_late,
            written,
        };
        if !self.keep_span(new.id, new.parent, &opened, record) {
            self.keep_lost(new, extra);
        }
    }

    /// `false`: there is no room for it.
    #[inline(always)]
    fn keep_span(
        &self,
        id: u64,
        parent: Option<Above>,
        opened: &Opened<'_>,
        record: &mut Vec<u8>,
    ) -> bool {
        if !self.store.open(id, opened, record) {
            return false;
        }
        self.mirror.created(id, opened.place);
        if self.parts.holder.is_on() {
            self.join_trace(id, parent.map(|parent| parent.id));
        }
        true
    }

    /// A span that would be recorded if there were room.
    #[cold]
    pub(super) fn keep_lost(&self, new: New<'_>, extra: Option<&Extra>) {
        self.parts.traces.ledger.refuse(DropReason::OpenSpans);
        let bare = Bare {
            place: Place {
                is_recorded: false,
                ..*new.place
            },
            start: if self.is_surrounded() && new.parent.is_none() {
                Start::Undecided
            } else {
                new.start
            },
            metadata: new.template.metadata,
            missed: 0,
            missed_links: 0,
            is_lost: true,
            is_hosted: false,
        };
        self.keep_bare(new.id, bare, extra);
    }

    /// Keeps the place of a span that is not recorded.
    #[inline(always)]
    fn keep_bare(&self, id: u64, bare: Bare, extra: Option<&Extra>) {
        self.store.open_bare(id, bare, extra);
        self.mirror.created(id, &bare.place);
    }
}

/// Ids of the program's own generator; returns the random flag if it says so.
#[cold]
fn generate(generator: &dyn IdGenerator, ids: &mut Ids) -> u32 {
    generate_span(generator, ids);
    let is_random = made(|| generator.is_random(), || false);
    ids.trace = made(|| generator.trace_id(), TraceId::random);
    if is_random { RANDOM } else { 0 }
}

#[cold]
fn generate_span(generator: &dyn IdGenerator, ids: &mut Ids) {
    ids.span = made(|| generator.span_id(), SpanId::random);
}

/// What the program's code makes; what we make where that panics.
fn made<T>(theirs: impl FnOnce() -> T, ours: impl FnOnce() -> T) -> T {
    quiet::guarded(theirs).unwrap_or_else(|_| ours())
}

/// How many attributes a span has that nobody wants, while a parent may still change that.
#[inline]
pub(super) fn missed(template: &Template, attributes: &Attributes<'_>) -> u16 {
    if template.has_no_fields() {
        return 0;
    }
    let mut missed = Missed {
        template,
        attributes: 0,
    };
    attributes.record(&mut missed);
    missed.attributes
}

/// Counts attributes.
struct Missed<'a> {
    template: &'a Template,
    attributes: u16,
}

impl Visit for Missed<'_> {
    fn record_debug(&mut self, field: &Field, _: &dyn Debug) {
        let is_attribute = |known: &Known| known.role == Role::Attribute;
        let count = self.template.any(field).is_some_and(is_attribute);
        self.attributes = self.attributes.saturating_add(u16::from(count));
    }
}
