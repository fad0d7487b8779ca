//! interim
mod status;
use super::transport::{Answer, Failure};
use crate::config::{Compression, Protocol};
use crate::proto::response;
use http::{HeaderMap, StatusCode};
use std::error::Error as _;

pub(super) struct Received<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) trailers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}
pub(super) struct Sent {
    pub(super) records: u64,
    pub(super) bytes: usize,
    pub(super) compression: Compression,
    pub(super) first_compressed: bool,
}
pub(super) fn refuses_compression(_: &Received<'_>, _: &Sent) -> bool {
    false
}
pub(super) fn refuses_credentials(_: &Failure) -> bool {
    false
}
pub(super) fn judge(
    received: &Received<'_>,
    protocol: Protocol,
    _: &Sent,
) -> Result<Answer, Failure> {
    if received.status != StatusCode::OK {
        return Err(status::from_http(received.status));
    }
    if protocol != Protocol::Grpc {
        let p = response::decode(received.body).unwrap_or_default();
        return Ok(Answer::partial(p.rejected as u64, p.message));
    }
    if let Some(v) = status::from_headers(received.headers) {
        return v.map(|()| Answer::delivered());
    }
    status::from_headers(received.trailers)
        .ok_or_else(|| Failure::unanswered(true, "the answer ended without a status"))?
        .map(|()| {
            let p =
                response::decode(received.body.get(5..).unwrap_or_default()).unwrap_or_default();
            Answer::partial(p.rejected as u64, p.message)
        })
}
pub(super) fn of_transport(
    error: &(dyn std::error::Error + 'static),
    _: bool,
    _: Protocol,
) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}
