//! The attributes of the thread that made a span: `thread.id` and `thread.name`.

use std::cell::OnceCell;

use super::visit::Written;
use crate::proto::common::{self, Prefix};
use crate::proto::trace;

thread_local! {
    /// Both attributes of this thread, encoded once. There is no name where the thread has none.
    static ATTRIBUTES: OnceCell<(Box<[u8]>, u32)> = const { OnceCell::new() };
}

/// Appends this thread's attributes, within the limit. Nothing while the thread's locals are being destroyed.
pub(super) fn put(record: &mut Vec<u8>, written: &mut Written, limit: u32) {
    let _ = ATTRIBUTES.try_with(|attributes| {
        let (encoded, count) = attributes.get_or_init(encode);
        if written.attributes.saturating_add(*count) > limit {
            written.dropped += count;
            return;
        }
        written.attributes += count;
        record.extend_from_slice(encoded);
    });
}

fn encode() -> (Box<[u8]>, u32) {
    let thread = std::thread::current();
    let mut out = Vec::new();
    let mut count = 0;
    // The number inside `ThreadId(7)`; there is no stable way to it but the text.
    let text = format!("{:?}", thread.id());
    let digits = text.trim_matches(|c: char| !c.is_ascii_digit());
    if let Ok(id) = digits.parse::<i64>() {
        common::put_int(
            &mut out,
            &Prefix::new(trace::SPAN_ATTRIBUTE, "thread.id"),
            id,
        );
        count += 1;
    }
    if let Some(name) = thread.name() {
        common::put_str(
            &mut out,
            &Prefix::new(trace::SPAN_ATTRIBUTE, "thread.name"),
            name,
        );
        count += 1;
    }
    (out.into(), count)
}
