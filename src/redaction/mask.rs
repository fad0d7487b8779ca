//! A text with some of its parts replaced.

use std::ops::Range;

use super::MASK;

/// The text with a mask for each of these parts, of which those that overlap or touch are one; `None` where there is none.
pub(super) fn mask(text: &[u8], parts: &[Range<usize>]) -> Option<Vec<u8>> {
    if parts.is_empty() {
        return None;
    }
    let mut parts = parts.to_vec();
    parts.sort_unstable_by_key(|part| part.start);
    let mut masked = Vec::with_capacity(text.len());
    let mut done = 0;
    for Range { start, end } in parts {
        if start > done || done == 0 {
            masked.extend_from_slice(text.get(done..start).unwrap_or_default());
            masked.extend_from_slice(MASK.as_bytes());
        }
        done = done.max(end);
    }
    masked.extend_from_slice(text.get(done..).unwrap_or_default());
    Some(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_overlap_or_touch_are_one() {
        let masked = |parts: &[(usize, usize)]| {
            let parts: Vec<_> = parts.iter().map(|(start, end)| *start..*end).collect();
            mask(b"0123456789", &parts).map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(masked(&[]), None);
        let cases: [(&[(usize, usize)], &str); 4] = [
            (&[(0, 3)], "[redacted]3456789"),
            (&[(4, 6), (1, 2)], "0[redacted]23[redacted]6789"),
            (&[(1, 4), (2, 6), (6, 10)], "0[redacted]"),
            (&[(0, 9), (1, 2)], "[redacted]9"),
        ];
        for (parts, expected) in cases {
            assert_eq!(masked(parts).as_deref(), Some(expected), "{parts:?}");
        }
    }
}
