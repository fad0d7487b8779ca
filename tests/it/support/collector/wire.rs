//! A connection's bytes: a socket that fails at an exact byte, and a line that can be taken away from what speaks over it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

use super::lock;
use super::manner::Greeting;

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn pin(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Unix(stream) => Pin::new(stream),
        }
    }
}

/// What is to go wrong on a connection, shared with those who answer its requests.
pub(super) struct Faults {
    greeting: Greeting,
    /// Bytes read so far.
    pub(super) read: AtomicUsize,
    /// Requests that were begun and not yet answered.
    pub(super) busy: AtomicUsize,
    /// Bytes that may yet be written before a reset.
    writable: Mutex<Option<usize>>,
    reset: AtomicBool,
    /// Ends the connection where it stands.
    pub(super) ending: Notify,
}

impl Faults {
    pub(super) fn new(greeting: Greeting) -> Arc<Self> {
        Arc::new(Self {
            greeting,
            read: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            writable: Mutex::new(None),
            reset: AtomicBool::new(false),
            ending: Notify::new(),
        })
    }

    /// The connection is reset when so many bytes more are written.
    pub(super) fn reset_after(&self, bytes: usize) {
        *lock(&self.writable) = Some(bytes);
        if bytes == 0 {
            self.reset.store(true, Ordering::Relaxed);
            self.ending.notify_one();
        }
    }

    fn reset(&self) -> io::Error {
        self.reset.store(true, Ordering::Relaxed);
        io::ErrorKind::ConnectionReset.into()
    }
}

pub(super) struct Wire {
    pub(super) socket: Socket,
    pub(super) faults: Arc<Faults>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Socket::Tcp(stream) = &self.socket
            && self.faults.reset.load(Ordering::Relaxed)
        {
            // The close that follows sends RST, and what was not sent yet is discarded.
            let _ = stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { socket, faults } = &mut *self;
        let read = faults.read.load(Ordering::Relaxed);
        let most = match faults.greeting {
            Greeting::Serve | Greeting::Say(_) => usize::MAX,
            Greeting::StallAfter(limit) if limit == read => return Poll::Pending,
            Greeting::ResetAfter(limit) if limit == read => {
                return Poll::Ready(Err(faults.reset()));
            }
            Greeting::StallAfter(limit) | Greeting::ResetAfter(limit) => limit - read,
        };
        let mut piece = [0; 16 << 10];
        let length = most.min(buffer.remaining()).min(piece.len());
        let mut piece = ReadBuf::new(&mut piece[..length]);
        std::task::ready!(socket.pin().poll_read(context, &mut piece))?;
        buffer.put_slice(piece.filled());
        faults
            .read
            .fetch_add(piece.filled().len(), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { socket, faults } = &mut *self;
        let mut writable = lock(&faults.writable);
        let most = match *writable {
            Some(0) => return Poll::Ready(Err(faults.reset())),
            Some(left) => left.min(bytes.len()),
            None => bytes.len(),
        };
        let written = std::task::ready!(socket.pin().poll_write(context, &bytes[..most]))?;
        if let Some(left) = &mut *writable {
            *left -= written;
        }
        Poll::Ready(Ok(written))
    }

    /// All at once, as sockets do: an alert of TLS stands behind what was begun.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if lock(&self.faults.writable).is_none() {
            return self.socket.pin().poll_write_vectored(context, pieces);
        }
        let first = pieces.iter().find(|piece| !piece.is_empty());
        self.poll_write(context, first.map_or(&[], |piece| piece))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.pin().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.pin().poll_shutdown(context)
    }
}

/// What a protocol runs over, decrypted. Clones share it, so that a connection can be taken out of h2's hands; only one of
/// them may be used at a time.
#[derive(Clone)]
pub(super) struct Line(Arc<Mutex<Ends>>);

struct Ends {
    /// What was read to tell the protocols apart.
    peeked: VecDeque<u8>,
    stream: Box<dyn Duplex>,
}

impl Line {
    pub(super) fn new(stream: impl Duplex + 'static) -> Self {
        Self(Arc::new(Mutex::new(Ends {
            peeked: VecDeque::new(),
            stream: Box::new(stream),
        })))
    }

    /// Whether the client speaks HTTP/2. What is read for it can be read again.
    pub(super) async fn is_http2(&mut self) -> io::Result<bool> {
        let mut begun = Vec::with_capacity(PREFACE.len());
        while begun.len() < PREFACE.len() && PREFACE.starts_with(&begun) {
            let mut rest = vec![0; PREFACE.len() - begun.len()];
            let length = self.read(&mut rest).await?;
            if length == 0 {
                break;
            }
            begun.extend_from_slice(&rest[..length]);
        }
        let is_http2 = begun == PREFACE;
        lock(&self.0).peeked.extend(begun);
        Ok(is_http2)
    }

    /// Reads and forgets for so long; without a time, what is there.
    pub(super) async fn read_some(&mut self, time: Duration) -> io::Result<()> {
        let mut piece = [0; 4 << 10];
        let mut ended = pin!(tokio::time::sleep(time));
        loop {
            tokio::select! {
                biased;
                length = self.read(&mut piece) => if length? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                },
                () = &mut ended => return Ok(()),
            }
        }
    }

    /// Reads and forgets until the client closes.
    pub(super) async fn drain(&mut self) {
        let mut piece = [0; 4 << 10];
        while self.read(&mut piece).await.is_ok_and(|length| length > 0) {}
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ends = lock(&self.0);
        if ends.peeked.is_empty() {
            return Pin::new(&mut ends.stream).poll_read(context, buffer);
        }
        let length = buffer.remaining().min(ends.peeked.len());
        let again: Vec<_> = ends.peeked.drain(..length).collect();
        buffer.put_slice(&again);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut lock(&self.0).stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_shutdown(context)
    }
}
