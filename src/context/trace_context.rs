//! W3C Trace Context level 2: the headers `traceparent` and `tracestate`.

use super::{Context, Extractor, Injector, SpanContext, TraceFlags, TraceState, hex};
use crate::id::{SpanId, TraceId};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

pub(super) const FIELDS: &[&str] = &[TRACEPARENT, TRACESTATE];

/// All 8 flags are written as they are. "Vendors SHOULD avoid sending" an empty `tracestate`.
pub(super) fn inject(context: &Context, carrier: &mut dyn Injector) {
    let Some(span) = context.span() else { return };
    carrier.set(TRACEPARENT, &span.traceparent());
    if !span.trace_state().is_empty() {
        carrier.set(TRACESTATE, span.trace_state().as_str());
    }
}

/// What cannot be read leaves the context as it was. "If the vendor failed to parse `traceparent`, it MUST NOT attempt to parse
/// `tracestate`", and "failure to parse `tracestate` MUST NOT affect the parsing of `traceparent`".
pub(super) fn extract(context: Context, carrier: &dyn Extractor) -> Context {
    let values = carrier.get_all(TRACEPARENT);
    // Of several ones nobody knows which is meant: the trace begins anew.
    let [value] = values.as_slice() else {
        return context;
    };
    let Some((trace_id, span_id, flags)) = read(value) else {
        return context;
    };
    // B3 may have asked for debugging this trace, which means sampled whatever this header says.
    let known = context.span().map(SpanContext::trace_id);
    let debug = context.is_debug() && known == Some(trace_id);
    let flags = TraceFlags::new(flags.bits() | u8::from(debug));
    // "Combined into a single header", in their order.
    let state = TraceState::parse(&carrier.get_all(TRACESTATE).join(",")).unwrap_or_default();
    let span = SpanContext::remote(trace_id, span_id, flags, state);
    context.with_span(span).with_debug(debug)
}

/// The length of version 00, and the least one of later versions.
const LENGTH: usize = 55;
/// "Version ff is invalid."
const FORBIDDEN: u8 = 0xFF;

/// `version "-" trace-id "-" parent-id "-" trace-flags`. Of a later version the fixed places are read, the sampled flag alone,
/// and whatever follows a further dash is not looked at.
fn read(value: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, behind) = value.as_bytes().split_at_checked(LENGTH)?;
    let (version, rest) = field::<1>(known)?;
    let (trace_id, rest) = field::<16>(rest.strip_prefix(b"-")?)?;
    let (span_id, rest) = field::<8>(rest.strip_prefix(b"-")?)?;
    let (flags, _) = field::<1>(rest.strip_prefix(b"-")?)?;
    let ([version], [flags]) = (version, flags);
    let flags = match (version, behind) {
        (0, []) => TraceFlags::new(flags),
        (0 | FORBIDDEN, _) => return None,
        (_, [] | [b'-', ..]) => TraceFlags::new(flags & TraceFlags::SAMPLED.bits()),
        _ => return None,
    };
    Some((
        TraceId::from_bytes(trace_id)?,
        SpanId::from_bytes(span_id)?,
        flags,
    ))
}

/// A field of so many bytes, and what follows it.
fn field<const BYTES: usize>(text: &[u8]) -> Option<([u8; BYTES], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * BYTES)?;
    Some((hex::read(digits)?, rest))
}

#[cfg(test)]
mod tests;
