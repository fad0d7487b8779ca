//! The body of a request: the pieces as they are, each one a frame of its own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::sync::{Arc, AtomicBool, Ordering};

/// A body of pieces, none of which is copied.
#[derive(Debug)]
pub(super) struct Message {
    parts: VecDeque<Bytes>,
    /// Whether the last piece was handed on to the connection; only then can the destination have taken the request.
    sent: Arc<AtomicBool>,
}

/// What is known of a body after it was handed over.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate(Arc<AtomicBool>);

impl Fate {
    /// Whether all of the body was handed on to the connection.
    pub(super) fn was_sent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Message {
    pub(super) fn new(parts: impl IntoIterator<Item = Bytes>) -> (Self, Fate) {
        let fate = Fate::default();
        let message = Self {
            parts: parts.into_iter().collect(),
            sent: Arc::clone(&fate.0),
        };
        (message, fate)
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.pop_front();
        if self.parts.is_empty() {
            self.sent.store(true, Ordering::Relaxed);
        }
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}
