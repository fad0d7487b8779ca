//! Texts with wildcards.

use std::fmt;

/// A text in which `*` stands for any characters or none, and `?` for any one character. Upper and lower case differ.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Box<str>);

impl Pattern {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// Whether it stands for any text.
    pub(crate) fn is_any(&self) -> bool {
        &*self.0 == "*"
    }

    /// Whether it stands for this text. Takes at most the product of both lengths, and no memory: after a mismatch, the
    /// last `*` takes one character more, and none before it needs to.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.matches_by(text, |wanted, found| wanted == found)
    }

    /// As [`Pattern::matches`] for keys that people and programs spell differently: upper and lower case are alike, and so are `-`
    /// and `_`.
    pub(crate) fn matches_key(&self, key: &str) -> bool {
        let plain = |c: char| match c {
            '_' => '-',
            other => other.to_ascii_lowercase(),
        };
        self.matches_by(key, |wanted, found| plain(wanted) == plain(found))
    }

    fn matches_by(&self, text: &str, is_alike: impl Fn(char, char) -> bool) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            match (pattern.next(), rest.clone().next()) {
                (Some('*'), _) => {
                    retry = Some((pattern.clone(), rest.clone()));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == '?' || is_alike(wanted, found) => {
                    rest.next();
                    continue;
                }
                _ => {}
            }
            let Some((behind, from)) = &mut retry else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            (pattern, rest) = (behind.clone(), from.clone());
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', behind)), rest) => {
                naive(behind, text) || rest.is_some_and(|(_, rest)| naive(pattern, rest))
            }
            (Some((wanted, behind)), Some((found, rest))) => {
                (*wanted == '?' || wanted == found) && naive(behind, rest)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_a_naive_one_matches(pattern in "[ab?*é]{0,8}", text in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = naive(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Pattern::new(pattern).matches(&text), expected);
        }
    }

    #[test]
    fn wildcards_are_characters() {
        let matches = |pattern: &str, text: &str| Pattern::new(pattern).matches(text);
        assert!(matches("GET /health*", "GET /healthz"));
        assert!(matches("h?llo", "hällo") && !matches("h?llo", "hllo"));
        assert!(matches("", "") && !matches("", "a") && matches("*", ""));
        assert!(!matches("Hyper", "hyper"));
        let key = |pattern: &str, text: &str| Pattern::new(pattern).matches_key(text);
        assert!(key("X-Api*", "x_api_key") && key("*PASSWORD", "db.password"));
        assert!(!key("x-api", "x-api-key") && !key("x.api", "x-api"));
        let long = "a".repeat(10_000);
        assert!(!matches(&format!("{}b", "a*".repeat(50)), &long));
    }
}
