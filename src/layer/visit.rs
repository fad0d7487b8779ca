//! The visit of a record's fields: each value is encoded as it comes, behind its callsite's encoded key.

mod error;
mod hooked;

use std::error::Error;
use std::fmt;

use tracing_core::field::{Field, Visit};

pub(super) use self::hooked::Hooked;
use super::callsite::{Known, Role, Template};
use super::processor::Processors;
use super::scratch::Scratch;
use super::thread;
use super::user::{self, Most};
use super::written::Written;
use crate::model::SpanKind;
use crate::proto::common::{self, Prefix};
use crate::proto::logs;
use crate::proto::trace::{self, Code};
use crate::proto::value::beginning;
use crate::proto::wire;

/// One field of a late `record`, which is merged into its span under the span's lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) what: What,
    pub(super) start: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// An attribute, with its key's bit.
    Attribute(u64),
    Name,
    Kind,
    /// A status; its description is the text in the record.
    Status(Code),
}

/// The bounds of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) attributes: u32,
    pub(super) bytes: usize,
}

/// `LATE`: what is written is marked, to be merged later, and not the record itself.
pub(super) struct Fields<'a, const LATE: bool> {
    template: &'a Template,
    pub(super) scratch: &'a mut Scratch,
    pub(super) written: Written,
    bounds: Bounds,
    /// The bits of the keys that may be written without a look at any limit.
    quick: u64,
}

impl<'a, const LATE: bool> Fields<'a, LATE> {
    #[inline]
    pub(super) fn new(
        template: &'a Template,
        scratch: &'a mut Scratch,
        written: Written,
        bounds: Bounds,
    ) -> Self {
        let quick = quick::<LATE>(template, scratch, bounds);
        Self {
            template,
            scratch,
            written,
            bounds,
            quick,
        }
    }

    /// Writes the attributes of the thread.
    pub(super) fn put_thread(&mut self, processors: Option<&Processors>) {
        let limit = self.bounds.attributes;
        self.slowly(|fields| {
            let (record, template) = (&mut fields.scratch.record, fields.template);
            thread::put(record, &mut fields.written, template, limit);
            if let Some(processors) = processors {
                thread::hook(record, template, processors);
            }
        });
    }

    /// Everything that is not quick: with an eye on all limits.
    #[inline]
    fn slowly(&mut self, work: impl FnOnce(&mut Self)) {
        work(self);
        // The buffer may have grown.
        self.quick = quick::<LATE>(self.template, self.scratch, self.bounds);
    }

    /// What is known of a field; `None` for one that is not recorded.
    #[inline]
    fn known(&self, field: &Field) -> Option<&'a Known> {
        // Those of a new span or event are its callsite's own; a late one may come from anywhere.
        if LATE && field.callsite() != self.template.metadata.callsite() {
            return None;
        }
        self.template.known(field)
    }

    /// The common case of an attribute: a new key, within all limits, and a value that fits the buffer. `false`, and nothing
    /// has changed, when it is another case.
    ///
    /// Without a call, so that hardly a register has to be saved: an integer takes 55 instructions instead of 95.
    #[inline(always)]
    fn quick(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>, &Prefix) -> bool) -> bool {
        let Some(known) = self.template.any(field) else {
            return false;
        };
        let new = known.bit & self.quick & !self.written.keys;
        if new == 0 || !write(&mut self.scratch.record, &known.prefix) {
            return false;
        }
        self.written.keys |= new;
        self.written.attributes += 1;
        true
    }

    /// Any case of an attribute.
    #[cold]
    #[inline(never)]
    fn attribute(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>, &Prefix)) {
        self.slowly(|fields| {
            let Some(known) = fields.known(field) else {
                return;
            };
            if known.role == Role::Body {
                fields.any_body(known, |out| write(out, &known.prefix));
            } else if fields.begin(known) {
                write(&mut fields.scratch.record, &known.prefix);
            }
        });
    }

    /// A body that is no text: "a body is of type any", and no attribute. `write` writes it as one.
    fn any_body(&mut self, known: &Known, write: impl FnOnce(&mut Vec<u8>)) {
        let mut attribute = Vec::new();
        write(&mut attribute);
        let Some(pair) = wire::fields(&attribute, known.prefix.tag()).next() else {
            return;
        };
        // A `KeyValue`'s value is what a body is.
        if let Some(value) = wire::fields(pair, common::VALUE).next() {
            self.body(known);
            wire::put_len(&mut self.scratch.record, logs::BODY, value);
        }
    }

    /// Makes way for an attribute; `false` when it is not to be written.
    #[inline]
    fn begin(&mut self, known: &Known) -> bool {
        if self.scratch.record.len() + known.prefix.len() >= self.bounds.bytes {
            self.written.dropped = self.written.dropped.saturating_add(1);
            return false;
        }
        if LATE || self.written.may_have(known.bit) {
            return self.begin_again(known);
        }
        self.written.admit(known.bit, self.bounds.attributes)
    }

    /// A late field, which is merged later, or one whose key was written before: the old one is cut out.
    #[cold]
    fn begin_again(&mut self, known: &Known) -> bool {
        let Known { bit, prefix, .. } = known;
        if LATE {
            self.mark(What::Attribute(*bit));
            return true;
        }
        trace::cut_attribute(&mut self.scratch.record, prefix.tag(), prefix.key())
            || self.written.admit(*bit, self.bounds.attributes)
    }

    fn mark(&mut self, what: What) {
        let start = u32::try_from(self.scratch.record.len()).unwrap_or(u32::MAX);
        self.scratch.marks.push(Mark { what, start });
    }

    #[inline(never)]
    fn longer_int(&mut self, field: &Field, value: i64) {
        if !self.quick(field, |out, prefix| {
            common::put_int_medium(out, prefix, value)
        }) {
            self.any_int(field, value);
        }
    }

    /// The class of an error may be a number, such as HTTP's status code; it is a text (semantic conventions, `error.type`).
    #[cold]
    #[inline(never)]
    fn any_int(&mut self, field: &Field, value: i64) {
        match self.known(field) {
            Some(known) if known.role == Role::ErrorType => {
                self.slowly(|fields| fields.note(known, &value.to_string()));
            }
            _ => self.attribute(field, |out, prefix| common::put_int(out, prefix, value)),
        }
    }

    /// Texts of any length. Not inlined, since a call of `memcpy` costs the caller registers.
    #[inline(never)]
    fn longer_text(&mut self, field: &Field, value: &str) {
        if !self.quick(field, |out, prefix| {
            common::put_str_medium(out, prefix, value)
        }) {
            self.text(field, value);
        }
    }

    #[inline(never)]
    fn text(&mut self, field: &Field, value: &str) {
        let Some(known) = self.known(field) else {
            return;
        };
        self.slowly(|fields| fields.put_text(known, value));
    }

    fn put_text(&mut self, known: &Known, value: &str) {
        if known.role == Role::Attribute {
            self.put_attribute_text(known, value);
        } else {
            self.special(known, value);
        }
    }

    fn put_attribute_text(&mut self, known: &Known, value: &str) {
        let value = self.bounded(value);
        if self.begin(known) {
            common::put_str(&mut self.scratch.record, &known.prefix, value);
        }
    }

    /// An integer outside of 64 bits: its decimal digits (specification, attribute type mapping), which are cut as any text is.
    #[cold]
    fn decimal(&mut self, field: &Field, value: &impl ToString) {
        self.slowly(|fields| {
            if let Some(known) = fields.known(field) {
                match known.role {
                    Role::Body => fields.special(known, &value.to_string()),
                    Role::ErrorType => fields.note(known, &value.to_string()),
                    _ => fields.put_attribute_text(known, &value.to_string()),
                }
            }
        });
    }

    fn room(&self) -> usize {
        self.bounds.bytes.saturating_sub(self.scratch.record.len())
    }

    /// As much of the value as the record has room for.
    fn cut<'v>(&mut self, value: &'v str) -> &'v str {
        let kept = user::fitting(value, self.room());
        self.count_cut(kept.len() < value.len());
        kept
    }

    /// As much of an attribute's value as its limit and the record's room allow.
    fn bounded<'v>(&mut self, value: &'v str) -> &'v str {
        let kept = user::fitting(beginning(value, self.template.value_length), self.room());
        self.count_cut(kept.len() < value.len());
        kept
    }

    #[inline]
    fn count_cut(&mut self, cut: bool) {
        self.written.truncated = self.written.truncated.saturating_add(u32::from(cut));
    }

    /// A field that means something else than an attribute.
    #[cold]
    fn special(&mut self, known: &Known, value: &str) {
        match known.role {
            Role::StatusCode => return self.status(Code::from_name(value), ""),
            Role::Exception | Role::ErrorType | Role::ExceptionType => {
                return self.note(known, value);
            }
            _ => {}
        }
        let value = self.cut(value);
        match known.role {
            Role::Name => {
                if LATE {
                    self.mark(What::Name);
                } else if self.written.name {
                    trace::cut_name(&mut self.scratch.record);
                }
                self.written.name = true;
                trace::put_name(&mut self.scratch.record, value);
            }
            Role::Kind => {
                if LATE {
                    self.mark(What::Kind);
                } else if self.written.kind {
                    trace::cut_kind(&mut self.scratch.record);
                }
                self.written.kind = true;
                let kind = SpanKind::from_name(value).unwrap_or_default();
                trace::put_kind(&mut self.scratch.record, kind);
            }
            Role::StatusDescription => self.status(Code::Error, value),
            Role::Message => {
                self.event_name();
                trace::put_event_name(&mut self.scratch.record, value);
            }
            Role::Body => {
                self.body(known);
                logs::put_body(&mut self.scratch.record, value);
            }
            Role::EventName => {
                if self.written.name {
                    logs::cut_event_name(&mut self.scratch.record);
                }
                self.written.name = true;
                logs::put_event_name(&mut self.scratch.record, value);
            }
            _ => {}
        }
    }

    fn status(&mut self, code: Code, description: &str) {
        if LATE {
            self.mark(What::Status(code));
            self.scratch
                .record
                .extend_from_slice(description.as_bytes());
        } else {
            self.written
                .set_status(&mut self.scratch.record, code, description);
        }
    }

    fn event_name(&mut self) {
        if self.written.name {
            trace::cut_event_name(&mut self.scratch.record);
        }
        self.written.name = true;
    }

    fn body(&mut self, known: &Known) {
        if self.written.may_have(known.bit) {
            logs::cut_body(&mut self.scratch.record);
        }
        self.written.keys |= known.bit;
    }

    /// The common case of a value that the user's code formats: the message of an event that has none yet. `false`, and nothing has
    /// changed, when it is another case.
    #[inline(always)]
    fn message(&mut self, field: &Field, value: &dyn fmt::Debug) -> bool {
        let Some(known) = self.template.any(field) else {
            return false;
        };
        let most = Most {
            end: self.bounds.bytes,
            characters: usize::MAX,
        };
        let record = &mut self.scratch.record;
        let mut cut = false;
        match known.role {
            Role::Body if !self.written.may_have(known.bit) => {
                self.written.keys |= known.bit;
                logs::put_body_with(record, |out| cut = user::write(out, most, value));
            }
            Role::Message if !self.written.name => {
                self.written.name = true;
                trace::put_event_name_with(record, |out| cut = user::write(out, most, value));
            }
            _ => return false,
        }
        self.count_cut(cut);
        // The buffer may have grown.
        self.quick = quick::<LATE>(self.template, self.scratch, self.bounds);
        true
    }

    /// Formats a value with the user's code, within bounds.
    #[inline(never)]
    fn format(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.slowly(|fields| fields.format_slowly(field, value));
    }

    #[inline]
    fn format_slowly(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Some(known) = self.known(field) else {
            return;
        };
        let mut most = Most {
            end: self.bounds.bytes,
            characters: usize::MAX,
        };
        let mut cut = false;
        match known.role {
            Role::Attribute => {
                if self.begin(known) {
                    most.characters = self.template.value_length;
                    let write = |out: &mut Vec<u8>| cut = user::write(out, most, value);
                    common::put_text(&mut self.scratch.record, &known.prefix, write);
                }
            }
            Role::Message => {
                self.event_name();
                let write = |out: &mut Vec<u8>| cut = user::write(out, most, value);
                trace::put_event_name_with(&mut self.scratch.record, write);
            }
            Role::Body => {
                self.body(known);
                let write = |out: &mut Vec<u8>| cut = user::write(out, most, value);
                logs::put_body_with(&mut self.scratch.record, write);
            }
            _ => {
                let most = self.longest(known.role);
                self.formatted(value, most, |fields, text| fields.special(known, text));
            }
        }
        self.count_cut(cut);
    }

    /// How much of a value in this role is wanted. What an exception says, and its class, its span is told too: they are not cut before.
    fn longest(&self, role: Role) -> Most {
        Most {
            end: self.bounds.bytes,
            characters: if role == Role::Attribute {
                self.template.value_length
            } else {
                usize::MAX
            },
        }
    }

    /// Formats a value beside the record, for `work`. What is cut was cut once, whoever notices.
    fn formatted(
        &mut self,
        value: &dyn fmt::Debug,
        most: Most,
        work: impl FnOnce(&mut Self, &str),
    ) {
        let mut text = std::mem::take(&mut self.scratch.formatted);
        text.clear();
        let cut = user::write(&mut text, most, value);
        let before = self.written.truncated;
        work(self, std::str::from_utf8(&text).unwrap_or_default());
        self.count_cut(cut && self.written.truncated == before);
        self.scratch.formatted = text;
        self.scratch.is_touched = true;
    }
}

/// The bits of the keys for which no limit needs a look: what fits the buffer is within the bound.
#[inline]
fn quick<const LATE: bool>(template: &Template, scratch: &Scratch, bounds: Bounds) -> u64 {
    if LATE || scratch.record.capacity() > bounds.bytes {
        return 0;
    }
    template.quick_bits
}

impl<const LATE: bool> Visit for Fields<'_, LATE> {
    #[inline]
    fn record_f64(&mut self, field: &Field, value: f64) {
        let write =
            |out: &mut Vec<u8>, prefix: &Prefix| common::put_double_short(out, prefix, value);
        if !self.quick(field, write) {
            self.attribute(field, |out, prefix| common::put_double(out, prefix, value));
        }
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        let write = |out: &mut Vec<u8>, prefix: &Prefix| common::put_int_short(out, prefix, value);
        if !self.quick(field, write) {
            self.longer_int(field, value);
        }
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.decimal(field, &value),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.decimal(field, &value),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.decimal(field, &value),
        }
    }

    #[inline]
    fn record_bool(&mut self, field: &Field, value: bool) {
        let write = |out: &mut Vec<u8>, prefix: &Prefix| common::put_bool_short(out, prefix, value);
        if !self.quick(field, write) {
            self.attribute(field, |out, prefix| common::put_bool(out, prefix, value));
        }
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        if value.len() > common::ROW_TEXT {
            return self.longer_text(field, value);
        }
        let write = |out: &mut Vec<u8>, prefix: &Prefix| common::put_str_short(out, prefix, value);
        if !self.quick(field, write) {
            self.text(field, value);
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        // A body has no limits of attributes.
        let known = self.known(field);
        let length = match known.is_some_and(|known| known.role == Role::Body) {
            true => usize::MAX,
            false => self.template.value_length,
        };
        let most = self.room().min(length);
        self.count_cut(value.len() > most);
        let value = value.get(..most).unwrap_or(value);
        self.attribute(field, |out, prefix| common::put_bytes(out, prefix, value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.slowly(|fields| fields.error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if LATE || !self.message(field, value) {
            self.format(field, value);
        }
    }
}
