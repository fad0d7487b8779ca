//! What a gRPC answer means (OTLP specification, "Failures").

use http::{HeaderMap, StatusCode};

use super::Failure;

/// The codes that OTLP calls retryable, by number and name.
const RETRYABLE: [(i32, &str); 6] = [
    (1, "CANCELLED"),
    (4, "DEADLINE_EXCEEDED"),
    (10, "ABORTED"),
    (11, "OUT_OF_RANGE"),
    (14, "UNAVAILABLE"),
    (15, "DATA_LOSS"),
];

/// The others, in the order of their numbers; those above stand empty.
const FINAL: [&str; 17] = [
    "",
    "",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "",
    "",
    "UNIMPLEMENTED",
    "INTERNAL",
    "",
    "",
    "UNAUTHENTICATED",
];

/// The verdict of `grpc-status` and `grpc-message`; `None` where there is no status.
pub(super) fn from_headers(headers: &HeaderMap) -> Option<Result<(), Failure>> {
    let status = headers.get("grpc-status")?;
    let text = headers
        .get("grpc-message")
        .map_or("", |message| message.to_str().unwrap_or("(not text)"));
    // A status that is no number is none that the specification calls retryable.
    let Some(code) = status
        .to_str()
        .ok()
        .and_then(|status| status.parse::<i32>().ok())
    else {
        return Some(Err(Failure::reject(format!(
            "the answer's grpc-status is no number: {text}"
        ))));
    };
    if code == 0 {
        return Some(Ok(()));
    }
    if let Some((_, name)) = RETRYABLE.iter().find(|(known, _)| *known == code) {
        return Some(Err(Failure::retry(format!("{name}: {text}"))));
    }
    let name = usize::try_from(code)
        .ok()
        .and_then(|code| FINAL.get(code))
        .copied()
        .unwrap_or_default();
    Some(Err(Failure::reject(format!(
        "grpc-status {code} {name}: {text}"
    ))))
}

/// The verdict of a proxy or a server that does not speak gRPC.
pub(super) fn from_http(status: StatusCode) -> Failure {
    let message = format!("the answer is HTTP {status}, not gRPC");
    match status.as_u16() {
        429 | 502 | 503 | 504 => Failure::retry(message),
        _ => Failure::reject(message),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::super::transport::Kind;
    use super::*;

    fn verdict(code: &str) -> Option<Result<(), Failure>> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from_str(code).unwrap());
        from_headers(&headers)
    }

    #[test]
    fn spec_2_21_the_retryable_codes_are_those_of_the_specification() {
        for code in 1..=20 {
            let retry = [1, 4, 10, 11, 14, 15].contains(&code);
            let failure = verdict(&code.to_string()).unwrap().unwrap_err();
            assert_eq!(failure.kind == Kind::Busy, retry, "{code}");
        }
        assert_eq!(verdict("0"), Some(Ok(())));
        for odd in ["-1", "abc", "99", ""] {
            assert!(
                verdict(odd).unwrap().unwrap_err().kind == Kind::Refused,
                "{odd}"
            );
        }
        assert_eq!(
            from_headers(&HeaderMap::new()),
            None,
            "no status is the transport's failure"
        );
    }
}
