//! A new span in the common case, in a straight line: nothing but ids, constants and fields is asked for, and the mirror alone knows
//! what it is below. Any other case goes the general way ([`OtlpLayer::open`]), which does the same.

use tracing_core::span::Attributes;

use super::callsite::Template;
use super::ext;
use super::fresh::Start;
use super::open::{Above, New};
use super::scratch;
use super::shard::Bare;
use super::shed;
use super::span::Place;
use super::stack::Top;
use super::visit::{Bounds, Fields};
use super::written::Written;
use super::{OtlpLayer, Parts};
use crate::id;
use crate::proto::trace::{self, HAS_IS_REMOTE, IS_REMOTE, Ids, RANDOM, SAMPLED};
use crate::sampler::{Decision, Parent};

// A span that is recorded and plain is sampled: one bit says both.
const _: () = assert!(SAMPLED == 1);

/// Whether nothing that is asked of each span, whatever it is, is in the way of plain ones.
pub(super) fn may_be(parts: &Parts) -> bool {
    parts.id_generator.is_none() && parts.processors.is_none() && !parts.holder.is_on()
}

impl OtlpLayer {
    /// `false`: it is another case, and nothing has been done.
    #[inline(always)]
    pub(super) fn open_plainly(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
    ) -> bool {
        if !self.is_plain || !attributes.is_contextual() {
            return false;
        }
        let found = match self.mirror.top() {
            Top::Nothing => self.plain_root(template),
            Top::Ours(parent, place) => self.plain_child(parent, place),
            Top::Other => None,
        };
        match found {
            Some((above, place)) if place.is_recorded => {
                self.open_plain(template, attributes, id, above, place);
            }
            Some((_, place)) => self.open_plain_bare(template, attributes, id, place),
            None => return false,
        }
        true
    }

    #[inline(always)]
    fn plain_root(&self, template: &Template) -> Option<(Option<Above>, Place)> {
        if ext::is_remote_parent_attached() {
            return None;
        }
        let (trace, span) = id::random();
        let decision = self.parts.sampler.early(trace, Parent::None, false);
        let is_sampled = decision == Some(Decision::RecordAndSample);
        if !is_sampled && (decision != Some(Decision::Drop) || template.late_kind) {
            return None;
        }
        let ids = Ids {
            trace,
            span,
            flags: HAS_IS_REMOTE | RANDOM | u32::from(is_sampled),
        };
        let place = Place {
            ids,
            epoch: self.parts.clock.epoch(),
            is_recorded: is_sampled,
            has_extra: false,
        };
        Some((None, place))
    }

    #[inline(always)]
    fn plain_child(&self, parent: u64, mut place: Place) -> Option<(Option<Above>, Place)> {
        if place.has_extra || shed::is_shed(&place) {
            return None;
        }
        let Ids { trace, span, flags } = place.ids;
        let sampled = flags & SAMPLED != 0;
        let parent = Above {
            id: parent,
            span,
            sampled,
        };
        let as_parent = Parent::Local { sampled };
        let decision = self.parts.sampler.early(trace, as_parent, false);
        place.is_recorded = decision == Some(Decision::RecordAndSample);
        if !place.is_recorded && decision != Some(Decision::Drop) {
            return None;
        }
        place.ids.span = id::random_span();
        place.ids.flags = flags & !(SAMPLED | IS_REMOTE) | u32::from(place.is_recorded);
        Some((Some(parent), place))
    }

    /// A span that is sampled: its message begins.
    #[inline(always)]
    fn open_plain(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
        above: Option<Above>,
        place: Place,
    ) {
        let mut scratch = scratch::take();
        let start = self.parts.clock.at(place.epoch);
        trace::put_head(&mut scratch.record, &place.ids, start);
        if let Some(above) = above {
            trace::put_parent(&mut scratch.record, above.span);
        }
        scratch.record.extend_from_slice(&template.constants);
        let mut written = Written::new(template);
        if !template.has_no_fields() {
            let bounds = Bounds {
                attributes: self.bounds.attributes,
                bytes: self.bounds.bytes,
            };
            let mut fields = Fields::<false>::new(template, &mut scratch, written, bounds);
            attributes.record(&mut fields);
            written = fields.written;
            self.truncated(written.truncated);
        }
        if self
            .store
            .open_plain(id, place, template, written, &mut scratch.record)
        {
            self.mirror.created(id, &place);
        } else {
            self.open_lost(template, attributes, id, above, place);
        }
        scratch::put_back(scratch);
    }

    #[cold]
    fn open_lost(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
        above: Option<Above>,
        place: Place,
    ) {
        self.keep_lost(New::of(template, attributes, id, above, &place), None);
    }

    /// A span that is not recorded: its place is kept.
    #[inline(always)]
    fn open_plain_bare(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
        place: Place,
    ) {
        let bare = Bare {
            place,
            start: Start::Plain,
            metadata: template.metadata,
            missed: super::open::missed(template, attributes),
            missed_links: 0,
            is_lost: false,
            is_hosted: false,
        };
        self.store.open_plain_bare(id, bare);
        self.mirror.created(id, &place);
    }
}
