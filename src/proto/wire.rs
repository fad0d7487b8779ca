//! Protobuf primitives: varints, tags, length-delimited fields, and a reader that trusts nothing.

use std::ops::Range;

/// Wire type 0: a varint.
pub(crate) const VARINT: u8 = 0;
/// Wire type 1: eight bytes, little endian.
pub(crate) const FIXED64: u8 = 1;
/// Wire type 2: a length, then that many bytes.
pub(crate) const LEN: u8 = 2;
/// Wire type 5: four bytes, little endian.
pub(crate) const FIXED32: u8 = 5;

/// The tag of a field whose number is below 16: one byte.
pub(crate) const fn tag(field: u8, wire_type: u8) -> u8 {
    assert!(field < 16, "the tag takes more than a byte");
    field << 3 | wire_type
}

/// How many bytes the varint of `value` takes.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    // 7 bits a byte: (bits + 6) / 7, without a division; 0 takes one byte.
    ((64 - (value | 1).leading_zeros() as usize) * 9 + 64) / 64
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of wire type 2.
#[inline(always)]
pub(crate) fn put_len(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    put_len_of(out, tag, bytes.len());
    out.extend_from_slice(bytes);
}

/// The tag and the length of a field of wire type 2.
#[inline(always)]
pub(crate) fn put_len_of(out: &mut Vec<u8>, tag: u8, len: usize) {
    // The common lengths at once.
    if len < 1 << 7 {
        out.extend_from_slice(&[tag, len as u8]);
    } else if len < 1 << 14 {
        out.extend_from_slice(&[tag, len as u8 | 0x80, (len >> 7) as u8]);
    } else {
        out.push(tag);
        put_varint(out, len as u64);
    }
}

/// Sets the length of what stands behind `start`, for which one byte was left; moves the content where it takes more.
#[inline]
pub(crate) fn set_len(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    if len < 0x80 {
        out[start - 1] = len as u8;
    } else {
        set_long_len(out, start, len);
    }
}

#[cold]
fn set_long_len(out: &mut Vec<u8>, start: usize, len: usize) {
    let more = varint_len(len as u64) - 1;
    let continued = |at| if at < more { 0x80 } else { 0 };
    let length = (0..=more).map(|at| (len >> (7 * at)) as u8 & 0x7F | continued(at));
    out.splice(start - 1..start, length);
}

/// The length of a field of wire type 2 with a one-byte tag.
pub(crate) const fn len_field_len(bytes: usize) -> usize {
    1 + varint_len(bytes as u64) + bytes
}

/// The largest length that a padded varint of four bytes holds: 28 bits.
pub(crate) const PADDED_MAX: usize = (1 << 28) - 1;

/// A varint of exactly four bytes, for a length that is patched when it is known.
pub(crate) fn padded_varint(value: usize) -> [u8; 4] {
    debug_assert!(value <= PADDED_MAX);
    [
        value as u8 | 0x80,
        (value >> 7) as u8 | 0x80,
        (value >> 14) as u8 | 0x80,
        (value >> 21) as u8 & 0x7F,
    ]
}

/// Reads the fields of a message one after the other. Anything that is no protobuf ends it with [`Malformed`].
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// One field's content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// How many bytes are not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next field's number and content; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Content<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = u32::try_from(key >> 3).map_err(|_| Malformed)?;
        if field == 0 {
            return Err(Malformed);
        }
        let content = match (key & 7) as u8 {
            VARINT => Content::Varint(self.varint()?),
            FIXED64 => Content::Fixed64(u64::from_le_bytes(self.array()?)),
            FIXED32 => Content::Fixed32(u32::from_le_bytes(self.array()?)),
            LEN => {
                let len = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Content::Bytes(self.take(len)?)
            }
            _ => return Err(Malformed),
        };
        Ok(Some((field, content)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }
}

/// Where the first field stands that has this tag and whose bytes, if it has any, begin so.
///
/// As a [`Reader`] finds it; what most fields are is stepped over at once.
pub(crate) fn find(message: &[u8], tag: u8, beginning: &[u8]) -> Option<Range<usize>> {
    let mut at = 0;
    while let Some(rest) = message.get(at..)
        && let Some(&known) = rest.first()
    {
        let (len, content) = match *rest {
            [key @ 8..0x80, len @ ..0x80, ..] if key & 7 == LEN => (2 + usize::from(len), 2),
            [key @ 8..0x80, ..0x80, ..] if key & 7 == VARINT => (2, 2),
            [key @ 8..0x80, ..] if key & 7 == FIXED64 => (9, 9),
            _ => any_field(rest)?,
        };
        let field = rest.get(..len)?;
        if known == tag && begins(&field[content..], beginning) {
            return Some(at..at + len);
        }
        at += len;
    }
    None
}

/// As `starts_with`, with a look at the second byte first: where keys are compared, it is their length.
#[inline]
fn begins(content: &[u8], beginning: &[u8]) -> bool {
    match (content, beginning) {
        (_, []) => true,
        ([_, known, ..], [_, wanted, ..]) if known != wanted => false,
        _ => content.starts_with(beginning),
    }
}

/// How long the first field is, and where its content begins.
#[inline(never)]
fn any_field(rest: &[u8]) -> Option<(usize, usize)> {
    let mut reader = Reader::new(rest);
    let (_, content) = reader.next().ok()??;
    let len = rest.len() - reader.remaining();
    let bytes = match content {
        Content::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    Some((len, len - bytes))
}

/// Calls `take` for each field of a message.
#[allow(
    dead_code,
    reason = "for who decodes whole messages: the feature `testing`, and a bridge"
)]
pub(crate) fn each<'a>(
    message: &'a [u8],
    mut take: impl FnMut(u32, Content<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(message);
    while let Some((field, content)) = reader.next()? {
        take(field, content)?;
    }
    Ok(())
}

/// The contents of a message's fields with this tag. What is no protobuf ends it.
pub(crate) fn fields(message: &[u8], tag: u8) -> impl Iterator<Item = &[u8]> {
    let wanted = u32::from(tag >> 3);
    let mut reader = Reader::new(message);
    std::iter::from_fn(move || {
        while let Ok(Some((field, content))) = reader.next() {
            match content {
                Content::Bytes(bytes) if field == wanted => return Some(bytes),
                _ => {}
            }
        }
        None
    })
}

#[cfg(all(test, not(otlp_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_are_minimal_and_come_back(value: u64) {
            let mut out = vec![tag(1, VARINT)];
            put_varint(&mut out, value);
            prop_assert_eq!(out.len() - 1, varint_len(value));
            prop_assert_eq!(out.len() - 1, prost::length_delimiter_len(value as usize));
            prop_assert_eq!(Reader::new(&out).next(), Ok(Some((1, Content::Varint(value)))));
        }

        #[test]
        fn padded_varints_are_read_by_prost(value in 0..=PADDED_MAX) {
            prop_assert_eq!(prost::decode_length_delimiter(&padded_varint(value)[..]), Ok(value));
        }

        /// Fields of every kind and length, and rubbish behind them, against the reader.
        #[test]
        fn what_is_found_is_what_the_reader_finds(
            fields in proptest::collection::vec((1_u8..16, 0_usize..4, 0_usize..300), 0..12),
            rubbish: Vec<u8>,
            wanted in 0_u8..128,
            beginning in proptest::collection::vec(0_u8..2, 0..3),
        ) {
            let mut message = Vec::new();
            for (field, kind, size) in fields {
                let content: Vec<u8> = (0..size).map(|at| (size >> (at % 8) & 1) as u8).collect();
                match kind {
                    0 => message.extend_from_slice(&[tag(field, VARINT), 0x80 | field, 1]),
                    1 => message.extend_from_slice(&[tag(field, FIXED64), 0, 1, 0, 1, 0, 1, 0, 1]),
                    2 => message.extend_from_slice(&[0x85, 0x01, 0, 0, 1, 1]),
                    _ => put_len(&mut message, tag(field, LEN), &content),
                }
            }
            message.extend_from_slice(&rubbish);
            let naive = || {
                let mut reader = Reader::new(&message);
                loop {
                    let start = message.len() - reader.remaining();
                    let (_, content) = reader.next().ok()??;
                    let fits = match content {
                        Content::Bytes(bytes) => bytes.starts_with(&beginning),
                        _ => beginning.is_empty(),
                    };
                    if message[start] == wanted && fits {
                        return Some(start..message.len() - reader.remaining());
                    }
                }
            };
            prop_assert_eq!(find(&message, wanted, &beginning), naive());
        }

        #[test]
        fn any_bytes_end_the_reader_without_harm(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some(_)) = reader.next() {}
        }
    }

    #[test]
    fn varint_lengths_at_the_edges() {
        for bits in 0..64 {
            let value = 1_u64 << bits;
            assert_eq!(varint_len(value), bits / 7 + 1, "2^{bits}");
            assert_eq!(
                varint_len(value - 1),
                if bits == 0 { 1 } else { (bits - 1) / 7 + 1 },
                "2^{bits} - 1"
            );
        }
    }
}
