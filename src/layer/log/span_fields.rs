//! The attributes of the spans around a log, on the log itself, where that is asked for.
//!
//! They are taken out of the open spans' encoded bytes, so that what was recorded or set later is there too. A span's are copied
//! under its lock and added outside of it, the innermost span's first: what a log has already is not added again.

use super::Logs;
use crate::config;
use crate::layer::OtlpLayer;
use crate::layer::scratch::Scratch;
use crate::layer::span::OpenSpan;
use crate::layer::written::{ErrorType, Written};
use crate::proto::common::{self, ERROR_TYPE, Prefix};
use crate::proto::logs::LOG_ATTRIBUTE;
use crate::proto::trace::SPAN_ATTRIBUTE;
use crate::proto::value;
use crate::proto::wire::{self, Content, Reader};

/// Which attributes of a span its logs have: keys as they are encoded.
#[derive(Debug)]
pub(in crate::layer) enum SpanFields {
    /// All but these, which the layer writes itself.
    AllBut(Box<[Box<[u8]>]>),
    Only(Box<[Box<[u8]>]>),
}

impl SpanFields {
    /// `keys`: the ones that are wanted; none are all.
    pub(in crate::layer) fn new(keys: &[String], config: &config::Record) -> Self {
        if !keys.is_empty() {
            return Self::Only(keys.iter().map(|key| encoded(key)).collect());
        }
        let location: &[&str] = &["code.file.path", "code.module.name", "code.line.number"];
        let written = [
            (config.location, location),
            (config.target, &["target"]),
            (config.level, &["level"]),
            (config.threads, &crate::layer::thread::KEYS),
        ];
        let written = written.iter().filter(|(is_on, _)| *is_on);
        let keys = written.flat_map(|(_, keys)| keys.iter());
        Self::AllBut(keys.map(|key| encoded(key)).collect())
    }

    fn takes(&self, key: &[u8]) -> bool {
        let (keys, is_wanted) = match self {
            Self::AllBut(keys) => (keys, false),
            Self::Only(keys) => (keys, true),
        };
        keys.iter().any(|known| **known == *key) == is_wanted
    }

    /// Copies a span's attributes, as many as fit `most` bytes.
    fn copy(&self, span: &OpenSpan, out: &mut Vec<u8>, most: usize) {
        // The class of an error that the span was told by an event is not what the program said of the span.
        let is_derived =
            |key: &[u8]| key == ERROR_TYPE && span.written.error_type == ErrorType::Ours;
        let mut reader = Reader::new(&span.record);
        while let Ok(Some((field, content))) = reader.next() {
            let Content::Bytes(attribute) = content else {
                continue;
            };
            if field != u32::from(SPAN_ATTRIBUTE >> 3) || out.len() + attribute.len() > most {
                continue;
            }
            let key = common::key_of(attribute);
            if self.takes(key) && !is_derived(key) {
                wire::put_len(out, LOG_ATTRIBUTE, attribute);
            }
        }
    }
}

/// A key as it stands in an attribute.
fn encoded(key: &str) -> Box<[u8]> {
    Prefix::new(LOG_ATTRIBUTE, key).key().into()
}

impl OtlpLayer {
    /// Adds the attributes of a span around a log to what is written of it.
    pub(super) fn add_span_fields(
        &self,
        logs: &Logs,
        wanted: &SpanFields,
        span: u64,
        written: &mut Written,
        scratch: &mut Scratch,
    ) {
        scratch.is_touched = true;
        let Scratch {
            record, formatted, ..
        } = scratch;
        formatted.clear();
        let most = logs.bounds.bytes;
        self.store
            .update(span, |span, _| wanted.copy(span, formatted, most));
        let mut reader = Reader::new(formatted);
        while let Ok(Some((_, Content::Bytes(attribute)))) = reader.next() {
            logs.add(attribute, written, record);
        }
    }
}

impl Logs {
    /// Adds an attribute, unless there is one of its key.
    fn add(&self, attribute: &[u8], written: &mut Written, record: &mut Vec<u8>) {
        let key = common::key_of(attribute);
        if common::has_attribute(record, LOG_ATTRIBUTE, key) {
            return;
        }
        let room = self.bounds.bytes.saturating_sub(record.len());
        if wire::len_field_len(attribute.len()) > room {
            written.dropped = written.dropped.saturating_add(1);
            return;
        }
        if !written.admit(0, self.bounds.attributes) {
            return;
        }
        if self.is_stricter {
            // A span's value may be longer or deeper than a log's.
            if let Ok((key, value)) = value::read_attribute(attribute) {
                value::put_attribute(record, LOG_ATTRIBUTE, key, &value, &self.value);
            }
        } else {
            wire::put_len(record, LOG_ATTRIBUTE, attribute);
        }
    }
}
