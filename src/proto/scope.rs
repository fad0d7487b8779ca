//! `InstrumentationScope` (common.proto) with more than a name, and the schema of its records.

use super::request::{SCOPE, SCOPE_NAME};
use super::runs::SCHEMA_URL;
use super::wire::{self, LEN, tag};

/// InstrumentationScope.version.
const SCOPE_VERSION: u8 = tag(2, LEN);
/// InstrumentationScope.attributes.
pub(crate) const SCOPE_ATTRIBUTE: u8 = tag(3, LEN);

/// What a run of a scope with more than a name begins with; `attributes` are encoded, with [`SCOPE_ATTRIBUTE`].
pub(crate) fn put(
    out: &mut Vec<u8>,
    name: &str,
    version: &str,
    attributes: &[u8],
    schema_url: &str,
) {
    let mut scope = Vec::new();
    for (tag, text) in [(SCOPE_NAME, name), (SCOPE_VERSION, version)] {
        if !text.is_empty() {
            wire::put_len(&mut scope, tag, text.as_bytes());
        }
    }
    scope.extend_from_slice(attributes);
    wire::put_len(out, SCOPE, &scope);
    if !schema_url.is_empty() {
        wire::put_len(out, SCHEMA_URL, schema_url.as_bytes());
    }
}
