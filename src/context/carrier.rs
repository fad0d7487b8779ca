//! Where contexts are read from and written to: what a carrier has to do, and the maps and lists of std.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

/// Where a context is read from: the headers of a request, the entries of a message, the variables of the environment
/// (specification, `Getter`). It is implemented for maps and lists of strings, whose keys know no upper and lower case here,
/// since they may have been headers of HTTP; with the features `grpc` and `http` for `HeaderMap` of the crate `http`; and by
/// [`EnvironmentCarrier`](crate::EnvironmentCarrier).
///
/// ```
/// use std::borrow::Cow;
///
/// /// A message, as some queue's client gives it.
/// struct Message {
///     headers: Vec<(String, Vec<u8>)>,
/// }
///
/// impl tracing_otlp::Extractor for Message {
///     fn get(&self, key: &str) -> Option<Cow<'_, str>> {
///         let (_, value) = self.headers.iter().find(|(known, _)| known == key)?;
///         std::str::from_utf8(value).ok().map(Cow::Borrowed)
///     }
///
///     fn keys(&self) -> Vec<Cow<'_, str>> {
///         self.headers.iter().map(|(key, _)| key.as_str().into()).collect()
///     }
/// }
/// ```
pub trait Extractor {
    /// The first value of this key; keys of HTTP headers know no upper and lower case.
    fn get(&self, key: &str) -> Option<Cow<'_, str>>;

    /// All values of this key, in their order. Default: the one that [`get`](Self::get) gives.
    fn get_all(&self, key: &str) -> Vec<Cow<'_, str>> {
        self.get(key).into_iter().collect()
    }

    /// All keys.
    fn keys(&self) -> Vec<Cow<'_, str>>;
}

/// Where a context is written to (specification, `Setter`). What the carrier held before and is not set again stays: clear a
/// carrier that is used again of [`Propagator::fields`](crate::Propagator::fields).
pub trait Injector {
    /// Sets the value of a key, also where it had one.
    fn set(&mut self, key: &str, value: &str);
}

/// Maps from names to values: their names know upper and lower case, and headers' do not.
macro_rules! map_carriers {
    ($($map:ty $(where $hasher:ident)?;)*) => {$(
        impl$(<$hasher: BuildHasher>)? Extractor for $map {
            fn get(&self, key: &str) -> Option<Cow<'_, str>> {
                let exact = self.get(key).map(|value| Cow::from(value.as_str()));
                exact.or_else(|| of_any_case(self, key).into_iter().next())
            }

            fn get_all(&self, key: &str) -> Vec<Cow<'_, str>> {
                of_any_case(self, key)
            }

            fn keys(&self) -> Vec<Cow<'_, str>> {
                self.keys().map(|key| key.as_str().into()).collect()
            }
        }

        impl$(<$hasher: BuildHasher>)? Injector for $map {
            fn set(&mut self, key: &str, value: &str) {
                self.retain(|known, _| !known.eq_ignore_ascii_case(key));
                self.insert(key.to_owned(), value.to_owned());
            }
        }
    )*};
}

map_carriers! {
    HashMap<String, String, S> where S;
    BTreeMap<String, String>;
}

impl Extractor for Vec<(String, String)> {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        let found = self
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str().into())
    }

    fn get_all(&self, key: &str) -> Vec<Cow<'_, str>> {
        let found = self
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str().into()).collect()
    }

    fn keys(&self) -> Vec<Cow<'_, str>> {
        self.iter().map(|(key, _)| key.as_str().into()).collect()
    }
}

impl Injector for Vec<(String, String)> {
    fn set(&mut self, key: &str, value: &str) {
        self.retain(|(known, _)| !known.eq_ignore_ascii_case(key));
        self.push((key.to_owned(), value.to_owned()));
    }
}

/// The values of this key in any case, by the keys' order, which a hash map has not.
fn of_any_case<'m>(
    map: impl IntoIterator<Item = (&'m String, &'m String)>,
    key: &str,
) -> Vec<Cow<'m, str>> {
    let pairs = map.into_iter();
    let mut found: Vec<_> = pairs
        .filter(|(known, _)| known.eq_ignore_ascii_case(key))
        .collect();
    found.sort_unstable();
    found
        .into_iter()
        .map(|(_, value)| value.as_str().into())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> [(String, String); 3] {
        [("Trace", "1"), ("other", "2"), ("trace", "3")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    }

    fn values(carrier: &dyn Extractor, key: &str) -> Vec<String> {
        carrier
            .get_all(key)
            .into_iter()
            .map(Cow::into_owned)
            .collect()
    }

    #[test]
    fn spec_6_12_a_list_gives_first_all_and_keys_without_regard_to_case() {
        let list = Vec::from(pairs());
        assert_eq!(Extractor::get(&list, "TRACE").as_deref(), Some("1"));
        assert_eq!(values(&list, "tracE"), ["1", "3"]);
        assert_eq!(Extractor::keys(&list), ["Trace", "other", "trace"]);
        assert_eq!(Extractor::get(&list, "none"), None);
    }

    #[test]
    fn spec_6_12_maps_give_first_all_and_keys_without_regard_to_case() {
        let (hashed, sorted) = (HashMap::from(pairs()), BTreeMap::from(pairs()));
        for map in [&hashed as &dyn Extractor, &sorted] {
            assert_eq!(map.get("trace").as_deref(), Some("3"));
            assert_eq!(map.get("TRACE").as_deref(), Some("1"));
            assert_eq!(map.get("OTHER").as_deref(), Some("2"));
            assert_eq!(map.get("none"), None);
            assert_eq!(values(map, "TRACE"), ["1", "3"]);
            let mut keys = map.keys();
            keys.sort();
            assert_eq!(keys, ["Trace", "other", "trace"]);
        }
    }

    #[test]
    fn spec_6_12_get_all_gives_what_get_gives_unless_a_carrier_knows_better() {
        struct One;
        impl Extractor for One {
            fn get(&self, key: &str) -> Option<Cow<'_, str>> {
                (key == "a").then_some("1".into())
            }

            fn keys(&self) -> Vec<Cow<'_, str>> {
                vec!["a".into()]
            }
        }
        assert_eq!(values(&One, "a"), ["1"]);
        assert!(values(&One, "b").is_empty());
    }

    #[test]
    fn a_key_that_is_set_replaces_those_of_any_case() {
        let mut list = Vec::from(pairs());
        list.set("TRACE", "4");
        let expected =
            [("other", "2"), ("TRACE", "4")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(list, expected);
        let mut hashed = HashMap::from(pairs());
        hashed.set("TRACE", "4");
        assert_eq!(hashed, HashMap::from(expected.clone()));
        let mut sorted = BTreeMap::from(pairs());
        sorted.set("TRACE", "4");
        assert_eq!(sorted, BTreeMap::from(expected));
    }
}
