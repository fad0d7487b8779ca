//! Raw clients, and requests for them.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use http::{HeaderMap, Request};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) const GRPC: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Whatever a future does, it does it within five seconds.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let limited = tokio::time::timeout(Duration::from_secs(5), future);
        limited.await.expect("an end in time")
    })
}

/// So many spans, numbered from 0.
pub(super) fn spans(count: u8) -> ExportTraceServiceRequest {
    let span = |number: u8| Span {
        trace_id: vec![number + 1; 16],
        span_id: vec![number + 1; 8],
        name: format!("span {number}"),
        attributes: vec![KeyValue {
            key: "number".to_owned(),
            value: Some(AnyValue {
                value: Some(Value::IntValue(number.into())),
            }),
            ..KeyValue::default()
        }],
        ..Span::default()
    };
    let scope = InstrumentationScope {
        name: "raw".to_owned(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: (0..count).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

pub(super) fn protobuf(count: u8) -> Vec<u8> {
    spans(count).encode_to_vec()
}

pub(super) fn json(count: u8) -> Vec<u8> {
    let span = |number: u8| {
        let digit = format!("{:02x}", number + 1);
        serde_json::json!({
            "traceId": digit.repeat(16),
            "spanId": digit.repeat(8),
            "name": format!("span {number}"),
            "attributes": [{"key": "number", "value": {"intValue": number.to_string()}}],
        })
    };
    let spans: Vec<_> = (0..count).map(span).collect();
    let request = serde_json::json!({
        "resourceSpans": [{"scopeSpans": [{"scope": {"name": "raw"}, "spans": spans}]}]
    });
    request.to_string().into_bytes()
}

pub(super) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("into memory");
    encoder.finish().expect("into memory")
}

pub(super) fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("into memory")
}

/// A whole request of HTTP/1.1.
pub(super) fn http1(kind: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(super) async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let stream = stream.expect("somebody listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream
}

/// Writes, and reads until the other end closes. `Err` where it is reset.
pub(super) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> std::io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Writes one request and reads one answer with a Content-Length.
pub(super) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> String {
    stream.write_all(request).await.expect("it is read");
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|row| row.strip_prefix("content-length: "));
            let length: usize = length.expect("a length").parse().expect("a number");
            if body.len() >= length {
                return text.into_owned();
            }
        }
        let read = stream.read_buf(&mut answer).await.expect("an answer");
        assert!(read > 0, "it ends: {answer:?}");
    }
}

/// An answer over HTTP/2.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> &str {
        value(Some(&self.headers), name)
    }

    pub(super) fn trailer(&self, name: &str) -> &str {
        value(self.trailers.as_ref(), name)
    }
}

fn value<'a>(headers: Option<&'a HeaderMap>, name: &str) -> &'a str {
    let value = headers.and_then(|headers| headers.get(name));
    value.map_or("", |value| value.to_str().expect("text"))
}

pub(super) async fn http2<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
) -> (SendRequest<Bytes>, Connection<T, Bytes>) {
    let handshake = h2::client::handshake(stream).await;
    handshake.expect("a handshake")
}

pub(super) fn grpc(encoding: Option<&str>) -> Request<()> {
    let builder = Request::post(format!("http://localhost{GRPC}"));
    let builder = builder.header("content-type", "application/grpc");
    let builder = match encoding {
        Some(encoding) => builder.header("grpc-encoding", encoding),
        None => builder,
    };
    builder.body(()).expect("a request")
}

/// One request on a connection of its own, over TCP.
pub(super) async fn call(
    port: u16,
    request: Request<()>,
    body: Vec<u8>,
) -> Result<Answered, h2::Error> {
    let (client, connection) = http2(connect(port).await).await;
    tokio::spawn(connection);
    call_on(client, request, body).await
}

pub(super) async fn call_on(
    client: SendRequest<Bytes>,
    request: Request<()>,
    body: Vec<u8>,
) -> Result<Answered, h2::Error> {
    let mut client = client.ready().await?;
    let (response, mut stream) = client.send_request(request, false)?;
    stream.send_data(body.into(), true)?;
    let (head, mut read) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = read.data().await {
        let piece = piece?;
        read.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    Ok(Answered {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        trailers: read.trailers().await?,
    })
}
