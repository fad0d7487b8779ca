//! What has been written of a record so far: which keys, how many attributes, which status.

use super::callsite::Template;
use crate::proto::common;
use crate::proto::trace::{self, Code};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// A bit for each of the first 64 keys.
    pub(super) keys: u64,
    pub(super) attributes: u32,
    pub(super) dropped: u32,
    pub(super) name: bool,
    pub(super) kind: bool,
    pub(super) status: Code,
    /// The attribute `error.type` of a span that failed by an event.
    pub(super) error_type: ErrorType,
    /// Values that were cut.
    pub(super) truncated: u32,
    /// A processor has discarded the span: it is dropped when it ends.
    pub(super) is_set_aside: bool,
    /// Events that a processor has discarded.
    pub(super) discarded: u32,
    /// A record was made since it is open for long.
    pub(super) is_told: bool,
}

/// Whose the attribute `error.type` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ErrorType {
    /// The user's, if there is one.
    #[default]
    Theirs,
    /// It follows from an event, and goes when the status becomes Ok.
    Ours,
    /// A limit left it out, which is counted once.
    LeftOut,
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
            self.dropped = self.dropped.saturating_add(1);
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

    /// Whether attributes have come by name, of which any may have any key: see [`super::span::OpenSpan::put_attribute`].
    #[inline]
    pub(super) fn has_names(&self) -> bool {
        self.keys == u64::MAX
    }

    /// Sets the status by the specification's order, Ok over Error over Unset, where Ok is final. The name of a code alone
    /// does not take a description away.
    pub(super) fn set_status(&mut self, record: &mut Vec<u8>, code: Code, description: &str) {
        let keeps = code == self.status && description.is_empty();
        if self.status == Code::Ok || code == Code::Unset || keeps {
            return;
        }
        if self.status != Code::Unset {
            trace::cut_status(record);
        }
        if code == Code::Ok {
            self.cut_error_type(record);
        }
        self.status = code;
        let description = if code == Code::Error { description } else { "" };
        trace::put_status(record, code, description);
    }

    /// Cuts an attribute `error.type` that followed from an event: "no `error.type` on success".
    pub(super) fn cut_error_type(&mut self, record: &mut Vec<u8>) {
        if self.error_type == ErrorType::Ours
            && trace::cut_attribute(record, trace::SPAN_ATTRIBUTE, common::ERROR_TYPE)
        {
            self.attributes -= 1;
        }
        self.error_type = ErrorType::Theirs;
    }
}
