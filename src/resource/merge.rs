//! Several resources made one (specification, resource SDK, "Merge").

use std::collections::HashMap;

use crate::model::Value;

/// An attribute and who said it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attribute<O> {
    pub(crate) key: String,
    pub(crate) value: Value<'static>,
    pub(crate) origin: O,
}

/// Attributes of distinct keys, in the order in which the keys became known.
#[derive(Debug)]
pub(crate) struct Merged<O> {
    attributes: Vec<Attribute<O>>,
    places: HashMap<String, usize>,
}

impl<O> Default for Merged<O> {
    fn default() -> Self {
        Self {
            attributes: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<O> Merged<O> {
    /// "If a key exists on both the old and updating resource, the value of the updating resource MUST be picked (even if the
    /// updated value is empty)."
    pub(crate) fn update(&mut self, key: String, value: Value<'static>, origin: O) {
        let attribute = Attribute { key, value, origin };
        match self.places.get(&attribute.key) {
            Some(place) => {
                if let Some(known) = self.attributes.get_mut(*place) {
                    *known = attribute;
                }
            }
            None => {
                self.places
                    .insert(attribute.key.clone(), self.attributes.len());
                self.attributes.push(attribute);
            }
        }
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Attribute<O>> {
        self.attributes.get(*self.places.get(key)?)
    }

    pub(crate) fn into_attributes(self) -> Vec<Attribute<O>> {
        self.attributes
    }
}

/// The schema of a resource that is being merged, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaUrl<O>(Option<(String, O)>);

impl<O: Clone> SchemaUrl<O> {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// "If the old resource's Schema URL is empty then the resulting resource's Schema URL will be set to the Schema URL of the
    /// updating resource", and the other way round; equal ones stay; the other one is the error where they differ.
    pub(crate) fn update(&mut self, url: &str, origin: O) -> Result<(), (String, O)> {
        match &self.0 {
            Some(known) if !url.is_empty() && known.0 != url => Err(known.clone()),
            None if !url.is_empty() => {
                self.0 = Some((url.to_owned(), origin));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn into_setting(self) -> Option<(String, O)> {
        self.0
    }
}

/// An absolute URI, as far as that can be seen: a scheme, and behind it characters that a URI may have (RFC 3986).
pub(crate) fn is_schema_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_of_uri = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(is_of_scheme)
        && !rest.is_empty()
        && rest.chars().all(is_of_uri)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The oracle is a plain map, and the order of the first occurrences.
        #[test]
        fn spec_9_9_the_updating_value_wins_even_if_it_is_empty(
            updates in proptest::collection::vec(("[a-e]{1,2}", "[xy]{0,2}"), 0..40)
        ) {
            let mut merged = Merged::default();
            let mut map = HashMap::new();
            let mut order: Vec<String> = Vec::new();
            for (step, (key, value)) in updates.into_iter().enumerate() {
                merged.update(key.clone(), value.clone().into(), step);
                map.insert(key.clone(), (value, step));
                if !order.contains(&key) {
                    order.push(key);
                }
            }
            for key in ["a", "b", "aa", "none"] {
                let found = merged.find(key).map(|found| (found.value.clone(), found.origin));
                let expected = map.get(key).map(|(value, step)| (Value::from(value.clone()), *step));
                prop_assert_eq!(found, expected);
            }
            let attributes = merged.into_attributes();
            let keys: Vec<&String> = attributes.iter().map(|attribute| &attribute.key).collect();
            prop_assert_eq!(keys, order.iter().collect::<Vec<_>>());
            for attribute in &attributes {
                let (value, step) = &map[&attribute.key];
                prop_assert_eq!(&attribute.value, &Value::from(value));
                prop_assert_eq!(attribute.origin, *step);
            }
        }
    }

    #[test]
    fn spec_9_9_of_schemas_the_one_that_is_not_empty_holds_and_two_are_an_error() {
        let mut schema = SchemaUrl::new();
        assert_eq!(schema.update("", 0), Ok(()));
        assert_eq!(schema.update("https://a", 1), Ok(()));
        assert_eq!(schema.update("", 2), Ok(()));
        assert_eq!(schema.update("https://a", 3), Ok(()));
        let known = ("https://a".to_owned(), 1);
        assert_eq!(schema.update("https://b", 4), Err(known.clone()));
        assert_eq!(schema.into_setting(), Some(known));
    }

    #[test]
    fn a_schema_url_is_a_uri() {
        for good in [
            "https://opentelemetry.io/schemas/1.44.0",
            "urn:a:b",
            "a+b:/",
        ] {
            assert!(is_schema_url(good), "{good}");
        }
        for bad in [
            "",
            "invalid-url",
            ":a",
            "1a:b",
            "http:",
            "http://a b",
            "http://ä",
            "a:\n",
        ] {
            assert!(!is_schema_url(bad), "{bad}");
        }
    }
}
