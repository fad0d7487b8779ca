//! Baggage (W3C Baggage).

use std::sync::Arc;

/// Keys and values that travel along with a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage(Option<Arc<[Member]>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    key: String,
    value: String,
    metadata: String,
}

impl Baggage {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
