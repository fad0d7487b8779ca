//! `OTEL_*` variables: from pairs of names and values to settings, without looking at the process.
//!
//! Rules (OpenTelemetry specification, environment variables): an empty value is no value; a value that cannot be read is
//! warned about and ignored; the variable of the signal goes before the general one.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

/// What the environment says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Environment {
    pub(crate) service_name: Option<String>,
    pub(crate) resource: Vec<(String, String)>,
    /// The endpoint and the variable that named it.
    pub(crate) endpoint: Option<(String, &'static str)>,
    /// One attempt's deadline; zero for none.
    pub(crate) timeout: Option<Duration>,
    pub(crate) schedule_delay: Option<Duration>,
    pub(crate) max_queue_size: Option<usize>,
    pub(crate) max_export_batch_size: Option<usize>,
    pub(crate) attributes: Option<u32>,
    pub(crate) events: Option<u32>,
    pub(crate) links: Option<u32>,
    pub(crate) attributes_per_event: Option<u32>,
    /// What was wrong, with the variable's name and value.
    pub(crate) warnings: Vec<String>,
}

/// Reads the variables out of an environment.
pub(crate) fn read(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
    let set = variables
        .into_iter()
        .filter(|(name, value)| name.starts_with("OTEL_") && !value.trim().is_empty());
    let mut reader = Reader {
        set: set.collect(),
        warnings: Vec::new(),
    };
    let general_count = "OTEL_ATTRIBUTE_COUNT_LIMIT";
    let mut environment = Environment {
        service_name: reader.text("OTEL_SERVICE_NAME"),
        resource: reader.resource("OTEL_RESOURCE_ATTRIBUTES"),
        endpoint: reader.first([
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ]),
        timeout: reader
            .milliseconds("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
            .or_else(|| reader.milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT")),
        schedule_delay: reader.milliseconds("OTEL_BSP_SCHEDULE_DELAY"),
        max_queue_size: reader.number("OTEL_BSP_MAX_QUEUE_SIZE", 1),
        max_export_batch_size: reader.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1),
        attributes: reader
            .number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 0)
            .or_else(|| reader.number(general_count, 0)),
        events: reader.number("OTEL_SPAN_EVENT_COUNT_LIMIT", 0),
        links: reader.number("OTEL_SPAN_LINK_COUNT_LIMIT", 0),
        attributes_per_event: reader
            .number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 0)
            .or_else(|| reader.number(general_count, 0)),
        warnings: Vec::new(),
    };
    // Both readers of the general limit may have warned.
    reader.warnings.dedup();
    environment.warnings = reader.warnings;
    environment
}

/// Integers are from 0 to 2^31 - 1.
const MOST: u32 = i32::MAX as u32;

struct Reader {
    set: HashMap<String, String>,
    warnings: Vec<String>,
}

impl Reader {
    fn text(&self, name: &str) -> Option<String> {
        self.set.get(name).cloned()
    }

    fn first(&self, names: [&'static str; 2]) -> Option<(String, &'static str)> {
        names
            .into_iter()
            .find_map(|name| Some((self.text(name)?, name)))
    }

    fn number<T: TryFrom<u32>>(&mut self, name: &str, least: u32) -> Option<T> {
        let value = self.set.get(name)?;
        let number = u32::from_str(value.trim())
            .ok()
            .filter(|number| (least..=MOST).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.warn(name, &format!("an integer from {least} to {MOST}"));
        }
        number
    }

    fn milliseconds(&mut self, name: &str) -> Option<Duration> {
        self.number::<u32>(name, 0)
            .map(|milliseconds| Duration::from_millis(milliseconds.into()))
    }

    /// `key=value,key=value`, percent-encoded. "In case of any error [...] the entire environment variable value SHOULD be
    /// discarded".
    fn resource(&mut self, name: &str) -> Vec<(String, String)> {
        let Some(list) = self.set.get(name) else {
            return Vec::new();
        };
        let pairs: Option<Vec<_>> = list
            .split(',')
            .filter(|pair| !pair.trim().is_empty())
            .map(pair)
            .collect();
        if pairs.is_none() {
            self.warn(
                name,
                "key=value pairs with percent-encoding, separated by commas",
            );
        }
        pairs.unwrap_or_default()
    }

    fn warn(&mut self, name: &str, expected: &str) {
        let value = self.set.get(name).map_or("", String::as_str);
        self.warnings
            .push(format!("{name}={value:?} is ignored: expected {expected}"));
    }
}

fn pair(pair: &str) -> Option<(String, String)> {
    let (key, value) = pair.split_once('=')?;
    let key = percent_decode(key.trim())?;
    (!key.is_empty()).then_some(())?;
    Some((key, percent_decode(value.trim())?))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first == b'%' {
            let (digits, behind) = behind.split_first_chunk::<2>()?;
            // `from_str_radix` alone would take a sign.
            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = behind;
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Environment {
        read(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn spec_2_13_an_empty_variable_of_the_signal_leaves_the_general_one() {
        let environment = of(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"),
        ]);
        assert_eq!(
            environment.endpoint,
            Some(("http://a:1".to_owned(), "OTEL_EXPORTER_OTLP_ENDPOINT"))
        );
    }

    #[test]
    fn spec_10_3_resource_attributes_are_percent_decoded_or_ignored_whole() {
        let environment = of(&[("OTEL_RESOURCE_ATTRIBUTES", "team=a%20b, k%3D=%C3%A9=,")]);
        let expected =
            [("team", "a b"), ("k=", "é=")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(environment.resource, expected);
        for wrong in ["a=1,b", "a=1,=2", "a=%zz", "a=%+1", "a=%f", "a=%ff"] {
            let environment = of(&[("OTEL_RESOURCE_ATTRIBUTES", wrong)]);
            assert!(
                environment.resource.is_empty() && environment.warnings.len() == 1,
                "{wrong}"
            );
            assert!(
                environment.warnings[0].contains(wrong),
                "{:?}",
                environment.warnings
            );
        }
    }

    #[test]
    fn spec_10_numbers_out_of_range_are_warned_about_and_ignored() {
        let environment = of(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2147483648"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "7"),
        ]);
        assert_eq!(environment.warnings.len(), 4, "{:?}", environment.warnings);
        assert_eq!(
            Environment {
                warnings: Vec::new(),
                ..environment
            },
            of(&[("OTEL_SPAN_LINK_COUNT_LIMIT", "7")])
        );
    }

    #[test]
    fn spec_10_durations_are_milliseconds_and_a_timeout_of_zero_is_none() {
        let environment = of(&[
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
        ]);
        assert_eq!(environment.schedule_delay, Some(Duration::from_millis(250)));
        assert_eq!(environment.timeout, Some(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn no_value_does_harm(value: String) {
            for name in ["OTEL_RESOURCE_ATTRIBUTES", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_EXPORTER_OTLP_TIMEOUT"] {
                let _ = of(&[(name, &value)]);
            }
        }
    }
}
