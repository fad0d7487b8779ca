//! Errors among the fields: their chains, and the attributes of an exception (specification, exceptions).

use std::error::Error;

use tracing_core::field::Field;

use super::{Fields, What};
use crate::layer::callsite::{Known, Role};
use crate::layer::user::{self, Most};
use crate::proto::common::{self, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE};
use crate::proto::trace;

impl<const LATE: bool> Fields<'_, LATE> {
    /// A field of the type `dyn Error`: its text as of any value, and what follows from it.
    ///
    /// The texts of its sources are gathered on the heap.
    pub(super) fn error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let Some(known) = self.known(field) else {
            return;
        };
        let has_exception = self.template.has_exception(known.role);
        let tag = known.prefix.tag();
        let most = self.longest(known.role);
        self.formatted(&format_args!("{error}"), most, |fields, text| {
            fields.put_text(known, text);
            if has_exception && fields.template.derives.message && known.role == Role::Attribute {
                fields.derive(tag, EXCEPTION_MESSAGE, text);
            }
        });
        if !matches!(known.role, Role::Attribute | Role::Exception) {
            return;
        }
        let has_stacktrace = has_exception && self.template.derives.stacktrace;
        if !self.template.derives.chain && !has_stacktrace {
            return;
        }
        let most = Most {
            end: self.room(),
            characters: self.template.value_length,
        };
        let (chain, cut) = user::chain(error, most);
        self.count_cut(cut);
        if self.template.derives.chain {
            let known = self.template.chain(field, known);
            if self.begin(&known) {
                let texts = chain.iter().map(String::as_str);
                common::put_strings(&mut self.scratch.record, &known.prefix, texts);
            }
        }
        if has_stacktrace && !chain.is_empty() {
            self.derive(tag, EXCEPTION_STACKTRACE, &chain.join("\n"));
        }
    }

    /// The text of an exception, or of an error's class, which its span is told of too.
    pub(super) fn note(&mut self, known: &Known, text: &str) {
        let kept = user::fitting(text, self.bounds.bytes).as_bytes();
        self.scratch.is_touched = true;
        let noted = &mut self.scratch.noted;
        match known.role {
            Role::Exception => {
                noted.is_exception = true;
                noted.text.clear();
                noted.text.extend_from_slice(kept);
                if self.template.derives.message {
                    return self.derive(known.prefix.tag(), EXCEPTION_MESSAGE, text);
                }
            }
            Role::ErrorType => {
                noted.error_type.clear();
                noted.error_type.extend_from_slice(kept);
            }
            // `error.type` goes first, wherever it stands.
            Role::ExceptionType if noted.error_type.is_empty() => {
                noted.error_type.extend_from_slice(kept);
            }
            _ => {}
        }
        self.put_attribute_text(known, text);
    }

    /// What is known of an exception when all its fields are: its type.
    pub(in crate::layer) fn complete_exception(&mut self) {
        if !self.template.derives.exception_type || self.scratch.noted.error_type.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.scratch.noted.error_type);
        self.derive(
            self.template.tag,
            EXCEPTION_TYPE,
            std::str::from_utf8(&text).unwrap_or_default(),
        );
        self.scratch.noted.error_type = text;
    }

    /// An attribute that follows from a field; one of the same key that followed from another field goes.
    fn derive(&mut self, tag: u8, key: &[u8], text: &str) {
        let text = self.bounded(text);
        if self.begin_derived(tag, key) {
            common::put_text_at(&mut self.scratch.record, tag, key, text);
        }
    }

    fn begin_derived(&mut self, tag: u8, key: &[u8]) -> bool {
        let record = &mut self.scratch.record;
        if record.len() + key.len() >= self.bounds.bytes {
            self.written.dropped = self.written.dropped.saturating_add(1);
            return false;
        }
        if LATE {
            // Without a bit: it is looked for.
            self.mark(What::Attribute(0));
            return true;
        }
        trace::cut_attribute(record, tag, key) || self.written.admit(0, self.bounds.attributes)
    }
}
