//! A request, whatever protocol carried it: read, unpacked and decoded.

use std::io::Read;

use http::{HeaderMap, header};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use serde_json::Value as Json;
use tracing_otlp::Protocol;

/// A span or a log record that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) id: Vec<u8>,
    pub(crate) trace: Vec<u8>,
    pub(crate) name: String,
    /// The attribute `number`.
    pub(crate) number: Option<i64>,
    /// The attribute `thread`.
    pub(crate) thread: Option<i64>,
    pub(crate) scope: String,
}

/// A request that was read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) connection: usize,
    /// The length of the message, uncompressed.
    pub(crate) bytes: usize,
    /// The length of the message as it was sent: gRPC's prefix does not count.
    pub(crate) sent_bytes: usize,
    /// Bytes that were read on the connection up to here.
    pub(crate) wire_bytes: usize,
    pub(crate) taken: bool,
    pub(crate) spans: Vec<Arrival>,
    pub(crate) protocol: Protocol,
    pub(crate) is_http2: bool,
    pub(crate) method: String,
    /// With the query, and whole where the client sent a whole URI over HTTP/1.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// What it was compressed with: `gzip` or `zstd`.
    pub(crate) compression: Option<String>,
    /// Why it could not be decoded.
    pub(crate) problem: Option<String>,
}

impl Request {
    /// The text of a header; empty where it is missing or no text.
    pub(crate) fn header(&self, name: &str) -> &str {
        text(&self.headers, name)
    }
}

/// What stands before a body.
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) is_http2: bool,
}

impl Head {
    pub(super) fn protocol(&self) -> Protocol {
        let kind = text(&self.headers, header::CONTENT_TYPE.as_str());
        if kind.starts_with("application/grpc") {
            Protocol::Grpc
        } else if kind.starts_with("application/json") {
            Protocol::HttpJson
        } else {
            Protocol::HttpProtobuf
        }
    }

    pub(super) fn into_request(self, body: &[u8]) -> Request {
        let protocol = self.protocol();
        let mut request = Request {
            connection: 0,
            bytes: 0,
            sent_bytes: body.len(),
            wire_bytes: 0,
            taken: false,
            spans: Vec::new(),
            protocol,
            is_http2: self.is_http2,
            method: self.method,
            path: self.path,
            headers: self.headers,
            compression: None,
            problem: None,
        };
        if let Err(problem) = decode(&mut request, body) {
            request.problem = Some(problem);
        }
        request
    }
}

fn decode(request: &mut Request, body: &[u8]) -> Result<(), String> {
    if request.method != "POST" {
        return Err(format!("the method is {}", request.method));
    }
    let kind = request.header(header::CONTENT_TYPE.as_str());
    if request.protocol == Protocol::HttpProtobuf && kind != "application/x-protobuf" {
        return Err(format!("the content-type is {kind:?}"));
    }
    let (name, message) = if request.protocol == Protocol::Grpc {
        grpc_message(request, body)?
    } else {
        (request.header(header::CONTENT_ENCODING.as_str()), body)
    };
    let compression = Some(name.to_owned()).filter(|name| !matches!(&**name, "" | "identity"));
    let sent = message.len();
    let plain = match compression.as_deref() {
        None => Ok(message.to_vec()),
        Some("gzip") => unpack(flate2::read::MultiGzDecoder::new(message)),
        Some("zstd") => zstd::stream::read::Decoder::new(message)
            .map_err(|error| error.to_string())
            .and_then(unpack),
        Some(other) => Err(format!("{other} is no compression that is known")),
    };
    (request.compression, request.sent_bytes) = (compression, sent);
    let plain = plain?;
    request.bytes = plain.len();
    let is_logs = request.path.contains("LogsService") || request.path.ends_with("/v1/logs");
    request.spans = if request.protocol == Protocol::HttpJson {
        json_spans(&plain)?
    } else if is_logs {
        protobuf_logs(&plain)?
    } else {
        protobuf_spans(&plain)?
    };
    Ok(())
}

fn unpack(mut packed: impl Read) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let result = packed.read_to_end(&mut plain);
    result.map_err(|error| format!("it does not decompress: {error}"))?;
    Ok(plain)
}

/// Before a gRPC message stand a byte of flags and its length.
pub(super) const PREFIX: usize = 5;

/// What the one message is compressed with, and its bytes.
fn grpc_message<'a>(request: &'a Request, body: &'a [u8]) -> Result<(&'a str, &'a [u8]), String> {
    let Some((prefix, message)) = body.split_at_checked(PREFIX) else {
        return Err(format!("a body of {} bytes has no prefix", body.len()));
    };
    let length = u32::try_from(message.len()).expect("a request below 4 GiB");
    if prefix[1..] != length.to_be_bytes() {
        return Err(format!("the prefix {prefix:?} is not of {length} bytes"));
    }
    match prefix[0] {
        0 => Ok(("identity", message)),
        1 => Ok((request.header("grpc-encoding"), message)),
        flags => Err(format!("{flags} are no flags")),
    }
}

fn protobuf_spans(message: &[u8]) -> Result<Vec<Arrival>, String> {
    let request = ExportTraceServiceRequest::decode(message).map_err(|error| error.to_string())?;
    let mut spans = Vec::new();
    for part in request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
    {
        let scope = part.scope.map(|scope| scope.name).unwrap_or_default();
        spans.extend(part.spans.into_iter().map(|span| Arrival {
            number: integer(&span.attributes, "number"),
            thread: integer(&span.attributes, "thread"),
            id: span.span_id,
            trace: span.trace_id,
            name: span.name,
            scope: scope.clone(),
        }));
    }
    Ok(spans)
}

fn protobuf_logs(message: &[u8]) -> Result<Vec<Arrival>, String> {
    let request = ExportLogsServiceRequest::decode(message).map_err(|error| error.to_string())?;
    let mut logs = Vec::new();
    for part in request
        .resource_logs
        .into_iter()
        .flat_map(|resource| resource.scope_logs)
    {
        let scope = part.scope.map(|scope| scope.name).unwrap_or_default();
        logs.extend(part.log_records.into_iter().map(|record| Arrival {
            number: integer(&record.attributes, "number"),
            thread: integer(&record.attributes, "thread"),
            id: record.span_id,
            trace: record.trace_id,
            name: record.event_name,
            scope: scope.clone(),
        }));
    }
    Ok(logs)
}

fn integer(attributes: &[KeyValue], key: &str) -> Option<i64> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::IntValue(value) => Some(*value),
        _ => None,
    }
}

/// OTLP as JSON: names in lowerCamelCase, ids in hexadecimal, integers of 64 bits as text.
pub(crate) fn json_spans(text: &[u8]) -> Result<Vec<Arrival>, String> {
    let request: Json = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut spans = Vec::new();
    let request = request.as_object().ok_or("it is no object")?;
    for resource in list(request.get("resourceSpans"))? {
        for part in list(resource.get("scopeSpans"))? {
            let scope = part["scope"]["name"].as_str().unwrap_or_default();
            for span in list(part.get("spans"))? {
                spans.push(Arrival {
                    id: hex(&span["spanId"])?,
                    trace: hex(&span["traceId"])?,
                    name: span["name"].as_str().unwrap_or_default().to_owned(),
                    number: json_integer(&span["attributes"], "number")?,
                    thread: json_integer(&span["attributes"], "thread")?,
                    scope: scope.to_owned(),
                });
            }
        }
    }
    Ok(spans)
}

fn list(value: Option<&Json>) -> Result<&[Json], String> {
    match value {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(list)) => Ok(list),
        Some(other) => Err(format!("{other} is no list")),
    }
}

fn hex(value: &Json) -> Result<Vec<u8>, String> {
    let digits = value.as_str().unwrap_or_default();
    let wrong = || format!("{value} is no id in hexadecimal");
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2);
            u8::from_str_radix(pair.ok_or_else(wrong)?, 16).map_err(|_| wrong())
        })
        .collect()
}

fn json_integer(attributes: &Json, key: &str) -> Result<Option<i64>, String> {
    let mut attributes = list(Some(attributes))?.iter();
    let Some(attribute) = attributes.find(|attribute| attribute["key"] == key) else {
        return Ok(None);
    };
    match &attribute["value"]["intValue"] {
        Json::Null => Ok(None),
        Json::String(text) => text.parse().map(Some).map_err(|_| format!("{text:?}")),
        number => Ok(number.as_i64()),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}
