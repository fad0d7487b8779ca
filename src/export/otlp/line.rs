//! One connection and the tasks behind it, which end with it.
//!
//! Dropping hyper's sender alone lets a connection finish what it has begun to send. To a collector that does not read, that
//! is never.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::Reason;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::AbortHandle;

use super::connect::Connector;
use super::lock;
use super::message::Message;
use super::meter::{Meter, Metered};

/// While a request is under way, the peer is asked whether it still lives.
const PING: Duration = Duration::from_secs(20);

/// The head of an answer may be so long.
const MAX_HEAD: u32 = 16 << 10;

#[derive(Debug)]
pub(super) struct Line {
    sender: Sender,
    tasks: Tasks,
    ended: Ended,
    meter: Meter,
    pub(super) to_a_proxy: bool,
    /// Requests that it has carried.
    pub(super) requests: u64,
    /// Compressed ones among them.
    pub(super) compressed: u64,
}

#[derive(Debug)]
enum Sender {
    #[cfg(feature = "http")]
    Http1(hyper::client::conn::http1::SendRequest<Message>),
    Http2(http2::SendRequest<Message>),
}

impl Line {
    /// Connects, for answers whose bodies are read up to so many bytes. It is called inside the runtime, since it starts
    /// tasks.
    pub(super) async fn open(
        connector: &Connector,
        address: Option<SocketAddr>,
        max_response: usize,
    ) -> Result<Self, Broken> {
        let connected = connector.connect(address).await?;
        let meter = Meter::new(max_response);
        let io = TokioIo::new(Metered::new(connected.stream, meter.clone()));
        let (tasks, ended) = (Tasks::default(), Ended::default());
        let sender = if connected.speaks_http2 {
            let handshake = http2::Builder::new(tasks.clone())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING)
                .keep_alive_timeout(PING)
                .max_header_list_size(MAX_HEAD)
                .handshake(io)
                .await;
            let (sender, connection) = handshake?;
            tasks.execute(ended.clone().note(connection));
            Sender::Http2(sender)
        } else {
            http1(io, &tasks, &ended).await?
        };
        Ok(Self {
            sender,
            tasks,
            ended,
            meter,
            to_a_proxy: connected.to_a_proxy,
            requests: 0,
            compressed: 0,
        })
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Whether it can carry a request, as far as one knows.
    pub(super) fn is_open(&self) -> bool {
        match &self.sender {
            #[cfg(feature = "http")]
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    pub(super) async fn send(
        &mut self,
        request: http::Request<Message>,
    ) -> Result<http::Response<Incoming>, Broken> {
        self.requests += 1;
        self.meter.reset();
        let sent = self.sender.send(request).await;
        sent.map_err(|error| match lock(&self.ended.0).take() {
            Some(cause) if error.is_canceled() || error.is_closed() => Broken::Before(cause),
            _ => Broken::Exchange(error),
        })
    }
}

impl Sender {
    async fn send(
        &mut self,
        request: http::Request<Message>,
    ) -> hyper::Result<http::Response<Incoming>> {
        match self {
            #[cfg(feature = "http")]
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.tasks.0).drain(..).for_each(|task| task.abort());
    }
}

#[cfg(feature = "http")]
async fn http1(io: TokioIo<Metered>, tasks: &Tasks, ended: &Ended) -> Result<Sender, Broken> {
    let handshake = hyper::client::conn::http1::Builder::new()
        .max_header_size(MAX_HEAD as usize)
        .handshake(io)
        .await;
    let (sender, connection) = handshake?;
    tasks.execute(ended.clone().note(connection));
    Ok(Sender::Http1(sender))
}

#[cfg(not(feature = "http"))]
async fn http1(_: TokioIo<Metered>, _: &Tasks, _: &Ended) -> Result<Sender, Broken> {
    let error = "the server agreed on HTTP/1.1; gRPC needs HTTP/2";
    Err(io::Error::new(io::ErrorKind::Unsupported, error).into())
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// Not connected: nothing was sent.
    Connect(io::Error),
    /// The connection had broken, for this reason, before the request was begun.
    Before(hyper::Error),
    /// The connection broke.
    Exchange(hyper::Error),
}

impl Broken {
    pub(super) fn error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Connect(error) => error,
            Self::Before(error) | Self::Exchange(error) => error,
        }
    }

    /// The peer says that it has not looked at the request: it was on its way out, or did not want the stream.
    pub(super) fn is_unprocessed(&self) -> bool {
        let Self::Exchange(error) = self else {
            return true;
        };
        error.is_canceled()
            || error.is_closed()
            || self.h2().is_some_and(|error| {
                error.is_go_away() && error.is_remote()
                    || error.reason() == Some(Reason::REFUSED_STREAM)
            })
    }

    /// The peer ended the request or the connection in good order.
    pub(super) fn is_polite(&self) -> bool {
        let polite = [
            Reason::NO_ERROR,
            Reason::REFUSED_STREAM,
            Reason::CANCEL,
            Reason::ENHANCE_YOUR_CALM,
        ];
        let reason = self.h2().filter(|error| error.is_remote());
        reason
            .and_then(h2::Error::reason)
            .is_some_and(|reason| polite.contains(&reason))
    }

    fn h2(&self) -> Option<&h2::Error> {
        let mut cause = Some(self.error());
        while let Some(error) = cause {
            if let Some(h2) = error.downcast_ref() {
                return Some(h2);
            }
            cause = error.source();
        }
        None
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Connect(error)
    }
}

impl From<hyper::Error> for Broken {
    fn from(error: hyper::Error) -> Self {
        Self::Exchange(error)
    }
}

/// Why the connection ended, where no request was under way that would have been told.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Option<hyper::Error>>>);

impl Ended {
    async fn note(self, connection: impl Future<Output = hyper::Result<()>>) {
        if let Err(error) = connection.await {
            *lock(&self.0) = Some(error);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        let mut tasks = lock(&self.0);
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(future).abort_handle());
    }
}
