//! One shard of the store: the spans that are open, recorded or not, and their share of the budget.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use tracing_core::Metadata;

use super::activity::Activity;
use super::fresh::{Fresh, Start};
use super::newest::Newest;
use super::span::{Extra, OpenSpan, Place};
use super::tail::Member;
use super::written::Written;
use crate::context::TraceState;
use crate::id::SpanId;
use crate::proto::trace;
use crate::queue::{Budget, CHUNK};

/// What an open span costs beside its buffer: itself, and its places in the table.
const FIXED: usize = size_of::<OpenSpan>() + 64;

/// Places of a shard's tables to begin with: most spans are recorded, or none.
const LEAST_OPEN: usize = 64;
const LEAST_BARE: usize = 8;

/// What a span that is used again may be charged for and not need, so that buffers of a few sizes are exchanged without a look at the
/// account.
const SLACK: usize = 512;

/// Freed spans keep their buffers up to this size,
const KEPT_BYTES: usize = 4 << 10;
/// and so many of them a shard.
const KEPT: usize = 1024;
/// So many also where memory is short, so that spans one after the other do not allocate just when there is the most to do.
const ALWAYS_KEPT: usize = 4;

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) open: Newest<Box<OpenSpan>>,
    pub(super) bare: Newest<Bare>,
    /// Of bare spans.
    pub(super) extras: HashMap<u64, Extra>,
    #[allow(
        clippy::vec_box,
        reason = "a span moves between here and the table as its box"
    )]
    free: Vec<Box<OpenSpan>>,
    pub(super) account: Account,
}

/// A span that is not recorded, since it is not sampled or the budget has no room: it has a place, for its children and for
/// other processes. With its key 64 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bare {
    pub(super) place: Place,
    pub(super) start: Start,
    pub(super) metadata: &'static Metadata<'static>,
    /// Attributes that were recorded while nobody wanted them.
    pub(super) missed: u16,
    /// And links.
    pub(super) missed_links: u16,
    /// It would be recorded if there were room, and is counted as dropped.
    pub(super) is_lost: bool,
    /// A guest of the layer knows something of it.
    pub(super) is_hosted: bool,
}

// It is outside of the memory limit, so it has to be small.
const _: () = assert!(size_of::<Option<(u64, Bare)>>() <= 64);

/// What a new span brings along.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) place: &'a Place,
    pub(super) start: Start,
    pub(super) extra: Option<&'a Extra>,
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) is_late: bool,
    pub(super) written: &'a Written,
}

impl Shard {
    /// `record`: the largest record, for whose chunk there is always room.
    pub(super) fn new(budget: &Arc<Budget>, record: usize) -> Self {
        Self {
            open: Newest::new(LEAST_OPEN),
            bare: Newest::new(LEAST_BARE),
            extras: HashMap::new(),
            free: Vec::new(),
            account: Account {
                budget: Arc::clone(budget),
                record,
                reserved: 0,
                used: 0,
            },
        }
    }

    /// A span's start and place, whether it is recorded or not.
    #[inline]
    pub(super) fn state(&mut self, id: u64) -> Option<(&mut Start, &mut Place)> {
        let open = self.open.get_mut(id);
        match open {
            Some(span) => Some((&mut span.start, &mut span.place)),
            None => self
                .bare
                .get_mut(id)
                .map(|bare| (&mut bare.start, &mut bare.place)),
        }
    }

    pub(super) fn keep(&mut self, id: u64, bare: Bare, extra: Option<&Extra>) {
        if bare.place.has_extra
            && let Some(extra) = extra
        {
            self.extras.insert(id, extra.clone());
        }
        let _nothing_to_keep = self.bare.insert(id, bare);
    }

    /// Closes a span that is not recorded, if there is one; says whether a guest of the layer knows something of it.
    #[inline]
    pub(super) fn close_bare(&mut self, id: u64, fresh: &Fresh) -> bool {
        if !self.bare.is_newest(id) {
            return self.close_other_bare(id, fresh);
        }
        let Some(bare) = self.bare.place_mut() else {
            return false;
        };
        let (is_hosted, has_extra) = (bare.is_hosted, bare.place.has_extra);
        fresh.closed(id, bare.start);
        self.bare.retire();
        if has_extra {
            self.drop_extra(id);
        }
        is_hosted
    }

    #[inline(never)]
    fn close_other_bare(&mut self, id: u64, fresh: &Fresh) -> bool {
        let Some(bare) = self.bare.remove(id) else {
            return false;
        };
        fresh.closed(id, bare.start);
        if bare.place.has_extra {
            self.drop_extra(id);
        }
        bare.is_hosted
    }

    pub(super) fn insert(&mut self, id: u64, span: Box<OpenSpan>) {
        if let Some(left) = self.open.insert(id, span) {
            self.recycle(left);
        }
    }

    /// A guest of the layer knows something of a span. `false`: there is no such span.
    pub(super) fn host(&mut self, id: u64) -> bool {
        let open = self.open.get_mut(id).map(|span| &mut span.is_hosted);
        let bare = self.bare.get_mut(id).map(|bare| &mut bare.is_hosted);
        open.or(bare).map(|is_hosted| *is_hosted = true).is_some()
    }

    /// Gives a span that has not started another place, below this parent.
    pub(super) fn set_place(&mut self, id: u64, place: Place, parent: SpanId) {
        if let Some(span) = self.open.get_mut(id) {
            span.set_place(place, Some(parent));
        } else if let Some(bare) = self.bare.get_mut(id) {
            bare.place = Place {
                is_recorded: false,
                ..place
            };
        }
    }

    /// What a span that has not started carries along; of what the budget has no room for, the flags.
    pub(super) fn set_extra(&mut self, id: u64, mut extra: Extra) {
        match self.state(id) {
            Some((_, place)) if place.has_extra || !extra.is_empty() => {}
            _ => return,
        }
        self.drop_extra(id);
        let charge = extra.footprint();
        // Spans go before what others hand over with them.
        if self.account.budget.exceeds(1, 2) || !self.account.charge(charge) {
            (extra.trace_state, extra.baggage) = Default::default();
        } else {
            extra.charge = charge;
        }
        let has_extra = !extra.is_empty();
        if let Some((_, place)) = self.state(id) {
            place.has_extra = has_extra;
        }
        if let Some(span) = self.open.get_mut(id) {
            span.extra = extra;
        } else if has_extra {
            self.extras.insert(id, extra);
        }
    }

    /// What a span carries along is no longer needed.
    pub(super) fn drop_extra(&mut self, id: u64) {
        let extra = match self.open.get_mut(id) {
            Some(span) => Some(std::mem::take(&mut span.extra)),
            None => self.extras.remove(&id),
        };
        if let Some(extra) = extra {
            self.account.refund(extra.charge);
        }
    }

    /// What a child of a span carries along.
    pub(super) fn extra(&self, id: u64) -> Extra {
        let open = self.open.get(id).map(|span| &span.extra);
        open.or_else(|| self.extras.get(&id))
            .map(Extra::inherited)
            .unwrap_or_default()
    }

    /// The tracestate that a sampler wants instead of the parent's.
    pub(super) fn apply_trace_state(&mut self, id: u64, trace_state: Option<TraceState>) {
        if let Some(trace_state) = trace_state {
            let extra = Extra {
                trace_state,
                ..self.extra(id)
            };
            self.set_extra(id, extra);
        }
    }

    /// A span that was recorded is no longer; so many of its attributes were constants.
    pub(super) fn strip(&mut self, id: u64, constants: u32) {
        let Some(mut span) = self.open.remove(id) else {
            return;
        };
        let place = Place {
            is_recorded: false,
            ..span.place
        };
        let bare = Bare {
            place,
            start: span.start,
            metadata: span.metadata,
            missed: u16::try_from(span.written.attributes.saturating_sub(constants))
                .unwrap_or(u16::MAX),
            missed_links: u16::try_from(span.links.saturating_add(span.dropped_links))
                .unwrap_or(u16::MAX),
            is_lost: false,
            is_hosted: span.is_hosted,
        };
        let extra = std::mem::take(&mut span.extra);
        self.recycle(span);
        self.keep(id, bare, Some(&extra));
    }

    /// A span that was not recorded is from now on, with this message so far. `false`: the budget has no room.
    pub(super) fn dress(
        &mut self,
        id: u64,
        is_late: bool,
        written: &Written,
        record: &mut Vec<u8>,
    ) -> bool {
        let Some(bare) = self.bare.remove(id) else {
            return true;
        };
        let place = Place {
            is_recorded: true,
            ..bare.place
        };
        let extra = self.extras.remove(&id);
        let opened = Opened {
            place: &place,
            start: bare.start,
            extra: extra.as_ref(),
            metadata: bare.metadata,
            is_late,
            written,
        };
        match self.make(&opened, record) {
            Some(mut span) => {
                span.is_hosted = bare.is_hosted;
                span.dropped_links = bare.missed_links.into();
                self.insert(id, span);
            }
            None => {
                let lost = Bare {
                    is_lost: true,
                    ..bare
                };
                self.keep(id, lost, extra.as_ref());
                return false;
            }
        }
        true
    }

    /// Opens a span with what the last one has left, and this buffer instead of its own. `None`: nothing is left, or the budget has no
    /// room for the buffer.
    #[inline(always)]
    pub(super) fn renew(&mut self, id: u64, record: &mut Vec<u8>) -> Option<&mut OpenSpan> {
        if self.open.has_newest() {
            self.make_way();
        }
        let charge = FIXED + record.capacity();
        let Self { open, account, .. } = self;
        let span = open.renew(id, |left| {
            left.charge.wrapping_sub(charge) <= SLACK || account.exchange_for(left, charge)
        })?;
        std::mem::swap(&mut span.record, record);
        Some(span)
    }

    /// The newest span has a child, or a sibling that overlaps it.
    #[inline(never)]
    fn make_way(&mut self) {
        let left = self.free.pop();
        self.open.make_way(left);
    }

    /// Moves a span out of the table to the place beside it, to be closed there; says whether it is one of those that are recorded.
    #[inline(never)]
    pub(super) fn bring(&mut self, id: u64) -> bool {
        match self.open.remove(id) {
            Some(span) => self.insert(id, span),
            None => return false,
        }
        true
    }

    /// The span that stands beside the table has ended. What it leaves is for the next one, unless it is worth too much.
    #[inline(always)]
    pub(super) fn retire(&mut self) {
        self.open.retire();
        if let Some(span) = self.open.place_mut() {
            let is_kept = (span.record.capacity() <= KEPT_BYTES) & !span.place.has_extra;
            span.record.clear();
            if !is_kept {
                self.give_up_left();
            }
        }
    }

    #[cold]
    fn give_up_left(&mut self) {
        if let Some(left) = self.open.take_left() {
            self.recycle(left);
        }
    }

    pub(super) fn make(
        &mut self,
        opened: &Opened<'_>,
        record: &mut Vec<u8>,
    ) -> Option<Box<OpenSpan>> {
        let Opened {
            place,
            start,
            metadata,
            is_late,
            written,
            ..
        } = *opened;
        let charge = FIXED + record.capacity();
        let Some(mut span) = self.free.pop() else {
            return self.make_new(opened, record, charge);
        };
        if !self.account.exchange(span.charge, charge) {
            self.free.push(span);
            return None;
        }
        std::mem::swap(&mut span.record, record);
        (span.place, span.start) = (*place, start);
        if let Some(extra) = opened.extra {
            span.extra = extra.clone();
        }
        span.metadata = metadata;
        (span.is_late, span.is_limited, span.is_hosted) = (is_late, false, false);
        span.written = *written;
        (
            span.events,
            span.links,
            span.dropped_events,
            span.dropped_links,
        ) = (0, 0, 0, 0);
        span.activity = Activity::begin(trace::start_of(&span.record));
        span.member = Member::default();
        span.charge = charge;
        Some(span)
    }

    #[cold]
    fn make_new(
        &mut self,
        opened: &Opened<'_>,
        record: &mut Vec<u8>,
        charge: usize,
    ) -> Option<Box<OpenSpan>> {
        if !self.account.charge(charge) {
            return None;
        }
        let activity = Activity::begin(trace::start_of(record));
        Some(Box::new(OpenSpan {
            place: *opened.place,
            start: opened.start,
            extra: opened.extra.cloned().unwrap_or_default(),
            metadata: opened.metadata,
            is_late: opened.is_late,
            is_limited: false,
            is_hosted: false,
            record: std::mem::take(record),
            written: *opened.written,
            events: 0,
            links: 0,
            dropped_events: 0,
            dropped_links: 0,
            activity,
            member: Member::default(),
            charge,
        }))
    }

    /// A span comes back that may have grown outside.
    pub(super) fn take_back(&mut self, mut span: Box<OpenSpan>) {
        let more = (FIXED + span.record.capacity()).saturating_sub(span.charge);
        if more > 0 && self.account.charge(more) {
            span.charge += more;
        } else if more > 0 {
            // What is not charged is not kept.
            span.record = Vec::new();
        }
        self.recycle(span);
    }

    /// The memory limit was lowered: what is kept for later is given up.
    pub(super) fn trim(&mut self) {
        for span in self.free.drain(..).chain(self.open.take_left()) {
            self.account.refund(span.charge);
        }
        self.account.trim();
    }

    /// A span has ended, and its memory is used again, or freed.
    pub(super) fn recycle(&mut self, mut span: Box<OpenSpan>) {
        if span.place.has_extra {
            let extra = std::mem::take(&mut span.extra);
            self.account.refund(extra.charge);
        }
        let kept = self.free.len();
        let fits = span.record.capacity() <= KEPT_BYTES && kept < KEPT;
        // Beyond a quarter of the budget, memory is better given back than kept.
        if fits && (kept < ALWAYS_KEPT || !self.account.budget.exceeds(1, 4)) {
            span.record.clear();
            self.free.push(span);
        } else {
            self.account.refund(span.charge);
        }
    }
}

/// What open spans leave of the budget to chunks, so that what ends finds room: an eighth, or what the largest record takes.
pub(super) fn for_chunks(budget: &Budget, record: usize) -> usize {
    (budget.limit() / 8).max(record + CHUNK)
}

/// A shard's share of the budget: taken in steps, so that threads seldom meet at the budget's counter.
#[derive(Debug)]
pub(super) struct Account {
    budget: Arc<Budget>,
    record: usize,
    reserved: usize,
    used: usize,
}

const STEP: usize = 16 << 10;
/// Of the budget, this part at most.
const SHARE: usize = 2048;

impl Account {
    #[inline]
    pub(super) fn charge(&mut self, bytes: usize) -> bool {
        if self.used + bytes > self.reserved && !self.reserve(bytes) {
            return false;
        }
        self.used += bytes;
        true
    }

    #[cold]
    fn reserve(&mut self, bytes: usize) -> bool {
        let missing = self.used + bytes - self.reserved;
        let others = for_chunks(&self.budget, self.record);
        let take = |step: &usize| self.budget.reserve_leaving(*step, others);
        let Some(step) = [missing.max(self.step()), missing].into_iter().find(take) else {
            return false;
        };
        self.reserved += step;
        true
    }

    #[inline]
    fn refund(&mut self, bytes: usize) {
        self.used -= bytes;
        let step = self.step();
        if self.reserved - self.used > 2 * step {
            self.budget.release(self.reserved - self.used - step);
            self.reserved = self.used + step;
        }
    }

    /// What all shards together have in advance is no more than a few hundredths of the budget.
    fn step(&self) -> usize {
        STEP.min(self.budget.limit() / SHARE)
    }

    /// Gives back what was taken in advance.
    fn trim(&mut self) {
        self.budget.release(self.reserved - self.used);
        self.reserved = self.used;
    }

    /// A span is used again with a buffer of another size. `false`: there is no room.
    #[inline(never)]
    fn exchange_for(&mut self, span: &mut OpenSpan, charge: usize) -> bool {
        let has_room = self.exchange(span.charge, charge);
        if has_room {
            span.charge = charge;
        }
        has_room
    }

    fn exchange(&mut self, old: usize, new: usize) -> bool {
        if new > old {
            return self.charge(new - old);
        }
        if new < old {
            self.refund(old - new);
        }
        true
    }
}
