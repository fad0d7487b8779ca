//! Counts the spans of an `ExportTraceServiceRequest` without decoding them.
//!
//! The receiver shares the machine with the stack that it serves, so it does as little as it can:
//! it steps over the fields of three messages and never looks into a span.

/// `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS: u64 = 1;
/// `ResourceSpans.scope_spans`.
const SCOPE_SPANS: u64 = 2;
/// `ScopeSpans.spans`.
const SPANS: u64 = 2;
/// `Span.end_time_unix_nano`.
const SPAN_END: u64 = 8;

/// The spans in a request; `None` when it is no protobuf message.
pub fn count_spans(request: &[u8]) -> Option<u64> {
    let mut spans = 0;
    for_each(request, RESOURCE_SPANS, |resource| {
        for_each(resource, SCOPE_SPANS, |scope| {
            for_each(scope, SPANS, |_| {
                spans += 1;
                Some(())
            })
        })
    })?;
    Some(spans)
}

/// When each span of a request ended, in nanoseconds since 1970; `None` when it is no protobuf message.
pub fn span_ends(request: &[u8]) -> Option<Vec<u64>> {
    let mut ends = Vec::new();
    for_each(request, RESOURCE_SPANS, |resource| {
        for_each(resource, SCOPE_SPANS, |scope| {
            for_each(scope, SPANS, |span| {
                ends.push(end_of(span)?);
                Some(())
            })
        })
    })?;
    Some(ends)
}

fn end_of(mut span: &[u8]) -> Option<u64> {
    while !span.is_empty() {
        let tag = varint(&mut span)?;
        match tag & 7 {
            0 => drop(varint(&mut span)?),
            1 => {
                let fixed = take(&mut span, 8)?;
                if tag >> 3 == SPAN_END {
                    return fixed.try_into().ok().map(u64::from_le_bytes);
                }
            }
            2 => {
                let length = varint(&mut span)?;
                take(&mut span, usize::try_from(length).ok()?)?;
            }
            5 => drop(take(&mut span, 4)?),
            _ => return None,
        }
    }
    None
}

/// Calls back with each length-delimited field of this number.
fn for_each<'a>(
    mut message: &'a [u8],
    number: u64,
    mut found: impl FnMut(&'a [u8]) -> Option<()>,
) -> Option<()> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => drop(varint(&mut message)?),
            1 => drop(take(&mut message, 8)?),
            2 => {
                let length = varint(&mut message)?;
                let field = take(&mut message, usize::try_from(length).ok()?)?;
                if tag >> 3 == number {
                    found(field)?;
                }
            }
            5 => drop(take(&mut message, 4)?),
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_through_scopes_and_padded_lengths() {
        // Two scopes of one resource: one span with one byte, then two empty spans behind a
        // length in a varint of four bytes.
        let request = [
            0x0a, 0x10, 0x0a, 0x00, 0x12, 0x03, 0x12, 0x01, 0x00, 0x12, 0x84, 0x80, 0x80, 0x00,
            0x12, 0x00, 0x12, 0x00,
        ];
        assert_eq!(count_spans(&request), Some(3));
    }

    #[test]
    fn what_ends_too_early_is_no_message() {
        assert_eq!(count_spans(&[0x0a, 0x05, 0x12]), None);
        assert_eq!(count_spans(&[]), Some(0));
    }
}
