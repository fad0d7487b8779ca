//! The open spans: our own store, keyed by the Registry's span id.
//!
//! Shards are chosen by the part of the id that names the thread which opened the span, so threads meet in a shard only
//! where one works on another's span. A lock is held for a copy of some hundred bytes and never while user code runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;

use super::callsite::Template;
use super::fresh::{Entered, Fresh, Start};
use super::open_spans::Copies;
use super::shard::{Account, Bare, Opened, Shard};
use super::span::{Extra, OpenSpan, Place, SpanBounds};
use super::written::Written;
use crate::context::TraceState;
use crate::proto::trace;
use crate::queue::Budget;

const SHARDS: usize = 64;

/// Places of a shard's table that are looked at under one lock, where all are looked at.
const AT_ONCE: usize = 512;

/// In the Registry's ids (sharded-slab's), the bits above these tell the thread. Another registry's ids may all fall into
/// one shard: slower, and right.
pub(super) const THREAD_SHIFT: u32 = 38;

#[derive(Clone, Debug)]
pub(super) struct Store {
    // Of a known length: no bounds are checked. Shared with who looks at the open spans from outside.
    shards: Arc<[CachePadded<Part>; SHARDS]>,
}

#[derive(Debug)]
struct Part {
    fresh: Fresh,
    shard: Mutex<Shard>,
}

/// A shard whose lock is held.
struct Held<'a> {
    fresh: &'a Fresh,
    shard: MutexGuard<'a, Shard>,
}

/// What is taken out of the store when a span is closed.
pub(super) enum Taken<T> {
    /// A span that was recorded, and what was made of it before.
    Span(Box<OpenSpan>, T),
    /// Nothing was recorded, or nothing is closed.
    Nothing(Closed),
}

/// What becomes of a span that is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It is.
    Now,
    /// It is, and a guest of the layer knows something of it.
    Hosted,
    /// It is not: first, its sampler has to be asked.
    Undecided,
}

impl Closed {
    #[inline]
    pub(super) fn of(is_hosted: bool) -> Self {
        if is_hosted { Self::Hosted } else { Self::Now }
    }
}

/// What a span is told when it has to have started.
#[derive(Debug)]
pub(super) enum Settled {
    /// It has: this is its place for good.
    At(Place),
    /// First, the guests of the layer have to be told.
    Bidden,
    /// First, its sampler has to be asked.
    Undecided,
}

impl Store {
    pub(super) const SHARDS: usize = SHARDS;

    /// `record`: the largest record.
    pub(super) fn new(budget: &Arc<Budget>, record: usize) -> Self {
        let part = || Part {
            fresh: Fresh::new(),
            shard: Mutex::new(Shard::new(budget, record)),
        };
        Self {
            shards: Arc::new(std::array::from_fn(|_| CachePadded::new(part()))),
        }
    }

    /// The memory limit was lowered: what is kept for spans to come is given up.
    pub(super) fn trim(&self) {
        let parts = self.shards.iter();
        parts.for_each(|part| Self::hold_part(part).shard.trim());
    }

    #[inline]
    fn part(&self, id: u64) -> &Part {
        &self.shards[(id.wrapping_sub(1) >> THREAD_SHIFT) as usize % SHARDS]
    }

    #[inline]
    fn hold(&self, id: u64) -> Held<'_> {
        Self::hold_part(self.part(id))
    }

    #[inline]
    fn hold_part(part: &Part) -> Held<'_> {
        let Part { fresh, shard } = part;
        // What a shard holds is whole after each statement, so a panic of another holder leaves it usable.
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        Held { fresh, shard }
    }

    /// As [`Store::open`], of a span that brings nothing along but its place: with what the last one that was closed has left.
    ///
    /// What it is made of comes one by one, so that it stays in registers.
    #[inline(always)]
    pub(super) fn open_plain(
        &self,
        id: u64,
        place: Place,
        template: &Template,
        written: Written,
        record: &mut Vec<u8>,
    ) -> bool {
        let part = self.part(id);
        let mut shard = part.shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(span) = shard.renew(id, record) else {
            drop(shard);
            return self.open_new(id, place, template, written, record);
        };
        span.begin(place, template, written);
        if let Some(pushed_out) = part.fresh.created(id) {
            Self::park(part, shard, pushed_out);
        }
        true
    }

    /// As [`Store::open_bare`], of a span that brings nothing along but its place.
    #[inline(always)]
    pub(super) fn open_plain_bare(&self, id: u64, bare: Bare) {
        let part = self.part(id);
        let mut shard = part.shard.lock().unwrap_or_else(PoisonError::into_inner);
        match shard.bare.renew(id, |_| true) {
            Some(left) => *left = bare,
            None => shard.keep(id, bare, None),
        }
        if let Some(pushed_out) = part.fresh.created(id) {
            Self::park(part, shard, pushed_out);
        }
    }

    #[cold]
    fn open_new(
        &self,
        id: u64,
        place: Place,
        template: &Template,
        written: Written,
        record: &mut Vec<u8>,
    ) -> bool {
        let opened = Opened {
            place: &place,
            start: Start::Plain,
            extra: None,
            metadata: template.metadata,
            is_late: template.is_late,
            written: &written,
        };
        self.open(id, &opened, record)
    }

    #[cold]
    fn park(part: &Part, shard: MutexGuard<'_, Shard>, id: u64) {
        let fresh = &part.fresh;
        Held { fresh, shard }.park(id);
    }

    /// Opens a span whose message so far is `record`, in exchange for an empty buffer. `false`: the budget has no room.
    pub(super) fn open(&self, id: u64, opened: &Opened<'_>, record: &mut Vec<u8>) -> bool {
        let mut held = self.hold(id);
        let Some(span) = held.shard.make(opened, record) else {
            return false;
        };
        held.shard.insert(id, span);
        held.created(id, opened.start);
        true
    }

    /// Keeps the place of a span that is not recorded.
    pub(super) fn open_bare(&self, id: u64, bare: Bare, extra: Option<&Extra>) {
        let mut held = self.hold(id);
        held.shard.keep(id, bare, extra);
        held.created(id, bare.start);
    }

    /// Starts a span that is entered, if nothing has come between: it was the last one that was created, and has not started.
    #[inline(always)]
    pub(super) fn starts(&self, id: u64) -> bool {
        self.part(id).fresh.take(id)
    }

    /// A span is entered.
    #[inline]
    pub(super) fn entered(&self, id: u64) -> Entered {
        self.part(id).fresh.entered(id)
    }

    /// Starts a span that has not started yet, unless something has to be done first. `decide` decides about it where nobody has to be
    /// asked, and says whether it has.
    #[inline]
    pub(super) fn settle(
        &self,
        id: u64,
        decide: impl FnOnce(&mut Shard) -> bool,
    ) -> Option<Settled> {
        let mut held = self.hold(id);
        let Held { fresh, shard } = &mut held;
        let (start, place) = shard.state(id)?;
        match *start {
            Start::Plain => {
                fresh.start(id);
                return Some(Settled::At(*place));
            }
            Start::Parked => {
                *start = Start::Plain;
                fresh.unpark();
                return Some(Settled::At(*place));
            }
            Start::Bidden | Start::BiddenUndecided => return Some(Settled::Bidden),
            Start::Undecided => {}
        }
        if !decide(shard) {
            return Some(Settled::Undecided);
        }
        let (start, place) = shard.state(id)?;
        *start = Start::Plain;
        fresh.unpark();
        Some(Settled::At(*place))
    }

    /// Changes a span that is recorded, was created last in its shard and has not started, and leaves it so. Who enters it meanwhile
    /// on another thread looks at it under the lock.
    pub(super) fn while_last<T>(
        &self,
        id: u64,
        work: impl FnOnce(&mut OpenSpan) -> Option<T>,
    ) -> Option<T> {
        let mut held = self.hold(id);
        let Held { fresh, shard } = &mut held;
        let span = shard.open.get_mut(id)?;
        if span.start != Start::Plain || !fresh.is_last(id) {
            return None;
        }
        work(span)
    }

    /// Changes a span that has not started by `work`; `None` where it has, or is not known.
    pub(super) fn unsettled<T>(&self, id: u64, work: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let mut held = self.hold(id);
        let Held { fresh, shard } = &mut held;
        let (start, _) = shard.state(id)?;
        if *start == Start::Plain {
            if !fresh.take_to_park(id) {
                return None;
            }
            *start = Start::Parked;
        }
        Some(work(shard))
    }

    /// Notes that the guests are to be told when this span is closed, and before it starts if it has not. Says whether it has started; `None`
    /// where it is not known.
    #[cfg_attr(
        not(feature = "_guest"),
        allow(dead_code, reason = "only a bridge brings a guest")
    )]
    pub(super) fn bid(&self, id: u64) -> Option<bool> {
        if !self.hold(id).shard.host(id) {
            return None;
        }
        let bidden = self.unsettled(id, |shard| {
            if let Some((start, _)) = shard.state(id) {
                *start = start.bidden(true);
            }
        });
        Some(bidden.is_none())
    }

    /// Notes that the guests have been told of a span that starts.
    pub(super) fn unbid(&self, id: u64) {
        self.unsettled(id, |shard| {
            if let Some((start, _)) = shard.state(id) {
                *start = start.bidden(false);
            }
        });
    }

    /// Where a span is, for good or not yet.
    pub(super) fn place(&self, id: u64) -> Option<Place> {
        self.hold(id).shard.state(id).map(|(_, place)| *place)
    }

    /// Whether a span is a root, as far as its parent may still be set.
    pub(super) fn lacks_parent(&self, id: u64) -> bool {
        let held = self.hold(id);
        if let Some(span) = held.shard.open.get(id) {
            return trace::parent_of(&span.record).is_none();
        }
        // Of what is not recorded, only a root for which there is no room waits.
        let bare = held.shard.bare.get(id);
        bare.is_some_and(|bare| bare.start.is_undecided())
    }

    /// Whether the span is one of this layer's.
    pub(super) fn knows(&self, id: u64) -> bool {
        let held = self.hold(id);
        held.shard.open.get(id).is_some() || held.shard.bare.get(id).is_some()
    }

    /// Whether a span of this layer is recorded.
    #[inline]
    pub(super) fn is_recorded(&self, id: u64) -> Option<bool> {
        let held = self.hold(id);
        if held.shard.open.get(id).is_some() {
            return Some(true);
        }
        held.shard.bare.get(id).map(|_| false)
    }

    /// Appends an event to a span, if it has room for it without a look at the budget. `false`: it has not, or is not there.
    #[inline(always)]
    pub(super) fn append_event(&self, id: u64, event: &[u8], bounds: &SpanBounds) -> bool {
        let mut held = self.hold(id);
        match held.shard.open.get_mut(id) {
            Some(span) => span.append_event(event, bounds),
            None => false,
        }
    }

    /// Works on an open span that is recorded.
    #[inline]
    pub(super) fn update<T>(
        &self,
        id: u64,
        work: impl FnOnce(&mut OpenSpan, &mut Account) -> T,
    ) -> Option<T> {
        let mut held = self.hold(id);
        let Shard { open, account, .. } = &mut *held.shard;
        open.get_mut(id).map(|span| work(span, account))
    }

    /// A span that was just created carries this along instead of the parent's. Returns its place.
    #[cold]
    pub(super) fn carry(&self, id: u64, trace_state: TraceState) -> Option<Place> {
        let mut held = self.hold(id);
        held.shard.apply_trace_state(id, Some(trace_state));
        held.shard.state(id).map(|(_, place)| *place)
    }

    /// What a span carries along.
    pub(super) fn extra(&self, id: u64) -> Extra {
        self.hold(id).shard.extra(id)
    }

    /// Notes that a span that is not recorded was told so many attributes.
    #[cold]
    pub(super) fn missed(&self, id: u64, attributes: usize) {
        if let Some(bare) = self.hold(id).shard.bare.get_mut(id) {
            let attributes = u16::try_from(attributes).unwrap_or(u16::MAX);
            bare.missed = bare.missed.saturating_add(attributes);
        }
    }

    /// Notes that a span that is not recorded was told a link.
    #[cold]
    pub(super) fn missed_link(&self, id: u64) {
        if let Some(bare) = self.hold(id).shard.bare.get_mut(id) {
            bare.missed_links = bare.missed_links.saturating_add(1);
        }
    }

    /// Notes that an event of a span was left out.
    pub(super) fn drop_event(&self, id: u64) {
        self.update(id, |span, _| {
            span.dropped_events = span.dropped_events.saturating_add(1)
        });
    }

    /// Closes a span that goes on without a lock: it is given back afterwards.
    pub(super) fn take<T>(
        &self,
        id: u64,
        last: impl FnOnce(&mut OpenSpan, &mut Account) -> T,
    ) -> Taken<T> {
        let mut held = self.hold(id);
        let Held { fresh, shard } = &mut held;
        let Some(mut span) = shard.open.remove(id) else {
            drop(held);
            return Taken::Nothing(self.close(id, |_, _| {}));
        };
        if span.start.takes_work() {
            shard.insert(id, span);
            return Taken::Nothing(Closed::Undecided);
        }
        fresh.closed(id, span.start);
        let made = last(&mut span, &mut shard.account);
        Taken::Span(span, made)
    }

    /// The memory of a span that was taken is used again.
    pub(super) fn give_back(&self, id: u64, span: Box<OpenSpan>) {
        self.hold(id).shard.take_back(span);
    }

    /// Closes a span; `last` sees it if it was recorded.
    #[inline]
    pub(super) fn close(&self, id: u64, last: impl FnOnce(&mut OpenSpan, &mut Account)) -> Closed {
        let part = self.part(id);
        let mut shard = part.shard.lock().unwrap_or_else(PoisonError::into_inner);
        // As a rule, all spans are recorded, or none.
        if !shard.open.is_newest(id) && (shard.open.has_no_others() || !shard.bring(id)) {
            return Closed::of(shard.close_bare(id, &part.fresh));
        }
        let Shard { open, account, .. } = &mut *shard;
        let Some(span) = open.place_mut() else {
            return Closed::Now;
        };
        if span.start.takes_work() {
            return Closed::Undecided;
        }
        part.fresh.closed(id, span.start);
        last(span, account);
        let closed = Closed::of(span.is_hosted);
        shard.retire();
        closed
    }
}

/// What is seen of the store from outside of the callbacks.
impl Store {
    /// Copies the open spans of a shard.
    pub(super) fn copy(&self, shard: usize, copies: &mut Copies) {
        let Some(part) = self.shards.get(shard) else {
            return;
        };
        // Memory is asked for without the lock, unless too many spans come meanwhile.
        for is_last in [false, false, true] {
            let held = Self::hold_part(part);
            let records = held.shard.open.values().map(|span| span.record.len());
            let (spans, bytes) =
                records.fold((0, 0), |(spans, bytes), len| (spans + 1, bytes + len));
            if is_last || !copies.lacks(spans, bytes) {
                return held.shard.open.values().for_each(|span| copies.push(span));
            }
            drop(held);
            copies.reserve(spans, bytes);
        }
    }

    /// Copies those of a shard's spans that are long open, each of them once; some places of the table from this one on. Returns where to go on.
    pub(super) fn copy_long(
        &self,
        shard: usize,
        from: usize,
        is_long: impl Fn(&OpenSpan) -> bool,
        copies: &mut Copies,
    ) -> Option<usize> {
        let mut held = Self::hold_part(self.shards.get(shard)?);
        for span in held.shard.open.values_at(from, AT_ONCE)? {
            if !span.written.is_told && is_long(span) {
                span.written.is_told = true;
                copies.push(span);
            }
        }
        Some(from + AT_ONCE)
    }
}

impl Held<'_> {
    /// A span that has not started stands in the shard.
    #[inline]
    fn created(&mut self, id: u64, start: Start) {
        if start != Start::Plain {
            return self.fresh.park();
        }
        if let Some(pushed_out) = self.fresh.created(id) {
            self.park(pushed_out);
        }
    }

    #[cold]
    fn park(&mut self, id: u64) {
        match self.shard.state(id) {
            Some((start, _)) => *start = Start::Parked,
            None => self.fresh.unpark(),
        }
    }
}
