//! The headers that users add to requests.

use std::fmt;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};

use crate::config::HeaderProvider;
use crate::error::Error;

/// Headers that were checked.
#[derive(Clone, Default)]
pub(crate) struct Headers {
    fixed: Vec<(HeaderName, HeaderValue)>,
    provider: Option<HeaderProvider>,
    bearer_token_file: Option<PathBuf>,
}

/// What belongs to the protocol.
const RESERVED: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
];

impl Headers {
    /// # Errors
    ///
    /// For what is no header, or is not the user's to set. The error never shows the value.
    pub(crate) fn insert(&mut self, name: &str, value: &str, origin: &str) -> Result<(), Error> {
        let wrong = |why: &str| Err(Error::config(format!("{origin}: header {name:?} {why}")));
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return wrong("is no name; expected letters, digits and hyphens");
        };
        if RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("grpc-") {
            return wrong("is set by the protocol");
        }
        let Ok(mut value) = HeaderValue::from_str(value) else {
            return wrong("has a value that is not visible ASCII");
        };
        value.set_sensitive(true);
        self.fixed.retain(|(known, _)| *known != parsed);
        self.fixed.push((parsed, value));
        Ok(())
    }

    pub(crate) fn provide(&mut self, provider: HeaderProvider) {
        self.provider = Some(provider);
    }

    pub(crate) fn bearer_token_file(&mut self, path: PathBuf) {
        self.bearer_token_file = Some(path);
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fixed.iter().map(|(name, _)| name.as_str())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers")
            .field("names", &self.names().collect::<Vec<_>>())
            .field("provider", &self.provider.is_some())
            .field("bearer_token_file", &self.bearer_token_file)
            .finish()
    }
}
