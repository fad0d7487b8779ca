//! Answers as JSON: field names in lowerCamelCase, 64-bit integers as strings or numbers, and unknown fields ignored
//! (specification, "JSON Protobuf Encoding").

use serde_json::{Map, Value};

use crate::proto::response::PartialSuccess;

/// How a signal's response names the count of what was refused.
const REJECTED: [&str; 2] = ["rejectedSpans", "rejectedLogRecords"];

/// `ExportTraceServiceResponse` or `ExportLogsServiceResponse`; `None` for what is neither. What is left out, or null, is as if
/// it were not set.
pub(super) fn partial_success(body: &[u8]) -> Option<PartialSuccess> {
    let response = object(body)?;
    let partial = match response.get("partialSuccess") {
        None | Some(Value::Null) => return Some(PartialSuccess::default()),
        Some(partial) => partial.as_object()?,
    };
    let mut counts = REJECTED.iter().filter_map(|name| partial.get(*name));
    let rejected = match counts.find(|count| !count.is_null()) {
        None => 0,
        Some(Value::String(text)) => text.parse().ok()?,
        Some(Value::Number(number)) => number.as_i64().or_else(|| whole(number.as_f64()?))?,
        Some(_) => return None,
    };
    Some(PartialSuccess {
        rejected,
        message: text(partial, "errorMessage")?,
    })
}

/// The message of a `google.rpc.Status`.
pub(super) fn message(body: &[u8]) -> Option<String> {
    text(&object(body)?, "message")
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name) {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => None,
    }
}

/// Proto3's JSON takes `1.0` and `1e3` where it wants an integer. What exceeds one is as many as there are.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(value: &str) -> Option<i64> {
        let body = format!(r#"{{"partialSuccess":{{"rejectedSpans":{value}}}}}"#);
        partial_success(body.as_bytes()).map(|partial| partial.rejected)
    }

    #[test]
    fn spec_1_22_a_count_is_a_string_or_a_number() {
        for (value, expected) in [
            ("\"3\"", Some(3)),
            ("3", Some(3)),
            ("3.0", Some(3)),
            ("3e2", Some(300)),
            ("-3", Some(-3)),
            ("\"9223372036854775807\"", Some(i64::MAX)),
            ("1e300", Some(i64::MAX)),
            ("null", Some(0)),
            ("\"three\"", None),
            ("3.5", None),
            ("[]", None),
        ] {
            assert_eq!(rejected(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_rejected_is_counted_whatever_the_signal() {
        for (fields, expected) in [
            (r#""rejectedLogRecords":"3""#, 3),
            (r#""rejectedLogRecords":3,"rejectedSpans":null"#, 3),
            (r#""rejectedSpans":3"#, 3),
            (r#""rejectedDataPoints":3"#, 0),
        ] {
            let body = format!(r#"{{"partialSuccess":{{{fields}}}}}"#);
            let partial = partial_success(body.as_bytes());
            assert_eq!(
                partial.map(|partial| partial.rejected),
                Some(expected),
                "{body}"
            );
        }
    }

    #[test]
    fn spec_1_24_unknown_fields_are_ignored() {
        let body = br#"{"new":[{}],"partialSuccess":{"rejectedSpans":"1","errorMessage":"no","x":{"y":1}}}"#;
        let expected = PartialSuccess {
            rejected: 1,
            message: "no".to_owned(),
        };
        assert_eq!(partial_success(body), Some(expected));
    }

    #[test]
    fn spec_1_21_other_spellings_are_unknown_fields() {
        let body = br#"{"partial_success":{"rejected_spans":1}}"#;
        assert_eq!(partial_success(body), Some(PartialSuccess::default()));
    }

    #[test]
    fn what_is_not_set_is_full_success_and_what_is_no_object_is_none() {
        for body in [
            "{}",
            r#"{"partialSuccess":null}"#,
            r#"{"partialSuccess":{}}"#,
        ] {
            assert_eq!(
                partial_success(body.as_bytes()),
                Some(PartialSuccess::default())
            );
        }
        for body in ["", "[]", "1", "{", r#"{"partialSuccess":1}"#, "{} {}"] {
            assert_eq!(partial_success(body.as_bytes()), None, "{body}");
        }
        let deep = "[".repeat(60_000);
        assert_eq!(partial_success(deep.as_bytes()), None);
    }

    #[test]
    fn the_message_of_a_status_is_read() {
        let body = br#"{"code":3,"message":"bad","details":[]}"#;
        assert_eq!(message(body).as_deref(), Some("bad"));
        assert_eq!(message(b"no"), None);
    }
}
