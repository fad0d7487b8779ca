//! Where a pipeline's processors have their say: on values before they are encoded, on spans that begin and end, on events. Never under a lock: what
//! they see lies in scratch space, or in a span that has been taken out of the store.

use std::mem;

use tracing_core::field::Visit;
use tracing_core::{Event, span};

use super::OtlpLayer;
use super::callsite::Template;
use super::event::LEAST;
use super::open::New;
use super::processor::{Draft, Form, Processors, Spare};
use super::scratch::{self, Scratch};
use super::shard::Account;
use super::span::{OpenSpan, Place};
use super::store::{Closed, Taken};
use super::visit::{Bounds, Fields, Hooked};
use super::written::Written;
use crate::model::Status;
use crate::proto::trace::{self, Ids};
use crate::queue;
use crate::stats::DropReason;

impl OtlpLayer {
    /// Writes the fields of a new span where there is more to it: the attributes of its thread, and processors.
    #[cold]
    pub(super) fn write_more(
        &self,
        attributes: &span::Attributes<'_>,
        fields: &mut Fields<'_, false>,
    ) {
        if self.config.threads {
            fields.put_thread(self.parts.processors.as_ref());
        }
        self.visit(fields, |visitor| attributes.record(visitor));
    }

    /// Visits fields, by way of the processors if there are any.
    pub(super) fn visit<const LATE: bool>(
        &self,
        fields: &mut Fields<'_, LATE>,
        record: impl FnOnce(&mut dyn Visit),
    ) {
        let Some(processors) = &self.parts.processors else {
            return record(fields);
        };
        let mut raw = mem::take(&mut fields.scratch.raw);
        // What grows leaves a copy behind in memory that is freed.
        raw.reserve(scratch::KEPT);
        record(&mut Hooked {
            sink: &mut *fields,
            processors,
            raw: &mut raw,
            bytes: self.bounds.bytes,
        });
        scratch::keep_small(&mut raw);
        fields.scratch.raw = raw;
    }

    /// A span begins, of which this much is written.
    pub(super) fn begin_hooked(&self, new: &New<'_>, written: &mut Written, scratch: &mut Scratch) {
        let Some(processors) = &self.parts.processors else {
            return;
        };
        let before = written.truncated;
        let Scratch { record, spare, .. } = scratch;
        let is_kept = processors.start(Draft {
            metadata: Some(new.template.metadata),
            ids: new.place.ids,
            ..self.draft(Form::SPAN, record, written, spare)
        });
        written.is_set_aside = !is_kept;
        spare.keep_small();
        self.truncated(written.truncated.saturating_sub(before));
    }

    /// Shows a span to the processors that is open already: it is recorded only since it got a parent, or was begun by hand.
    #[cold]
    pub(super) fn begin_open(&self, id: u64) {
        let Some(processors) = &self.parts.processors else {
            return;
        };
        scratch::with(|scratch| {
            let Scratch {
                record,
                formatted: before,
                spare,
                is_touched,
                ..
            } = scratch;
            *is_touched = true;
            let copied = self.store.update(id, |span, _| {
                before.extend_from_slice(&span.record);
                (span.written, span.metadata, span.place.ids)
            });
            let Some((mut written, metadata, ids)) = copied else {
                return;
            };
            record.extend_from_slice(before);
            written.is_set_aside = !processors.start(Draft {
                metadata: Some(metadata),
                ids,
                ..self.draft(Form::SPAN, record, &mut written, spare)
            });
            spare.keep_small();
            self.store.update(id, |span, account| {
                let more = record.len().saturating_sub(span.record.len());
                // What another thread has recorded meanwhile goes before.
                if span.record == *before && span.make_room(more, &self.bounds, account) {
                    span.record.clear();
                    span.record.extend_from_slice(record);
                    span.written = written;
                } else {
                    span.written.is_set_aside = written.is_set_aside;
                }
            });
        });
    }

    /// Closes a span, as [`OtlpLayer::close`] does. `scope`: that of its target, unless it has one of its own.
    #[cold]
    pub(super) fn close_hooked(
        &self,
        processors: &Processors,
        id: u64,
        scope: Option<queue::Scope>,
        end_of: impl FnOnce(&mut OpenSpan, &mut Account) -> u64,
    ) -> Closed {
        let taken = self.store.take(id, end_of);
        let (mut span, end) = match taken {
            Taken::Nothing(closed) => return closed,
            Taken::Span(span, end) => (span, end),
        };
        let closed = Closed::of(span.is_hosted);
        let is_kept = self.keeps(processors, &mut span, end);
        if is_kept {
            self.finish(&mut span, end);
        }
        if scope.is_none() && self.parts.holder.is_on() {
            // Also where it is discarded: with it, its trace may be over.
            let decided = self.end_in_trace(id, &span, end, is_kept);
            self.carry_out(decided);
        } else if is_kept {
            let named = || queue::Scope::named(span.metadata.target());
            self.hand_over(&span, scope.unwrap_or_else(named));
        }
        if !is_kept && span.place.ids.flags & self.exported != 0 {
            self.parts.traces.ledger.refuse(DropReason::Processor);
        }
        self.store.give_back(id, span);
        closed
    }

    /// Asks the processors of a span that ends.
    fn keeps(&self, processors: &Processors, span: &mut OpenSpan, end: u64) -> bool {
        if span.written.is_set_aside {
            return false;
        }
        let before = span.written.truncated;
        let is_kept = scratch::with(|scratch| {
            let OpenSpan {
                record, written, ..
            } = span;
            let is_kept = processors.end(Draft {
                metadata: Some(span.metadata),
                ids: span.place.ids,
                end: Some(end),
                ..self.draft(Form::SPAN, record, written, &mut scratch.spare)
            });
            scratch.spare.keep_small();
            is_kept
        });
        self.truncated(span.written.truncated.saturating_sub(before));
        is_kept
    }

    /// Writes an event and appends it to its span, as [`OtlpLayer::add_event`] does. It is written once, so it gets the room that
    /// its span has beforehand.
    #[cold]
    pub(super) fn add_event_hooked(
        &self,
        template: &Template,
        event: &Event<'_>,
        id: u64,
        place: &Place,
        time: u64,
    ) {
        let Some(room) = self.room(id) else { return };
        if room < template.constants.len() + LEAST {
            return self.store.drop_event(id);
        }
        let bounds = Bounds {
            bytes: room.min(self.event_bounds.bytes),
            ..self.event_bounds
        };
        scratch::with(|scratch| {
            let visit = |fields: &mut Fields<'_, false>| {
                self.visit(fields, |visitor| event.record(visitor));
            };
            let mut written = self.begin_event(template, time, bounds, scratch, visit);
            let is_kept = self.end_event(
                Some(template),
                &place.ids,
                bounds.bytes,
                &mut written,
                scratch,
            );
            if written.dropped > 0 {
                scratch.is_touched = true;
                scratch.noted.is_limited = true;
                trace::put_event_dropped(&mut scratch.record, written.dropped);
            }
            self.truncated(written.truncated);
            self.append_or_drop(template, id, is_kept, scratch);
        });
    }

    /// Shows an event that is complete, but for its counts, to the processors; says whether it is kept.
    pub(super) fn end_event(
        &self,
        template: Option<&Template>,
        ids: &Ids,
        bytes: usize,
        written: &mut Written,
        scratch: &mut Scratch,
    ) -> bool {
        let Some(processors) = &self.parts.processors else {
            return true;
        };
        let Scratch { record, spare, .. } = scratch;
        let is_kept = processors.end(Draft {
            metadata: template.map(|template| template.metadata),
            ids: *ids,
            attributes: self.event_bounds.attributes,
            bytes,
            ..self.draft(Form::EVENT, record, written, spare)
        });
        spare.keep_small();
        is_kept
    }

    fn draft<'a>(
        &self,
        form: Form,
        message: &'a mut Vec<u8>,
        written: &'a mut Written,
        spare: &'a mut Spare,
    ) -> Draft<'a> {
        Draft {
            form,
            metadata: None,
            ids: Place::NOWHERE.ids,
            end: None,
            message,
            written,
            attributes: self.bounds.attributes,
            bytes: self.bounds.bytes,
            value: self.bounds.value,
            spare,
        }
    }

    /// A status that a program gives, as the processors leave it.
    pub(super) fn hooked_status(&self, status: Status) -> Status {
        match (&self.parts.processors, status) {
            (Some(processors), Status::Error(description)) => {
                let key = "otel.status_description";
                let description = processors.text(key, &description, self.bounds.bytes);
                Status::error(description.into_owned())
            }
            (_, status) => status,
        }
    }
}
