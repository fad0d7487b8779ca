//! OTLP over gRPC: tonic's channel, called as a service, with a body made of the chunks themselves.
//!
//! There is no codec: a message is the 5-byte prefix, the header and the chunks, each a frame of the body as it is.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http_body::{Body as _, Frame, SizeHint};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use self::line::Line;
use super::transport::{Answer, Failure, Request, Sending, Transport};
use crate::error::Error;
use crate::proto::response;

mod connect;
mod line;
mod status;

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const USER_AGENT: &str = concat!("tracing-otlp-rust/", env!("CARGO_PKG_VERSION"));
/// A response says little; what exceeds this is not looked at.
const MAX_RESPONSE: usize = 64 << 10;
/// An idle connection is asked whether it still lives.
const PING: Duration = Duration::from_secs(20);

/// A gRPC destination.
#[derive(Debug)]
pub(crate) struct Grpc {
    endpoint: Endpoint,
    /// The connection, while no request is at work with it. It is put back when its request was answered, and goes with a
    /// request that was not: what hangs or broke is not used again.
    line: Arc<Mutex<Option<Line>>>,
}

impl Grpc {
    /// `endpoint` is `http://host:port`, as it stands in the configuration named `origin`.
    pub(crate) fn new(endpoint: &str, origin: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            Error::config(format!(
                "{origin}: {endpoint:?} is no gRPC endpoint ({why}); expected http://host:port"
            ))
        };
        let uri: http::Uri = endpoint
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(authority)) if authority.as_str().contains('@') => {
                // The value is not shown: what stands before the @ is a secret.
                return Err(Error::config(format!(
                    "{origin}: user names and passwords do not belong in an endpoint"
                )));
            }
            (Some("http"), Some(_)) => {}
            (Some("https"), _) => return Err(wrong("TLS is not built in")),
            _ => return Err(wrong("scheme or host is missing")),
        }
        let endpoint = Endpoint::from_shared(uri.to_string())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(|error| wrong(&error.to_string()))?
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .http2_max_header_list_size(16 << 10);
        Ok(Self {
            endpoint,
            line: Arc::default(),
        })
    }
}

impl Transport for Grpc {
    fn send(&self, request: Request) -> Sending {
        let slot = Arc::clone(&self.line);
        let endpoint = self.endpoint.clone();
        Box::pin(async move {
            let kept = lock(&slot).take();
            let mut line = kept.unwrap_or_else(|| Line::new(&endpoint));
            let about = |failure: Failure| failure.about(&endpoint);
            let answer = call(&mut line.channel, request).await.map_err(about)?;
            *lock(&slot) = Some(line);
            answer.map_err(about)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Failure {
    fn about(mut self, endpoint: &Endpoint) -> Self {
        self.message = format!("{}: {}", endpoint.uri(), self.message);
        self
    }
}

/// The outer result is the transport's, the inner one the server's.
async fn call(channel: &mut Channel, request: Request) -> Result<Result<Answer, Failure>, Failure> {
    poll_fn(|context| channel.poll_ready(context))
        .await
        .map_err(broken)?;
    let response = channel.call(message(request)?).await.map_err(broken)?;
    let (head, body) = response.into_parts();
    if head.status != http::StatusCode::OK {
        return Ok(Err(status::from_http(head.status)));
    }
    if let Some(verdict) = status::from_headers(&head.headers) {
        return Ok(verdict.map(|()| Answer::delivered()));
    }
    let (bytes, trailers) = read(body).await?;
    // An answer without a status is a connection that ended too early.
    let verdict = status::from_headers(&trailers)
        .ok_or_else(|| Failure::retry("the answer ended without a status"))?;
    Ok(verdict.map(|()| answer(&bytes)))
}

fn broken(error: tonic::transport::Error) -> Failure {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    Failure::retry(message)
}

fn message(request: Request) -> Result<http::Request<Body>, Failure> {
    let length = u32::try_from(request.bytes())
        .map_err(|_| Failure::reject("a request of 4 GiB does not fit a gRPC message"))?;
    let mut prefix = [0; 5];
    prefix[1..].copy_from_slice(&length.to_be_bytes());
    let mut parts = VecDeque::from(request.into_parts());
    parts.push_front(Bytes::copy_from_slice(&prefix));
    let mut message = http::Request::new(Body::new(Message { parts }));
    *message.method_mut() = http::Method::POST;
    *message.uri_mut() = http::Uri::from_static(PATH);
    let headers = message.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    Ok(message)
}

/// Reads an answer's body, of which only the first part is kept, and its trailers.
async fn read(mut body: Body) -> Result<(Vec<u8>, HeaderMap), Failure> {
    let mut bytes = Vec::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|status| {
            Failure::retry(format!("the answer broke off: {}", status.message()))
        })?;
        match frame.into_data() {
            Ok(data) => {
                bytes.extend_from_slice(&data[..data.len().min(MAX_RESPONSE - bytes.len())])
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok((bytes, trailers))
}

/// What a successful answer says beside. One that cannot be read has still taken the request.
fn answer(mut body: &[u8]) -> Answer {
    if body.len() < 5 || body.get_u8() != 0 {
        return Answer::delivered();
    }
    let length = body.get_u32() as usize;
    let partial = response::decode(body.get(..length).unwrap_or(body)).unwrap_or_default();
    Answer::partial(
        u64::try_from(partial.rejected).unwrap_or(0),
        partial.message,
    )
}

/// A gRPC message as a body: each piece is one frame, and none is copied.
#[derive(Debug)]
struct Message {
    parts: VecDeque<Bytes>,
}

impl http_body::Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.parts.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}
