//! What an answer means: pure functions from what came back to a verdict.
//!
//! The rules are those of the OTLP specification ("Failures", "Throttling", "Partial Success"), with three departures that are
//! ours: what is refused as too large is split; what is refused as compressed is sent once as it is; and an HTTP 400 whose text
//! says that the body is too large, as the Collector's does, counts as 413. A server is trusted in nothing: its texts are cut
//! and escaped, its delays and counts are clamped.

mod delay;
mod diagnosis;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http-json")]
mod json;
mod refusal;
mod status;
#[cfg(feature = "tls")]
mod tls;

use std::time::SystemTime;

use ::http::{HeaderMap, StatusCode, header};

pub(in crate::export) use self::diagnosis::of_transport;
use super::text::printable;
use super::transport::{Answer, Code, Failure};
use crate::config::{Compression, Protocol};
use crate::proto::response::PartialSuccess;
use crate::signal::Signal;

/// The most that is shown of a server's text, in characters.
const LONGEST_TEXT: usize = 300;

/// What came back, whole; the body is cut at 64 KiB by whoever read it.
#[derive(Clone, Copy, Debug)]
pub(in crate::export) struct Received<'a> {
    pub(in crate::export) status: StatusCode,
    pub(in crate::export) headers: &'a HeaderMap,
    #[cfg_attr(
        not(feature = "grpc"),
        allow(dead_code, reason = "HTTP says nothing there")
    )]
    pub(in crate::export) trailers: &'a HeaderMap,
    pub(in crate::export) body: &'a [u8],
    /// When it came, by the wall clock: `Retry-After` may name a date.
    pub(in crate::export) at: SystemTime,
}

/// What is known of the request that was answered.
#[cfg_attr(
    not(feature = "grpc"),
    allow(
        dead_code,
        reason = "HTTP has a status of its own for what is too large"
    )
)]
#[derive(Clone, Copy, Debug)]
pub(in crate::export) struct Sent {
    pub(in crate::export) signal: Signal,
    pub(in crate::export) records: u64,
    /// Length of the message, before it was compressed.
    pub(in crate::export) bytes: usize,
    pub(in crate::export) compression: Compression,
    /// It was compressed, as the first one on its connection: a server that read an earlier one understands it.
    pub(in crate::export) first_compressed: bool,
}

/// What an answer of this protocol means.
pub(in crate::export) fn judge(
    received: &Received<'_>,
    protocol: Protocol,
    sent: &Sent,
) -> Result<Answer, Failure> {
    match protocol {
        #[cfg(feature = "grpc")]
        Protocol::Grpc => grpc::grpc(received, sent),
        #[cfg(feature = "http")]
        Protocol::HttpProtobuf => http::http(received, http::Encoding::Protobuf),
        #[cfg(feature = "http")]
        Protocol::HttpJson => http::http(received, http::Encoding::Json),
        #[cfg(not(all(feature = "grpc", feature = "http")))]
        missing => {
            let _ = sent;
            Err(Failure::reject(format!(
                "{} is not built in",
                missing.name()
            )))
        }
    }
}

/// Whether the answer means that the request's compression is not understood: HTTP 415; 400 to the first compressed request
/// of a connection; gRPC's UNIMPLEMENTED with a `grpc-accept-encoding` that does not name it. Where that header is missing,
/// as from grpc-go and grpc-java, the message has to speak of compression.
pub(in crate::export) fn refuses_compression(received: &Received<'_>, sent: &Sent) -> bool {
    if sent.compression == Compression::None {
        return false;
    }
    match received.status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => true,
        // A body that is too large is so without compression too.
        StatusCode::BAD_REQUEST => sent.first_compressed && !refusal::is_too_large(received),
        #[cfg(feature = "grpc")]
        StatusCode::OK => grpc::refuses_compression(received, sent.compression.name()),
        _ => false,
    }
}

/// Whether the answer is 401 or UNAUTHENTICATED: a credential that can be renewed is renewed once.
pub(in crate::export) fn refuses_credentials(failure: &Failure) -> bool {
    matches!(failure.code, Some(Code::Http(401) | Code::Grpc(16)))
}

/// Whether a server says of this request that it is too large, where its code alone could mean something else: by its text,
/// or since the request was large and can be split.
#[cfg(feature = "grpc")]
fn is_too_large(text: &str, sent: &Sent) -> bool {
    /// More than this, with more than one record in it, is taken to be too large without a word.
    const LARGE: usize = 1 << 20;
    says_too_large(text) || sent.records > 1 && sent.bytes > LARGE
}

/// Whether this text means that a message was too large.
fn says_too_large(text: &str) -> bool {
    /// grpc-go and grpc-core ("received message larger than max"), grpc-node ("decompresses to a size larger than"), grpc-java
    /// ("exceeds maximum size"), grpc-dotnet ("exceeds the maximum configured message size"), grpc-swift ("exceeded the
    /// configured maximum payload"), tonic ("message length too large", "size limit"), and Go's HTTP ("body too large").
    const PHRASES: [&str; 9] = [
        "larger than max",
        "size larger than",
        "too large",
        "exceeds max",
        "exceeds the max",
        "max size",
        "maximum size",
        "maximum payload",
        "size limit",
    ];
    /// A rate may exceed a maximum too, and smaller requests would only add to it.
    const RATES: [&str; 4] = ["rate limit", "rate_limit", "ratelimit", "quota"];
    let text = text.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    says(&PHRASES) && !says(&RATES)
}

/// What a server that said yes says beside.
fn taken(partial: PartialSuccess) -> Answer {
    Answer {
        rejected: u64::try_from(partial.rejected).unwrap_or(0),
        message: printable(&partial.message, LONGEST_TEXT),
        ..Answer::delivered()
    }
}

/// As [`taken`], where that could not be read.
fn odd() -> Answer {
    Answer {
        odd: true,
        ..Answer::delivered()
    }
}

/// The media type of `content-type`, without parameters, in lower case; empty where there is none.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn is_grpc(media_type: &str) -> bool {
    media_type == "application/grpc" || media_type.starts_with("application/grpc+")
}

/// A page for people: by its type, or by its beginning where the type says nothing.
fn is_html(media_type: &str, body: &[u8]) -> bool {
    let starts_with = |start: &str| {
        body.trim_ascii_start()
            .get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
    };
    match media_type {
        "text/html" | "application/xhtml+xml" => true,
        "" | "text/plain" | "application/octet-stream" => {
            starts_with("<!doctype html") || starts_with("<html")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
