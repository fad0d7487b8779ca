//! What an HTTP status that is no success means, from an OTLP/HTTP server or from a proxy before a gRPC server.

use http::{HeaderMap, StatusCode, Uri, header};

use super::super::text::printable;
use super::super::transport::{Code, Failure, Kind};
use super::{LONGEST_TEXT, Received, delay, is_html, media_type, says_too_large, status};
use crate::config::Protocol;

pub(super) const CREDENTIALS: &str = "the server wants other credentials: set or renew the header it expects (OTEL_EXPORTER_OTLP_HEADERS)";
pub(super) const RIGHTS: &str = "the credentials were understood and are not enough: check the token's rights, the tenant and the signal it is for";
pub(super) const PAGE: &str = "the answer is a web page (HTML): this is a web server, or a proxy or captive portal answers in the collector's place; check host and port";

/// The verdict of a status that is no success.
pub(super) fn of_status(received: &Received<'_>, protocol: Protocol) -> Failure {
    let status = received.status;
    let kind = if is_too_large(received) {
        Kind::TooLarge
    } else {
        kind(status)
    };
    let mut message = format!("HTTP {}", status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        message = format!("{message} {reason}");
    }
    if let Some(hint) = hint(received, protocol) {
        message = format!("{message}: {hint}");
    }
    let after = match kind {
        Kind::Busy => delay::retry_after(received.headers, received.at),
        _ => None,
    };
    Failure {
        after,
        ..Failure::new(kind, with_text(message, &said(received)))
            .with_code(Code::Http(status.as_u16()))
    }
}

/// Whether a 400 says that the body is too large. The Collector answers like this ("http: request body too large"), and others
/// that read a body with a limit and take every error for a bad request; all records would be lost, however few fit.
pub(super) fn is_too_large(received: &Received<'_>) -> bool {
    received.status == StatusCode::BAD_REQUEST && says_too_large(&said(received))
}

/// What a server said, behind what it means.
pub(super) fn with_text(message: String, text: &str) -> String {
    if text.is_empty() {
        return message;
    }
    let text = printable(text, LONGEST_TEXT);
    format!("{message} (the server says: {text})")
}

/// OTLP, "Retryable Response Codes": 429, 502, 503 and 504; "all other 4xx or 5xx response status codes MUST NOT be retried".
fn kind(status: StatusCode) -> Kind {
    match status.as_u16() {
        // No final answer, so none to this request.
        100..=199 => Kind::Unanswered { ambiguous: true },
        429 | 502 | 503 | 504 => Kind::Busy,
        413 => Kind::TooLarge,
        300..=399 | 401 | 403 | 404 | 407 => Kind::Misconfigured,
        _ => Kind::Refused,
    }
}

fn hint(received: &Received<'_>, protocol: Protocol) -> Option<String> {
    let hint = match (received.status.as_u16(), protocol) {
        (300..=399, _) => return Some(redirect(received.headers)),
        (401, _) => CREDENTIALS,
        (403, _) => RIGHTS,
        (404 | 405 | 415, Protocol::Grpc) => {
            "there is no gRPC service here: this may be OTLP/HTTP; use a collector's gRPC port (4317), or protocol http/protobuf"
        }
        (404, _) => {
            "there is nothing at this path; is /v1/traces or /v1/logs right? It is appended to OTEL_EXPORTER_OTLP_ENDPOINT, and not to \
             OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
        }
        (405, _) => {
            "this path takes no POST: it is not OTLP's, which is /v1/traces or /v1/logs on port 4318 unless the server says otherwise"
        }
        (407, _) => {
            "a proxy between here and the collector wants credentials: give it some, or go around it"
        }
        (415, _) => {
            "the server does not take this encoding: try protocol http/protobuf without compression"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Where to stands in `location`, of which only scheme, host and port are shown: the rest may hold secrets.
fn redirect(headers: &HeaderMap) -> String {
    let location = headers
        .get(header::LOCATION)
        .and_then(|value| Uri::try_from(value.as_bytes()).ok());
    let target = location.and_then(|uri| {
        let (scheme, host) = (uri.scheme_str()?, uri.host()?);
        let port = uri
            .port_u16()
            .map_or_else(String::new, |port| format!(":{port}"));
        Some(printable(&format!("{scheme}://{host}{port}"), LONGEST_TEXT))
    });
    match target {
        Some(target) => format!(
            "redirects are not followed: it points to {target}; if that is the collector, make it the endpoint"
        ),
        None => {
            "redirects are not followed: check scheme, host and path of the endpoint".to_owned()
        }
    }
}

/// "The response body [of a failure] MUST be a protobuf-encoded Status message", or as JSON; from others, text.
fn said(received: &Received<'_>) -> String {
    let media_type = media_type(received.headers);
    if is_html(&media_type, received.body) {
        return "(a web page)".to_owned();
    }
    let message = match media_type.as_str() {
        "application/x-protobuf" => status::decode(received.body)
            .ok()
            .map(|status| status.message),
        #[cfg(feature = "http-json")]
        "application/json" => super::json::message(received.body),
        _ => None,
    };
    message.unwrap_or_else(|| match std::str::from_utf8(received.body) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => String::new(),
    })
}
