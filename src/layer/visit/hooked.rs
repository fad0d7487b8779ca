//! Values that go through the pipeline's processors before they are encoded.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use tracing_core::field::{Field, Visit};

use super::Fields;
use crate::layer::callsite::Role;
use crate::layer::processor::{OVERRUN, Processors};
use crate::layer::user::{self, Most};
use crate::model::Value;
use crate::proto::value::{self, ValueBounds};

/// Where a field's values go.
pub(in crate::layer) trait Sink: Visit {
    /// A value that no other method takes.
    fn record_value(&mut self, field: &Field, value: &Value<'_>);
}

impl<const LATE: bool> Sink for Fields<'_, LATE> {
    fn record_value(&mut self, field: &Field, value: &Value<'_>) {
        self.slowly(|fields| {
            let Some(known) = fields.known(field) else {
                return;
            };
            if known.role != Role::Body && !fields.begin(known) {
                return;
            }
            let bounds = ValueBounds {
                length: fields.template.value_length,
                bytes: fields.room(),
                ..ValueBounds::default()
            };
            let tag = known.prefix.tag();
            if known.role == Role::Body {
                return fields.any_body(known, |out| {
                    value::put_attribute(out, tag, field.name(), value, &bounds);
                });
            }
            let record = &mut fields.scratch.record;
            let is_cut = value::put_attribute(record, tag, field.name(), value, &bounds);
            fields.count_cut(is_cut);
        });
    }
}

/// Shows each value to the processors before it goes on.
pub(in crate::layer) struct Hooked<'a, S> {
    pub(in crate::layer) sink: &'a mut S,
    pub(in crate::layer) processors: &'a Processors,
    /// What the program's code wrote, until the processors have seen it.
    pub(in crate::layer) raw: &'a mut Vec<u8>,
    /// The most that a record holds.
    pub(in crate::layer) bytes: usize,
}

impl<S: Sink> Hooked<'_, S> {
    /// A value that goes on as it came, unless a processor has changed it.
    fn plain(&mut self, field: &Field, value: Value<'static>, as_it_came: impl FnOnce(&mut S)) {
        let mut shown = value.clone();
        self.processors.value(field.name(), &mut shown, self.bytes);
        if shown == value {
            as_it_came(self.sink);
        } else {
            self.put(field, &shown);
        }
    }

    fn put(&mut self, field: &Field, value: &Value<'_>) {
        match value {
            Value::Str(text) => self.sink.record_str(field, text),
            Value::Bool(value) => self.sink.record_bool(field, *value),
            Value::Int(value) => self.sink.record_i64(field, *value),
            Value::Double(value) => self.sink.record_f64(field, *value),
            Value::Bytes(bytes) => self.sink.record_bytes(field, bytes),
            Value::Empty | Value::Array(_) | Value::Map(_) => self.sink.record_value(field, value),
        }
    }

    /// What the program's code writes, in the scratch space for `work`.
    fn formatted<T>(
        &mut self,
        value: &dyn fmt::Debug,
        work: impl FnOnce(&mut Self, &str) -> T,
    ) -> T {
        // A little more than is shown, so that what is longer is known to be.
        let most = Most {
            end: self.bytes.saturating_add(OVERRUN + char::MAX.len_utf8()),
            characters: usize::MAX,
        };
        let mut raw = std::mem::take(self.raw);
        user::write(&mut raw, most, value);
        let result = work(self, std::str::from_utf8(&raw).unwrap_or_default());
        wipe(&mut raw);
        *self.raw = raw;
        result
    }

    /// An error's text as the processors leave it.
    fn told(&mut self, field: &Field, error: &(dyn Error + 'static)) -> String {
        self.formatted(&format_args!("{error}"), |hooked, text| {
            let text = hooked.processors.text(field.name(), text, hooked.bytes);
            text.into_owned()
        })
    }
}

/// Overwrites what the processors have seen.
fn wipe(raw: &mut Vec<u8>) {
    raw.fill(0);
    raw.clear();
}

impl<S: Sink> Visit for Hooked<'_, S> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // What is not a number does not equal itself: it goes on as it is in either case.
        self.plain(field, value.into(), |sink| sink.record_f64(field, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value.into(), |sink| sink.record_i64(field, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value.into(), |sink| sink.record_u64(field, value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, value.into(), |sink| sink.record_i128(field, value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, value.into(), |sink| sink.record_u128(field, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value.into(), |sink| sink.record_bool(field, value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut value = Value::Str(Cow::Borrowed(value));
        self.processors.value(field.name(), &mut value, self.bytes);
        self.put(field, &value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        let mut value = Value::Bytes(Cow::Borrowed(value));
        self.processors.value(field.name(), &mut value, self.bytes);
        self.put(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut texts = vec![self.told(field, value)];
        // All of them together are as long as one value may be.
        let mut room = self.bytes.saturating_add(OVERRUN);
        for source in user::sources(value) {
            let text = self.told(field, source);
            room = room.saturating_sub(text.len());
            texts.push(text);
            if room == 0 {
                break;
            }
        }
        let nothing: Option<Told> = None;
        let told = texts.into_iter().rev().fold(nothing, |source, text| {
            let source = source.map(Box::new);
            Some(Told { text, source })
        });
        if let Some(told) = told {
            self.sink.record_error(field, &told);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.formatted(value, |hooked, text| {
            let mut value = Value::Str(Cow::Borrowed(text));
            hooked
                .processors
                .value(field.name(), &mut value, hooked.bytes);
            hooked.put(field, &value);
        });
    }
}

/// An error of which only the texts are left.
#[derive(Debug)]
struct Told {
    text: String,
    source: Option<Box<Self>>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
