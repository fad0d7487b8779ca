//! The headers of HTTP and gRPC as a carrier. The crate is there already, for the transports; nothing of it is named in the
//! public API but as whom the two traits are implemented for.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Extractor, Injector};

/// Values that are no visible ASCII are passed over, as if they were not there.
impl Extractor for HeaderMap {
    fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        Extractor::get_all(self, key).into_iter().next()
    }

    fn get_all(&self, key: &str) -> Vec<Cow<'_, str>> {
        let values = self.get_all(key).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .map(Cow::from)
            .collect()
    }

    fn keys(&self) -> Vec<Cow<'_, str>> {
        self.keys().map(|key| key.as_str().into()).collect()
    }
}

/// What is no name or no value of a header is not set, nor is what a full map has no room for.
impl Injector for HeaderMap {
    fn set(&mut self, key: &str, value: &str) {
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            let _ = self.try_insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_6_12_headers_give_first_all_and_keys_without_regard_to_case() {
        let mut headers = HeaderMap::new();
        headers.append("tracestate", HeaderValue::from_bytes(b"\xFF").unwrap());
        headers.append("tracestate", HeaderValue::from_static("a=1"));
        headers.append("tracestate", HeaderValue::from_static("b=2"));
        headers.append("other", HeaderValue::from_static("3"));
        let carrier: &dyn Extractor = &headers;
        assert_eq!(carrier.get("TraceState").as_deref(), Some("a=1"));
        assert_eq!(carrier.get_all("TRACESTATE"), ["a=1", "b=2"]);
        assert_eq!(carrier.keys(), ["tracestate", "other"]);
        assert_eq!(carrier.get("no name"), None);
    }

    #[test]
    fn what_is_set_replaces_and_what_is_no_header_is_left_out() {
        let mut headers = HeaderMap::new();
        headers.append("x-b3-traceid", HeaderValue::from_static("1"));
        headers.append("x-b3-traceid", HeaderValue::from_static("2"));
        headers.set("X-B3-TraceId", "3");
        headers.set("no name", "4");
        headers.set("value", "a\nb");
        assert_eq!(headers.len(), 1);
        assert_eq!(Extractor::get_all(&headers, "X-B3-TraceId"), ["3"]);
    }
}
