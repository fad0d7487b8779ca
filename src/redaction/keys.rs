//! Keys whose values are credentials.

/// Names of headers (RFC 9110, and what is common).
const HEADERS: [&str; 16] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "api-key",
    "apikey",
    "x-api-key",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-amz-security-token",
    "x-goog-api-key",
    "x-vault-token",
    "private-token",
    "ocp-apim-subscription-key",
];

/// Whether the key is a header of credentials: as it is, or behind a dot (semantic conventions, `http.request.header.<key>`,
/// `rpc.grpc.request.metadata.<key>`). A header's name has no dot that counts.
pub(super) fn is_credential(key: &str) -> bool {
    let is_dot = |byte: &u8| *byte == b'.';
    let name = key.as_bytes().rsplit(is_dot).next().unwrap_or_default();
    HEADERS
        .iter()
        .any(|header| is_alike(header.as_bytes(), name))
}

/// Upper and lower case are alike, and `-` is `_`, which older conventions made of it.
fn is_alike(header: &[u8], name: &[u8]) -> bool {
    header.len() == name.len()
        && header.iter().zip(name).all(|(wanted, found)| {
            *wanted == found.to_ascii_lowercase() || (*wanted == b'-' && *found == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_credentials_are_known_wherever_they_stand() {
        for key in [
            "authorization",
            "Cookie",
            "http.request.header.authorization",
            "http.response.header.set-cookie",
            "http.request.header.x_api_key",
            "rpc.grpc.request.metadata.X-API-Key",
        ] {
            assert!(is_credential(key), "{key}");
        }
        for key in [
            "",
            ".",
            "authorization.kind",
            "cookies",
            "x-api-key-id",
            "http.request.header",
        ] {
            assert!(!is_credential(key), "{key}");
        }
    }
}
