//! Numbers of payment cards (ISO/IEC 7812).

use std::ops::Range;

pub(super) const LEAST: usize = 13;
const MOST: usize = 19;

/// Appends where card numbers are: of those that begin at one digit, the longest.
///
/// A number is of whole groups of digits, so that no part of a longer one is a card, and each group is the first one of a number that may
/// be: what stands before a card must not hide it. From each group at most 19 digits are looked at.
pub(super) fn find(text: &[u8], found: &mut Vec<Range<usize>>) {
    let mut was_digit = false;
    for (start, byte) in text.iter().enumerate() {
        let is_digit = byte.is_ascii_digit();
        if is_digit
            && !was_digit
            && is_first(byte - b'0')
            && let Some(end) = end_of_card(text, start)
        {
            found.push(start..end);
        }
        was_digit = is_digit;
    }
}

/// Whether an integer is a card number.
pub(super) fn is_card(number: u64) -> bool {
    let mut digits = [0; 20];
    let mut count = 0;
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *digit = (rest % 10) as u8;
        rest /= 10;
        count += 1;
    }
    let first = digits.len() - count;
    let mut sums = Sums::default();
    let digits = digits.get(first..).unwrap_or_default();
    digits.iter().for_each(|digit| sums.add(*digit));
    digits.first().is_some_and(|first| is_first(*first)) && sums.is_card()
}

/// What the number of an industry that issues payment cards begins with: travel, banking, merchandising, and RuPay's 8. Times in
/// nanoseconds begin with 1.
fn is_first(digit: u8) -> bool {
    matches!(digit, 2..=6 | 8)
}

/// The end of the longest card number that begins here.
fn end_of_card(text: &[u8], start: usize) -> Option<usize> {
    let mut sums = Sums::default();
    let mut end = None;
    let mut at = start;
    while let Some(byte) = text.get(at).filter(|byte| byte.is_ascii_digit()) {
        sums.add(byte - b'0');
        if sums.count > MOST {
            break;
        }
        at += 1;
        let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
        if is_digit(at) {
            continue;
        }
        if sums.is_card() {
            end = Some(at);
        }
        if matches!(text.get(at), Some(b' ' | b'-')) && is_digit(at + 1) {
            at += 1;
        }
    }
    end
}

/// Luhn's sums from the left, for an even and for an odd number of digits: from the right every second digit is doubled.
#[derive(Default)]
struct Sums {
    count: usize,
    /// Doubled are the digits with an even index, or with an odd one.
    even: usize,
    odd: usize,
}

impl Sums {
    fn add(&mut self, digit: u8) {
        let single = usize::from(digit);
        let double = if single > 4 {
            2 * single - 9
        } else {
            2 * single
        };
        let (even, odd) = if self.count.is_multiple_of(2) {
            (double, single)
        } else {
            (single, double)
        };
        self.even += even;
        self.odd += odd;
        self.count += 1;
    }

    fn is_card(&self) -> bool {
        let sum = if self.count.is_multiple_of(2) {
            self.even
        } else {
            self.odd
        };
        (LEAST..=MOST).contains(&self.count) && sum.is_multiple_of(10)
    }
}
