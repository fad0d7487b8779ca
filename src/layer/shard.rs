//! One shard of the store: the spans that are open, recorded or not, and their share of the budget.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use tracing_core::Metadata;

use super::activity::Activity;
use super::fresh::Start;
use super::span::{Extra, OpenSpan, Place};
use super::table::Table;
use super::tail::Member;
use super::written::Written;
use crate::context::TraceState;
use crate::id::SpanId;
use crate::queue::{Budget, CHUNK};

/// What an open span costs beside its buffer: itself, and its places in the table.
const FIXED: usize = size_of::<OpenSpan>() + 64;

/// Places of a shard's tables to begin with: most spans are recorded, or none.
const LEAST_OPEN: usize = 64;
const LEAST_BARE: usize = 8;

/// Freed spans keep their buffers up to this size,
const KEPT_BYTES: usize = 4 << 10;
/// and so many of them a shard.
const KEPT: usize = 1024;
/// So many also where memory is short, so that spans one after the other do not allocate just when there is the most to do.
const ALWAYS_KEPT: usize = 4;

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) open: Table<Box<OpenSpan>>,
    pub(super) bare: Table<Bare>,
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
            open: Table::new(LEAST_OPEN),
            bare: Table::new(LEAST_BARE),
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

    #[inline(always)]
    pub(super) fn keep(&mut self, id: u64, bare: Bare, extra: Option<&Extra>) {
        if bare.place.has_extra
            && let Some(extra) = extra
        {
            self.extras.insert(id, extra.clone());
        }
        self.bare.insert(id, bare);
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
        if self.state(id).is_none() {
            return;
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
                self.open.insert(id, span);
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

    #[inline]
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
            if !self.account.charge(charge) {
                return None;
            }
            let record = std::mem::take(record);
            return Some(Box::new(OpenSpan {
                place: *place,
                start,
                extra: opened.extra.cloned().unwrap_or_default(),
                metadata,
                is_late,
                is_limited: false,
                is_hosted: false,
                record,
                written: *written,
                events: 0,
                links: 0,
                dropped_events: 0,
                dropped_links: 0,
                activity: Activity::default(),
                member: Member::default(),
                charge,
            }));
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
        span.member = Member::default();
        span.charge = charge;
        Some(span)
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
        for span in self.free.drain(..) {
            self.account.refund(span.charge);
        }
        self.account.trim();
    }

    #[inline]
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
        let Some(step) = [missing.max(STEP), missing].into_iter().find(take) else {
            return false;
        };
        self.reserved += step;
        true
    }

    #[inline]
    fn refund(&mut self, bytes: usize) {
        self.used -= bytes;
        if self.reserved - self.used > 2 * STEP {
            self.budget.release(self.reserved - self.used - STEP);
            self.reserved = self.used + STEP;
        }
    }

    /// Gives back what was taken in advance.
    fn trim(&mut self) {
        self.budget.release(self.reserved - self.used);
        self.reserved = self.used;
    }

    #[inline]
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
