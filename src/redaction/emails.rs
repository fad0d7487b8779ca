//! E-mail addresses, as they are written in practice (of RFC 5322's `addr-spec`, the dot-atom form).

use std::ops::Range;

/// The sign inside of an URL.
const ENCODED_AT: &[u8] = b"%40";

/// Appends where addresses are.
pub(super) fn find(text: &[u8], found: &mut Vec<Range<usize>>) {
    // Where the characters of a local part began.
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        if start < at
            && let Some(behind) = behind_sign(text, at, *byte)
            && let Some(end) = end_of_domain(text, behind)
        {
            found.push(start..end);
        }
        if !is_local(*byte) {
            start = at + 1;
        }
    }
}

/// Where the sign ends that begins with this byte, if one does.
#[inline]
fn behind_sign(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    match byte {
        b'@' => Some(at + 1),
        b'%' if text.get(at..)?.starts_with(ENCODED_AT) => Some(at + ENCODED_AT.len()),
        _ => None,
    }
}

/// The end of the longest domain that begins here; `None` where none does.
fn end_of_domain(text: &[u8], start: usize) -> Option<usize> {
    let mut end = None;
    let mut label = start;
    loop {
        let rest = text.get(label..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| is_of_label(**byte)).count();
        let behind = label + len;
        // A hyphen at the end is punctuation.
        let trimmed = rest.get(..len).unwrap_or_default();
        let hyphens = trimmed
            .iter()
            .rev()
            .take_while(|byte| **byte == b'-')
            .count();
        if label > start && is_last(trimmed.get(..len - hyphens).unwrap_or_default()) {
            end = Some(behind - hyphens);
        }
        if len == 0 || text.get(behind) != Some(&b'.') {
            return end;
        }
        label = behind + 1;
    }
}

/// Whether a domain may end with this label.
fn is_last(label: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    label.len() >= 2 && label.first().is_some_and(is_letter)
}

fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || !byte.is_ascii()
}

fn is_local(byte: u8) -> bool {
    LOCAL[usize::from(byte)]
}

/// The characters that a local part may have; `/`, `=` and `?` are left out: in texts they separate it from something else.
const LOCAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte >= 0x80;
        byte += 1;
    }
    let mut marks: &[u8] = b".!#$%&'*+-^_`{|}~";
    while let [mark, rest @ ..] = marks {
        table[*mark as usize] = true;
        marks = rest;
    }
    table
};
