//! Ids and flags as text: lower-case hex digits, exactly two a byte (specification, `SpanContext`; W3C Trace Context).

/// The bytes that these digits are: as many as asked for, lower case, and nothing else.
pub(super) fn read<const BYTES: usize>(digits: &[u8]) -> Option<[u8; BYTES]> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

/// Appends the digits of these bytes.
pub(super) fn write(text: &mut String, bytes: &[u8]) {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_number_of_lower_case_digits_is_read() {
        assert_eq!(read(b"00ff7a"), Some([0x00, 0xFF, 0x7A]));
        for wrong in [
            "", "00", "00ff7", "00ff7a0", "00ff7a00", "00FF7A", "+0ff7a", "00ff7 ",
        ] {
            assert_eq!(read::<3>(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 16]) {
            let mut text = String::new();
            write(&mut text, &bytes);
            let naive: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(&text, &naive);
            prop_assert_eq!(read(text.as_bytes()), Some(bytes));
        }
    }
}
