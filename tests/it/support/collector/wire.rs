//! A TCP stream that fails at an exact byte.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{Greeting, lock};

/// What is to go wrong on a connection, shared with those who answer its requests.
pub(super) struct Faults {
    greeting: Greeting,
    /// Bytes read so far.
    pub(super) read: AtomicUsize,
    /// Bytes that may yet be written before a reset.
    writable: Mutex<Option<usize>>,
    reset: AtomicBool,
    /// Tells the connection that one of its requests has asked for its end.
    pub(super) ending: Notify,
    pub(super) go_away: AtomicBool,
}

impl Faults {
    pub(super) fn new(greeting: Greeting) -> Arc<Self> {
        Arc::new(Self {
            greeting,
            read: AtomicUsize::new(0),
            writable: Mutex::new(None),
            reset: AtomicBool::new(false),
            ending: Notify::new(),
            go_away: AtomicBool::new(false),
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
    pub(super) stream: TcpStream,
    pub(super) faults: Arc<Faults>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.faults.reset.load(Ordering::Relaxed) {
            // The close that follows sends RST, and what was not sent yet is discarded.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, faults } = &mut *self;
        let read = faults.read.load(Ordering::Relaxed);
        let most = match faults.greeting {
            Greeting::Serve => usize::MAX,
            Greeting::StallAfter(limit) if limit == read => return Poll::Pending,
            Greeting::ResetAfter(limit) if limit == read => {
                return Poll::Ready(Err(faults.reset()));
            }
            Greeting::StallAfter(limit) | Greeting::ResetAfter(limit) => limit - read,
        };
        let mut piece = [0; 16 << 10];
        let length = most.min(buffer.remaining()).min(piece.len());
        let mut piece = ReadBuf::new(&mut piece[..length]);
        std::task::ready!(Pin::new(stream).poll_read(context, &mut piece))?;
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
        let Self { stream, faults } = &mut *self;
        let mut writable = lock(&faults.writable);
        let most = match *writable {
            Some(0) => return Poll::Ready(Err(faults.reset())),
            Some(left) => left.min(bytes.len()),
            None => bytes.len(),
        };
        let written = std::task::ready!(Pin::new(stream).poll_write(context, &bytes[..most]))?;
        if let Some(left) = &mut *writable {
            *left -= written;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
