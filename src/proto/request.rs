//! `ExportTraceServiceRequest` (trace_service.proto): a header before the chunks, and the runs that a chunk consists of.
//!
//! `ExportLogsServiceRequest` (logs_service.proto) is the same but for the records: ResourceLogs, ScopeLogs and LogRecord have the
//! numbers of ResourceSpans, ScopeSpans and Span in the messages around them. So this file and [`runs`](super::runs) serve both.

use super::wire::{self, LEN, PADDED_MAX, padded_varint, put_varint, tag};

/// ExportTraceServiceRequest.resource_spans.
const RESOURCE_SPANS: u8 = tag(1, LEN);
/// ResourceSpans.scope_spans.
pub(super) const SCOPE_SPANS: u8 = tag(2, LEN);
/// ScopeSpans.scope.
pub(super) const SCOPE: u8 = tag(1, LEN);
/// InstrumentationScope.name.
pub(super) const SCOPE_NAME: u8 = tag(1, LEN);
/// ScopeSpans.spans.
pub(super) const SPANS: u8 = tag(2, LEN);

/// A run's tag, and the length that is patched.
const EMPTY_RUN: [u8; RUN_HEAD] = [SCOPE_SPANS, 0x80, 0x80, 0x80, 0];
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
pub(crate) fn begin_run(out: &mut Vec<u8>, scope: &[u8]) {
    out.extend_from_slice(&EMPTY_RUN);
    if scope.is_empty() {
        out.extend_from_slice(&[SCOPE, 0]);
        return;
    }
    out.push(SCOPE);
    put_varint(out, wire::len_field_len(scope.len()) as u64);
    wire::put_len(out, SCOPE_NAME, scope);
}

/// As [`begin_run`], with all fields that stand before the records.
pub(crate) fn begin_encoded_run(out: &mut Vec<u8>, fields: &[u8]) {
    out.extend_from_slice(&EMPTY_RUN);
    out.extend_from_slice(fields);
}

/// Patches the length of the run that began at `start` and reaches to the end of `out`.
pub(crate) fn end_run(out: &mut [u8], start: usize) {
    let len = out.len() - start - RUN_HEAD;
    debug_assert!(len <= PADDED_MAX);
    if let Some(length) = out.get_mut(start + 1..start + RUN_HEAD) {
        length.copy_from_slice(&padded_varint(len));
    }
}

/// Appends a record to the run, of which the last bytes stand by themselves.
#[inline(always)]
pub(crate) fn put_record<const N: usize>(out: &mut Vec<u8>, message: &[u8], ending: [u8; N]) {
    wire::put_len_of(out, SPANS, message.len() + N);
    out.extend_from_slice(message);
    out.extend_from_slice(&ending);
}

/// More than [`begin_run`] and [`put_record`] add to a record's own bytes and its scope.
pub(crate) const OVERHEAD: usize = RUN_HEAD + 6 + 6 + 6;

#[cfg(all(test, not(otlp_loom)))]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use prost::Message;

    use super::*;

    #[test]
    fn requests_of_log_records_have_the_same_numbers() {
        let record = |name: &str| LogRecord {
            event_name: name.to_owned(),
            ..LogRecord::default()
        };
        let mut runs = Vec::new();
        for (scope, names) in [("shop", ["a", "b"]), ("", ["c", "d"])] {
            let start = runs.len();
            begin_run(&mut runs, scope.as_bytes());
            for name in names {
                put_record(&mut runs, &record(name).encode_to_vec(), []);
            }
            end_run(&mut runs, start);
        }
        let resource = [0x0A, 2, 16, 7];
        let message = [header(&resource, runs.len()), runs].concat();
        let decoded = ExportLogsServiceRequest::decode(&message[..]).unwrap();
        let of_resource = &decoded.resource_logs[0];
        let counted = of_resource.resource.as_ref().unwrap();
        assert_eq!(counted.dropped_attributes_count, 7);
        let scopes = of_resource.scope_logs.iter();
        let found: Vec<_> = scopes
            .map(|logs| {
                let name = &logs.scope.as_ref().unwrap().name;
                (name.as_str(), logs.log_records.clone())
            })
            .collect();
        let expected = [
            ("shop", vec![record("a"), record("b")]),
            ("", vec![record("c"), record("d")]),
        ];
        assert_eq!(found, expected);
    }
}
