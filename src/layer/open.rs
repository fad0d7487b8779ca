//! A new span: its message begins, or only its place is kept.

use std::fmt::Debug;

use tracing_core::field::{Field, Visit};
use tracing_core::span::Attributes;

use super::OtlpLayer;
use super::activity::Activity;
use super::callsite::{Role, Template};
use super::ext;
use super::fresh::Start;
use super::scratch::{self, Scratch};
use super::shard::{Bare, Opened};
use super::span::{Extra, Place};
use super::visit::{Bounds, Fields};
use super::written::Written;
use crate::proto::trace;
use crate::sampler::{Decision, Sampling};
use crate::stats::DropReason;

/// A span that is being created.
#[derive(Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) template: &'a Template,
    pub(super) attributes: &'a Attributes<'a>,
    pub(super) id: u64,
    /// The parent's id and place.
    pub(super) parent: Option<(u64, Place)>,
    pub(super) place: Place,
    pub(super) start: Start,
}

impl OtlpLayer {
    /// A span that is recorded: its message begins.
    #[inline]
    pub(super) fn open_recorded(&self, new: &New<'_>) {
        scratch::with(|scratch| {
            let written = self.write_span(new, scratch);
            self.keep_span(new, &written, self.inherited(new).as_ref(), scratch);
        });
    }

    /// A span that is not recorded: only its place is kept.
    #[inline]
    pub(super) fn open_bare(&self, new: &New<'_>, is_lost: bool) {
        let extra = self.inherited(new);
        self.keep_bare(new, extra.as_ref(), is_lost);
    }

    /// The sampler wants to know more than ids, or will be asked later.
    #[cold]
    pub(super) fn open_slowly(&self, mut new: New<'_>, early: Option<Decision>) {
        if new.parent.is_none() && new.template.late_kind {
            new.start = Start::Undecided;
            return self.open_recorded(&new);
        }
        scratch::with(|scratch| {
            let written = self.write_span(&new, scratch);
            let mut extra = self.inherited(&new).unwrap_or_default();
            let Sampling {
                decision,
                attributes,
                trace_state,
            } = match early {
                Some(decision) => decision.into(),
                None => self.ask_for_child(&new, &extra, scratch),
            };
            new.place.decide(decision);
            if let Some(trace_state) = trace_state {
                extra.trace_state = trace_state;
                new.place.has_extra = !extra.is_empty();
            }
            if !new.place.is_recorded {
                return self.keep_bare(&new, Some(&extra), false);
            }
            trace::set_ids(&mut scratch.record, &new.place.ids, None);
            self.keep_span(&new, &written, Some(&extra), scratch);
            self.store.update(new.id, |span, account| {
                span.put_attributes(&attributes, &self.bounds, account)
            });
        });
    }

    /// A root that is created inside `with_remote_parent`.
    #[cold]
    pub(super) fn open_below_remote(&self, new: New<'_>) {
        self.open_recorded(&new);
        if let Some(parent) = ext::remote_parent() {
            // It has not started: it has just been made.
            let _ = self.set_parent(new.id, &parent);
        }
    }

    fn ask_for_child(&self, new: &New<'_>, extra: &Extra, scratch: &Scratch) -> Sampling {
        let parent = new.parent.map(|(_, place)| place.context(extra));
        let metadata = new.template.metadata;
        self.ask(parent.as_ref(), &new.place, metadata, &scratch.record)
    }

    /// What the parent carries along.
    #[inline]
    fn inherited(&self, new: &New<'_>) -> Option<Extra> {
        if !new.place.has_extra {
            return None;
        }
        new.parent.map(|(parent, _)| self.store.extra(parent))
    }

    /// Writes what is known of a new span into the scratch space.
    #[inline]
    fn write_span(&self, new: &New<'_>, scratch: &mut Scratch) -> Written {
        let start = self.parts.clock.at(new.place.epoch);
        trace::put_head(&mut scratch.record, &new.place.ids, start);
        if let Some((_, parent)) = &new.parent {
            trace::put_parent(&mut scratch.record, parent.ids.span);
        }
        scratch.record.extend_from_slice(&new.template.constants);
        let bounds = Bounds {
            attributes: self.bounds.attributes,
            bytes: self.bounds.bytes,
        };
        let written = Written::new(new.template);
        let mut fields = Fields::<false>::new(new.template, scratch, written, bounds);
        if self.config.threads {
            fields.put_thread();
        }
        new.attributes.record(&mut fields);
        self.truncated(fields.written.truncated);
        fields.written
    }

    #[inline]
    fn keep_span(
        &self,
        new: &New<'_>,
        written: &Written,
        extra: Option<&Extra>,
        scratch: &mut Scratch,
    ) {
        let opened = Opened {
            place: &new.place,
            start: new.start,
            extra,
            metadata: new.template.metadata,
            is_late: new.template.is_late,
            written,
        };
        if self.store.open(new.id, &opened, &mut scratch.record) {
            self.mirror.created(new.id, new.place);
            if self.tracks {
                self.begin_activity(new.id);
            }
        } else {
            self.parts.ledger.refuse(DropReason::OpenSpans);
            self.keep_bare(new, extra, true);
        }
    }

    /// From now on it is noted when the span is entered and left.
    #[cold]
    fn begin_activity(&self, id: u64) {
        self.store.update(id, |span, _| {
            span.activity = Activity::begin(trace::start_of(&span.record));
        });
    }

    #[inline]
    fn keep_bare(&self, new: &New<'_>, extra: Option<&Extra>, is_lost: bool) {
        let place = Place {
            is_recorded: false,
            ..new.place
        };
        let bare = Bare {
            place,
            start: new.start,
            metadata: new.template.metadata,
            missed: self.missed(new),
            is_lost,
        };
        self.store.open_bare(new.id, bare, extra);
        self.mirror.created(new.id, place);
    }

    /// How many attributes a span has that nobody wants, as far as a parent may still change that.
    #[inline]
    fn missed(&self, new: &New<'_>) -> u16 {
        let mut missed = Missed {
            template: new.template,
            attributes: 0,
        };
        new.attributes.record(&mut missed);
        missed.attributes
    }
}

/// Counts attributes.
struct Missed<'a> {
    template: &'a Template,
    attributes: u16,
}

impl Visit for Missed<'_> {
    fn record_debug(&mut self, field: &Field, _: &dyn Debug) {
        let is_attribute = |known: &super::callsite::Known| known.role == Role::Attribute;
        let count = self.template.known(field).is_some_and(is_attribute);
        self.attributes = self.attributes.saturating_add(u16::from(count));
    }
}
