//! `tracestate` (W3C Trace Context level 2, section 3.3).

use std::sync::Arc;

/// What vendors say of a trace: a list of keys and values, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// Reads the value of the header, which several ones may be joined to by commas. `None` where it is not valid.
    pub fn parse(header: &str) -> Option<Self> {
        let text = header.trim();
        Some(Self((!text.is_empty()).then(|| text.into())))
    }

    /// The header's value; empty where there is nothing to say.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.members().find(|(known, _)| *known == key);
        found.map(|(_, value)| value)
    }

    /// The same with this value, of which the key stands first. `None` where it would not be valid.
    #[must_use]
    pub fn insert(&self, key: &str, value: &str) -> Option<Self> {
        let is_text = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let is_valid = !key.is_empty() && value.len() <= 256 && is_text(key) && is_text(value);
        if !is_valid || key.contains([',', '=']) || value.contains([',', '=']) {
            return None;
        }
        let others = self.members().filter(|(known, _)| *known != key);
        // Of 32 members, the last makes room.
        let all = std::iter::once((key, value)).chain(others.take(31));
        Some(Self::of(all))
    }

    /// The same without this key.
    #[must_use]
    pub fn remove(&self, key: &str) -> Self {
        Self::of(self.members().filter(|(known, _)| *known != key))
    }

    fn of<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let members: Vec<_> = members
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        Self((!members.is_empty()).then(|| members.join(",").into()))
    }

    fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        let members = self.as_str().split(',');
        members.filter_map(|member| member.trim().split_once('='))
    }
}
