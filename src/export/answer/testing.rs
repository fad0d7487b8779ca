//! Answers for tests.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::super::transport::{Answer, Failure};
use super::{Received, Sent};
use crate::config::Compression;
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
