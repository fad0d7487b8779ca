//! What is not recorded since memory is short or there is too much of it a second, and what waits for room.
//!
//! Whole traces are shed, by the level of their local root: nothing of a trace that is recorded is missing, and nothing remains
//! of one that is not. While there is room (and nobody is to wait, and nothing is limited) nobody comes here: a callsite's cached answer
//! says so.

use std::time::Instant;

use tracing_core::span::{Attributes, Id};
use tracing_core::{Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::OtlpLayer;
use super::callsite::Template;
use super::fresh::Start;
use super::shard::Bare;
use super::span::Place;
use super::{ext, registry};
use crate::clock;
use crate::queue::Pressure;
use crate::rate::Limiter;
use crate::sampler::{Decision, Parent};
use crate::stats::DropReason;

/// Among a place's flags: the trace is shed. Children take it over with the others, and what is sent or told to others has only
/// flags of spans that are not.
pub(super) const SHED: u32 = 1 << 31;
/// Stands beside [`SHED`] where the rate limit is the reason.
const LIMITED: u32 = 1 << 30;

/// How long a thread that waits for room sleeps at a time.
const NAP: std::time::Duration = std::time::Duration::from_millis(1);

#[inline]
pub(super) fn is_shed(place: &Place) -> bool {
    place.ids.flags & SHED != 0
}

fn reason(flags: u32) -> DropReason {
    if flags & LIMITED != 0 {
        DropReason::RateLimited
    } else {
        DropReason::Shed
    }
}

impl OtlpLayer {
    /// Whether a new span goes its way, now that its callsite is hidden or memory is short.
    #[cold]
    pub(super) fn admits<S>(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if !template.passes(&self.parts.filter) {
            return false;
        }
        let limiter = self.parts.limiters.traces.as_deref();
        if let Some(flags) = self.refuses(*template.metadata.level(), limiter) {
            let mut place = Place::NOWHERE;
            let parent = registry::parent(self, attributes, id, context, &mut place);
            // Below what another library has current, a root is none.
            if parent.is_none() && !(self.is_surrounded() && self.is_below_others()) {
                self.shed_root(template, attributes, id.into_u64(), &mut place, flags);
                return false;
            }
        }
        self.wait_for_room();
        true
    }

    /// Why a log record of this callsite is left out, if it is: by its own level, since it says something by itself.
    #[inline]
    pub(super) fn sheds_log(&self, template: &Template) -> Option<DropReason> {
        if template.passes_plainly(&self.parts.filter) {
            return None;
        }
        let limiter = self.parts.limiters.logs.as_deref();
        self.refuses(*template.metadata.level(), limiter)
            .map(reason)
    }

    /// A span ends that is exported.
    pub(super) fn charge(&self, record: &[u8]) {
        if let Some(limiter) = &self.parts.limiters.traces {
            limiter.charge(clock::monotonic(), record.len());
        }
    }

    /// Whether what has this level is left out now, and why: the flags that say so.
    #[cold]
    fn refuses(&self, level: Level, limiter: Option<&Limiter>) -> Option<u32> {
        if self.sheds(level) {
            return Some(SHED);
        }
        // What is left to what is more severe, in quarters of a second's worth.
        let quarters = match level {
            Level::TRACE | Level::DEBUG => 2,
            Level::INFO => 1,
            _ => 0,
        };
        let has_room = limiter?.has_room(clock::monotonic(), quarters);
        (!has_room).then_some(SHED | LIMITED)
    }

    /// Whether traces whose local root has this level are shed now.
    fn sheds(&self, level: Level) -> bool {
        self.parts.restraint.sheds
            && match self.parts.filter.pressure() {
                Pressure::None => false,
                Pressure::High => level >= Level::DEBUG,
                Pressure::Higher => level >= Level::INFO,
            }
    }

    /// A local root that is not recorded. What its sampler drops anyway is no loss.
    fn shed_root(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
        place: &mut Place,
        flags: u32,
    ) {
        self.begin(place);
        let is_final = !template.late_kind && !ext::is_remote_parent_attached();
        if is_final && self.early(place, Parent::None) == Some(Decision::Drop) {
            place.decide(Decision::Drop);
            return self.open_bare(template, attributes, id, None, place);
        }
        place.ids.flags |= flags;
        self.keep_shed(template, id, None, place);
        if let Some(parent) = ext::remote_parent() {
            // It has not started: it has just been made.
            let _ = self.set_parent(id, &parent);
        }
    }

    /// A child in a trace that is shed.
    #[cold]
    pub(super) fn open_shed(
        &self,
        template: &Template,
        id: u64,
        parent: Option<u64>,
        place: &mut Place,
    ) {
        self.descend(place);
        self.keep_shed(template, id, parent, place);
    }

    fn keep_shed(&self, template: &Template, id: u64, parent: Option<u64>, place: &mut Place) {
        place.decide(Decision::Drop);
        self.parts.traces.ledger.refuse(reason(place.ids.flags));
        let bare = Bare {
            place: *place,
            start: Start::Plain,
            metadata: template.metadata,
            missed: 0,
            missed_links: 0,
            is_lost: true,
            is_hosted: false,
        };
        self.keep_carrying(id, bare, parent.filter(|_| place.has_extra));
    }

    /// Waits until what is recorded costs no older record, at most as long as the program allows for one record.
    fn wait_for_room(&self) {
        let Some(most) = self.parts.restraint.waits else {
            return;
        };
        if !self.parts.budget.is_full() {
            return;
        }
        self.parts.traces.ledger.waited();
        let begun = Instant::now();
        while self.parts.budget.is_full() && begun.elapsed() < most {
            self.parts.traces.queue.wake_to_drain();
            std::thread::sleep(NAP.min(most));
        }
    }
}
