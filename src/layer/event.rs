//! An event, and its way into its span.

use tracing_core::{Event, Level};

use super::OtlpLayer;
use super::callsite::Template;
use super::ext;
use super::failure::Failure;
use super::scratch::{self, Noted, Scratch};
use super::shard::Account;
use super::span::{OpenSpan, Place};
use super::visit::{Bounds, Fields};
use super::written::Written;
use crate::proto::trace::{self, Ids};
use crate::quiet::{self, Gate};

/// An event that is cut to fit has at least so many bytes beside its constants, or is left out.
pub(super) const LEAST: usize = 64;

/// Shows a span and those around it, from the inside out.
pub(super) type Ancestors<'a> = dyn Fn(u64, &mut dyn FnMut(u64)) + 'a;

/// An event with what is known of its surroundings.
pub(super) struct Happening<'a> {
    pub(super) event: &'a Event<'a>,
    pub(super) time: u64,
    /// The span that it belongs to,
    pub(super) span: Option<u64>,
    /// and that one's place.
    pub(super) place: Place,
    pub(super) ancestors: &'a Ancestors<'a>,
    /// Memory is not short, and it is not too deep in values that record.
    pub(super) is_plain: bool,
}

impl Happening<'_> {
    #[inline]
    pub(super) fn is_too_deep(&self) -> bool {
        !self.is_plain && quiet::gate() == Gate::TooDeep
    }

    /// Shows the span that it belongs to and those around that, from the inside out.
    pub(super) fn each_span_around(&self, mut see: impl FnMut(u64)) {
        if let Some(id) = self.span {
            (self.ancestors)(id, &mut see);
        }
    }

    /// Whether it belongs to a span, whose ids its place has: outside of any, to the one in another process that is attached to the
    /// thread.
    #[inline]
    pub(super) fn has_ids(&mut self) -> bool {
        self.span.is_some() || ext::is_remote_parent_attached() && self.take_attached()
    }

    #[cold]
    fn take_attached(&mut self) -> bool {
        let parent = ext::remote_parent();
        let Some(span) = parent.as_ref().and_then(|parent| parent.span()) else {
            return false;
        };
        self.place.ids = Ids {
            trace: span.trace_id(),
            span: span.span_id(),
            flags: u32::from(span.flags().bits()),
        };
        true
    }
}

impl OtlpLayer {
    /// An event in a span that is recorded.
    #[inline]
    pub(super) fn on_span_event(&self, template: &Template, happening: &Happening<'_>) {
        let Happening { event, time, .. } = *happening;
        let Some(id) = happening.span else { return };
        if happening.is_too_deep() {
            return self.store.drop_event(id);
        }
        if self.is_hooked {
            return self.add_event_hooked(template, event, id, &happening.place, time);
        }
        let mut scratch = scratch::take();
        self.add_event(template, event, id, time, &mut scratch);
        scratch::put_back(scratch);
    }

    /// An event in the span that was entered last, which is recorded.
    pub(super) fn add_plain_event(
        &self,
        template: &Template,
        event: &Event<'_>,
        id: u64,
        epoch: u64,
    ) {
        let time = self.parts.clock.at(epoch);
        let mut scratch = scratch::take();
        self.add_event(template, event, id, time, &mut scratch);
        scratch::put_back(scratch);
    }

    /// Writes an event and appends it to its span.
    #[inline(always)]
    pub(super) fn add_event(
        &self,
        template: &Template,
        event: &Event<'_>,
        id: u64,
        time: u64,
        scratch: &mut Scratch,
    ) {
        let truncated = self.write_event(template, event, time, self.event_bounds, scratch);
        if !scratch.is_touched
            && *template.metadata.level() != Level::ERROR
            && self.store.append_event(id, &scratch.record, &self.bounds)
        {
            return self.truncated(truncated);
        }
        self.append_any_event(template, event, id, time, truncated, scratch);
    }

    /// Appends an event that tells something of its span, or has no room.
    #[inline(never)]
    fn append_any_event(
        &self,
        template: &Template,
        event: &Event<'_>,
        id: u64,
        time: u64,
        truncated: u32,
        scratch: &mut Scratch,
    ) {
        match self.append_event(template, id, scratch) {
            Ok(()) => self.truncated(truncated),
            Err(room) => self.add_cut_event(template, event, id, time, room, scratch),
        }
    }

    /// The span has not as much room as the event wants: its values are cut to what there is.
    #[cold]
    fn add_cut_event(
        &self,
        template: &Template,
        event: &Event<'_>,
        id: u64,
        time: u64,
        room: usize,
        scratch: &mut Scratch,
    ) {
        if room >= template.constants.len() + LEAST {
            scratch.record.clear();
            scratch.noted.clear();
            // The end of the event and its last value's own frame come on top.
            let bounds = Bounds {
                bytes: room - LEAST / 2,
                ..self.event_bounds
            };
            let truncated = self.write_event(template, event, time, bounds, scratch);
            if self.append_event(template, id, scratch).is_ok() {
                return self.truncated(truncated);
            }
        }
        self.store.drop_event(id);
    }

    /// Returns how many values were cut.
    #[inline]
    fn write_event(
        &self,
        template: &Template,
        event: &Event<'_>,
        time: u64,
        bounds: Bounds,
        scratch: &mut Scratch,
    ) -> u32 {
        let visit = |fields: &mut Fields<'_, false>| event.record(fields);
        let written = self.begin_event(template, time, bounds, scratch, visit);
        if written.dropped > 0 {
            scratch.is_touched = true;
            scratch.noted.is_limited = true;
            trace::put_event_dropped(&mut scratch.record, written.dropped);
        }
        written.truncated
    }

    /// Writes all of an event but its counts.
    #[inline(always)]
    pub(super) fn begin_event(
        &self,
        template: &Template,
        time: u64,
        bounds: Bounds,
        scratch: &mut Scratch,
        visit: impl FnOnce(&mut Fields<'_, false>),
    ) -> Written {
        trace::put_event_time(&mut scratch.record, time);
        scratch.record.extend_from_slice(&template.constants);
        let written = Written::new(template);
        let mut fields = Fields::<false>::new(template, scratch, written, bounds);
        visit(&mut fields);
        if fields.scratch.noted.is_exception {
            fields.complete_exception();
        }
        let written = fields.written;
        if !written.name {
            let name = self.event_name(template, scratch);
            trace::put_event_name(&mut scratch.record, name);
        }
        written
    }

    /// The name of an event of which no field has given one: "the name of the event MUST be `exception`" (specification,
    /// exceptions), or the callsite's.
    fn event_name(&self, template: &Template, scratch: &Scratch) -> &'static str {
        if scratch.noted.is_exception && self.config.errors.exceptions {
            "exception"
        } else {
            template.metadata.name()
        }
    }

    /// Appends an event, or counts it where it is not wanted or has no room. What it tells of its span holds in any case.
    pub(super) fn append_or_drop(
        &self,
        template: &Template,
        id: u64,
        is_wanted: bool,
        scratch: &Scratch,
    ) {
        self.store.update(id, |span, account| {
            self.remark(template, span, &scratch.noted, account);
            if is_wanted {
                span.put_event(&scratch.record, &self.bounds, account);
            } else {
                span.written.discarded = span.written.discarded.saturating_add(1);
            }
        });
    }

    /// `Err`: the span has room for so many bytes.
    #[inline]
    fn append_event(&self, template: &Template, id: u64, scratch: &Scratch) -> Result<(), usize> {
        let appended = self.store.update(id, |span, account| {
            if scratch.is_touched || *template.metadata.level() == Level::ERROR {
                self.remark(template, span, &scratch.noted, account);
            }
            span.add_event(&scratch.record, &self.bounds, account)
        });
        appended.unwrap_or(Ok(()))
    }

    /// What an event tells of its span.
    #[cold]
    pub(super) fn remark(
        &self,
        template: &Template,
        span: &mut OpenSpan,
        noted: &Noted,
        account: &mut Account,
    ) {
        if noted.is_exception || *template.metadata.level() == Level::ERROR {
            self.fail(span, &Failure::of(noted), account);
        }
        span.is_limited |= noted.is_limited;
    }
}
