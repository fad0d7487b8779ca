//! Tokens: behind the name of an authentication scheme, and JSON Web Tokens anywhere.

use std::ops::Range;

/// So many characters behind `Bearer` are a token, whatever they are.
const LONG: usize = 8;

/// Appends where tokens are.
pub(super) fn find(text: &[u8], found: &mut Vec<Range<usize>>) {
    find_credentials(text, found);
    find_web_tokens(text, found);
}

/// What stands behind `Bearer` or `Basic`.
fn find_credentials(text: &[u8], found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    let mut is_inside_a_word = false;
    while let Some(byte) = text.get(at) {
        let scheme = if is_inside_a_word {
            None
        } else {
            scheme_at(text, at)
        };
        let Some((length, is_token)) = scheme else {
            is_inside_a_word = byte.is_ascii_alphanumeric() || *byte == b'_';
            at += 1;
            continue;
        };
        let spaces = run(text, at + length, |byte| matches!(byte, b' ' | b'\t'));
        let start = at + length + spaces;
        let end = start + run(text, start, is_of_token);
        let token = text.get(start..end).unwrap_or_default();
        if spaces > 0 && is_token(token) {
            found.push(start..end);
        }
        // What stands there may be the name of a scheme itself, or end with one.
        at = start;
        is_inside_a_word = spaces == 0;
    }
}

/// What a token of a scheme is.
type IsToken = fn(&[u8]) -> bool;

/// The scheme whose name stands here: its length, and what a token of it is.
fn scheme_at(text: &[u8], at: usize) -> Option<(usize, IsToken)> {
    const SCHEMES: [(&[u8], IsToken); 2] = [(b"bearer", is_bearer_token), (b"basic", has_password)];
    let rest = text.get(at..)?;
    let is_here = |name: &[u8]| {
        rest.get(..name.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(name))
    };
    let found = SCHEMES.into_iter().find(|(name, _)| is_here(name));
    found.map(|(name, is_token)| (name.len(), is_token))
}

/// Short words are no tokens: "a bearer of bad news".
fn is_bearer_token(token: &[u8]) -> bool {
    token.len() >= LONG || token.iter().any(u8::is_ascii_digit)
}

/// Whether this is base64 of something with a colon (RFC 7617): most words are not, as in "basic security".
fn has_password(token: &[u8]) -> bool {
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in token {
        let Some(six) = six_bits(*byte) else {
            // Padding, or no base64.
            return false;
        };
        bits = bits << 6 | six;
        count += 6;
        if count >= 8 {
            count -= 8;
            if (bits >> count) as u8 == b':' {
                return true;
            }
        }
    }
    false
}

fn six_bits(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// JSON Web Tokens: a JSON object in base64url begins with `eyJ`.
fn find_web_tokens(text: &[u8], found: &mut Vec<Range<usize>>) {
    const OBJECT: &[u8] = b"eyJ";
    let mut at = 0;
    while at < text.len() {
        let end = at + run(text, at, is_base64url);
        let part = text.get(at..end).unwrap_or_default();
        let object = part.windows(OBJECT.len()).position(|three| three == OBJECT);
        if let Some(offset) = object
            && let Some(behind) = end_of_parts(text, end)
        {
            found.push(at + offset..behind);
            at = behind;
        } else {
            at = end.max(at + 1);
        }
    }
}

/// Where a token ends whose first part ends here: two parts more, or four where it is encrypted, any of which may be empty.
fn end_of_parts(text: &[u8], first: usize) -> Option<usize> {
    let (mut end, mut parts) = (first, 0);
    while text.get(end) == Some(&b'.') {
        end += 1 + run(text, end + 1, is_base64url);
        parts += 1;
    }
    (parts >= 2).then_some(end)
}

fn run(text: &[u8], start: usize, is_of_it: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    rest.iter().take_while(|byte| is_of_it(**byte)).count()
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// `token68` (RFC 9110).
fn is_of_token(byte: u8) -> bool {
    is_base64url(byte) || b".~+/=".contains(&byte)
}
