//! Connections and requests, served as the script says.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::wire::{Faults, Wire};
use super::{Arrival, Log, Manner, Request, Shared, lock};

/// Larger than any request: what a connection does not read fills the kernel's buffers, and no window of HTTP/2 hides it.
const WINDOW: u32 = 16 << 20;

/// Serves until it is stopped.
pub(super) async fn connections(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            tokio::spawn(connection(stream, Arc::clone(shared)));
        }
    }
}

/// Counts one more for as long as it lives.
struct Counted(Arc<Shared>, fn(&mut Log) -> &mut usize);

impl Counted {
    fn new(shared: &Arc<Shared>, counter: fn(&mut Log) -> &mut usize) -> Self {
        shared.change(|log| *counter(log) += 1);
        Self(Arc::clone(shared), counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.change(|log| *(self.1)(log) -= 1);
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let number = shared.change(|log| {
        log.connections += 1;
        log.connections - 1
    });
    let _open = Counted::new(&shared, |log| &mut log.open);
    let greeting = (lock(&shared.script).greeting)(number);
    let faults = Faults::new(greeting);
    let wire = Wire {
        stream,
        faults: Arc::clone(&faults),
    };
    let handshake = Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake::<_, Bytes>(wire);
    let Ok(mut connection) = handshake.await else {
        return;
    };
    loop {
        let next = tokio::select! {
            biased;
            () = faults.ending.notified() => {
                if !faults.go_away.load(Ordering::Relaxed) {
                    return;
                }
                connection.graceful_shutdown();
                continue;
            }
            next = connection.accept() => next,
        };
        let Some(Ok((request, respond))) = next else {
            return;
        };
        let (body, shared, faults) = (
            request.into_body(),
            Arc::clone(&shared),
            Arc::clone(&faults),
        );
        tokio::spawn(async move {
            // Whatever fails here has failed for the client too.
            let _ = answer(body, respond, &shared, &faults, number).await;
        });
    }
}

async fn answer(
    body: RecvStream,
    mut respond: SendResponse<Bytes>,
    shared: &Arc<Shared>,
    faults: &Faults,
    connection: usize,
) -> Result<(), h2::Error> {
    let _in_flight = Counted::new(shared, |log| &mut log.in_flight);
    shared.change(|log| log.most_in_flight = log.most_in_flight.max(log.in_flight));
    let message = read(body).await?;
    let number = shared.look_at_count();
    let manner = (lock(&shared.script).manner)(number);
    let taken = !matches!(manner, Manner::Status(_) | Manner::Hang);
    let spans = decode(&message);
    let records = spans.len() as u64;
    shared.change(|log| {
        log.requests.push(Request {
            connection,
            bytes: message.len() - PREFIX,
            wire_bytes: faults.read.load(Ordering::Relaxed),
            taken,
            spans,
        });
    });
    let mut unanswered = Unanswered {
        shared: Arc::clone(shared),
        records: if taken { records } else { 0 },
    };
    match manner {
        Manner::Take | Manner::TakeAndGoAway => {}
        Manner::TakeAfter(delay) => wait(&mut respond, delay).await,
        Manner::Status(code) => return refuse(&mut respond, code),
        Manner::Hang => return wait_for_ever(&mut respond).await,
        Manner::TakeWithoutStatus => {
            let mut stream = respond.send_response(head(), false)?;
            return stream.send_data(Bytes::from_static(&[0; PREFIX]), true);
        }
        Manner::TakeAndReset(bytes) => {
            faults.reset_after(bytes);
            // Whether the answer gets through is not known here.
            return accept(&mut respond)?.send_trailers(status(0));
        }
    }
    let mut stream = accept(&mut respond)?;
    stream.send_trailers(status(0))?;
    unanswered.records = 0;
    if let Manner::TakeAndGoAway = manner {
        faults.go_away.store(true, Ordering::Relaxed);
        faults.ending.notify_one();
    }
    Ok(())
}

/// Counts what was taken and not answered.
struct Unanswered {
    shared: Arc<Shared>,
    records: u64,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.shared.change(|log| log.ambiguous += self.records);
    }
}

impl Shared {
    fn look_at_count(&self) -> usize {
        lock(&self.log).requests.len()
    }
}

/// The head of an answer and an empty message.
fn accept(respond: &mut SendResponse<Bytes>) -> Result<SendStream<Bytes>, h2::Error> {
    let mut stream = respond.send_response(head(), false)?;
    stream.send_data(Bytes::from_static(&[0; PREFIX]), false)?;
    Ok(stream)
}

/// An answer without a message, whose status stands in its head.
fn refuse(respond: &mut SendResponse<Bytes>, code: u8) -> Result<(), h2::Error> {
    let mut response = head();
    response.headers_mut().extend(status(code));
    respond.send_response(response, true)?;
    Ok(())
}

fn head() -> Response<()> {
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    response
}

fn status(code: u8) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    headers.insert("grpc-message", HeaderValue::from_static("as scripted"));
    headers
}

async fn wait(respond: &mut SendResponse<Bytes>, delay: Duration) {
    let reset = poll_fn(|context| respond.poll_reset(context));
    // A client that has gone is not waited for.
    let _ = tokio::time::timeout(delay, reset).await;
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
    if message.len() < PREFIX {
        // Not ours; nobody waits for an answer.
        pending::<()>().await;
    }
    Ok(message)
}

/// Before a gRPC message stand a byte of flags and its length.
const PREFIX: usize = 5;

fn decode(message: &[u8]) -> Vec<Arrival> {
    let (prefix, message) = message.split_at(PREFIX);
    let length = u32::try_from(message.len()).expect("a request below 4 GiB");
    assert_eq!(prefix[1..], length.to_be_bytes(), "the prefix is right");
    let request = ExportTraceServiceRequest::decode(message).expect("a request that decodes");
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
            scope: scope.clone(),
        }));
    }
    spans
}

fn integer(attributes: &[KeyValue], key: &str) -> Option<i64> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::IntValue(value) => Some(*value),
        _ => None,
    }
}
