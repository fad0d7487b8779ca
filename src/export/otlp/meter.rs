//! What a server may say in answer to one request, all in all: an answer that never begins has no size of its own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;
use crate::sync::{Arc, AtomicUsize, Ordering};

/// Beside the body of an answer: its head, what HTTP/2 needs, and what is read ahead (2 MiB of a stream's window).
const BESIDE: usize = 4 << 20;

/// A connection that ends where the server says too much. Without it, interim answers, settings and pings without end would
/// keep the exporter busy until the deadline, and beyond: the clock is looked at when there is nothing to read.
pub(super) struct Metered {
    stream: Box<dyn Stream>,
    meter: Meter,
}

/// How many bytes may yet be read.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    left: Arc<AtomicUsize>,
    most: usize,
}

impl Metered {
    pub(super) fn new(stream: Box<dyn Stream>, meter: Meter) -> Self {
        Self { stream, meter }
    }
}

impl Meter {
    /// Of answers whose bodies are read up to so many bytes.
    pub(super) fn new(max_response: usize) -> Self {
        let most = max_response.saturating_add(BESIDE);
        Self {
            left: Arc::new(AtomicUsize::new(most)),
            most,
        }
    }

    /// A request is begun.
    pub(super) fn reset(&self) {
        self.left.store(self.most, Ordering::Relaxed);
    }

    fn note(&self, bytes: usize) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed).checked_sub(bytes);
        let Some(left) = left else {
            return Err(io::Error::other(format!(
                "the server says more than {} bytes to one request",
                self.most
            )));
        };
        self.left.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.meter.note(buffer.filled().len() - before))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
