//! What is not recorded since memory is short, and what waits for room.
//!
//! Whole traces are shed, by the level of their local root: nothing of a trace that is recorded is missing, and nothing remains
//! of one that is not. While there is room (and nobody is to wait) nobody comes here: a callsite's cached answer says so.

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
use crate::queue::Pressure;
use crate::sampler::{Decision, Parent};
use crate::stats::DropReason;

/// Among a place's flags: the trace is shed. Children take it over with the others, and what is sent or told to others has only
/// flags of spans that are not.
pub(super) const SHED: u32 = 1 << 31;

/// How long a thread that waits for room sleeps at a time.
const NAP: std::time::Duration = std::time::Duration::from_millis(1);

#[inline]
pub(super) fn is_shed(place: &Place) -> bool {
    place.ids.flags & SHED != 0
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
        // Below what another library has current, a root may be none.
        let is_root_known = !self.is_surrounded();
        if is_root_known && self.sheds(*template.metadata.level()) {
            let mut place = Place::NOWHERE;
            let parent = registry::parent(self, attributes, id, context, &mut place);
            if parent.is_none() && self.shed_root(template, id.into_u64(), &mut place) {
                return false;
            }
        }
        self.wait_for_room();
        true
    }

    /// Whether a log record of this callsite is left out: by its own level, since it says something by itself.
    #[inline]
    pub(super) fn sheds_log(&self, template: &Template) -> bool {
        !template.passes_plainly(&self.parts.filter) && self.sheds(*template.metadata.level())
    }

    /// Whether traces whose local root has this level are shed now.
    fn sheds(&self, level: Level) -> bool {
        match self.parts.filter.pressure() {
            _ if !self.parts.restraint.sheds => false,
            Pressure::None => false,
            Pressure::High => level >= Level::DEBUG,
            Pressure::Higher => level >= Level::INFO,
        }
    }

    /// `false`: it would not have been recorded in any case.
    fn shed_root(&self, template: &Template, id: u64, place: &mut Place) -> bool {
        self.begin(place);
        let is_final = !template.late_kind && !ext::is_remote_parent_attached();
        if is_final && self.early(place, Parent::None) == Some(Decision::Drop) {
            return false;
        }
        place.ids.flags |= SHED;
        self.keep_shed(template, id, None, place);
        if let Some(parent) = ext::remote_parent() {
            // It has not started: it has just been made.
            let _ = self.set_parent(id, &parent);
        }
        true
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
        self.parts.traces.ledger.refuse(DropReason::Shed);
        let bare = Bare {
            place: *place,
            start: Start::Plain,
            metadata: template.metadata,
            missed: 0,
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
