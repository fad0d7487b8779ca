//! `tracestate` (W3C Trace Context level 2, section 3.3).

use std::fmt;
use std::sync::Arc;

/// "There can be a maximum of 32 list-members".
const MEMBERS: usize = 32;
/// A key and a value have "up to 256 characters" each.
const LONGEST: usize = 256;
/// What is passed on: twice the 512 characters that are asked for, since each span's record carries it.
const MOST: usize = 1024;
/// "Entries larger than 128 characters long SHOULD be removed first."
const LARGE: usize = 128;
/// What is looked at: twice what 32 members of full length take, and more white space than anybody sends.
const READ: usize = 32 << 10;

/// What vendors say of a trace: keys and values, the newest first. It never changes, and a clone shares its text.
///
/// At most 32 members and 1,024 characters are kept; the specification asks for 512. What is longer loses whole members:
/// those of more than 128 characters first, then those at the end.
///
/// ```
/// use tracing_otlp::TraceState;
///
/// let state = TraceState::parse("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").unwrap_or_default();
/// assert_eq!(state.get("congo"), Some("t61rcWkgMzE"));
/// let state = state.insert("congo", "ucfJifl5GOE").unwrap_or_default();
/// assert_eq!(state.as_str(), "congo=ucfJifl5GOE,rojo=00f067aa0ba902b7");
/// assert_eq!(state.insert("Not A Key", "1"), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// Reads the value of the header, which several ones may be joined to by commas. Empty members, and blanks around members,
    /// are allowed. `None` where it is not valid: for a key or a value against the grammar, a key that is there twice, or more
    /// than 32 members.
    pub fn parse(header: &str) -> Option<Self> {
        if header.len() > READ {
            return None;
        }
        let mut members = Vec::new();
        let texts = header.split(',').map(|text| text.trim_matches([' ', '\t']));
        for text in texts.filter(|text| !text.is_empty()) {
            let member = Member::parse(text)?;
            if members.len() == MEMBERS
                || members
                    .iter()
                    .any(|known: &Member<'_>| known.key == member.key)
            {
                return None;
            }
            members.push(member);
        }
        Some(Self::of(members, 0))
    }

    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }

    /// The same with this value, whose key is in front then. With 32 other members, the last of them has to go. `None` where
    /// key or value are not valid.
    ///
    /// A key has 1 to 256 characters out of `a` to `z`, digits and `_-*/@`, of which the first is a letter or a digit. A value
    /// has 1 to 256 printable ASCII characters, no comma, no `=`, and no blank at its end.
    #[must_use]
    pub fn insert(&self, key: &str, value: &str) -> Option<Self> {
        let member = Member::of(key, value)?;
        let others = self.members().filter(|member| member.key != key);
        let members = std::iter::once(member).chain(others.take(MEMBERS - 1));
        Some(Self::of(members.collect(), 1))
    }

    /// The same without this key.
    #[must_use]
    pub fn remove(&self, key: &str) -> Self {
        if self.get(key).is_none() {
            return self.clone();
        }
        Self::of(
            self.members().filter(|member| member.key != key).collect(),
            0,
        )
    }

    /// Keys and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members().map(|Member { key, value }| (key, value))
    }

    /// The header's value; empty where there is nothing to say.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let texts = self
            .as_str()
            .split(',')
            .filter_map(|text| text.split_once('='));
        texts.map(|(key, value)| Member { key, value })
    }

    /// Of valid members, of which the first `kept` are not given up for the others.
    fn of(mut members: Vec<Member<'_>>, kept: usize) -> Self {
        shorten(&mut members, kept);
        let mut text = String::with_capacity(length(&members));
        for Member { key, value } in members {
            if !text.is_empty() {
                text.push(',');
            }
            text.extend([key, "=", value]);
        }
        Self((!text.is_empty()).then(|| text.into()))
    }
}

/// The header's value.
impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceState({:?})", self.as_str())
    }
}

#[derive(Clone, Copy)]
struct Member<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Member<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (key, value) = text.split_once('=')?;
        Self::of(key, value)
    }

    fn of(key: &'a str, value: &'a str) -> Option<Self> {
        (is_key(key) && is_value(value)).then_some(Self { key, value })
    }

    fn len(&self) -> usize {
        self.key.len() + 1 + self.value.len()
    }
}

/// Level 2: `( lcalpha / DIGIT ) 0*255 ( keychar )`, which takes level 1's keys of several tenants in.
fn is_key(key: &str) -> bool {
    let begins = key
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    let is_keychar =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    begins && key.len() <= LONGEST && key.bytes().all(is_keychar)
}

/// `0*255(chr) nblk-chr`, where `chr` is printable ASCII without comma and `=`.
fn is_value(value: &str) -> bool {
    let is_chr = |byte: u8| matches!(byte, 0x20..=0x7E) && byte != b',' && byte != b'=';
    let ends = value.bytes().last().is_some_and(|last| last != b' ');
    ends && value.len() <= LONGEST && value.bytes().all(is_chr)
}

/// "The vendor MUST truncate whole entries."
fn shorten(members: &mut Vec<Member<'_>>, kept: usize) {
    while length(members) > MOST {
        let large = members
            .iter()
            .skip(kept)
            .rposition(|member| member.len() > LARGE);
        let place = large.map_or(members.len().saturating_sub(1), |place| place + kept);
        members.remove(place);
    }
}

/// With the commas between.
fn length(members: &[Member<'_>]) -> usize {
    members
        .iter()
        .map(|member| member.len() + 1)
        .sum::<usize>()
        .saturating_sub(1)
}

#[cfg(test)]
mod tests;
