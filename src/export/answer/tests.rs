//! Answers for the tests of this folder, and what holds of every one.

use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::proto::wire::{self, LEN, VARINT};

/// An answer that owns what it is made of.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) trailers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Came {
    pub(super) fn http(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            trailers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn received(&self) -> Received<'_> {
        Received {
            status: self.status,
            headers: &self.headers,
            trailers: &self.trailers,
            body: &self.body,
            at: now(),
        }
    }
}

/// 1994-11-06T08:49:37Z, the date of RFC 9110's examples.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

/// A request that is not large, and not compressed.
pub(super) fn small() -> Sent {
    Sent {
        signal: Signal::Traces,
        records: 10,
        bytes: 4_000,
        compression: Compression::None,
        first_compressed: false,
    }
}

/// What must hold of a verdict whatever was answered.
pub(super) fn is_harmless(verdict: Result<Answer, Failure>) {
    let message = match verdict {
        Ok(answer) => answer.message,
        Err(failure) => {
            assert!(failure.after <= Some(Duration::from_secs(3600)));
            failure.message
        }
    };
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(message.chars().count() < 300 * 10 + 500, "{message:?}");
}

pub(super) fn any_answer() -> impl Strategy<Value = Came> {
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "-?[0-9]{1,3}".prop_map(String::into_bytes),
        "[A-Za-z0-9+/]{0,40}".prop_map(String::into_bytes),
        prop_oneof![
            Just("application/grpc"),
            Just("application/json"),
            Just("application/x-protobuf"),
            Just("text/html"),
            Just("https://user:secret@host:1/x?token=secret"),
        ]
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let name = prop_oneof![
        Just("grpc-status"),
        Just("grpc-message"),
        Just("grpc-status-details-bin"),
        Just("grpc-accept-encoding"),
        Just("content-type"),
        Just("retry-after"),
        Just("date"),
        Just("location"),
    ];
    let headers = proptest::collection::vec((name, value), 0..6).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name, value);
            }
        }
        headers
    });
    let status = prop_oneof![Just(200_u16), 100_u16..=999];
    (
        status,
        headers.clone(),
        headers,
        proptest::collection::vec(any::<u8>(), 0..100),
    )
        .prop_map(|(status, headers, trailers, body)| Came {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            trailers,
            body,
        })
}

/// google.rpc.Status with these details.
pub(super) fn rpc_status(message: &str, details: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut status = vec![wire::tag(1, VARINT), 8];
    wire::put_len(&mut status, wire::tag(2, LEN), message.as_bytes());
    for (type_url, value) in details {
        let mut any = Vec::new();
        wire::put_len(&mut any, wire::tag(1, LEN), type_url.as_bytes());
        wire::put_len(&mut any, wire::tag(2, LEN), value);
        wire::put_len(&mut status, wire::tag(3, LEN), &any);
    }
    status
}

pub(super) const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// google.rpc.RetryInfo with this delay.
pub(super) fn retry_info(seconds: i64, nanos: i32) -> Vec<u8> {
    let mut duration = vec![wire::tag(1, VARINT)];
    wire::put_varint(&mut duration, seconds as u64);
    duration.push(wire::tag(2, VARINT));
    wire::put_varint(&mut duration, i64::from(nanos) as u64);
    let mut info = Vec::new();
    wire::put_len(&mut info, wire::tag(1, LEN), &duration);
    info
}

#[cfg(feature = "grpc")]
#[test]
fn f_14_size_phrases_of_the_usual_servers_are_known() {
    for text in [
        "grpc: received message larger than max (6117815 vs. 4194304)",
        "grpc: received message after decompression larger than max 4194304",
        "Received message larger than max (14245240 vs. 4194304)",
        "Received message that decompresses to a size larger than 4194304",
        "gRPC message exceeds maximum size 4194304: 5118829",
        "Frame size 59000005 exceeds maximum: 4194304.",
        "Received message exceeds the maximum configured message size.",
        "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
        "Error decompressing: size limit, of 4 bytes, exceeded while decompressing message",
        "http: request body too large",
    ] {
        assert!(is_too_large(text, &small()), "{text}");
    }
    for text in [
        "",
        "try later",
        "quota exceeded",
        "the rate limit exceeds maximum",
    ] {
        assert!(!is_too_large(text, &small()), "{text}");
    }
}

#[cfg(feature = "grpc")]
#[test]
fn f_14_a_large_request_that_can_be_split_is_too_large() {
    let sent = |records, bytes| Sent {
        records,
        bytes,
        ..small()
    };
    assert!(is_too_large("", &sent(2, (1 << 20) + 1)));
    assert!(!is_too_large("", &sent(1, (1 << 20) + 1)));
    assert!(!is_too_large("", &sent(2, 1 << 20)));
}

#[test]
fn f_16_http_refuses_compression_by_415_and_by_400_to_the_first() {
    let refuses = |status: u16, compression, first_compressed| {
        let answer = Came::http(status);
        let sent = Sent {
            compression,
            first_compressed,
            ..small()
        };
        refuses_compression(&answer.received(), &sent)
    };
    assert!(refuses(415, Compression::Gzip, false));
    assert!(refuses(400, Compression::Zstd, true));
    assert!(!refuses(400, Compression::Gzip, false));
    assert!(!refuses(415, Compression::None, false));
    for status in (200..600).filter(|status| ![400, 415].contains(status)) {
        assert!(!refuses(status, Compression::Gzip, true), "{status}");
    }
}

#[test]
fn f_16_a_body_that_is_too_large_is_no_refusal_of_its_compression() {
    let sent = Sent {
        compression: Compression::Gzip,
        first_compressed: true,
        ..small()
    };
    let refuses = |text: &str| refuses_compression(&Came::http(400).body(text).received(), &sent);
    assert!(refuses("gzip: invalid header") && refuses(""));
    assert!(!refuses("http: request body too large"));
}

#[test]
fn only_401_and_unauthenticated_ask_for_other_credentials() {
    let refuses = |code| refuses_credentials(&Failure::reject("").with_code(code));
    assert!(refuses(Code::Http(401)) && refuses(Code::Grpc(16)));
    assert!(!refuses(Code::Http(403)) && !refuses(Code::Grpc(7)));
    assert!(!refuses(Code::Http(16)) && !refuses(Code::Grpc(401)));
    assert!(!refuses_credentials(&Failure::reject("")));
}

#[test]
fn a_media_type_is_read_without_its_parameters() {
    let of = |value: &str| {
        media_type(
            Came::http(200)
                .with("content-type", value)
                .received()
                .headers,
        )
    };
    assert_eq!(of("Text/HTML; charset=utf-8"), "text/html");
    assert_eq!(of(" application/grpc+proto "), "application/grpc+proto");
    assert_eq!(media_type(&HeaderMap::new()), "");
    assert!(is_grpc("application/grpc+proto") && !is_grpc("application/grpc-web"));
}

#[test]
fn f_15_a_page_is_known_by_its_type_or_its_beginning() {
    assert!(is_html("text/html", b"") && is_html("", b"\r\n <!DOCTYPE HTML>"));
    assert!(is_html("text/plain", b"<html lang=en>"));
    assert!(!is_html("application/json", b"<html>") && !is_html("", b"<htm"));
}

proptest! {
    #[test]
    fn any_answer_is_judged_without_harm(came in any_answer(), records: u64, bytes: usize, first_compressed: bool) {
        let sent = Sent { signal: Signal::Traces, records, bytes, compression: Compression::Gzip, first_compressed };
        let received = came.received();
        refuses_compression(&received, &sent);
        #[cfg(feature = "grpc")]
        is_harmless(grpc::grpc(&received, &sent));
        #[cfg(feature = "http")]
        for encoding in [http::Encoding::Protobuf, http::Encoding::Json] {
            is_harmless(http::http(&received, encoding));
        }
    }
}
