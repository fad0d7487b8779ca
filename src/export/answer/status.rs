//! `google.rpc.Status` (status.proto) and `google.rpc.RetryInfo` (error_details.proto): what a server says about an error.

use std::time::Duration;

use super::delay::LONGEST;
use crate::proto::wire::{Content, Malformed, Reader};

/// Status.message and .details.
const MESSAGE: u32 = 2;
const DETAILS: u32 = 3;
/// Any.type_url and .value.
const TYPE_URL: u32 = 1;
const VALUE: u32 = 2;
/// RetryInfo.retry_delay.
const RETRY_DELAY: u32 = 1;
/// Duration.seconds and .nanos.
const SECONDS: u32 = 1;
const NANOS: u32 = 2;

/// What follows the last slash of an `Any`'s type URL is the message's name.
const RETRY_INFO: &[u8] = b"google.rpc.RetryInfo";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) message: String,
    /// `RetryInfo.retry_delay`, from nothing to an hour.
    pub(super) retry_delay: Option<Duration>,
}

pub(super) fn decode(message: &[u8]) -> Result<Status, Malformed> {
    let mut status = Status::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (MESSAGE, Content::Bytes(text)) => {
                status.message = String::from_utf8_lossy(text).into_owned();
            }
            (DETAILS, Content::Bytes(any)) => {
                status.retry_delay = retry_info(any)?.or(status.retry_delay);
            }
            _ => {}
        }
    }
    Ok(status)
}

/// The delay of an `Any` that is a RetryInfo.
fn retry_info(any: &[u8]) -> Result<Option<Duration>, Malformed> {
    let (mut type_url, mut value) = (&[][..], &[][..]);
    let mut reader = Reader::new(any);
    while let Some(field) = reader.next()? {
        match field {
            (TYPE_URL, Content::Bytes(bytes)) => type_url = bytes,
            (VALUE, Content::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    if type_url.rsplit(|byte| *byte == b'/').next() != Some(RETRY_INFO) {
        return Ok(None);
    }
    // Without a delay, as with any field that is not set, it is zero.
    let mut delay = Duration::ZERO;
    let mut reader = Reader::new(value);
    while let Some(field) = reader.next()? {
        if let (RETRY_DELAY, Content::Bytes(duration)) = field {
            delay = clamped(duration)?;
        }
    }
    Ok(Some(delay))
}

/// A `google.protobuf.Duration`: what is negative is nothing, what is more than an hour is an hour.
fn clamped(duration: &[u8]) -> Result<Duration, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(duration);
    while let Some(field) = reader.next()? {
        match field {
            (SECONDS, Content::Varint(value)) => seconds = value as i64,
            (NANOS, Content::Varint(value)) => nanos = value as i32,
            _ => {}
        }
    }
    let Ok(seconds) = u64::try_from(seconds) else {
        return Ok(Duration::ZERO);
    };
    let nanos = nanos.clamp(0, 999_999_999).unsigned_abs();
    Ok(Duration::new(seconds, nanos).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{RETRY_INFO, retry_info, rpc_status};
    use super::*;

    fn delay(seconds: i64, nanos: i32) -> Option<Duration> {
        let status = rpc_status("x", &[(RETRY_INFO, retry_info(seconds, nanos))]);
        decode(&status).unwrap().retry_delay
    }

    #[test]
    fn f_12_a_retry_info_is_clamped() {
        for (seconds, nanos, expected) in [
            (30, 0, Duration::from_secs(30)),
            (1, 500_000_000, Duration::from_millis(1500)),
            (0, 0, Duration::ZERO),
            (-1, 0, Duration::ZERO),
            (i64::MIN, i32::MIN, Duration::ZERO),
            (1, -1, Duration::from_secs(1)),
            (1, i32::MAX, Duration::new(1, 999_999_999)),
            (315_360_000, 0, LONGEST),
            (i64::MAX, i32::MAX, LONGEST),
        ] {
            assert_eq!(delay(seconds, nanos), Some(expected), "{seconds} {nanos}");
        }
    }

    #[test]
    fn bytes_as_protoc_writes_them_are_read() {
        // code: 14, message: "busy", details: [RetryInfo { retry_delay: 5 s }]
        let status = b"\x08\x0e\x12\x04busy\x1a\x30\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x05";
        let expected = Status {
            message: "busy".to_owned(),
            retry_delay: Some(Duration::from_secs(5)),
        };
        assert_eq!(decode(status), Ok(expected));
    }

    #[test]
    fn f_12_other_details_are_passed_over() {
        let other = ("type.googleapis.com/google.rpc.ErrorInfo", vec![8, 1]);
        let near = (
            "type.googleapis.com/xgoogle.rpc.RetryInfo",
            retry_info(3, 0),
        );
        let status = rpc_status("", &[other.clone(), near]);
        assert_eq!(decode(&status).unwrap().retry_delay, None);
        let status = rpc_status("", &[other, (RETRY_INFO, retry_info(3, 0))]);
        assert_eq!(
            decode(&status).unwrap().retry_delay,
            Some(Duration::from_secs(3))
        );
        let without = rpc_status("", &[(RETRY_INFO, Vec::new())]);
        assert_eq!(decode(&without).unwrap().retry_delay, Some(Duration::ZERO));
    }

    #[test]
    fn f_12_a_retry_info_that_is_garbage_is_none() {
        let status = rpc_status("", &[(RETRY_INFO, vec![0xFF, 0xFF])]);
        assert_eq!(decode(&status), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_status_or_malformed(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).unwrap_or_default().retry_delay <= Some(LONGEST));
        }

        #[test]
        fn any_duration_is_within_its_bounds(seconds: i64, nanos: i32) {
            let delay = delay(seconds, nanos).unwrap();
            prop_assert!(delay <= LONGEST);
            if (0..3600).contains(&seconds) && (0..1_000_000_000).contains(&nanos) {
                prop_assert_eq!(delay, Duration::new(seconds as u64, nanos as u32));
            }
        }
    }
}
