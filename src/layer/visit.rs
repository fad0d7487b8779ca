//! The visit of a record's fields: each value is encoded as it comes, behind its callsite's encoded key.

use std::error::Error;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing_core::field::{Field, Visit};

use super::callsite::{Known, Role, Template};
use super::scratch::Scratch;
use crate::proto::common::{self, Prefix};
use crate::proto::trace::{self, Code, Kind};
use crate::quiet;

/// An error's chain is followed so far; a chain may be a circle.
const MAX_CHAIN: usize = 32;

/// What has been written of a record so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// A bit for each of the first 64 keys.
    keys: u64,
    pub(super) attributes: u32,
    pub(super) dropped: u32,
    pub(super) name: bool,
    pub(super) kind: bool,
    pub(super) status: Code,
    /// Values that were cut.
    pub(super) truncated: u32,
}

impl Written {
    /// What a record of this callsite begins with.
    #[inline]
    pub(super) fn new(template: &Template) -> Self {
        Self {
            keys: template.constant_bits,
            attributes: template.constant_attributes,
            dropped: template.constant_dropped,
            ..Self::default()
        }
    }

    /// Counts a new attribute; `false` when there is one too many. For a key that may be there already, ask
    /// [`Written::may_have`] first.
    #[inline]
    pub(super) fn admit(&mut self, bit: u64, limit: u32) -> bool {
        if self.attributes >= limit {
            self.dropped += 1;
            return false;
        }
        self.keys |= bit;
        self.attributes += 1;
        true
    }

    /// Whether the key with this bit may have been written. One beyond the first 64 has no bit and is looked for.
    #[inline]
    pub(super) fn may_have(&self, bit: u64) -> bool {
        self.keys & bit != 0 || bit == 0
    }
}

impl Written {
    /// Sets the status by the specification's order, Ok over Error over Unset, where Ok is final. The name of a code
    /// alone does not take a description away.
    pub(super) fn set_status(&mut self, record: &mut Vec<u8>, code: Code, description: &str) {
        let keeps = code == self.status && description.is_empty();
        if self.status == Code::Ok || code == Code::Unset || keeps {
            return;
        }
        if self.status != Code::Unset {
            trace::cut_status(record);
        }
        self.status = code;
        trace::put_status(
            record,
            code,
            if code == Code::Error { description } else { "" },
        );
    }
}

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

pub(super) struct Fields<'a> {
    pub(super) template: &'a Template,
    pub(super) scratch: &'a mut Scratch,
    pub(super) written: Written,
    pub(super) bounds: Bounds,
    /// Whether what is written is marked, to be merged later, and not the record itself.
    pub(super) late: bool,
}

impl Fields<'_> {
    #[inline]
    fn attribute(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>, &Prefix)) {
        let template = self.template;
        if let Some(known) = template.known(field)
            && self.begin(known)
        {
            write(&mut self.scratch.record, &known.prefix);
        }
    }

    /// Makes way for an attribute; `false` when it is not to be written.
    #[inline]
    fn begin(&mut self, known: &Known) -> bool {
        if self.scratch.record.len() + known.prefix.len() >= self.bounds.bytes {
            self.written.dropped += 1;
            return false;
        }
        if self.late || self.written.may_have(known.bit) {
            return self.begin_again(known);
        }
        self.written.admit(known.bit, self.bounds.attributes)
    }

    /// A late field, which is merged later, or one whose key was written before: the old one is cut out.
    #[cold]
    fn begin_again(&mut self, known: &Known) -> bool {
        let Known { bit, prefix, .. } = known;
        if self.late {
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

    #[inline]
    fn text(&mut self, field: &Field, value: &str) {
        let template = self.template;
        let Some(known) = template.known(field) else {
            return;
        };
        if known.role != Role::Attribute {
            return self.special(known, value);
        }
        let value = self.cut(value);
        if self.begin(known) {
            common::put_str(&mut self.scratch.record, &known.prefix, value);
        }
    }

    /// As much of the value as the record has room for.
    #[inline]
    fn cut<'v>(&mut self, value: &'v str) -> &'v str {
        let room = self.bounds.bytes.saturating_sub(self.scratch.record.len());
        if value.len() <= room {
            return value;
        }
        self.written.truncated += 1;
        &value[..boundary(value, room)]
    }

    /// A field that means something else than an attribute.
    #[cold]
    fn special(&mut self, known: &Known, value: &str) {
        match known.role {
            Role::Attribute => {}
            Role::Name => {
                let value = self.cut(value);
                if self.late {
                    self.mark(What::Name);
                } else if self.written.name {
                    trace::cut_name(&mut self.scratch.record);
                }
                self.written.name = true;
                trace::put_name(&mut self.scratch.record, value);
            }
            Role::Kind => {
                if self.late {
                    self.mark(What::Kind);
                } else if self.written.kind {
                    trace::cut_kind(&mut self.scratch.record);
                }
                self.written.kind = true;
                let kind = Kind::from_name(value).unwrap_or(Kind::Internal);
                trace::put_kind(&mut self.scratch.record, kind);
            }
            Role::Exception => self.exception(known, value),
            Role::StatusCode => self.status(Code::from_name(value), ""),
            Role::StatusDescription => self.status(Code::Error, value),
            Role::Message => {
                let value = self.cut(value);
                self.event_name();
                trace::put_event_name(&mut self.scratch.record, value);
            }
        }
    }

    fn status(&mut self, code: Code, description: &str) {
        let description = self.cut(description);
        if self.late {
            self.mark(What::Status(code));
            self.scratch
                .record
                .extend_from_slice(description.as_bytes());
            return;
        }
        self.written
            .set_status(&mut self.scratch.record, code, description);
    }

    /// Keeps an exception's text, which its span's status is described with, and writes it as an attribute.
    fn exception(&mut self, known: &Known, text: &str) {
        let text = self.cut(text);
        self.scratch.text.clear();
        self.scratch.text.extend_from_slice(text.as_bytes());
        if self.begin(known) {
            common::put_str(&mut self.scratch.record, &known.prefix, text);
        }
    }

    fn event_name(&mut self) {
        if self.written.name {
            trace::cut_event_name(&mut self.scratch.record);
        }
        self.written.name = true;
    }

    /// Formats a value with the user's code, within bounds.
    fn format(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let end = self.bounds.bytes;
        let template = self.template;
        let Some(known) = template.known(field) else {
            return;
        };
        let mut cut = false;
        match known.role {
            Role::Attribute => {
                if self.begin(known) {
                    let write = |out: &mut Vec<u8>| cut = write_user(out, end, value);
                    common::put_text(&mut self.scratch.record, &known.prefix, write);
                }
            }
            Role::Message => {
                self.event_name();
                let out = &mut self.scratch.record;
                trace::put_event_name_with(out, |out| cut = write_user(out, end, value));
            }
            Role::Name
            | Role::Kind
            | Role::StatusCode
            | Role::StatusDescription
            | Role::Exception => {
                let mut text = Vec::new();
                cut = write_user(&mut text, end, value);
                self.special(known, &String::from_utf8_lossy(&text));
            }
        }
        self.written.truncated += u32::from(cut);
    }
}

impl Visit for Fields<'_> {
    #[inline]
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attribute(field, |out, prefix| common::put_double(out, prefix, value));
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field, |out, prefix| common::put_int(out, prefix, value));
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attribute(field, |out, prefix| common::put_wide(out, prefix, value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.attribute(field, |out, prefix| common::put_wide(out, prefix, value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.attribute(field, |out, prefix| common::put_wide(out, prefix, value));
    }

    #[inline]
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attribute(field, |out, prefix| common::put_bool(out, prefix, value));
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        let room = self.bounds.bytes.saturating_sub(self.scratch.record.len());
        self.written.truncated += u32::from(value.len() > room);
        let value = &value[..value.len().min(room)];
        self.attribute(field, |out, prefix| common::put_bytes(out, prefix, value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.format(field, &format_args!("{value}"));
        let template = self.template;
        let has_chain = |known: &Known| matches!(known.role, Role::Attribute | Role::Exception);
        if !template.known(field).is_some_and(has_chain) {
            return;
        }
        let known = template.chain(field);
        let room = self.bounds.bytes.saturating_sub(self.scratch.record.len());
        let chain = chain(value, room);
        if self.begin(&known) {
            common::put_strings(&mut self.scratch.record, &known.prefix, &chain);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.format(field, value);
    }
}

/// The texts of an error's sources, of `room` bytes together.
fn chain(error: &(dyn Error + 'static), mut room: usize) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = source(error);
    while let Some(error) = next {
        if texts.len() == MAX_CHAIN {
            break;
        }
        let mut text = Vec::new();
        write_user(&mut text, room, &format_args!("{error}"));
        room = room.saturating_sub(text.len());
        texts.push(String::from_utf8_lossy(&text).into_owned());
        next = source(error);
    }
    texts
}

fn source<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    quiet::nested(|| catch_unwind(AssertUnwindSafe(|| error.source()))).unwrap_or(None)
}

/// Appends what the user's `Debug` writes, until `out` has `end` bytes; says whether it was cut. A panic costs this
/// value only.
fn write_user(out: &mut Vec<u8>, end: usize, value: &dyn fmt::Debug) -> bool {
    let start = out.len();
    let mut writer = Bounded {
        out,
        end,
        cut: false,
    };
    let outcome = quiet::nested(|| catch_unwind(AssertUnwindSafe(|| write!(writer, "{value:?}"))));
    let cut = writer.cut;
    if let Err(panic) = outcome {
        let out = writer.out;
        out.truncate(start);
        let why = panic_text(&*panic);
        let mut writer = Bounded { out, end, cut };
        // Bounded as any value; what does not fit is cut.
        let _ = write!(writer, "<panicked: {why}>");
        // Dropping a payload runs user code once more.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    }
    cut
}

/// The last place at or before `at` where the text may be cut.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

/// Stops the formatting at the bound, so that a value of 100 MB costs what the bound costs.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    cut: bool,
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.end.saturating_sub(self.out.len());
        if text.len() <= room && !self.cut {
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        if !self.cut {
            self.out
                .extend_from_slice(&text.as_bytes()[..boundary(text, room)]);
        }
        self.cut = true;
        Err(fmt::Error)
    }
}
