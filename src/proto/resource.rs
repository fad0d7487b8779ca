//! `Resource`, and what stands around it in `ResourceSpans` (resource.proto, trace.proto).

use super::common;
use super::wire::{self, LEN, tag};

/// Resource.attributes.
const ATTRIBUTES: u8 = tag(1, LEN);
/// ResourceSpans.resource.
const RESOURCE: u8 = tag(1, LEN);

/// The field `resource` of `ResourceSpans`, for attributes whose keys are distinct.
pub(crate) fn encode<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in attributes {
        common::put_str(&mut content, &common::Prefix::new(ATTRIBUTES, key), value);
    }
    let mut out = Vec::with_capacity(content.len() + 8);
    wire::put_len(&mut out, RESOURCE, &content);
    out
}
