//! Ways in for the fuzz targets: answers made of any bytes.

use std::time::SystemTime;

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{Received, Sent, delay};
use crate::config::Compression;
use crate::signal::Signal;

/// No byte of text, so it parts what a fuzz target was given.
const BETWEEN: u8 = 0xFF;

pub(crate) fn retry_after(value: &str) {
    let mut headers = HeaderMap::new();
    for line in value.split('\n') {
        if let Ok(value) = HeaderValue::from_str(line) {
            headers.append(header::RETRY_AFTER, value);
        }
    }
    let delay = delay::retry_after(&headers, SystemTime::UNIX_EPOCH);
    assert!(delay <= Some(delay::LONGEST));
}

#[cfg(feature = "grpc")]
pub(crate) fn grpc(bytes: &[u8]) {
    const NAMES: [&str; 5] = [
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "grpc-accept-encoding",
        "content-type",
    ];
    let (headers, body) = headers(&NAMES, bytes);
    let received = Received {
        status: StatusCode::OK,
        headers: &HeaderMap::new(),
        trailers: &headers,
        body,
        at: SystemTime::UNIX_EPOCH,
    };
    let sent = sent();
    let verdict = super::grpc::grpc(&received, &sent);
    assert!(verdict.map_or(true, |answer| answer.message.len() < 4_000));
    super::refuses_compression(&received, &sent);
}

#[cfg(feature = "http")]
pub(crate) fn http(bytes: &[u8]) {
    const NAMES: [&str; 4] = ["content-type", "retry-after", "date", "location"];
    let Some(([high, low], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let code = 100 + u16::from_be_bytes([*high, *low]) % 900;
    let (headers, body) = headers(&NAMES, rest);
    let received = Received {
        status: StatusCode::from_u16(code).unwrap_or(StatusCode::OK),
        headers: &headers,
        trailers: &HeaderMap::new(),
        body,
        at: SystemTime::UNIX_EPOCH,
    };
    for encoding in [super::http::Encoding::Protobuf, super::http::Encoding::Json] {
        let verdict = super::http::http(&received, encoding);
        assert!(verdict.map_or(true, |answer| answer.message.len() < 4_000));
    }
    super::refuses_compression(&received, &sent());
}

fn sent() -> Sent {
    Sent {
        signal: Signal::Traces,
        records: 2,
        bytes: 1_000,
        compression: Compression::Gzip,
        first_compressed: true,
    }
}

/// A piece for each header, and the rest.
fn headers<'a>(names: &[&'static str], mut bytes: &'a [u8]) -> (HeaderMap, &'a [u8]) {
    let mut headers = HeaderMap::new();
    for name in names {
        let end = bytes.iter().position(|byte| *byte == BETWEEN);
        let (value, rest) = bytes.split_at(end.unwrap_or(0));
        bytes = rest.strip_prefix(&[BETWEEN]).unwrap_or(rest);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    (headers, bytes)
}
