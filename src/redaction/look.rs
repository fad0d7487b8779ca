//! A first look at a text: which kinds of secrets may be in it at all.
//!
//! Every secret of a kind contains something that most texts lack: an address its sign, a web token the beginning of a JSON
//! object in base64url, a card number its digits. These are looked for in blocks of bytes at once, without a branch, which
//! compilers make vector instructions of: about two instructions a byte. A scanner reads a text only where there is something to find.

use super::cards;

/// Bytes that are looked at together: a vector of the least that 64-bit targets have.
const BLOCK: usize = 16;
/// How far behind a byte it is looked: from the first letter of `bearer` to its last.
const AHEAD: usize = 5;

/// What may be in a text.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) may_have_token: bool,
    pub(super) may_have_address: bool,
    pub(super) may_have_card: bool,
}

impl Look {
    #[inline]
    pub(super) fn at(text: &[u8]) -> Self {
        let mut lanes = Lanes::default();
        let mut rest = text;
        while let Some(window) = rest.first_chunk() {
            lanes.add(window);
            rest = rest.get(BLOCK..).unwrap_or_default();
        }
        // What is left is less than a block and what is looked at behind it, so two blocks hold it.
        let mut last = [0; 2 * BLOCK + AHEAD];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        for start in (0..rest.len()).step_by(BLOCK) {
            if let Some(window) = last.get(start..).and_then(<[u8]>::first_chunk) {
                lanes.add(window);
            }
        }
        lanes.sum()
    }
}

/// What was seen so far, for each place in a block: not 0 where there was something.
#[derive(Default)]
struct Lanes {
    tokens: [u8; BLOCK],
    addresses: [u8; BLOCK],
    /// How many digits there were, 255 at most.
    digits: [u8; BLOCK],
}

impl Lanes {
    #[inline(always)]
    fn add(&mut self, window: &[u8; BLOCK + AHEAD]) {
        for at in 0..BLOCK {
            let (byte, next) = (window[at], window[at + 1]);
            let is_sign = (byte == b'@') | ((byte == b'%') & (next == b'4'));
            // eyJ
            let is_object = (byte == b'y') & (next == b'J');
            // `basic` and `bearer`, in upper or lower case, by the first letter and the last.
            let (fifth, sixth) = (window[at + 4] | 0x20, window[at + 5] | 0x20);
            let is_scheme = (byte | 0x20 == b'b') & ((fifth == b'c') | (sixth == b'r'));
            self.tokens[at] |= u8::from(is_object | is_scheme);
            self.addresses[at] |= u8::from(is_sign);
            let is_digit = byte.wrapping_sub(b'0') < 10;
            self.digits[at] = self.digits[at].saturating_add(u8::from(is_digit));
        }
    }

    #[inline]
    fn sum(&self) -> Look {
        let has_any = |lanes: &[u8; BLOCK]| lanes.iter().fold(0, |all, lane| all | lane) != 0;
        let digits: usize = self.digits.iter().map(|digits| usize::from(*digits)).sum();
        Look {
            may_have_token: has_any(&self.tokens),
            may_have_address: has_any(&self.addresses),
            may_have_card: digits >= cards::LEAST,
        }
    }
}
