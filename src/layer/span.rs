//! An open span: its bytes so far, and what has been counted.

use tracing_core::Metadata;

use super::visit::{Mark, What, Written};
use crate::proto::common;
use crate::proto::trace::{self, Code, Dropped, Ids};
use crate::proto::wire::{Content, Reader};

use super::store::Account;

/// A span's place in its trace, which its children and events take over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) ids: Ids,
    /// The clock's anchor of the trace's local root.
    pub(super) epoch: u64,
}

#[derive(Debug)]
pub(super) struct OpenSpan {
    pub(super) place: Place,
    pub(super) metadata: &'static Metadata<'static>,
    /// The message, less what [`OpenSpan::finish`] adds.
    pub(super) record: Vec<u8>,
    pub(super) written: Written,
    pub(super) events: u32,
    pub(super) links: u32,
    pub(super) dropped_events: u32,
    pub(super) dropped_links: u32,
    /// What this span takes of the budget.
    pub(super) charge: usize,
}

/// The bounds of a span as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanBounds {
    pub(super) bytes: usize,
    pub(super) attributes: u32,
    pub(super) events: u32,
    pub(super) links: u32,
}

impl OpenSpan {
    /// Appends an encoded event, or counts it.
    pub(super) fn add_event(&mut self, event: &[u8], bounds: &SpanBounds, account: &mut Account) {
        if self.events >= bounds.events || !self.make_room(event.len() + 6, bounds, account) {
            self.dropped_events += 1;
            return;
        }
        self.events += 1;
        trace::put_event(&mut self.record, event);
    }

    /// Appends a link, or counts it.
    pub(super) fn add_link(&mut self, to: &Ids, bounds: &SpanBounds, account: &mut Account) {
        if self.links >= bounds.links || !self.make_room(64, bounds, account) {
            self.dropped_links += 1;
            return;
        }
        self.links += 1;
        trace::put_link(&mut self.record, to);
    }

    /// Merges the fields of a late `record`, which stand in `fields` one after the other.
    pub(super) fn merge(
        &mut self,
        fields: &[u8],
        marks: &[Mark],
        bounds: &SpanBounds,
        account: &mut Account,
    ) {
        for (at, mark) in marks.iter().enumerate() {
            let end = marks
                .get(at + 1)
                .map_or(fields.len(), |next| next.start as usize);
            let field = &fields[mark.start as usize..end];
            if field.is_empty() && !matches!(mark.what, What::Status(_)) {
                continue;
            }
            // A replaced field leaves its room to the new one, which is not counted on here.
            if !self.make_room(field.len() + 16, bounds, account) {
                self.written.dropped += 1;
                continue;
            }
            self.merge_field(mark.what, field, bounds);
        }
    }

    fn merge_field(&mut self, what: What, field: &[u8], bounds: &SpanBounds) {
        match what {
            What::Attribute(bit) => {
                let Ok(Some((_, Content::Bytes(content)))) = Reader::new(field).next() else {
                    return;
                };
                let key = common::key_of(content);
                let replaced = self.written.may_have(bit)
                    && trace::cut_attribute(&mut self.record, field[0], key);
                if !replaced && !self.written.admit(bit, bounds.attributes) {
                    return;
                }
            }
            What::Name => {
                if std::mem::replace(&mut self.written.name, true) {
                    trace::cut_name(&mut self.record);
                }
            }
            What::Kind => {
                if std::mem::replace(&mut self.written.kind, true) {
                    trace::cut_kind(&mut self.record);
                }
            }
            What::Status(code) => {
                let description = std::str::from_utf8(field).unwrap_or_default();
                return self.written.set_status(&mut self.record, code, description);
            }
        }
        self.record.extend_from_slice(field);
    }

    /// An event of the level ERROR was recorded inside: the span has failed, unless its status is known. What an exception
    /// says is the description.
    pub(super) fn fail(&mut self, description: &str, bounds: &SpanBounds, account: &mut Account) {
        let known = self.written.status != Code::Unset && description.is_empty();
        if !known && self.make_room(description.len() + 16, bounds, account) {
            self.written
                .set_status(&mut self.record, Code::Error, description);
        }
    }

    /// Writes the end. The few bytes are not worth a charge: the record leaves for its chunk at once.
    pub(super) fn finish(&mut self, end: u64, late_name: bool, late_kind: bool) {
        if late_name && !self.written.name {
            trace::put_name(&mut self.record, self.metadata.name());
        }
        if late_kind && !self.written.kind {
            trace::put_kind(&mut self.record, trace::Kind::Internal);
        }
        let dropped = Dropped {
            attributes: self.written.dropped,
            events: self.dropped_events,
            links: self.dropped_links,
        };
        trace::put_end(&mut self.record, end, &dropped);
    }

    /// Makes sure that so many bytes more fit, within the record's bound and the budget.
    #[inline]
    fn make_room(&mut self, bytes: usize, bounds: &SpanBounds, account: &mut Account) -> bool {
        let needed = self.record.len() + bytes;
        if needed > bounds.bytes {
            return false;
        }
        needed <= self.record.capacity() || self.grow(needed, account)
    }

    #[cold]
    fn grow(&mut self, needed: usize, account: &mut Account) -> bool {
        let capacity = needed.next_power_of_two();
        let more = capacity - self.record.capacity();
        if !account.charge(more) {
            return false;
        }
        self.charge += more;
        self.record.reserve_exact(capacity - self.record.len());
        true
    }
}
