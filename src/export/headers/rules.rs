//! Which headers may be set, and to what.

use http::{HeaderName, HeaderValue};

/// They say how this request is made, which only the transport knows; or belong to the connection, where HTTP/2 forbids them.
const RESERVED: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// A wrong name is shown so far.
const LONGEST: usize = 64;

/// Name and value as they are sent: in lower case, without spaces around them, and sensitive. The error names the name alone.
pub(super) fn checked(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let shown: String = name.chars().take(LONGEST).collect();
    let wrong = |why: &str| format!("the header {shown:?} {why}");
    let lower = name.to_ascii_lowercase();
    if lower == "user-agent" {
        return Err(wrong("is set by Builder::with_user_agent"));
    }
    let reserved = RESERVED.contains(&lower.as_str());
    if reserved || lower.starts_with("grpc-") || lower.starts_with(':') {
        return Err(wrong("is set by the exporter itself"));
    }
    let name = HeaderName::from_bytes(lower.as_bytes())
        .map_err(|_| wrong("has no valid name; expected letters, digits and -_."))?;
    // RFC 9110, 5.5: white space around a value is not part of it.
    let value = value.trim_matches([' ', '\t']);
    // "ASCII-Value → 1*( %x20-%x7E )" of gRPC is stricter than HTTP, and every server takes it.
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(wrong(
            "has a value with a line break or a character that is not visible ASCII",
        ));
    }
    // A gRPC server decodes such values, and refuses the call where it cannot.
    if lower.ends_with("-bin") && !value.split(',').all(|value| is_base64(value.trim())) {
        return Err(wrong("ends in -bin: its value has to be base64"));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong("has no valid value"))?;
    // HPACK does not index it, and Debug does not show it.
    value.set_sensitive(true);
    Ok((name, value))
}

/// Whether its value opens a door: by its name, since everybody has another one.
pub(crate) fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let last = lower.rsplit(['-', '_']).next().unwrap_or_default();
    matches!(
        last,
        "apikey" | "auth" | "authorization" | "cookie" | "key" | "password" | "secret" | "token"
    )
}

/// Standard alphabet, with or without padding.
fn is_base64(text: &str) -> bool {
    let padded = text.len().is_multiple_of(4);
    let digits = text
        .strip_suffix("==")
        .or_else(|| text.strip_suffix('='))
        .unwrap_or(text);
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.bytes().all(alphabet) && digits.len() % 4 != 1 && (padded || digits.len() == text.len())
}
