//! HTTP/2 by h2, and by hand where h2 would not misbehave.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::unbounded_channel;
use tracing_otlp::Protocol;

use super::manner::{Answer, Flood, Framing, Manner, Pace, Part};
use super::request::Head;
use super::serve::{AtWork, Connection, Decided, forever};
use super::wire::Line;

/// Larger than any request: what a connection does not read fills the kernel's buffers, and no window of HTTP/2 hides it.
const WINDOW: u32 = 16 << 20;

/// What a request asks of its connection.
enum Order {
    /// Ends when the requests at work are answered.
    GoAway,
    /// Takes the line away from h2.
    Raw(Raw),
}

/// What is said without h2.
enum Raw {
    /// Nothing: the connection is closed.
    Close,
    /// These bytes; then our end is closed.
    Once(Vec<u8>),
    Slowly(Vec<u8>, Pace),
    /// Once, and then again and again.
    Forever(Vec<u8>, Vec<u8>, Pace),
}

pub(super) async fn serve(line: Line, connection: Arc<Connection>) {
    let handshake = Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake::<_, Bytes>(line.clone());
    let Ok(h2) = handshake.await else {
        return;
    };
    if let Some((raw, _at_work)) = requests(h2, &connection).await {
        // A client that has gone cannot be told.
        let _ = say(line, raw).await;
    }
}

/// Gives what is to be said without h2, if a request asks for it.
async fn requests(
    mut h2: h2::server::Connection<Line, Bytes>,
    connection: &Arc<Connection>,
) -> Option<(Raw, AtWork)> {
    let (orders, mut ordered) = unbounded_channel();
    loop {
        let next = tokio::select! {
            biased;
            Some((order, at_work)) = ordered.recv() => match order {
                Order::Raw(raw) => return Some((raw, at_work)),
                Order::GoAway => {
                    h2.graceful_shutdown();
                    continue;
                }
            },
            next = h2.accept() => next,
        };
        let Some(Ok((request, respond))) = next else {
            return None;
        };
        let (connection, orders) = (Arc::clone(connection), orders.clone());
        tokio::spawn(async move {
            let at_work = connection.begin();
            let (head, body) = request.into_parts();
            let head = Head {
                method: head.method.to_string(),
                path: head
                    .uri
                    .path_and_query()
                    .map_or("", |path| path.as_str())
                    .to_owned(),
                headers: head.headers,
                is_http2: true,
            };
            // Whatever fails here has failed for the client too.
            if let Ok(Some(order)) = answer(head, body, respond, &connection).await {
                let _ = orders.send((order, at_work));
            }
        });
    }
}

async fn answer(
    head: Head,
    body: RecvStream,
    mut respond: SendResponse<Bytes>,
    connection: &Connection,
) -> Result<Option<Order>, h2::Error> {
    let body = read(body).await?;
    let protocol = head.protocol();
    let mut decided = connection.decide(head.into_request(&body));
    drop(body);
    if let Manner::TakeAndReset(bytes) = decided.manner {
        connection.faults.reset_after(bytes);
    }
    if let Some(answer) = decided.manner.answer(protocol) {
        wait(&mut respond, answer.after).await;
        send(&mut respond, answer).await?;
        decided.answered();
        let is_last = matches!(decided.manner, Manner::TakeAndGoAway);
        return Ok(is_last.then_some(Order::GoAway));
    }
    let raw = misbehave(&mut respond, &decided, protocol, connection).await?;
    Ok(raw.map(Order::Raw))
}

async fn misbehave(
    respond: &mut SendResponse<Bytes>,
    decided: &Decided,
    protocol: Protocol,
    connection: &Connection,
) -> Result<Option<Raw>, h2::Error> {
    let stream = respond.stream_id().as_u32();
    Ok(Some(match decided.manner.clone() {
        Manner::TakeWithoutStatus => {
            let mut answer = Answer::success(protocol);
            if answer.trailers.take().is_none() {
                return Ok(Some(Raw::Close));
            }
            send(respond, answer).await?;
            return Ok(None);
        }
        Manner::Reset => {
            connection.faults.reset_after(0);
            wait_for_ever(respond).await?;
            return Ok(None);
        }
        Manner::ResetStream(code) => {
            respond.send_reset(Reason::from(code));
            return Ok(None);
        }
        Manner::Trickle(Part::Body, pace) => {
            trickle(respond, pace).await?;
            return Ok(None);
        }
        Manner::Trickle(Part::Whole, pace) => Raw::Slowly(whole(stream, protocol), pace),
        // Headers that do not end, and go on.
        Manner::Trickle(Part::Headers, pace) => Raw::Forever(
            frame(HEADERS, 0, stream, &head_block("application/grpc")),
            frame(
                CONTINUATION,
                0,
                stream,
                &literal("x-header", "and so on and so on"),
            ),
            pace,
        ),
        Manner::GoAway(code) => {
            let nothing_processed = [[0; 4], code.to_be_bytes()].concat();
            Raw::Once(frame(GOAWAY, 0, 0, &nothing_processed))
        }
        Manner::Bytes(bytes) => Raw::Once(bytes),
        Manner::Close => Raw::Close,
        Manner::HalfClose => Raw::Once(Vec::new()),
        Manner::Flood(flood) => {
            let frame = match flood {
                Flood::Settings => frame(SETTINGS, 0, 0, &[]),
                Flood::Ping => frame(PING, 0, 0, &[7; 8]),
                Flood::Reset => frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
            };
            Raw::Forever(Vec::new(), frame, Pace::FAST)
        }
        // Everything else has an answer.
        _ => {
            wait_for_ever(respond).await?;
            return Ok(None);
        }
    }))
}

async fn say(mut line: Line, raw: Raw) -> io::Result<()> {
    match raw {
        Raw::Close => return Ok(()),
        Raw::Once(bytes) => line.write_all(&bytes).await?,
        Raw::Slowly(bytes, pace) => {
            for piece in bytes.chunks(pace.bytes) {
                line.write_all(piece).await?;
                tokio::time::sleep(pace.every).await;
            }
        }
        Raw::Forever(first, again, pace) => {
            line.write_all(&first).await?;
            forever(&mut line, &again, pace).await?;
        }
    }
    line.shutdown().await?;
    line.drain().await;
    Ok(())
}

async fn send(respond: &mut SendResponse<Bytes>, answer: Answer) -> Result<(), h2::Error> {
    for status in answer.interim {
        let mut interim = Response::new(());
        *interim.status_mut() = status.try_into().expect("a status");
        respond.send_informational(interim)?;
    }
    let mut head = Response::new(());
    *head.status_mut() = answer.status.try_into().expect("a status");
    *head.headers_mut() = headers(&answer.headers);
    if let Framing::Wrong(length) = answer.framing {
        head.headers_mut().insert("content-length", length.into());
    }
    let has_trailers = answer.trailers.is_some();
    let is_empty = answer.body.is_empty() && !has_trailers;
    let mut stream = respond.send_response(head, is_empty)?;
    if !answer.body.is_empty() {
        stream.send_data(answer.body.into(), !has_trailers)?;
    }
    if let Some(trailers) = answer.trailers {
        stream.send_trailers(headers(&trailers))?;
    }
    Ok(())
}

/// A body without end, as the client's window allows.
async fn trickle(respond: &mut SendResponse<Bytes>, pace: Pace) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    let kind = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert("content-type", kind);
    let mut stream = respond.send_response(head, false)?;
    loop {
        let length = capacity(&mut stream, pace.bytes).await?;
        stream.send_data(Bytes::from(vec![b'x'; length]), false)?;
        tokio::time::sleep(pace.every).await;
    }
}

async fn capacity(stream: &mut SendStream<Bytes>, bytes: usize) -> Result<usize, h2::Error> {
    stream.reserve_capacity(bytes);
    while stream.capacity() == 0 {
        match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(granted) => granted?,
            None => return Err(Reason::STREAM_CLOSED.into()),
        };
    }
    Ok(stream.capacity().min(bytes))
}

fn headers(pairs: &[(String, Vec<u8>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        let value = HeaderValue::from_bytes(value).expect("a header's value");
        headers.append(name, value);
    }
    headers
}

async fn wait(respond: &mut SendResponse<Bytes>, delay: Duration) {
    if !delay.is_zero() {
        let reset = poll_fn(|context| respond.poll_reset(context));
        // A client that has gone is not waited for.
        let _ = tokio::time::timeout(delay, reset).await;
    }
}

async fn wait_for_ever(respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    poll_fn(|context| respond.poll_reset(context)).await?;
    Ok(())
}

async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut message = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        message.extend_from_slice(&piece);
    }
    Ok(message)
}

// RFC 9113, section 6: the types of frames, and their flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Settings without any, which a server begins with.
pub(super) fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()[..]].concat();
    [&head, payload].concat()
}

/// A good answer, frame by frame.
fn whole(stream: u32, protocol: Protocol) -> Vec<u8> {
    let answer = Answer::success(protocol);
    if protocol != Protocol::Grpc {
        let kind = String::from_utf8_lossy(&answer.headers[0].1).into_owned();
        let head = frame(HEADERS, END_HEADERS, stream, &head_block(&kind));
        return [head, frame(DATA, END_STREAM, stream, &answer.body)].concat();
    }
    let head = frame(
        HEADERS,
        END_HEADERS,
        stream,
        &head_block("application/grpc"),
    );
    let body = frame(DATA, 0, stream, &answer.body);
    let flags = END_HEADERS | END_STREAM;
    let trailers = frame(HEADERS, flags, stream, &literal("grpc-status", "0"));
    [head, body, trailers].concat()
}

fn head_block(kind: &str) -> Vec<u8> {
    // RFC 7541, appendix A: entry 8 is `:status: 200`.
    let status = vec![0x88];
    [status, literal("content-type", kind)].concat()
}

/// A header that is not indexed (RFC 7541, section 6.2.2), whose parts are shorter than 127 bytes.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for part in [name, value] {
        bytes.push(u8::try_from(part.len()).expect("a short text"));
        bytes.extend(part.as_bytes());
    }
    bytes
}
