//! What an answer of OTLP/HTTP means.

use http::StatusCode;

use super::super::transport::{Answer, Code, Failure, Kind};
use super::{Received, is_grpc, is_html, media_type, odd, refusal, taken};
use crate::config::Protocol;
use crate::proto::response::{self, PartialSuccess};

const GRPC: &str =
    "this looks like OTLP/gRPC: use protocol grpc, or the collector's port for OTLP/HTTP (4318)";

/// How a message is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

/// The verdict of an answer to a request that was encoded like this.
///
/// # Errors
///
/// With what is to be done about the request, which was not taken.
pub(super) fn http(received: &Received<'_>, encoding: Encoding) -> Result<Answer, Failure> {
    let media_type = media_type(received.headers);
    let misconfigured = |message: &str| {
        Failure::new(Kind::Misconfigured, message).with_code(Code::Http(received.status.as_u16()))
    };
    if received.status.is_success() {
        if is_html(&media_type, received.body) {
            return Err(misconfigured(refusal::PAGE));
        }
        if is_grpc(&media_type) {
            return Err(misconfigured(GRPC));
        }
        return Ok(answer(received.body, &media_type, encoding));
    }
    let failure = refusal::of_status(received, Protocol::HttpProtobuf);
    if is_grpc(&media_type) && failure.kind == Kind::Refused {
        let status = StatusCode::as_str(&received.status);
        return Err(misconfigured(&format!("HTTP {status}: {GRPC}")));
    }
    Err(failure)
}

/// What a successful answer says beside. One that cannot be read has still taken the request, and is counted as odd.
///
/// As protobuf, a body of no bytes is `ExportTraceServiceResponse` with nothing set: OTLP's full success, and nothing odd. JSON
/// of no bytes is no JSON. "The server MUST set Content-Type"; where it did not, the body is read as the request was encoded,
/// as it should be, and the answer is odd in any case.
fn answer(body: &[u8], media_type: &str, encoding: Encoding) -> Answer {
    let read = match media_type {
        "application/x-protobuf" => decode(body, Encoding::Protobuf),
        "application/json" => decode(body, Encoding::Json),
        "" => decode(body, encoding),
        _ => None,
    };
    Answer {
        odd: read.is_none() || media_type.is_empty(),
        ..read.map_or_else(odd, taken)
    }
}

fn decode(body: &[u8], encoding: Encoding) -> Option<PartialSuccess> {
    match encoding {
        Encoding::Protobuf => response::decode(body).ok(),
        #[cfg(feature = "http-json")]
        Encoding::Json => super::json::partial_success(body),
        #[cfg(not(feature = "http-json"))]
        Encoding::Json => None,
    }
}

#[cfg(test)]
mod tests;
