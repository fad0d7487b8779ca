//! How connections and requests are treated, as data.

use std::io::Write;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use tracing_otlp::Protocol;

use super::request::Request;

/// How a connection behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Greeting {
    Serve,
    /// Reads so many bytes, then nothing more: the connection stays, and its window closes.
    StallAfter(usize),
    /// Reads so many bytes, then resets.
    ResetAfter(usize),
    /// Says this unasked, and reads until the client goes.
    Say(&'static [u8]),
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    Take,
    TakeAfter(Duration),
    /// Takes it, and says that this is the connection's last answer.
    TakeAndGoAway,
    /// Takes all but so many, and says why.
    TakePartly {
        rejected: i64,
        message: String,
    },
    /// Does not take it and answers with this grpc-status, or the HTTP status that means the same.
    Status(u8),
    /// Answers exactly this.
    Say(Answer),
    /// Reads it and never answers.
    Hang,
    /// Takes it, and ends the answer before its status.
    TakeWithoutStatus,
    /// Takes it, and resets the connection after so many bytes of the answer.
    TakeAndReset(usize),
    /// Resets the connection instead of an answer.
    Reset,
    /// Closes the connection instead of an answer.
    Close,
    /// Closes its own end of the connection and goes on reading.
    HalfClose,
    /// RST_STREAM with this code instead of an answer. Over HTTP/1, the connection is closed.
    ResetStream(u32),
    /// GOAWAY with this code, which says that no request was processed. Over HTTP/1, the connection is closed.
    GoAway(u32),
    /// These bytes stand on the connection where the answer would; then it is closed.
    Bytes(Vec<u8>),
    Trickle(Part, Pace),
    Flood(Flood),
}

/// What of an answer comes slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A good answer, piece by piece.
    Whole,
    /// Headers without end.
    Headers,
    /// A good head, and a body without end.
    Body,
}

/// So many bytes at a time, and the time between. Without a time, as fast as they are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) bytes: usize,
    pub(crate) every: Duration,
}

impl Pace {
    pub(crate) const FAST: Self = Self {
        bytes: 16 << 10,
        every: Duration::ZERO,
    };
}

/// Frames of HTTP/2 without end, instead of an answer. Over HTTP/1, interim answers without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    Settings,
    Ping,
    /// Of the request's stream.
    Reset,
}

/// An answer with whatever a test wants in it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Whether the collector counts the request as taken.
    pub(crate) taken: bool,
    pub(crate) after: Duration,
    /// Statuses that are said before: 100, 103.
    pub(crate) interim: Vec<u16>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Vec<(String, Vec<u8>)>>,
    pub(crate) framing: Framing,
}

/// How the end of a body is told. HTTP/2 knows only a Content-Length, which may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By a right Content-Length.
    Length,
    Chunked,
    /// By the end of the connection.
    Close,
    /// By this Content-Length, whatever the body's length is; the connection is closed after the body.
    Wrong(usize),
}

impl Answer {
    /// Any HTTP status, without a body.
    pub(crate) fn http(status: u16) -> Self {
        Self {
            taken: (200..300).contains(&status),
            after: Duration::ZERO,
            interim: Vec::new(),
            status,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: None,
            framing: Framing::Length,
        }
    }

    /// An answer without a message, whose grpc-status (any text) stands in its head.
    pub(crate) fn grpc(status: &str) -> Self {
        let answer = Self::http(200).with_header("content-type", "application/grpc");
        Self {
            taken: status == "0",
            ..answer.with_header("grpc-status", status)
        }
    }

    /// As `grpc`, with an empty message, and the status behind it.
    pub(crate) fn grpc_in_trailers(status: &str) -> Self {
        let answer = Self::http(200).with_header("content-type", "application/grpc");
        Self {
            taken: status == "0",
            body: grpc_prefixed(&[]),
            ..answer.with_trailer("grpc-status", status)
        }
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn with_trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let trailers = self.trailers.get_or_insert_default();
        trailers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn with_body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.with_header("content-type", kind)
    }

    pub(crate) fn with_framing(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// So many 1xx answers come before.
    pub(crate) fn with_interim(mut self, status: u16) -> Self {
        self.interim.push(status);
        self
    }

    pub(crate) fn with_delay(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// Whether the collector counts the request as taken, where the status does not tell.
    pub(crate) fn with_taken(self, taken: bool) -> Self {
        Self { taken, ..self }
    }

    /// What says yes, in a protocol's way.
    pub(super) fn success(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Grpc => {
                Self::grpc_in_trailers("0").with_trailer("grpc-message", "as scripted")
            }
            Protocol::HttpJson => Self::http(200).with_body("application/json", *b"{}"),
            _ => Self::http(200).with_body("application/x-protobuf", []),
        }
    }

    fn partial(protocol: Protocol, rejected: i64, message: String) -> Self {
        if protocol == Protocol::HttpJson {
            let said = serde_json::json!({
                "partialSuccess": {"rejectedSpans": rejected.to_string(), "errorMessage": message}
            });
            return Self::http(200).with_body("application/json", said.to_string());
        }
        let said = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: rejected,
                error_message: message,
            }),
        };
        let said = said.encode_to_vec();
        match protocol {
            Protocol::Grpc => Self {
                body: grpc_prefixed(&said),
                ..Self::grpc_in_trailers("0")
            },
            _ => Self::http(200).with_body("application/x-protobuf", said),
        }
    }

    /// What says no, in a protocol's way.
    pub(super) fn refusal(protocol: Protocol, code: u8, message: &str) -> Self {
        match protocol {
            Protocol::Grpc => Self::grpc(&code.to_string()).with_header("grpc-message", message),
            Protocol::HttpJson => Self::http(http_status(code)).with_body(
                "application/json",
                serde_json::json!({"code": code, "message": message}).to_string(),
            ),
            _ => {
                let body = google_status(code, message);
                Self::http(http_status(code)).with_body("application/x-protobuf", body)
            }
        }
    }
}

impl Manner {
    pub(super) fn takes(&self) -> bool {
        match self {
            Self::Take
            | Self::TakeAfter(_)
            | Self::TakeAndGoAway
            | Self::TakePartly { .. }
            | Self::TakeWithoutStatus
            | Self::TakeAndReset(_) => true,
            Self::Say(answer) => answer.taken,
            _ => false,
        }
    }

    /// The answer, where there is one that is said to its end.
    pub(super) fn answer(&self, protocol: Protocol) -> Option<Answer> {
        let success = Answer::success(protocol);
        match self {
            Self::Take | Self::TakeAndGoAway | Self::TakeAndReset(_) => Some(success),
            Self::TakeAfter(delay) => Some(success.with_delay(*delay)),
            Self::TakePartly { rejected, message } => {
                Some(Answer::partial(protocol, *rejected, message.clone()))
            }
            Self::Status(code) => Some(Answer::refusal(protocol, *code, "as scripted")),
            Self::Say(answer) => Some(answer.clone()),
            _ => None,
        }
    }

    /// The exporter learns from this that the request was taken.
    pub(super) fn is_clear(&self) -> bool {
        matches!(
            self,
            Self::Take
                | Self::TakeAfter(_)
                | Self::TakeAndGoAway
                | Self::TakePartly { .. }
                | Self::Say(_)
        )
    }
}

/// What is refused before the script is asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) bytes: Option<(usize, TooLarge)>,
    pub(crate) compression: Option<NoCompression>,
}

/// How it is said that a message is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLarge {
    /// As grpc-go does, and by 413 over HTTP.
    ResourceExhausted,
    /// As tonic does, and by 413 over HTTP.
    OutOfRange,
}

/// How it is said that a compression is not known: by UNIMPLEMENTED over gRPC, over HTTP by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCompression {
    UnsupportedMediaType,
    BadRequest,
}

impl Limits {
    pub(super) fn refuse(&self, request: &Request) -> Option<Answer> {
        let is_grpc = request.protocol == Protocol::Grpc;
        if let (Some(refusal), Some(compression)) = (self.compression, &request.compression) {
            let message =
                format!("Decompressor is not installed for grpc-encoding \"{compression}\"");
            return Some(match refusal {
                _ if is_grpc => Answer::refusal(Protocol::Grpc, 12, &message)
                    .with_header("grpc-accept-encoding", "identity"),
                NoCompression::UnsupportedMediaType => {
                    Answer::http(415).with_body("text/plain", "unsupported Content-Encoding")
                }
                NoCompression::BadRequest => {
                    Answer::http(400).with_body("text/plain", "the body cannot be read")
                }
            });
        }
        let (most, refusal) = self.bytes?;
        let bytes = request.bytes;
        if bytes <= most {
            return None;
        }
        Some(match refusal {
            _ if !is_grpc => Answer::http(413).with_body("text/plain", "request body too large"),
            TooLarge::ResourceExhausted => {
                let message =
                    format!("grpc: received message larger than max ({bytes} vs. {most})");
                Answer::refusal(Protocol::Grpc, 8, &message)
            }
            TooLarge::OutOfRange => {
                let message = format!(
                    "Error, decoded message length too large: found {bytes} bytes, the limit is: {most} bytes"
                );
                Answer::refusal(Protocol::Grpc, 11, &message)
            }
        })
    }
}

/// A message of gRPC, not compressed, with what stands before it.
pub(crate) fn grpc_prefixed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message below 4 GiB");
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// The gzip of so many zeros, a thousandth of their number.
pub(crate) fn bomb(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = [0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let length = left.min(zeros.len());
        encoder.write_all(&zeros[..length]).expect("into memory");
        left -= length;
    }
    encoder.finish().expect("into memory")
}

/// The same bytes for the same seed.
pub(crate) fn garbage(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..))
        .take(bytes)
        .collect()
}

/// `google.rpc.Status` with a code and a message.
pub(crate) fn google_status(code: u8, message: &str) -> Vec<u8> {
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
    }
    let status = Status {
        code: code.into(),
        message: message.to_owned(),
    };
    status.encode_to_vec()
}

/// The HTTP status that means the same to a client of OTLP.
fn http_status(code: u8) -> u16 {
    match code {
        0 => 200,
        1 | 4 => 504,
        5 => 404,
        7 => 403,
        8 => 429,
        10 | 14 => 503,
        11 => 413,
        12 => 501,
        15 => 502,
        16 => 401,
        3 | 6 | 9 => 400,
        _ => 500,
    }
}
