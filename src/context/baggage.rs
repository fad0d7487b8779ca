//! Baggage (W3C Baggage; specification, baggage API).

use std::fmt;
use std::sync::Arc;

use crate::percent::percent_decoded;

/// "A platform MUST propagate at least 64 list-members."
const MEMBERS: usize = 64;
/// "A platform MUST propagate a baggage-string of at least 8192 bytes": of what is read, and of what is written.
const BYTES: usize = 8192;

/// Keys and values that travel along with a trace, in their order. It never changes, and a clone shares its members.
///
/// At most 64 members and 8,192 bytes of header are taken in, which is what the specification asks for at least; further
/// members are left out. A key is a token of HTTP (letters, digits and ``!#$%&'*+-.^_`|~``), a value is any text, and its
/// metadata one text that nobody looks into.
///
/// ```
/// use tracing_otlp::Baggage;
///
/// let baggage = Baggage::default().with("user", "Amélie").with("plan", "a=b");
/// assert_eq!(baggage.get("user"), Some("Amélie"));
/// assert_eq!(baggage.to_string(), "user=Am%C3%A9lie,plan=a=b");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage(Option<Arc<[Member]>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    key: String,
    value: String,
    metadata: String,
}

impl Baggage {
    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.members().iter().find(|member| member.key == key);
        found.map(|member| member.value.as_str())
    }

    /// Bytes of memory that its clones share.
    pub(crate) fn footprint(&self) -> usize {
        let of = |member: &Member| {
            let texts = [&member.key, &member.value, &member.metadata];
            size_of::<Member>() + texts.map(String::capacity).iter().sum::<usize>()
        };
        self.members().iter().map(of).sum()
    }

    /// Keys, values and metadata, which is empty where there is none.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.members().iter().map(|member| {
            (
                member.key.as_str(),
                member.value.as_str(),
                member.metadata.as_str(),
            )
        })
    }

    /// The same with this value, without metadata. A key that is there keeps its place.
    ///
    /// What is no valid key, and what would exceed 64 members or 8,192 bytes, changes nothing.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        self.with_metadata(key, value, "")
    }

    /// The same with this value and its metadata, which is written behind the value as it is: `;`-separated properties by the
    /// specification, of printable ASCII without commas. Other metadata changes nothing, see also [`with`](Self::with).
    #[must_use]
    pub fn with_metadata(&self, key: &str, value: &str, metadata: &str) -> Self {
        let metadata = metadata.trim_matches(BLANKS);
        if !is_token(key) || !is_metadata(metadata) {
            return self.clone();
        }
        let mut members = self.members().to_vec();
        set(
            &mut members,
            Member {
                key: key.to_owned(),
                value: value.to_owned(),
                metadata: metadata.to_owned(),
            },
        );
        let bytes = members
            .iter()
            .map(|member| member.text().len() + 1)
            .sum::<usize>();
        if members.len() > MEMBERS || bytes > BYTES + 1 {
            return self.clone();
        }
        Self::of(members)
    }

    /// The same without this key.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let others = self.members().iter().filter(|member| member.key != key);
        Self::of(others.cloned().collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Reads the values of the header, in their order. What is no valid member is left out; of members with the same key the
    /// last one holds.
    pub(crate) fn parse<'h>(headers: impl IntoIterator<Item = &'h str>) -> Self {
        let mut members = Vec::new();
        // With a comma behind each, also the last one.
        let mut left = BYTES + 1;
        for header in headers {
            for text in header.split(',') {
                let Some(rest) = left.checked_sub(text.len() + 1) else {
                    return Self::of(members);
                };
                left = rest;
                let Some(member) = Member::parse(text) else {
                    continue;
                };
                set(&mut members, member);
                if members.len() > MEMBERS {
                    members.truncate(MEMBERS);
                    return Self::of(members);
                }
            }
        }
        Self::of(members)
    }

    fn of(members: Vec<Member>) -> Self {
        Self((!members.is_empty()).then(|| members.into()))
    }

    fn members(&self) -> &[Member] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// The header's value: at most 8,192 bytes of whole members, the first of them. What was read from a header that was encoded
/// less strictly may have grown.
impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = BYTES + 1;
        for (place, member) in self.members().iter().enumerate() {
            let text = member.text();
            let Some(rest) = left.checked_sub(text.len() + 1) else {
                break;
            };
            left = rest;
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{text}")?;
        }
        Ok(())
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

impl Member {
    /// `key OWS "=" OWS value *( OWS ";" OWS property )`, split at the first `=`, since a value may have more of them.
    fn parse(text: &str) -> Option<Self> {
        let (pair, metadata) = text.split_once(';').unwrap_or((text, ""));
        let (key, value) = pair.split_once('=')?;
        let [key, value, metadata] = [key, value, metadata].map(|text| text.trim_matches(BLANKS));
        let is_valid = is_token(key) && value.bytes().all(is_octet) && is_metadata(metadata);
        is_valid.then(|| Self {
            key: key.to_owned(),
            // What is no UTF-8 behind the encoding is replaced (U+FFFD), as the specification has it.
            value: String::from_utf8_lossy(&percent_decoded(value.as_bytes())).into_owned(),
            metadata: metadata.to_owned(),
        })
    }

    fn text(&self) -> String {
        let mut text =
            String::with_capacity(self.key.len() + self.value.len() + self.metadata.len() + 2);
        text.push_str(&self.key);
        text.push('=');
        for byte in self.value.bytes() {
            if byte != b'%' && is_octet(byte) {
                text.push(byte.into());
            } else {
                let digit = |value: u8| {
                    char::from_digit(value.into(), 16).map(|digit| digit.to_ascii_uppercase())
                };
                text.push('%');
                text.extend([byte >> 4, byte & 0x0F].into_iter().filter_map(digit));
            }
        }
        if !self.metadata.is_empty() {
            text.extend([";", &self.metadata]);
        }
        text
    }
}

/// A key is there once.
fn set(members: &mut Vec<Member>, member: Member) {
    match members.iter_mut().find(|known| known.key == member.key) {
        Some(known) => *known = member,
        None => members.push(member),
    }
}

/// RFC 7230, section 3.2.6.
fn is_token(key: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !key.is_empty() && key.bytes().all(is_tchar)
}

/// `baggage-octet`: printable ASCII without blanks, `"`, `,`, `;` and `\`.
fn is_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

/// What may stand in a header, and is not the next member.
fn is_metadata(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~') && byte != b',')
}

#[cfg(test)]
mod tests;
