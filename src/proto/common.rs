//! `KeyValue` and `AnyValue` (common.proto).
//!
//! An attribute is written as a prefix that its callsite encoded once (tag, room for the length, key) and a value.

use super::wire::{
    self, Content, FIXED64, LEN, Malformed, Reader, VARINT, put_varint, tag, varint_len,
};

/// KeyValue.key and KeyValue.value.
pub(super) const KEY: u8 = tag(1, LEN);
pub(crate) const VALUE: u8 = tag(2, LEN);

/// AnyValue: "The value is one of the listed fields. It is valid for all values to be unspecified."
pub(super) const STRING_VALUE: u8 = tag(1, LEN);
pub(super) const BOOL_VALUE: u8 = tag(2, VARINT);
pub(super) const INT_VALUE: u8 = tag(3, VARINT);
pub(super) const DOUBLE_VALUE: u8 = tag(4, FIXED64);
pub(super) const ARRAY_VALUE: u8 = tag(5, LEN);
pub(super) const KVLIST_VALUE: u8 = tag(6, LEN);
pub(super) const BYTES_VALUE: u8 = tag(7, LEN);

/// ArrayValue.values.
pub(super) const ARRAY_VALUES: u8 = tag(1, LEN);
/// KeyValueList.values.
pub(super) const KVLIST_VALUES: u8 = tag(1, LEN);

/// Keys of attributes that follow from others, encoded: field 1 with its length (semantic conventions, exceptions and errors).
pub(crate) const EXCEPTION_MESSAGE: &[u8] = b"\x0A\x11exception.message";
pub(crate) const EXCEPTION_STACKTRACE: &[u8] = b"\x0A\x14exception.stacktrace";
pub(crate) const EXCEPTION_TYPE: &[u8] = b"\x0A\x0Eexception.type";
pub(crate) const ERROR_TYPE: &[u8] = b"\x0A\x0Aerror.type";

/// What stands before the key in a prefix: the attribute's tag and one byte for its length.
const ROOM: usize = 2;
/// One byte of length reaches up to here.
const SHORT: usize = 0x7F;
/// Prefixes up to this length are copied at a fixed width, which costs two moves and no call.
const WIDTH: usize = 32;
/// With what is written behind the key at a fixed width: a value with its tags, or a short text. A cache line.
const ROW: usize = 64;
/// As much of it as a value that is no text needs.
const VALUE_ROW: usize = WIDTH + 16;
/// The tags and lengths of a short text.
const TEXT_HEAD: usize = 4;
/// Texts up to this length fit a row behind any key up to [`WIDTH`].
pub(crate) const ROW_TEXT: usize = ROW - WIDTH - TEXT_HEAD;

/// What an attribute begins with, encoded once for its callsite: the tag, room for the length, the key.
#[derive(Debug)]
pub(crate) struct Prefix {
    /// The beginning of `whole`, with zeros behind where that is shorter.
    head: [u8; ROW],
    len: usize,
    whole: Box<[u8]>,
}

impl Prefix {
    /// `tag` is that of the attribute in its message.
    pub(crate) fn new(tag: u8, key: &str) -> Self {
        let mut whole = vec![tag, 0];
        wire::put_len(&mut whole, KEY, key.as_bytes());
        let mut head = [0; ROW];
        head.iter_mut()
            .zip(&whole)
            .for_each(|(to, from)| *to = *from);
        Self {
            head,
            len: whole.len(),
            whole: whole.into(),
        }
    }

    #[inline]
    pub(crate) fn tag(&self) -> u8 {
        self.head[0]
    }

    /// The encoded key: field 1 with its tag.
    pub(crate) fn key(&self) -> &[u8] {
        &self.whole[ROOM..]
    }

    /// Whether the prefix is copied at a fixed width.
    pub(crate) fn is_short(&self) -> bool {
        self.len <= WIDTH
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes the prefix and `value`, with the length that they and `more` bytes behind them have. `false`, and nothing is
    /// written, when that is not a short attribute or `out` would have to grow.
    ///
    /// All at a fixed width behind one check of the room, without a call.
    #[inline(always)]
    fn put_short<const N: usize>(&self, out: &mut Vec<u8>, value: [u8; N], more: usize) -> bool {
        self.put_row(out, value, N, more)
    }

    /// As [`Prefix::put_short`], of the first `used` bytes of the value.
    #[inline(always)]
    fn put_row<const N: usize>(
        &self,
        out: &mut Vec<u8>,
        value: [u8; N],
        used: usize,
        more: usize,
    ) -> bool {
        const { assert!(N <= VALUE_ROW - WIDTH) };
        let len = self.len;
        let start = out.len();
        if len > WIDTH || out.capacity() - start < VALUE_ROW {
            return false;
        }
        let total = len - ROOM + used + more;
        if total > SHORT {
            return false;
        }
        out.extend_from_slice(&self.head[..VALUE_ROW]);
        if let Some(row) = out.last_chunk_mut::<VALUE_ROW>() {
            row[1] = total as u8;
            row[len..len + N].copy_from_slice(&value);
        }
        // What is too much is taken back.
        out.truncate(start + len + used);
        true
    }
}

/// The encoded key of an attribute's content, as it is written here: first.
#[inline]
pub(crate) fn key_of(attribute: &[u8]) -> &[u8] {
    match attribute {
        [KEY, len @ ..=0x7F, ..] => attribute.get(..2 + usize::from(*len)).unwrap_or_default(),
        _ => any_key_of(attribute),
    }
}

fn any_key_of(attribute: &[u8]) -> &[u8] {
    let mut reader = Reader::new(attribute);
    match reader.next() {
        Ok(Some(_)) => &attribute[..attribute.len() - reader.remaining()],
        Ok(None) | Err(Malformed) => &[],
    }
}

#[inline]
pub(crate) fn put_bool(out: &mut Vec<u8>, prefix: &Prefix, value: bool) {
    put_value(out, prefix, bool_value(value));
}

/// As [`put_bool`] if that needs no more than a few moves; else `false`, and nothing is written.
#[inline]
pub(crate) fn put_bool_short(out: &mut Vec<u8>, prefix: &Prefix, value: bool) -> bool {
    prefix.put_short(out, bool_value(value), 0)
}

#[inline]
fn bool_value(value: bool) -> [u8; 4] {
    [VALUE, 2, BOOL_VALUE, u8::from(value)]
}

pub(crate) fn put_int(out: &mut Vec<u8>, prefix: &Prefix, value: i64) {
    if !put_int_short(out, prefix, value) {
        put_large_int(out, prefix, value as u64);
    }
}

/// As [`put_int`] if that needs no more than a few moves; else `false`, and nothing is written.
#[inline]
pub(crate) fn put_int_short(out: &mut Vec<u8>, prefix: &Prefix, value: i64) -> bool {
    let bits = value as u64;
    if bits < 1 << 7 {
        prefix.put_short(out, [VALUE, 2, INT_VALUE, bits as u8], 0)
    } else if bits < 1 << 14 {
        let (low, high) = (bits as u8 | 0x80, (bits >> 7) as u8);
        prefix.put_short(out, [VALUE, 3, INT_VALUE, low, high], 0)
    } else {
        false
    }
}

/// As [`put_int`] if the key is no long one and `out` need not grow; else `false`, and nothing is written.
#[inline]
pub(crate) fn put_int_medium(out: &mut Vec<u8>, prefix: &Prefix, value: i64) -> bool {
    let (encoded, used) = large_int(value as u64);
    prefix.put_row(out, encoded, used, 0)
}

fn put_large_int(out: &mut Vec<u8>, prefix: &Prefix, bits: u64) {
    let (encoded, used) = large_int(bits);
    put_long(out, prefix, &encoded[..used]);
}

/// The value of any integer, and how many bytes of it count.
#[inline]
fn large_int(bits: u64) -> ([u8; 13], usize) {
    let digits = varint_len(bits);
    let mut encoded = [0; 13];
    encoded[..3].copy_from_slice(&[VALUE, 1 + digits as u8, INT_VALUE]);
    // All ten, whatever the number has: without a branch.
    for (at, byte) in encoded[3..].iter_mut().enumerate() {
        *byte = (bits >> (7 * at)) as u8 | 0x80;
    }
    encoded[2 + digits] &= 0x7F;
    (encoded, 3 + digits)
}

#[inline]
pub(crate) fn put_double(out: &mut Vec<u8>, prefix: &Prefix, value: f64) {
    put_value(out, prefix, double_value(value));
}

/// As [`put_double`] if that needs no more than a few moves; else `false`, and nothing is written.
#[inline]
pub(crate) fn put_double_short(out: &mut Vec<u8>, prefix: &Prefix, value: f64) -> bool {
    prefix.put_short(out, double_value(value), 0)
}

#[inline]
fn double_value(value: f64) -> [u8; 11] {
    let mut encoded = [VALUE, 9, DOUBLE_VALUE, 0, 0, 0, 0, 0, 0, 0, 0];
    encoded[3..].copy_from_slice(&value.to_le_bytes());
    encoded
}

pub(crate) fn put_str(out: &mut Vec<u8>, prefix: &Prefix, value: &str) {
    put_blob(out, prefix, STRING_VALUE, value.as_bytes());
}

/// As [`put_str`] if that needs no more than a few moves; else `false`, and nothing is written.
#[inline(always)]
pub(crate) fn put_str_short(out: &mut Vec<u8>, prefix: &Prefix, value: &str) -> bool {
    let (text, key, start) = (value.as_bytes(), prefix.len, out.len());
    let len = text.len();
    if len > ROW_TEXT || key > WIDTH || out.capacity() - start < ROW {
        return false;
    }
    out.extend_from_slice(&prefix.head);
    if let Some(row) = out.last_chunk_mut::<ROW>() {
        row[1] = (key - ROOM + TEXT_HEAD + len) as u8;
        let at = key + TEXT_HEAD;
        row[key..at].copy_from_slice(&[VALUE, len as u8 + 2, STRING_VALUE, len as u8]);
        match len {
            8..16 => put_overlapping::<8>(row, at, text),
            16.. => put_overlapping::<16>(row, at, text),
            4..8 => put_overlapping::<4>(row, at, text),
            2..4 => put_overlapping::<2>(row, at, text),
            _ => row[at] = text.first().copied().unwrap_or(0),
        }
    }
    out.truncate(start + key + TEXT_HEAD + len);
    true
}

/// As [`put_str`] of a text that leaves the attribute short; else `false`, and nothing is written.
#[inline]
pub(crate) fn put_str_medium(out: &mut Vec<u8>, prefix: &Prefix, value: &str) -> bool {
    if out.capacity() - out.len() < ROW + value.len() {
        return false;
    }
    let len = value.len() as u8;
    let head = [VALUE, len.wrapping_add(2), STRING_VALUE, len];
    let short = prefix.put_short(out, head, value.len());
    if short {
        out.extend_from_slice(value.as_bytes());
    }
    short
}

/// Writes `N` to twice `N` bytes, by two moves of that width which overlap: half of what a call of `memcpy` takes.
#[inline(always)]
fn put_overlapping<const N: usize>(row: &mut [u8; ROW], at: usize, text: &[u8]) {
    if let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) {
        let end = at + text.len();
        row[at..at + N].copy_from_slice(first);
        row[end - N..end].copy_from_slice(last);
    }
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, prefix: &Prefix, value: &[u8]) {
    put_blob(out, prefix, BYTES_VALUE, value);
}

/// An array of strings.
pub(crate) fn put_strings<'v>(
    out: &mut Vec<u8>,
    prefix: &Prefix,
    values: impl Iterator<Item = &'v str>,
) {
    let mut array = Vec::new();
    for value in values {
        let inner = wire::len_field_len(value.len());
        array.push(ARRAY_VALUES);
        put_varint(&mut array, inner as u64);
        wire::put_len(&mut array, STRING_VALUE, value.as_bytes());
    }
    put_blob(out, prefix, ARRAY_VALUE, &array);
}

/// A string value whose text is appended by `write` and measured afterwards, so that it is not written twice. What
/// `write` leaves has to be UTF-8.
pub(crate) fn put_text(out: &mut Vec<u8>, prefix: &Prefix, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&prefix.whole);
    out.extend_from_slice(&[VALUE, 0, STRING_VALUE, 0]);
    let text = out.len();
    write(out);
    let written = out.len() - text;
    let total = text - start - ROOM + written;
    if total <= SHORT {
        out[start + 1] = total as u8;
        out[text - 3] = (written + 2) as u8;
        out[text - 1] = written as u8;
        return;
    }
    // The lengths take more than the room left for them: a head of its own takes the place of this one.
    let end = out.len();
    put_head(out, prefix.tag(), prefix.key(), STRING_VALUE, written);
    let head = out.len() - end;
    out[text..].rotate_right(head);
    out.drain(start..text);
}

#[inline]
fn put_blob(out: &mut Vec<u8>, prefix: &Prefix, kind: u8, bytes: &[u8]) {
    let len = bytes.len() as u8;
    if !prefix.put_short(out, [VALUE, len.wrapping_add(2), kind, len], bytes.len()) {
        put_head(out, prefix.tag(), prefix.key(), kind, bytes.len());
    }
    out.extend_from_slice(bytes);
}

/// Everything of a length-delimited attribute that stands before its `len` bytes, for any length.
#[inline(never)]
fn put_head(out: &mut Vec<u8>, tag: u8, key: &[u8], kind: u8, len: usize) {
    let value = wire::len_field_len(len);
    out.push(tag);
    put_varint(out, (key.len() + wire::len_field_len(value)) as u64);
    out.extend_from_slice(key);
    out.push(VALUE);
    put_varint(out, value as u64);
    out.push(kind);
    put_varint(out, len as u64);
}

/// An attribute's text, and how many bytes stand before it; `None` where the value is no text.
pub(crate) fn text_of(attribute: &[u8]) -> Option<(&str, usize)> {
    let bytes = |content| match content {
        Ok(Some((_, Content::Bytes(bytes)))) => Some(bytes),
        _ => None,
    };
    let content = bytes(Reader::new(attribute).next())?;
    let value = content.get(key_of(content).len()..)?;
    let any = bytes(Reader::new(value).next())?;
    let text = bytes(Reader::new(any).next()).filter(|_| any.first() == Some(&STRING_VALUE))?;
    Some((
        std::str::from_utf8(text).ok()?,
        attribute.len() - text.len(),
    ))
}

/// Appends an attribute as [`put_str`] does, with a key that is encoded already.
pub(crate) fn put_text_at(out: &mut Vec<u8>, tag: u8, key: &[u8], text: &str) {
    put_head(out, tag, key, STRING_VALUE, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Whether a message has an attribute with this tag and encoded key.
pub(crate) fn has_attribute(message: &[u8], tag: u8, key: &[u8]) -> bool {
    let wanted = u32::from(tag >> 3);
    let mut reader = Reader::new(message);
    while let Ok(Some((field, content))) = reader.next() {
        if field == wanted && matches!(content, Content::Bytes(bytes) if bytes.starts_with(key)) {
            return true;
        }
    }
    false
}

/// Appends an attribute as [`put_str`] does, with the tag and the encoded key of another one.
pub(crate) fn put_text_like(out: &mut Vec<u8>, attribute: &[u8], text: &str) {
    if let (Some(tag), Ok(Some((_, Content::Bytes(content))))) =
        (attribute.first(), Reader::new(attribute).next())
    {
        put_text_at(out, *tag, key_of(content), text);
    }
}

/// A value with its own tag and length before it.
#[inline]
fn put_value<const N: usize>(out: &mut Vec<u8>, prefix: &Prefix, value: [u8; N]) {
    if !prefix.put_short(out, value, 0) {
        put_long(out, prefix, &value);
    }
}

/// As [`put_value`], behind a key of any length.
#[inline(never)]
fn put_long(out: &mut Vec<u8>, prefix: &Prefix, value: &[u8]) {
    let key = prefix.key();
    out.push(prefix.tag());
    put_varint(out, (key.len() + value.len()) as u64);
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

#[cfg(all(test, not(otlp_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Calls `put` with a buffer that has room, and with one that has none, which rules the short forms out.
    fn both(put: impl Fn(&mut Vec<u8>, &Prefix), key: usize) -> [Vec<u8>; 2] {
        let prefix = Prefix::new(crate::proto::trace::SPAN_ATTRIBUTE, &"k".repeat(key));
        [4096, 0].map(|room| {
            let mut out = Vec::with_capacity(room);
            put(&mut out, &prefix);
            out
        })
    }

    #[test]
    fn encoded_keys_are_those_of_a_prefix() {
        for (encoded, key) in [
            (EXCEPTION_MESSAGE, "exception.message"),
            (EXCEPTION_STACKTRACE, "exception.stacktrace"),
            (EXCEPTION_TYPE, "exception.type"),
            (ERROR_TYPE, "error.type"),
        ] {
            let tag = crate::proto::trace::SPAN_ATTRIBUTE;
            let prefix = Prefix::new(tag, key);
            assert_eq!(encoded, prefix.key());
            let (mut at, mut plain) = (Vec::new(), Vec::new());
            put_text_at(&mut at, tag, encoded, "text");
            put_str(&mut plain, &prefix, "text");
            assert_eq!(at, plain);
            assert!(has_attribute(&at, tag, encoded));
            assert!(!has_attribute(&at, tag, b"\x0A\x01x"));
        }
    }

    proptest! {
        #[test]
        fn values_are_the_same_whether_they_are_written_at_once_or_not(
            key in 0_usize..50,
            shift in 0_u32..64,
            value: i64,
            bits: bool,
            text in ".{0,140}",
        ) {
            let long = |out: &mut Vec<u8>, prefix: &Prefix| {
                put_text(out, prefix, |out| out.extend_from_slice(text.as_bytes()))
            };
            let at_once = |out: &mut Vec<u8>, prefix: &Prefix| {
                if !put_str_short(out, prefix, &text) && !put_str_medium(out, prefix, &text) {
                    put_str(out, prefix, &text);
                }
            };
            let [expected, _] = both(long, key);
            prop_assert_eq!(both(at_once, key), [expected.clone(), expected]);

            let value = (value as u64 >> shift) as i64;
            let [short, general] = both(|out, prefix| put_int(out, prefix, value), key);
            prop_assert_eq!(&short, &general);
            let medium = |out: &mut Vec<u8>, prefix: &Prefix| {
                if !put_int_medium(out, prefix, value) {
                    put_int(out, prefix, value);
                }
            };
            prop_assert_eq!(both(medium, key), [short, general]);
            let [short, general] = both(|out, prefix| put_bool(out, prefix, bits), key);
            prop_assert_eq!(short, general);
            let double = f64::from_bits(value as u64);
            let [short, general] = both(|out, prefix| put_double(out, prefix, double), key);
            prop_assert_eq!(short, general);
        }
    }
}
