//! The entry `ot` of a tracestate: `th`, the rejection threshold, and `rv`, the randomness (specification, tracestate handling and
//! probability sampling).
//!
//! Both are of 56 bits: a trace is sampled where its randomness is not below the threshold.

use std::fmt::Write;

use crate::context::TraceState;
use crate::id::TraceId;

const ENTRY: &str = "ot";
const THRESHOLD: &str = "th";
const RANDOMNESS: &str = "rv";
/// "The complete list length MUST NOT exceed 256 characters."
const MOST: usize = 256;
/// 56 bits, of four each.
pub(super) const DIGITS: u32 = 14;
/// 2^56: as many values as there are.
pub(super) const ALL: u64 = 1 << 56;

/// What an entry says of sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ot {
    /// `None` also where it is not valid.
    pub(super) threshold: Option<u64>,
    pub(super) randomness: Option<u64>,
    /// Whether there is a threshold, which may be invalid.
    pub(super) has_threshold: bool,
}

impl Ot {
    pub(super) fn of(state: &TraceState) -> Self {
        let mut ot = Self::default();
        for (key, value) in members(state.get(ENTRY).unwrap_or_default()) {
            if key == THRESHOLD && !ot.has_threshold {
                ot.has_threshold = true;
                ot.threshold = read_threshold(value);
            } else if key == RANDOMNESS && ot.randomness.is_none() {
                ot.randomness = read_randomness(value);
            }
        }
        ot
    }
}

/// A tracestate after [`set_threshold`].
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    /// `None` where it is as it was.
    pub(super) changed: Option<TraceState>,
    /// Whether there was no room for the threshold: "SDKs are advised to abort the operation and signal the user".
    pub(super) is_cut: bool,
}

/// Sets or removes the threshold, and leaves the other members of the entry and the other entries as they are. `before` is what
/// the entry says. Where there is no room for a threshold, none is written.
pub(super) fn set_threshold(
    state: Option<&TraceState>,
    before: &Ot,
    threshold: Option<u64>,
) -> Written {
    let unchanged = Written {
        changed: None,
        is_cut: false,
    };
    if before.threshold == threshold && before.has_threshold == threshold.is_some() {
        return unchanged;
    }
    let empty = TraceState::default();
    let state = state.unwrap_or(&empty);
    let others = members_without(state, THRESHOLD);
    let entry = match threshold {
        Some(threshold) => joined(THRESHOLD, &threshold_text(threshold), &others),
        None => others.clone(),
    };
    match with_entry(state, &entry) {
        Some(changed) => Written {
            changed: Some(changed),
            is_cut: false,
        },
        None => Written {
            // What stands there does not hold for this span.
            changed: before
                .has_threshold
                .then(|| with_entry(state, &others))
                .flatten(),
            is_cut: true,
        },
    }
}

/// The tracestate with this randomness, unless it has one: "MUST NOT overwrite".
pub(super) fn with_randomness(state: TraceState, randomness: u64) -> TraceState {
    if Ot::of(&state).randomness.is_some() {
        return state;
    }
    let others = members_without(&state, RANDOMNESS);
    let entry = joined(RANDOMNESS, &format!("{randomness:014x}"), &others);
    with_entry(&state, &entry).unwrap_or(state)
}

/// The last 7 bytes of a trace id (W3C Trace Context level 2, randomness of trace-id).
pub(super) fn randomness_of(id: TraceId) -> u64 {
    u128::from_be_bytes(id.to_bytes()) as u64 % ALL
}

/// 56 random bits.
pub(super) fn random() -> u64 {
    fastrand::u64(..ALL)
}

/// Hexadecimal without zeros at the end, of which zero keeps one.
pub(super) fn threshold_text(threshold: u64) -> String {
    let digits = format!("{threshold:014x}");
    let text = digits.trim_end_matches('0');
    if text.is_empty() { "0" } else { text }.to_owned()
}

/// 1 to 14 digits, to which zeros are added.
fn read_threshold(text: &str) -> Option<u64> {
    let missing = DIGITS.checked_sub(u32::try_from(text.len()).ok()?)?;
    let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u64::from_str_radix(is_hex.then_some(text)?, 16).ok()?;
    Some(value << (4 * missing))
}

/// Exactly 14 digits in lower case.
fn read_randomness(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_valid = text.len() == DIGITS as usize && text.bytes().all(is_digit);
    u64::from_str_radix(is_valid.then_some(text)?, 16).ok()
}

fn members(entry: &str) -> impl Iterator<Item = (&str, &str)> {
    entry.split(';').filter_map(|member| member.split_once(':'))
}

/// The entry's other members, of which each key stands once.
fn members_without(state: &TraceState, key: &str) -> String {
    let mut text = String::new();
    let mut seen: Vec<&str> = vec![key];
    for (key, value) in members(state.get(ENTRY).unwrap_or_default()) {
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let separator = if text.is_empty() { "" } else { ";" };
        // Writing into a text cannot fail.
        let _ = write!(text, "{separator}{key}:{value}");
    }
    text
}

fn joined(key: &str, value: &str, others: &str) -> String {
    if others.is_empty() {
        format!("{key}:{value}")
    } else {
        format!("{key}:{value};{others}")
    }
}

/// `None` where the entry is too long, or the tracestate takes none.
fn with_entry(state: &TraceState, entry: &str) -> Option<TraceState> {
    match entry.len() {
        0 => Some(state.remove(ENTRY)),
        1..=MOST => state.insert(ENTRY, entry),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
