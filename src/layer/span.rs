//! An open span: its bytes so far, and what has been counted.

use tracing_core::Metadata;

use super::activity::Activity;
use super::callsite::Template;
use super::fresh::Start;
use super::scratch;
use super::tail::Member;
use super::user;
use super::visit::{Mark, What};
use super::written::{ErrorType, Written};
use crate::context::{Baggage, TraceState};
use crate::id::{SpanId, TraceId};
use crate::model::{SpanKind, Status, Value};
use crate::proto::common;
use crate::proto::trace::{self, Code, Dropped, Ids};
use crate::proto::value::{self, ValueBounds};
use crate::proto::wire::{Content, Reader};

use super::shard::Account;

/// More than the tags and lengths of an event or a status take.
const FRAME: usize = 16;

/// A span's place in its trace, which its children and events take over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) ids: Ids,
    /// The clock's anchor of the trace's local root.
    pub(super) epoch: u64,
    /// Whether the span is recorded, sampled or not.
    pub(super) is_recorded: bool,
    /// Whether there is an [`Extra`].
    pub(super) has_extra: bool,
}

impl Place {
    /// What stands where none is known.
    pub(super) const NOWHERE: Self = Self {
        ids: Ids {
            trace: TraceId::NONE,
            span: SpanId::NONE,
            flags: 0,
        },
        epoch: 0,
        is_recorded: false,
        has_extra: false,
    };
}

/// What else a trace carries along, if it came from another process or a sampler said so.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra {
    pub(super) trace_state: TraceState,
    pub(super) baggage: Baggage,
    /// B3's debug flag.
    pub(super) debug: bool,
    /// B3 leaves the decision to us.
    pub(super) deferred: bool,
    /// What it takes of the budget. Who inherits it shares its memory, and is not charged again.
    pub(super) charge: usize,
}

impl Extra {
    pub(super) fn is_empty(&self) -> bool {
        self.trace_state.is_empty() && self.baggage.is_empty() && !self.debug && !self.deferred
    }

    /// The same for a child.
    pub(super) fn inherited(&self) -> Self {
        Self {
            charge: 0,
            ..self.clone()
        }
    }

    pub(super) fn footprint(&self) -> usize {
        self.trace_state.as_str().len() + self.baggage.footprint()
    }
}

#[derive(Debug)]
pub(super) struct OpenSpan {
    pub(super) place: Place,
    pub(super) start: Start,
    pub(super) extra: Extra,
    pub(super) metadata: &'static Metadata<'static>,
    /// Whether the callsite leaves the name or the kind to the end.
    pub(super) is_late: bool,
    /// Whether a limit has left something of an event or a link out.
    pub(super) is_limited: bool,
    /// Whether a guest of the layer knows something of it.
    pub(super) is_hosted: bool,
    /// The message, less what [`OpenSpan::finish`] adds.
    pub(super) record: Vec<u8>,
    pub(super) written: Written,
    pub(super) events: u32,
    pub(super) links: u32,
    pub(super) dropped_events: u32,
    pub(super) dropped_links: u32,
    /// Only kept where the pipeline wants to know.
    pub(super) activity: Activity,
    pub(super) member: Member,
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
    pub(super) attributes_per_link: u32,
    pub(super) value: ValueBounds,
}

impl OpenSpan {
    /// Makes it a new span, which reuses the buffer and nothing else of the last one.
    #[inline(always)]
    pub(super) fn begin(&mut self, place: Place, template: &Template, written: Written) {
        self.place = place;
        self.start = Start::Plain;
        self.metadata = template.metadata;
        (self.is_late, self.is_limited, self.is_hosted) = (template.is_late, false, false);
        self.written = written;
        (self.events, self.links) = (0, 0);
        (self.dropped_events, self.dropped_links) = (0, 0);
        self.member = Member::default();
    }

    /// Appends an encoded event, if no limit is in its way and the buffer has room for it.
    #[inline(always)]
    pub(super) fn append_event(&mut self, event: &[u8], bounds: &SpanBounds) -> bool {
        let needed = self.record.len() + event.len() + FRAME;
        let room = self.record.capacity().min(bounds.bytes);
        if needed > room || self.events >= bounds.events {
            return false;
        }
        self.events += 1;
        trace::put_event(&mut self.record, event);
        true
    }

    /// Appends an encoded event. `Err`: it has no room, and so many bytes would have; it is not counted.
    #[inline]
    pub(super) fn add_event(
        &mut self,
        event: &[u8],
        bounds: &SpanBounds,
        account: &mut Account,
    ) -> Result<(), usize> {
        if self.events >= bounds.events {
            self.dropped_events = self.dropped_events.saturating_add(1);
            return Ok(());
        }
        if self.record.len() + event.len() + FRAME > bounds.bytes {
            return Err(bounds.bytes.saturating_sub(self.record.len() + FRAME));
        }
        let needed = self.record.len() + event.len() + FRAME;
        if needed > self.record.capacity() && !self.grow(needed, account) {
            self.dropped_events = self.dropped_events.saturating_add(1);
            return Ok(());
        }
        self.events += 1;
        trace::put_event(&mut self.record, event);
        Ok(())
    }

    /// Merges the fields of a late `record`, which stand in `fields` one after the other. Returns how many values were cut.
    pub(super) fn merge(
        &mut self,
        fields: &[u8],
        marks: &[Mark],
        bounds: &SpanBounds,
        account: &mut Account,
    ) -> u32 {
        let mut cut = 0;
        for (at, mark) in marks.iter().enumerate() {
            let end = marks
                .get(at + 1)
                .map_or(fields.len(), |next| next.start as usize);
            let field = fields.get(mark.start as usize..end).unwrap_or_default();
            match mark.what {
                What::Attribute(bit) => cut += self.merge_attribute(bit, field, bounds, account),
                What::Name => cut += self.set_name(field, bounds, account),
                What::Kind => {
                    if std::mem::replace(&mut self.written.kind, true) {
                        trace::cut_kind(&mut self.record);
                    }
                    // Two bytes, whether or not there is room.
                    self.make_place(field.len(), bounds, account);
                    self.record.extend_from_slice(field);
                }
                What::Status(code) => {
                    let description = std::str::from_utf8(field).unwrap_or_default();
                    self.set_status(code, description, bounds, account);
                }
            }
        }
        cut
    }

    /// An attribute takes the place of an older one, and as much room as there is.
    fn merge_attribute(
        &mut self,
        bit: u64,
        field: &[u8],
        bounds: &SpanBounds,
        account: &mut Account,
    ) -> u32 {
        let Some(content) = content(field) else {
            return 0;
        };
        let key = common::key_of(content);
        if key == common::ERROR_TYPE {
            self.written.error_type = ErrorType::Theirs;
        }
        let replaced =
            self.written.may_have(bit) && trace::cut_attribute(&mut self.record, field[0], key);
        if !replaced && !self.written.admit(bit, bounds.attributes) {
            return 0;
        }
        if self.make_room(field.len(), bounds, account) {
            self.record.extend_from_slice(field);
            return 0;
        }
        let room = bounds.bytes.saturating_sub(self.record.len());
        if let Some((text, head)) = common::text_of(field)
            && room > head
            && self.make_room(room, bounds, account)
        {
            common::put_text_like(&mut self.record, field, user::fitting(text, room - head));
            return 1;
        }
        self.written.attributes -= 1;
        self.written.dropped = self.written.dropped.saturating_add(1);
        0
    }

    /// Attributes that came by name.
    pub(super) fn put_attributes(
        &mut self,
        attributes: &[(impl AsRef<str>, Value<'_>)],
        bounds: &SpanBounds,
        account: &mut Account,
    ) {
        if attributes.is_empty() {
            return;
        }
        scratch::with(|scratch| {
            let attribute = &mut scratch.record;
            for (key, value) in attributes {
                attribute.clear();
                value::put_attribute(
                    attribute,
                    trace::SPAN_ATTRIBUTE,
                    key.as_ref(),
                    value,
                    &bounds.value,
                );
                if !attribute.is_empty() {
                    self.put_attribute(attribute, bounds, account);
                }
            }
        });
    }

    /// A name has a few bytes whether or not there is room; more of it where there is.
    fn set_name(&mut self, field: &[u8], bounds: &SpanBounds, account: &mut Account) -> u32 {
        if std::mem::replace(&mut self.written.name, true) {
            trace::cut_name(&mut self.record);
        }
        let Ok(Some((_, Content::Bytes(name)))) = Reader::new(field).next() else {
            return 0;
        };
        let name = std::str::from_utf8(name).unwrap_or_default();
        let room = bounds.bytes.saturating_sub(self.record.len() + FRAME);
        let kept = user::fitting(name, room.max(FRAME));
        if self.make_place(kept.len() + FRAME, bounds, account) || kept.len() <= FRAME {
            trace::put_name(&mut self.record, kept);
        } else {
            trace::put_name(&mut self.record, user::fitting(kept, FRAME));
        }
        u32::from(kept.len() < name.len())
    }

    /// An event of the level ERROR was recorded inside: the span has failed, unless its status is known. What an exception
    /// says is the description.
    pub(super) fn fail(&mut self, description: &str, bounds: &SpanBounds, account: &mut Account) {
        if self.written.status == Code::Unset || !description.is_empty() {
            self.set_status(Code::Error, description, bounds, account);
        }
    }

    /// A status has its few bytes whether or not there is room; its description only where there is.
    fn set_status(
        &mut self,
        code: Code,
        description: &str,
        bounds: &SpanBounds,
        account: &mut Account,
    ) {
        let room = bounds.bytes.saturating_sub(self.record.len() + FRAME);
        let description = user::fitting(description, room);
        let fits = self.make_place(description.len() + FRAME, bounds, account);
        self.written
            .set_status(&mut self.record, code, if fits { description } else { "" });
    }

    /// Writes the name and the kind where they were left to the end, and no field has given them.
    pub(super) fn complete(&mut self, late_name: bool, late_kind: bool) {
        if late_name && !self.written.name {
            trace::put_name(&mut self.record, self.metadata.name());
        }
        if late_kind && !self.written.kind {
            trace::put_kind(&mut self.record, SpanKind::Internal);
        }
    }

    /// Takes another place. The few bytes of a parent are not worth a charge.
    pub(super) fn set_place(&mut self, place: Place, parent: Option<SpanId>) {
        self.place = place;
        self.member.leave();
        trace::set_ids(&mut self.record, &place.ids, parent);
    }

    /// Writes the end. The few bytes are not worth a charge: the record leaves for its chunk at once. Returns whether a limit
    /// has left something out.
    pub(super) fn finish(&mut self, end: u64) -> bool {
        if self.place.has_extra {
            trace::put_trace_state(&mut self.record, self.extra.trace_state.as_str());
        }
        let dropped = Dropped {
            attributes: self.written.dropped,
            events: self.dropped_events,
            links: self.dropped_links,
        };
        let is_limited =
            self.is_limited || dropped.attributes | dropped.events | dropped.links != 0;
        // What a processor has discarded is told, and exceeds no limit.
        let events = dropped.events.saturating_add(self.written.discarded);
        trace::put_end(&mut self.record, end);
        trace::put_dropped(&mut self.record, &Dropped { events, ..dropped });
        is_limited
    }

    /// Whether its end alone does not complete the message.
    #[inline]
    pub(super) fn has_more_to_tell(&self) -> bool {
        let dropped = self.written.dropped | self.dropped_events | self.dropped_links;
        self.is_late | self.is_limited | self.place.has_extra | (dropped != 0)
    }

    /// Makes sure that so many bytes more fit, within the record's bound and the budget.
    #[inline]
    pub(super) fn make_room(
        &mut self,
        bytes: usize,
        bounds: &SpanBounds,
        account: &mut Account,
    ) -> bool {
        let needed = self.record.len() + bytes;
        if needed > bounds.bytes {
            return false;
        }
        needed <= self.record.capacity() || self.grow(needed, account)
    }

    /// As [`OpenSpan::make_room`], for what has a few bytes in any case: where there is no room for it, these, and no more, since what a
    /// buffer doubles by would be charged to nobody.
    fn make_place(&mut self, bytes: usize, bounds: &SpanBounds, account: &mut Account) -> bool {
        let fits = self.make_room(bytes, bounds, account);
        if !fits {
            self.record.reserve_exact(bytes.min(2 * FRAME));
        }
        fits
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

    /// An attribute that came by name takes the place of an older one of its key, also where no more attributes are allowed
    /// (specification, set attribute). Returns how many values were cut.
    pub(super) fn put_attribute(
        &mut self,
        attribute: &[u8],
        bounds: &SpanBounds,
        account: &mut Account,
    ) -> u32 {
        // It may have the key of any field, also of one that is recorded later: from now on each of them is looked for.
        self.written.keys = u64::MAX;
        self.merge_attribute(0, attribute, bounds, account)
    }

    /// Another name, whether the callsite or a field gave the last one.
    pub(super) fn rename(
        &mut self,
        name: &[u8],
        bounds: &SpanBounds,
        account: &mut Account,
    ) -> u32 {
        self.written.name = true;
        self.set_name(name, bounds, account)
    }

    /// The status as [`Status`] says it. Of two errors the last one counts, also where it has no description.
    pub(super) fn put_status(
        &mut self,
        status: &Status,
        bounds: &SpanBounds,
        account: &mut Account,
    ) {
        let (code, description) = match status {
            Status::Unset => return,
            Status::Ok => (Code::Ok, ""),
            Status::Error(description) => (Code::Error, &**description),
        };
        if code == Code::Error && self.written.status == Code::Error {
            trace::cut_status(&mut self.record);
            self.written.status = Code::Unset;
        }
        self.set_status(code, description, bounds, account);
    }

    /// Appends an encoded link, or counts it.
    pub(super) fn put_link(&mut self, link: &[u8], bounds: &SpanBounds, account: &mut Account) {
        if self.links >= bounds.links || !self.make_room(link.len() + FRAME, bounds, account) {
            self.dropped_links = self.dropped_links.saturating_add(1);
            return;
        }
        self.links += 1;
        trace::put_encoded_link(&mut self.record, link);
    }

    /// Appends an encoded event, or counts it.
    pub(super) fn put_event(&mut self, event: &[u8], bounds: &SpanBounds, account: &mut Account) {
        if self.add_event(event, bounds, account).is_err() {
            self.dropped_events = self.dropped_events.saturating_add(1);
        }
    }
}

/// What stands in an attribute's field.
#[inline]
fn content(field: &[u8]) -> Option<&[u8]> {
    if let [_, len @ ..0x80, content @ ..] = field
        && content.len() == usize::from(*len)
    {
        return Some(content);
    }
    match Reader::new(field).next() {
        Ok(Some((_, Content::Bytes(content)))) => Some(content),
        _ => None,
    }
}
