//! What a gRPC answer means.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::super::text::printable;
use super::super::transport::{Answer, Code, Failure, Kind};
use super::{LONGEST_TEXT, Received, Sent};
use super::{is_grpc, is_html, is_too_large, media_type, odd, refusal, status, taken};
use crate::config::Protocol;
use crate::percent::percent_decoded;
use crate::proto::response;
use crate::signal::Signal;

const UNKNOWN: i32 = 2;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const OUT_OF_RANGE: i32 = 11;
const UNIMPLEMENTED: i32 = 12;
const UNAUTHENTICATED: i32 = 16;

/// `-bin` headers are base64 "with or without padding".
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The verdict of a gRPC answer.
///
/// # Errors
///
/// With what is to be done about the request, which was not taken.
pub(super) fn grpc(received: &Received<'_>, request: &Sent) -> Result<Answer, Failure> {
    if received.status != StatusCode::OK {
        return Err(refusal::of_status(received, Protocol::Grpc));
    }
    let media_type = media_type(received.headers);
    if is_html(&media_type, received.body) || !media_type.is_empty() && !is_grpc(&media_type) {
        return Err(not_grpc(&media_type, received));
    }
    let Some(status) = status_of(received) else {
        // A connection that ended too early, and no code of the server's: "transport first, status second".
        let message = "the answer ended without a grpc-status";
        return Err(Failure::unanswered(true, message));
    };
    match status.code {
        Some(0) => Ok(answer(received.body)),
        Some(code) => Err(refused(code, &status, request)),
        // "A status that cannot be parsed is UNKNOWN", which is not sent again.
        None => {
            let message = format!("grpc-status {:?} is no number", status.shown());
            Err(Failure::reject(with_text(message, &status.text)).with_code(Code::Grpc(UNKNOWN)))
        }
    }
}

/// UNIMPLEMENTED, and the server does not list the compression; or it lists none, and its message speaks of it.
pub(super) fn refuses_compression(received: &Received<'_>, name: &str) -> bool {
    let Some(status) = status_of(received).filter(|status| status.code == Some(UNIMPLEMENTED))
    else {
        return false;
    };
    let accepted: Vec<_> = [received.trailers, received.headers]
        .iter()
        .flat_map(|headers| headers.get_all("grpc-accept-encoding"))
        .map(lossy)
        .collect();
    if accepted.is_empty() {
        return status.text.to_lowercase().contains("compress");
    }
    !accepted
        .iter()
        .flat_map(|list| list.split(','))
        .any(|accepted| accepted.trim().eq_ignore_ascii_case(name))
}

/// `grpc-status`, `grpc-message` and what the details say.
struct Status<'a> {
    /// `None` for what is no number.
    code: Option<i32>,
    raw: &'a HeaderValue,
    text: String,
    retry_delay: Option<Duration>,
}

impl Status<'_> {
    fn shown(&self) -> String {
        printable(&lossy(self.raw), 40)
    }
}

/// Trailers end an answer; without a body, they stand in the place of headers.
fn status_of<'a>(received: &Received<'a>) -> Option<Status<'a>> {
    [received.trailers, received.headers]
        .into_iter()
        .find_map(|headers| {
            let raw = headers.get("grpc-status")?;
            Some(Status {
                code: raw.to_str().ok().and_then(|code| code.trim().parse().ok()),
                raw,
                text: headers
                    .get("grpc-message")
                    .map(|text| message_text(text.as_bytes()))
                    .unwrap_or_default(),
                retry_delay: retry_delay(headers),
            })
        })
}

fn retry_delay(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all("grpc-status-details-bin")
        .iter()
        // Repeated `-bin` headers may be joined by commas.
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .find_map(|value| {
            let bytes = BASE64.decode(value.trim_ascii()).ok()?;
            status::decode(&bytes).ok()?.retry_delay
        })
}

/// The table of OTLP's "Failures", and what this crate adds to it.
fn refused(code: i32, status: &Status<'_>, request: &Sent) -> Failure {
    let delay = status.retry_delay;
    let (kind, hint) = match code {
        1 | 4 | 10 | 14 | 15 => (Kind::Busy, ""),
        RESOURCE_EXHAUSTED if delay.is_some() => (Kind::Busy, ""),
        RESOURCE_EXHAUSTED | OUT_OF_RANGE if is_too_large(&status.text, request) => {
            (Kind::TooLarge, "")
        }
        OUT_OF_RANGE => (Kind::OutOfRange, ""),
        UNIMPLEMENTED => (Kind::NoPipeline, no_pipeline(request.signal)),
        UNAUTHENTICATED => (Kind::Misconfigured, refusal::CREDENTIALS),
        PERMISSION_DENIED => (Kind::Misconfigured, refusal::RIGHTS),
        _ => (Kind::Refused, ""),
    };
    let mut message = Code::Grpc(code).to_string();
    if !hint.is_empty() {
        message = format!("{message}: {hint}");
    }
    let again = matches!(kind, Kind::Busy | Kind::OutOfRange);
    Failure {
        after: delay.filter(|_| again),
        ..Failure::new(kind, with_text(message, &status.text)).with_code(Code::Grpc(code))
    }
}

fn no_pipeline(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => {
            "the collector has no traces pipeline: add the OTLP receiver to one under service.pipelines.traces"
        }
        Signal::Logs => {
            "the collector has no logs pipeline: add the OTLP receiver to one under service.pipelines.logs"
        }
    }
}

fn with_text(message: String, text: &str) -> String {
    refusal::with_text(message, text)
}

fn not_grpc(media_type: &str, received: &Received<'_>) -> Failure {
    let shown = printable(media_type, LONGEST_TEXT);
    let message = match media_type {
        _ if is_html(media_type, received.body) => refusal::PAGE.to_owned(),
        "application/json" | "application/x-protobuf" => format!(
            "the answer is {shown}, not gRPC: this looks like OTLP/HTTP; use port 4317, or protocol http/protobuf"
        ),
        _ => format!(
            "the answer is {shown}, not gRPC: use a collector's gRPC port (4317), or protocol http/protobuf for OTLP/HTTP"
        ),
    };
    Failure::new(Kind::Misconfigured, message).with_code(Code::Http(received.status.as_u16()))
}

/// What a successful answer says beside. One that cannot be read has still taken the request.
///
/// The message is `ExportTraceServiceResponse`, whose every field may be left out; so a message of no bytes is full success, as
/// OTLP says ("the server MUST leave the partial_success field unset"). An answer without any message comes from servers
/// that send the status alone, which is all that matters: it is plain success too.
fn answer(body: &[u8]) -> Answer {
    let message = match body.split_first_chunk::<5>() {
        _ if body.is_empty() => return Answer::delivered(),
        // No compression was offered for answers, and there is one message.
        Some(([0, length @ ..], message)) if message.len() == length_of(*length) => message,
        _ => return odd(),
    };
    response::decode(message).map_or_else(|_| odd(), taken)
}

fn length_of(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX)
}

/// `grpc-message` is percent-encoded UTF-8; "decoders MUST NOT fail" for what is not.
fn message_text(text: &[u8]) -> String {
    String::from_utf8_lossy(&percent_decoded(text)).into_owned()
}

fn lossy(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

#[cfg(test)]
mod tests;
