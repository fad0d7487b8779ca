//! The attributes of the thread that made a span: `thread.id` and `thread.name`.

use std::cell::OnceCell;

use super::callsite::Template;
use super::processor::Processors;
use super::written::Written;
use crate::proto::common::{self, Prefix};
use crate::proto::trace;
use crate::proto::value::beginning;

pub(super) const KEYS: [&str; 2] = ["thread.id", "thread.name"];

thread_local! {
    /// Both attributes of this thread, encoded once; empty where there is none.
    static ATTRIBUTES: OnceCell<[Box<[u8]>; 2]> = const { OnceCell::new() };
}

/// Appends this thread's attributes, within the limit. Nothing while the thread's locals are being destroyed.
pub(super) fn put(record: &mut Vec<u8>, written: &mut Written, template: &Template, limit: u32) {
    let _ = ATTRIBUTES.try_with(|attributes| {
        for (attribute, bit) in attributes
            .get_or_init(encode)
            .iter()
            .zip(template.thread_bits)
        {
            // A field of the same name finds its bit set, and replaces what is written here.
            if !attribute.is_empty() && written.admit(bit, limit) {
                put_bounded(record, attribute, template.value_length);
            }
        }
    });
}

/// Shows the thread's name, which is written, to the processors.
pub(super) fn hook(record: &mut Vec<u8>, template: &Template, processors: &Processors) {
    let [_, key] = KEYS;
    let thread = std::thread::current();
    let Some(name) = thread.name() else { return };
    let shown = processors.text(key, name, usize::MAX);
    if shown == name {
        return;
    }
    let prefix = Prefix::new(trace::SPAN_ATTRIBUTE, key);
    if trace::cut_attribute(record, prefix.tag(), prefix.key()) {
        common::put_str(record, &prefix, beginning(&shown, template.value_length));
    }
}

/// Appends an attribute, of which a text has so many characters at most.
fn put_bounded(record: &mut Vec<u8>, attribute: &[u8], length: usize) {
    match common::text_of(attribute) {
        Some((text, _)) if text.len() > length => {
            common::put_text_like(record, attribute, beginning(text, length));
        }
        _ => record.extend_from_slice(attribute),
    }
}

fn encode() -> [Box<[u8]>; 2] {
    let thread = std::thread::current();
    let [id, name] = KEYS.map(|key| Prefix::new(trace::SPAN_ATTRIBUTE, key));
    let mut encoded = [Vec::new(), Vec::new()];
    // The number inside `ThreadId(7)`; there is no stable way to it but the text.
    let text = format!("{:?}", thread.id());
    let digits = text.trim_matches(|c: char| !c.is_ascii_digit());
    if let Ok(number) = digits.parse() {
        common::put_int(&mut encoded[0], &id, number);
    }
    if let Some(text) = thread.name() {
        common::put_str(&mut encoded[1], &name, text);
    }
    encoded.map(Vec::into_boxed_slice)
}
