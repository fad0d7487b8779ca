//! Environment variables as a carrier (specification, environment variables as context propagation carriers).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::fmt;

use super::{Extractor, Injector};

/// Variables of the environment as a carrier: `TRACEPARENT`, `TRACESTATE` and `BAGGAGE`, and whatever else propagators ask for.
/// It does not look into the values.
///
/// A process reads those that it was started with once, when it starts: [`EnvironmentCarrier::new`]. For a process that it
/// starts, it lets a context be written into an empty carrier, and hands that over; it never changes its own environment.
/// A child inherits the environment, so what is not written has to be removed: else the child would take its own parent's
/// `TRACESTATE` for a trace of another.
///
/// ```
/// use std::process::Command;
/// use tracing_otlp::{EnvironmentCarrier, Injector, Propagator};
///
/// let mut carrier = EnvironmentCarrier::default();
/// // A context is injected here; by hand it would be:
/// carrier.set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
///
/// let mut command = Command::new("make");
/// for field in [Propagator::TraceContext, Propagator::Baggage].iter().flat_map(|form| form.fields()) {
///     command.env_remove(&*EnvironmentCarrier::name(field));
/// }
/// command.envs(carrier); // TRACEPARENT
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EnvironmentCarrier(BTreeMap<String, String>);

impl EnvironmentCarrier {
    /// The variables of this process as they are now. A name that [`name`](Self::name) would have changed is no carrier's, and
    /// a value that is no Unicode is passed over.
    pub fn new() -> Self {
        let unicode = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        unicode.collect()
    }

    /// The variable's name for a key: in upper case, with `_` for each character but letters, digits and `_`, with a `_` before
    /// a digit at its begin, and `_` for an empty key. `traceparent` is `TRACEPARENT`, and `X-B3-TraceId` is `X_B3_TRACEID`.
    pub fn name(key: &str) -> Cow<'_, str> {
        if is_name(key) {
            return key.into();
        }
        let begins = key.chars().next();
        let prefix = begins
            .is_none_or(|first| first.is_ascii_digit())
            .then_some('_');
        let rest = key
            .chars()
            .map(|character| match character.to_ascii_uppercase() {
                kept @ ('A'..='Z' | '0'..='9') => kept,
                _ => '_',
            });
        prefix.into_iter().chain(rest).collect()
    }
}

/// Of what is there, only variables whose names are a carrier's.
impl FromIterator<(String, String)> for EnvironmentCarrier {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(variables.filter(|(name, _)| is_name(name)).collect())
    }
}

/// Names and values, as [`Command::envs`](std::process::Command::envs) takes them.
impl IntoIterator for EnvironmentCarrier {
    type Item = (String, String);
    type IntoIter = IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extractor for EnvironmentCarrier {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        let value = self.0.get(Self::name(key).as_ref());
        value.map(|value| value.as_str().into())
    }

    fn keys(&self) -> Vec<Cow<'_, str>> {
        self.0.keys().map(|name| name.as_str().into()).collect()
    }
}

impl Injector for EnvironmentCarrier {
    fn set(&mut self, key: &str, value: &str) {
        self.0
            .insert(Self::name(key).into_owned(), value.to_owned());
    }
}

/// The names alone: an environment holds secrets.
impl fmt::Debug for EnvironmentCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EnvironmentCarrier")
            .field(&self.0.keys().collect::<Vec<_>>())
            .finish()
    }
}

fn is_name(name: &str) -> bool {
    let begins = name
        .bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit());
    let is_kept = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    begins && name.bytes().all(is_kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spec_6_20_keys_are_normalised() {
        let cases = [
            ("traceparent", "TRACEPARENT"),
            ("TRACESTATE", "TRACESTATE"),
            ("X-B3-TraceId", "X_B3_TRACEID"),
            ("b3", "B3"),
            ("3b", "_3B"),
            ("", "_"),
            ("é b", "__B"),
            ("_a", "_A"),
        ];
        for (key, name) in cases {
            assert_eq!(EnvironmentCarrier::name(key), name, "{key:?}");
        }
    }

    #[test]
    fn spec_6_20_what_is_asked_for_is_normalised_and_only_normalised_names_are_there() {
        let variables = [
            ("TRACEPARENT", "1"),
            ("traceparent", "2"),
            ("Baggage", "3"),
            ("", "4"),
            ("9", "5"),
        ];
        let carrier: EnvironmentCarrier = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(carrier.get("traceparent").as_deref(), Some("1"));
        assert_eq!(carrier.get_all("TraceParent"), ["1"]);
        assert_eq!(carrier.get("baggage"), None);
        assert_eq!(carrier.keys(), ["TRACEPARENT"]);
    }

    #[test]
    fn spec_6_20_a_child_gets_normalised_names_and_values_as_they_are() {
        let mut carrier = EnvironmentCarrier::default();
        carrier.set("traceparent", "1");
        carrier.set("TraceParent", " any=text, ");
        carrier.set("baggage", "2");
        assert_eq!(
            format!("{carrier:?}"),
            r#"EnvironmentCarrier(["BAGGAGE", "TRACEPARENT"])"#
        );
        let variables: Vec<_> = carrier.into_iter().collect();
        let expected = [("BAGGAGE", "2"), ("TRACEPARENT", " any=text, ")];
        assert_eq!(
            variables,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn spec_6_20_the_variables_of_the_process_are_read() {
        let carrier = EnvironmentCarrier::new();
        assert_eq!(
            carrier.get("path").as_deref(),
            std::env::var("PATH").ok().as_deref()
        );
    }

    proptest! {
        #[test]
        fn spec_6_20_every_name_is_normalised_and_once_is_enough(key: String) {
            let name = EnvironmentCarrier::name(&key).into_owned();
            prop_assert!(is_name(&name), "{}", name);
            prop_assert_eq!(EnvironmentCarrier::name(&name), name.as_str());
        }
    }
}
