//! What a program says to a span beside its fields: written into scratch space, where the program's code may run, and merged into
//! the span afterwards.

use std::borrow::Cow;
use std::mem;
use std::time::SystemTime;

use super::reach::At;
use crate::clock;
use crate::context::SpanContext;
use crate::layer::OtlpLayer;
use crate::layer::processor::{Draft, Form, Processors};
use crate::layer::scratch::{self, Scratch};
use crate::layer::shard::Account;
use crate::layer::span::{OpenSpan, Place, SpanBounds};
use crate::layer::user;
use crate::layer::written::Written;
use crate::model::{Status, Value};
use crate::proto::common;
use crate::proto::trace::{self, HAS_IS_REMOTE, IS_REMOTE, Ids};
use crate::proto::value::{self, ValueBounds};
use crate::proto::wire::{Content, Reader};
use crate::quiet::{self, Gate};

pub(in crate::layer) fn set_attribute<'v>(at: At<'_>, key: &str, value: impl Into<Value<'v>>) {
    if quiet::gate() != Gate::Open {
        return;
    }
    if let Some((layer, id)) = at.straight()
        && layer.parts.processors.is_none()
        && let Some(is_recorded) = layer.store.is_recorded(id)
    {
        return if is_recorded {
            layer.put_attribute(id, key, value);
        } else {
            layer.store.missed(id, 1);
        };
    }
    set_attribute_of_hidden(at, key, value);
}

/// The same where the layer is not at hand, or processors see the value first.
fn set_attribute_of_hidden<'v>(at: At<'_>, key: &str, value: impl Into<Value<'v>>) {
    let Some(bounds) = ask(at, |layer, id| layer.attribute_bounds(id)) else {
        return;
    };
    scratch::with(|scratch| {
        let mut attributes = Attributes::new(scratch, trace::SPAN_ATTRIBUTE, &bounds);
        let outcome = quiet::guarded(|| attributes.stage(key, value.into()));
        let truncated = attributes.truncated;
        if outcome.is_ok() && !scratch.formatted.is_empty() {
            mem::swap(&mut scratch.record, &mut scratch.formatted);
            merge(at, scratch, truncated, OpenSpan::put_attribute);
        }
    });
}

pub(in crate::layer) fn set_status(at: At<'_>, status: Status) {
    if quiet::gate() != Gate::Open {
        return;
    }
    at.with(move |layer, id| {
        let status = layer.hooked_status(status);
        layer.store.update(id, |span, account| {
            span.put_status(&status, &layer.bounds, account);
        })
    });
}

pub(in crate::layer) fn update_name(at: At<'_>, name: &str) {
    let Some(bounds) = ask(at, |layer, id| layer.span_bounds(id)) else {
        return;
    };
    let name = &*bounds.hooked_text("otel.name", name);
    scratch::with(|scratch| {
        let kept = user::fitting(name, bounds.bytes);
        trace::put_name(&mut scratch.record, kept);
        let truncated = u32::from(kept.len() < name.len());
        merge(at, scratch, truncated, OpenSpan::rename);
    });
}

/// `time`: UNIX nanoseconds; as a rule now, by the clock of the span's trace.
pub(in crate::layer) fn add_event<'a>(
    at: At<'_>,
    name: &str,
    time: Option<SystemTime>,
    attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
) {
    // The time is that of the call, before the program's iterator runs.
    let Some((place, now, bounds)) = ask(at, |layer, id| layer.time_of_event(id)) else {
        return;
    };
    let time = time.map_or(now, clock::unix_nanos);
    // "The name of the event MUST be `exception`" (specification, exceptions).
    let is_exception = name == "exception";
    let name = &*bounds.hooked_text("message", name);
    scratch::with(|scratch| {
        trace::put_event_time(&mut scratch.record, time);
        let kept = user::fitting(name, bounds.bytes);
        trace::put_event_name(&mut scratch.record, kept);
        let mut written = Attributes::new(scratch, trace::EVENT_ATTRIBUTE, &bounds);
        written.truncated = u32::from(kept.len() < name.len());
        if quiet::guarded(|| written.put_all(attributes)).is_err() {
            return;
        }
        let mut written = Written {
            attributes: written.count,
            dropped: written.dropped,
            truncated: written.truncated,
            ..Written::default()
        };
        let is_kept = bounds.end_event(&place.ids, &mut written, scratch);
        let Written {
            dropped, truncated, ..
        } = written;
        trace::put_event_dropped(&mut scratch.record, dropped);
        merge(
            at,
            scratch,
            truncated,
            move |span, event, bounds, account| {
                span.is_limited |= dropped > 0;
                if is_exception {
                    span.member.fail();
                }
                if is_kept {
                    span.put_event(event, bounds, account);
                } else {
                    span.written.discarded = span.written.discarded.saturating_add(1);
                }
                0
            },
        );
    });
}

pub(in crate::layer) fn add_link<'a>(
    at: At<'_>,
    to: &SpanContext,
    attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
) {
    let Some(bounds) = ask(at, |layer, id| layer.link_bounds(id)) else {
        return;
    };
    scratch::with(|scratch| {
        put_link_head(&mut scratch.record, to);
        let mut written = Attributes::new(scratch, trace::LINK_ATTRIBUTE, &bounds);
        if quiet::guarded(|| written.put_all(attributes)).is_err() {
            return;
        }
        let Attributes {
            dropped, truncated, ..
        } = written;
        trace::put_link_dropped(&mut scratch.record, dropped);
        merge(
            at,
            scratch,
            truncated,
            move |span, link, bounds, account| {
                span.is_limited |= dropped > 0;
                span.put_link(link, bounds, account);
                0
            },
        );
    });
}

fn put_link_head(link: &mut Vec<u8>, to: &SpanContext) {
    let is_remote = if to.is_remote() { IS_REMOTE } else { 0 };
    let ids = Ids {
        trace: to.trace_id(),
        span: to.span_id(),
        flags: HAS_IS_REMOTE | is_remote | u32::from(to.flags().bits()),
    };
    trace::put_link_head(link, &ids, to.trace_state().as_str());
}

/// Asks the layer of a span that is enabled, unless this thread does not record.
fn ask<T: 'static>(at: At<'_>, question: fn(&OtlpLayer, u64) -> Option<T>) -> Option<T> {
    if quiet::gate() != Gate::Open {
        return None;
    }
    at.with(question)?
}

/// Merges what stands in the scratch space into a span. `work` returns how many values it cut.
fn merge(
    at: At<'_>,
    scratch: &mut Scratch,
    truncated: u32,
    work: impl FnOnce(&mut OpenSpan, &[u8], &SpanBounds, &mut Account) -> u32 + 'static,
) {
    // A question to a hidden layer cannot borrow.
    let taken = mem::take(scratch);
    let back = at.with(move |layer, id| {
        let cut = layer.store.update(id, |span, account| {
            work(span, &taken.record, &layer.bounds, account)
        });
        layer.truncated(cut.map_or(0, |cut| cut.max(truncated)));
        taken
    });
    if let Some(back) = back {
        *scratch = back;
    }
}

impl OtlpLayer {
    /// Writes an attribute of a span that is recorded.
    fn put_attribute<'v>(&self, id: u64, key: &str, value: impl Into<Value<'v>>) {
        let bounds = ValueBounds {
            bytes: self.bounds.bytes.saturating_sub(FRAME),
            ..self.bounds.value
        };
        let mut scratch = scratch::take();
        let attribute = &mut scratch.record;
        // The conversion, and what is dropped of the value, are the program's code.
        let outcome = quiet::guarded(|| {
            let value = value.into();
            value::put_attribute(attribute, trace::SPAN_ATTRIBUTE, key, &value, &bounds)
        });
        if let Ok(is_cut) = outcome
            && !scratch.record.is_empty()
        {
            let cut = self.store.update(id, |span, account| {
                span.put_attribute(&scratch.record, &self.bounds, account)
            });
            self.truncated(cut.map_or(0, |cut| cut.max(is_cut.into())));
        }
        scratch::put_back(scratch);
    }

    /// Links a span to one that it follows from, which starts.
    pub(in crate::layer) fn link(&self, id: u64, follows: u64) {
        let context = self.context_of(follows);
        let Some(to) = context.as_ref().and_then(|context| context.span()) else {
            return;
        };
        scratch::with(|scratch| {
            put_link_head(&mut scratch.record, to);
            let put = self.store.update(id, |span, account| {
                span.put_link(&scratch.record, &self.bounds, account)
            });
            if put.is_none() {
                self.store.missed_link(id);
            }
        });
    }

    /// The bounds of an attribute; `None` for a span that is not recorded, which misses it.
    fn attribute_bounds(&self, id: u64) -> Option<Room> {
        let room = self.span_bounds(id);
        if room.is_none() {
            self.store.missed(id, 1);
        }
        room
    }

    /// The bounds of what is said to a span; `None` for one that is not recorded.
    fn span_bounds(&self, id: u64) -> Option<Room> {
        self.store.update(id, |_, _| Room {
            processors: self.parts.processors.clone(),
            attributes: self.bounds.attributes,
            bytes: self.bounds.bytes,
            value: self.bounds.value,
        })
    }

    /// The time of an event that is recorded now, and its bounds. The span starts.
    fn time_of_event(&self, id: u64) -> Option<(Place, u64, Room)> {
        let place = self.settle(id)?;
        let room = self.room(id)?;
        let bounds = Room {
            processors: self.parts.processors.clone(),
            attributes: self.event_bounds.attributes,
            bytes: self.event_bounds.bytes.min(room),
            value: self.bounds.value,
        };
        Some((place, self.parts.clock.at(place.epoch), bounds))
    }

    /// The bounds of a link.
    fn link_bounds(&self, id: u64) -> Option<Room> {
        let Some(bytes) = self.room(id) else {
            self.store.missed_link(id);
            return None;
        };
        Some(Room {
            processors: self.parts.processors.clone(),
            attributes: self.bounds.attributes_per_link,
            bytes,
            value: self.bounds.value,
        })
    }

    /// How many bytes a span has left for an event or a link.
    pub(in crate::layer) fn room(&self, id: u64) -> Option<usize> {
        /// More than the tags, lengths and counts around them.
        const FRAME: usize = 48;
        self.store.update(id, |span, _| {
            let taken = span.record.len() + FRAME;
            self.bounds.bytes.saturating_sub(taken)
        })
    }
}

/// What is said to a span has so much room.
#[derive(Debug)]
struct Room {
    processors: Option<Processors>,
    attributes: u32,
    bytes: usize,
    value: ValueBounds,
}

impl Room {
    /// A text as the processors leave it.
    fn hooked_text<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        match &self.processors {
            None => Cow::Borrowed(text),
            Some(processors) => processors.text(key, text, self.bytes),
        }
    }

    /// Shows an event to the processors; says whether it is kept.
    fn end_event(&self, ids: &Ids, written: &mut Written, scratch: &mut Scratch) -> bool {
        let Some(processors) = &self.processors else {
            return true;
        };
        let Scratch { record, spare, .. } = scratch;
        let is_kept = processors.end(Draft {
            form: Form::EVENT,
            metadata: None,
            ids: *ids,
            end: None,
            message: record,
            written,
            attributes: self.attributes,
            bytes: self.bytes,
            value: self.value,
            spare,
        });
        spare.keep_small();
        is_kept
    }
}

/// More than the tags and lengths of an attribute with a text.
const FRAME: usize = 24;

/// Attributes that come by name, on their way into the scratch space.
struct Attributes<'s> {
    scratch: &'s mut Scratch,
    tag: u8,
    bounds: &'s Room,
    count: u32,
    dropped: u32,
    truncated: u32,
}

impl<'s> Attributes<'s> {
    fn new(scratch: &'s mut Scratch, tag: u8, bounds: &'s Room) -> Self {
        Self {
            scratch,
            tag,
            bounds,
            count: 0,
            dropped: 0,
            truncated: 0,
        }
    }

    /// Appends each of them. A key stands once, with the last of its values; one that is too many is counted.
    fn put_all<'a>(&mut self, attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>) {
        for (key, value) in attributes {
            self.stage(key, value);
            self.put_staged();
        }
    }

    /// Encodes an attribute, cut to the room there is, where it does not stand in anything's way yet. One without a key is none.
    fn stage(&mut self, key: &str, mut value: Value<'_>) {
        let Self {
            scratch,
            tag,
            bounds,
            ..
        } = self;
        scratch.is_touched = true;
        scratch.formatted.clear();
        if let Some(processors) = &bounds.processors {
            processors.value(key, &mut value, bounds.bytes);
        }
        let taken = scratch.record.len() + FRAME;
        let bounds = ValueBounds {
            bytes: bounds.bytes.saturating_sub(taken),
            ..bounds.value
        };
        let is_cut = value::put_attribute(&mut scratch.formatted, *tag, key, &value, &bounds);
        // A key that is longer than all the room leaves the attribute out.
        let counted = if scratch.formatted.is_empty() {
            &mut self.dropped
        } else {
            &mut self.truncated
        };
        *counted = counted.saturating_add(u32::from(is_cut));
    }

    fn put_staged(&mut self) {
        let Scratch {
            record,
            formatted: text,
            ..
        } = &mut *self.scratch;
        let Ok(Some((_, Content::Bytes(content)))) = Reader::new(text).next() else {
            return;
        };
        let is_known = trace::cut_attribute(record, self.tag, common::key_of(content));
        let has_place = is_known || self.count < self.bounds.attributes;
        if has_place && record.len() + text.len() <= self.bounds.bytes {
            record.extend_from_slice(text);
            self.count += u32::from(!is_known);
        } else {
            self.count -= u32::from(is_known);
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}
