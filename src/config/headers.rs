//! Headers as they were written, before they are checked.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Gives the headers of the next request. The argument says that the destination refused the last ones.
pub(crate) type HeaderProvider =
    Arc<dyn Fn(bool) -> Result<Vec<(String, String)>, Box<dyn Error + Send + Sync>> + Send + Sync>;

/// Names and values of headers. The values are secrets: no text shows them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderList(Vec<(String, String)>);

impl HeaderList {
    /// Adds a header; it replaces one of the same name.
    pub(crate) fn set(&mut self, name: String, value: String) {
        let known = self.0.iter_mut().find(|(known, _)| same(known, &name));
        match known {
            Some(known) => *known = (name, value),
            None => self.0.push((name, value)),
        }
    }

    #[cfg(any(test, feature = "grpc", feature = "http"))]
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| same(known, name))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The names of headers do not know upper and lower case.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl fmt::Debug for HeaderList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, _)| (name, "***")))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_header_of_a_name_holds_and_no_value_is_shown() {
        let mut headers = HeaderList::default();
        headers.set("X-Key".to_owned(), "old".to_owned());
        headers.set("x-key".to_owned(), "canary".to_owned());
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("x-key", "canary")]);
        assert!(headers.has("X-KEY") && !headers.has("x"));
        assert_eq!(format!("{headers:?}"), r#"{"x-key": "***"}"#);
    }
}
