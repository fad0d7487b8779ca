//! What is noted while a span is entered and left, and its end: into the thread's chunk.

use tracing_core::field::Field;

use super::OtlpLayer;
use super::activity::{Activity, KEYS};
use super::event::Ancestors;
use super::failure::Failure;
use super::scratch::{self, Scratch};
use super::shard::Account;
use super::span::OpenSpan;
use super::store::Closed;
use super::tail::Decided;
use crate::model::Value;
use crate::proto::common;
use crate::proto::trace::{self, Ids};
use crate::queue::{self, Scope};

impl OtlpLayer {
    /// A span is entered, and that is to be noted.
    #[inline]
    pub(super) fn note_enter(&self, id: u64) {
        if self.tracks {
            self.track(id, Activity::enter);
        }
    }

    /// A span is left, and that is to be noted.
    #[inline(never)]
    pub(super) fn note_exit(&self, id: u64) {
        if self.is_surrounded() {
            self.leave(id);
        }
        if self.tracks {
            self.track(id, Activity::exit);
        }
    }

    #[inline(never)]
    fn track(&self, id: u64, note: impl FnOnce(&mut Activity, u64)) {
        self.store.update(id, |span, _| {
            let now = self.parts.clock.at(span.place.epoch);
            note(&mut span.activity, now);
        });
    }

    /// A panic leaves the span.
    #[cold]
    pub(super) fn unwound(&self, id: u64, ancestors: &Ancestors<'_>) {
        if !self.config.errors.panics {
            if self.parts.holder.is_on() {
                self.store.update(id, |span, _| span.member.fail());
            }
            return;
        }
        scratch::with(|scratch| {
            let told = self.store.update(id, |span, account| {
                self.fail(span, &Failure::PANIC, account);
                let template = self.templates.get(span.metadata);
                let now = self.parts.clock.at(span.place.epoch);
                (template, span.place.ids, now)
            });
            if let Some((template, ids, now)) = told
                && self.config.errors.exceptions
            {
                if template.has_span_event() {
                    self.add_panic_event(id, &ids, now, scratch);
                    scratch.record.clear();
                }
                self.log_panic(template, id, ancestors, &ids, now, scratch);
            }
        });
    }

    /// Adds the exception event of a panic, if the processors let it pass.
    fn add_panic_event(&self, id: u64, ids: &Ids, time: u64, scratch: &mut Scratch) {
        let mut written = self.put_panic_event(&mut scratch.record, time);
        let bytes = self.event_bounds.bytes;
        let is_kept = self.end_event(None, ids, bytes, &mut written, scratch);
        trace::put_event_dropped(&mut scratch.record, written.dropped);
        self.truncated(written.truncated);
        self.store.update(id, |span, account| {
            if is_kept {
                span.put_event(&scratch.record, &self.bounds, account);
            } else {
                span.written.discarded = span.written.discarded.saturating_add(1);
            }
        });
    }

    /// Closes a span.
    #[inline]
    pub(super) fn close(&self, id: u64) -> Closed {
        if let Some(processors) = &self.parts.processors {
            return self.close_hooked(processors, id, None, |span, account| {
                self.end_of(span, account)
            });
        }
        let mut decided = Decided::NOTHING;
        let closed = self.store.close(id, |span, account| {
            decided = self.end(id, span, account);
        });
        self.carry_out(decided);
        closed
    }

    /// Closes a span that nothing has started until now, or of which a guest is told.
    #[cold]
    pub(super) fn close_slowly(&self, id: u64, mut closed: Closed) {
        if closed == Closed::Undecided {
            self.settle(id);
            closed = self.close(id);
        }
        if closed == Closed::Undecided {
            // The sampler is asked of too much at once.
            self.give_up(id);
            closed = self.close(id);
        }
        if closed == Closed::Hosted {
            self.part_with(id);
        }
    }

    /// The last of an open span: its end, and into the chunk.
    #[inline(always)]
    fn end(&self, id: u64, span: &mut OpenSpan, account: &mut Account) -> Decided {
        if self.ends_slowly | span.has_more_to_tell() {
            return self.end_slowly(id, span, account);
        }
        let end = self.parts.clock.at(span.place.epoch);
        if span.place.ids.flags & self.exported != 0 {
            let record = queue::Record {
                scope: Scope::named(span.metadata.target()),
                message: &span.record,
            };
            let ending = trace::end_field(end);
            self.parts.traces.append_ending(&record, ending);
        }
        Decided::NOTHING
    }

    /// The last of a span that ends at a time of its own, in a scope of its own. It is no part of a local trace.
    #[cfg(feature = "opentelemetry-0_33")]
    pub(super) fn finish_by_hand(&self, span: &mut OpenSpan, scope: Scope, end: u64) {
        // The clocks of those who say when it began and ended may differ.
        let end = end.max(trace::start_of(&span.record));
        self.finish(span, end);
        self.hand_over(span, scope);
    }

    /// A span that is complete goes into the thread's chunk.
    pub(super) fn hand_over(&self, span: &OpenSpan, scope: Scope) {
        if span.place.ids.flags & self.exported == 0 {
            // Recorded, and not to be exported (specification, recording only).
            return;
        }
        let record = queue::Record {
            scope,
            message: &span.record,
        };
        self.parts.traces.append(&record);
    }

    /// The end of a span of which more is to be told, or that is held.
    #[inline(never)]
    fn end_slowly(&self, id: u64, span: &mut OpenSpan, account: &mut Account) -> Decided {
        let end = self.end_of(span, account);
        self.finish(span, end);
        if self.parts.holder.is_on() {
            return self.end_in_trace(id, span, end, true);
        }
        self.hand_over(span, Scope::named(span.metadata.target()));
        Decided::NOTHING
    }

    /// When a span ends, which is now as a rule. What is known only then is written.
    pub(super) fn end_of(&self, span: &mut OpenSpan, account: &mut Account) -> u64 {
        let mut end = self.parts.clock.at(span.place.epoch);
        if self.tracks {
            end = self.end_of_tracked(span, account, end);
        }
        if span.is_late {
            self.complete(span);
        }
        end
    }

    /// Writes the end of a span.
    pub(super) fn finish(&self, span: &mut OpenSpan, end: u64) {
        let has_limited = span.finish(end);
        // Of what is not exported nobody will miss anything.
        if span.place.ids.flags & self.exported == 0 {
            return;
        }
        if has_limited {
            self.parts.traces.ledger.limited();
        }
        self.charge(&span.record);
    }

    /// The end of a span of which was noted when it was entered and left.
    #[cold]
    fn end_of_tracked(&self, span: &mut OpenSpan, account: &mut Account, closed: u64) -> u64 {
        let left = span.activity.left();
        let end = left
            .filter(|_| self.config.end_at_last_exit)
            .unwrap_or(closed);
        if self.config.busy_and_idle {
            self.put_times(span, account, end);
        }
        end
    }

    /// Writes how long a span was busy and idle.
    fn put_times(&self, span: &mut OpenSpan, account: &mut Account, end: u64) {
        /// More than both attributes take.
        const ROOM: usize = 64;
        let (busy, idle) = span.activity.until(end);
        let is_one = |field: Field| KEYS.contains(&field.name());
        let may_be_there =
            self.is_hooked || span.written.has_names() || span.metadata.fields().iter().any(is_one);
        let fits = span.written.attributes + 2 <= self.bounds.attributes
            && span.make_room(ROOM, &self.bounds, account);
        if may_be_there || !fits {
            let times = [(KEYS[0], Value::from(busy)), (KEYS[1], Value::from(idle))];
            return span.put_attributes(&times, &self.bounds, account);
        }
        for (prefix, time) in self.times.iter().zip([busy, idle]) {
            let time = i64::try_from(time).unwrap_or(i64::MAX);
            common::put_int(&mut span.record, prefix, time);
        }
        span.written.attributes += 2;
    }

    /// Writes what the callsite has left to the end, since a field might have given it.
    #[cold]
    fn complete(&self, span: &mut OpenSpan) {
        let template = self.templates.get(span.metadata);
        span.complete(template.late_name, template.late_kind);
    }
}
