//! A collector on a thread of this process, which can be told to misbehave: gRPC by `h2`, as the [receiver](crate::receiver) has it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::{self, SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use crate::wire::span_ends;

/// A compression flag and a length of four bytes stand before a gRPC message.
const PREFIX: usize = 5;

/// What becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    /// They are taken after so long.
    Take(Duration),
    /// `UNAVAILABLE`
    Refuse,
    /// They are read, and never answered.
    Hang,
    /// Nobody listens, and connections that were there are reset.
    Dead,
}

#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    manner: watch::Sender<Manner>,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    bytes: AtomicU64,
    connections: AtomicU64,
    /// How long after its end each span was taken.
    delays: Mutex<Vec<Duration>>,
}

impl Collector {
    /// Listens at this address, until the last of its handles is dropped. A stream and a connection may send so many bytes ahead of what was read.
    pub fn start(address: SocketAddr, window: u32) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (manner, seen) = watch::channel(Manner::Take(Duration::ZERO));
        let log = Arc::<Log>::default();
        let server = Server {
            manner: seen,
            log: Arc::clone(&log),
            window,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::spawn(move || {
            let tasks = LocalSet::new();
            let served = tasks.block_on(&runtime, server.run(address, listener));
            if let Err(error) = served {
                eprintln!("collector at {address}: {error}");
            }
        });
        Ok(Self {
            address,
            manner,
            log,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What becomes of requests from now on.
    pub fn does(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// Bytes of bodies that were taken since this was asked last.
    pub fn take_bytes(&self) -> u64 {
        self.log.bytes.swap(0, Ordering::Relaxed)
    }

    /// Connections that were made until now.
    pub fn connections(&self) -> u64 {
        self.log.connections.load(Ordering::Relaxed)
    }

    /// How long after its end each span was taken.
    pub fn take_delays(&self) -> Vec<Duration> {
        std::mem::take(&mut *lock(&self.log.delays))
    }
}

#[derive(Clone)]
struct Server {
    manner: watch::Receiver<Manner>,
    log: Arc<Log>,
    window: u32,
}

impl Server {
    async fn run(mut self, address: SocketAddr, first: std::net::TcpListener) -> io::Result<()> {
        let mut first = Some(first);
        loop {
            let alive = self.manner.wait_for(|manner| *manner != Manner::Dead);
            if alive.await.is_err() {
                return Ok(());
            }
            let listener = match first.take() {
                Some(listener) => TcpListener::from_std(listener)?,
                None => TcpListener::bind(address).await?,
            };
            // They go with the set.
            let mut connections = JoinSet::new();
            let mut manner = self.manner.clone();
            loop {
                tokio::select! {
                    dead = manner.wait_for(|manner| *manner == Manner::Dead) => match dead {
                        Ok(_) => break,
                        Err(_) => return Ok(()),
                    },
                    accepted = listener.accept() => {
                        let (socket, _) = accepted?;
                        self.log.connections.fetch_add(1, Ordering::Relaxed);
                        connections.spawn_local(self.clone().connection(socket));
                    }
                }
            }
        }
    }

    async fn connection(self, socket: TcpStream) {
        // Without it the answer would wait for the client's delayed acknowledgement.
        let _ = socket.set_nodelay(true);
        let handshake = server::Builder::new()
            .initial_window_size(self.window)
            .initial_connection_window_size(self.window)
            .handshake::<_, Bytes>(socket);
        let Ok(mut connection) = handshake.await else {
            return;
        };
        let mut requests = JoinSet::new();
        while let Some(Ok((request, respond))) = connection.accept().await {
            while requests.try_join_next().is_some() {}
            let server = self.clone();
            requests.spawn_local(async move {
                // Who gives a request up is not an error of ours.
                let _ = server.export(request, respond).await;
            });
        }
    }

    async fn export(
        mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Result<(), h2::Error> {
        let body = read(request.into_body()).await?;
        let manner = *self.manner.borrow_and_update();
        let status = match manner {
            Manner::Take(after) => {
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                self.note(&body);
                "0"
            }
            Manner::Refuse => "14",
            Manner::Hang | Manner::Dead => return std::future::pending().await,
        };
        let mut response = Response::new(());
        let content_type = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", content_type);
        let mut stream = respond.send_response(response, false)?;
        stream.send_data(Bytes::from_static(&[0; PREFIX]), false)?;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(status));
        stream.send_trailers(trailers)
    }

    fn note(&self, body: &[u8]) {
        self.log
            .bytes
            .fetch_add(body.len() as u64, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos() as u64;
        let ends = body.get(PREFIX..).and_then(span_ends).unwrap_or_default();
        let delay = |end: u64| Duration::from_nanos(now.saturating_sub(end));
        lock(&self.log.delays).extend(ends.into_iter().map(delay));
    }
}

async fn read(mut body: RecvStream) -> Result<BytesMut, h2::Error> {
    let mut whole = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
