//! Connections, each served in the protocol that it begins with, and what is done with a request in any of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::manner::{Answer, Greeting, Manner, Pace};
use super::request::Request;
use super::wire::{Faults, Line, Socket, Wire};
use super::{Log, Shared, Speaks, http1, http2, lock};

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Serves until it is stopped.
pub(super) async fn connections(
    listener: &Listener,
    shared: &Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => return,
            accepted = accept(listener) => accepted,
        };
        if let Ok(socket) = accepted {
            tokio::spawn(connection(socket, Arc::clone(shared)));
        }
    }
}

async fn accept(listener: &Listener) -> io::Result<Socket> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            // As servers do: small answers do not wait for each other's acknowledgements.
            stream.set_nodelay(true)?;
            Ok(Socket::Tcp(stream))
        }
        Listener::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
    }
}

async fn connection(socket: Socket, shared: Arc<Shared>) {
    let number = shared.change(|log| {
        log.connections += 1;
        log.connections - 1
    });
    let greeting = (lock(&shared.script).greeting)(number);
    let faults = Faults::new(greeting);
    let connection = Arc::new(Connection {
        number,
        _open: Counted::new(&shared, |log| &mut log.open),
        shared: Arc::clone(&shared),
        faults: Arc::clone(&faults),
    });
    lock(&shared.connections).insert(number, Arc::clone(&faults));
    let wire = Wire {
        socket,
        faults: Arc::clone(&faults),
    };
    tokio::select! {
        () = faults.ending.notified() => {}
        () = begin(wire, greeting, &connection) => {}
    }
    lock(&shared.connections).remove(&number);
}

async fn begin(wire: Wire, greeting: Greeting, connection: &Arc<Connection>) {
    let shared = &connection.shared;
    let tls = lock(&shared.script).tls.clone();
    let mut line = match tls {
        None => Line::new(wire),
        Some(config) => match TlsAcceptor::from(config).accept(wire).await {
            Ok(stream) => Line::new(stream),
            Err(error) => {
                shared.change(|log| log.failed_handshakes.push(error.to_string()));
                return;
            }
        },
    };
    // Where this fails, the client has gone, or was reset.
    let _ = speak(&mut line, greeting, connection).await;
}

async fn speak(
    line: &mut Line,
    greeting: Greeting,
    connection: &Arc<Connection>,
) -> io::Result<()> {
    if let Greeting::Say(bytes) = greeting {
        line.write_all(bytes).await?;
        line.drain().await;
        return Ok(());
    }
    let is_http2 = line.is_http2().await?;
    let speaks = lock(&connection.shared.script).speaks;
    match (is_http2, speaks) {
        (true, Speaks::Both | Speaks::Http2) => {
            http2::serve(line.clone(), Arc::clone(connection)).await;
        }
        (false, Speaks::Both | Speaks::Http1) => {
            http1::serve(line.clone(), connection).await?;
        }
        (true, Speaks::Http1) => {
            last(
                line,
                b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
            )
            .await?;
        }
        (false, Speaks::Http2) => last(line, &http2::settings()).await?,
    }
    Ok(())
}

/// Says this, closes, and reads what the client still sends, which would turn the close into a reset.
pub(super) async fn last(line: &mut Line, bytes: &[u8]) -> io::Result<()> {
    line.write_all(bytes).await?;
    line.shutdown().await?;
    line.drain().await;
    Ok(())
}

/// The same bytes until the client goes, so many at a time.
pub(super) async fn forever(line: &mut Line, bytes: &[u8], pace: Pace) -> io::Result<()> {
    let mut endless = bytes.iter().copied().cycle();
    loop {
        let piece: Vec<_> = endless.by_ref().take(pace.bytes).collect();
        line.write_all(&piece).await?;
        // What the client says meanwhile is read, so that its window does not close.
        line.read_some(pace.every).await?;
    }
}

/// A connection, as its requests see it.
pub(super) struct Connection {
    number: usize,
    _open: Counted,
    shared: Arc<Shared>,
    pub(super) faults: Arc<Faults>,
}

impl Connection {
    /// A request has begun.
    pub(super) fn begin(&self) -> AtWork {
        let counted = Counted::new(&self.shared, |log| &mut log.in_flight);
        self.shared
            .change(|log| log.most_in_flight = log.most_in_flight.max(log.in_flight));
        self.faults.busy.fetch_add(1, Ordering::Relaxed);
        AtWork {
            faults: Arc::clone(&self.faults),
            _counted: counted,
        }
    }

    /// A request was read: it is logged, and what is done about it is decided.
    pub(super) fn decide(&self, mut request: Request) -> Decided {
        request.connection = self.number;
        request.wire_bytes = self.faults.read.load(Ordering::Relaxed);
        let manner = {
            let script = lock(&self.shared.script);
            let problem = request.problem.as_deref();
            let malformed = || Some(Answer::refusal(request.protocol, 3, problem?));
            match script.limits.refuse(&request).or_else(malformed) {
                Some(refusal) => Manner::Say(refusal),
                None => {
                    let number = lock(&self.shared.log).requests.len();
                    (script.manner)(number, &request)
                }
            }
        };
        request.taken = manner.takes();
        let records = if request.taken {
            request.spans.len()
        } else {
            0
        };
        self.shared.change(|log| log.requests.push(request));
        Decided {
            shared: Arc::clone(&self.shared),
            manner,
            unanswered: records as u64,
        }
    }
}

/// A request that is at work on a connection.
pub(super) struct AtWork {
    faults: Arc<Faults>,
    _counted: Counted,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.faults.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a request is treated, and the records that were taken and not answered.
pub(super) struct Decided {
    shared: Arc<Shared>,
    pub(super) manner: Manner,
    unanswered: u64,
}

impl Decided {
    /// The answer was given. Whether it gets through is not known where the connection is to fail.
    pub(super) fn answered(&mut self) {
        if self.manner.is_clear() {
            self.unanswered = 0;
        }
    }
}

impl Drop for Decided {
    fn drop(&mut self) {
        self.shared.change(|log| log.ambiguous += self.unanswered);
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
