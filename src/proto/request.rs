//! `ExportTraceServiceRequest` (trace_service.proto): a header before the chunks, and the runs that a chunk consists of.

use super::wire::{self, LEN, PADDED_MAX, padded_varint, put_varint, tag};

/// ExportTraceServiceRequest.resource_spans.
const RESOURCE_SPANS: u8 = tag(1, LEN);
/// ResourceSpans.scope_spans.
pub(super) const SCOPE_SPANS: u8 = tag(2, LEN);
/// ScopeSpans.scope.
pub(super) const SCOPE: u8 = tag(1, LEN);
/// InstrumentationScope.name.
const SCOPE_NAME: u8 = tag(1, LEN);
/// ScopeSpans.spans.
pub(super) const SPANS: u8 = tag(2, LEN);

/// The tag of a run and its padded length.
pub(super) const RUN_HEAD: usize = 5;

/// What a request begins with: one `ResourceSpans` that holds the encoded resource and `runs` bytes of chunks.
pub(crate) fn header(resource: &[u8], runs: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(resource.len() + 12);
    out.push(RESOURCE_SPANS);
    put_varint(&mut out, (resource.len() + runs) as u64);
    out.extend_from_slice(resource);
    out
}

/// Begins a run (`ScopeSpans`) whose length is not known yet; `scope` is the name in its `InstrumentationScope`.
pub(crate) fn begin_run(out: &mut Vec<u8>, scope: &str) {
    out.extend_from_slice(&[SCOPE_SPANS, 0x80, 0x80, 0x80, 0]);
    if scope.is_empty() {
        out.extend_from_slice(&[SCOPE, 0]);
        return;
    }
    out.push(SCOPE);
    put_varint(out, wire::len_field_len(scope.len()) as u64);
    wire::put_len(out, SCOPE_NAME, scope.as_bytes());
}

/// Patches the length of the run that began at `start` and reaches to the end of `out`.
pub(crate) fn end_run(out: &mut [u8], start: usize) {
    let len = out.len() - start - RUN_HEAD;
    debug_assert!(len <= PADDED_MAX);
    if let Some(length) = out.get_mut(start + 1..start + RUN_HEAD) {
        length.copy_from_slice(&padded_varint(len));
    }
}

/// Appends a record to the run.
#[inline]
pub(crate) fn put_record(out: &mut Vec<u8>, message: &[u8]) {
    wire::put_len(out, SPANS, message);
}

/// More than [`begin_run`] and [`put_record`] add to a record's own bytes and its scope.
pub(crate) const OVERHEAD: usize = RUN_HEAD + 6 + 6 + 6;
