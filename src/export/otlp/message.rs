//! The body of a request: the pieces as they are, each one a frame of its own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use crate::sync::{AtomicBool, Ordering};

/// A body of pieces, none of which is copied.
#[derive(Debug)]
pub(super) struct Message {
    parts: VecDeque<Bytes>,
    /// Whether the last piece was handed on to the connection; only then can the destination have taken the request.
    sent: Arc<AtomicBool>,
    held: Arc<()>,
}

/// A part of the body, until it is written.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    _held: Arc<()>,
}

/// What is known of a body after it was handed over.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    sent: Arc<AtomicBool>,
    held: Weak<()>,
}

impl Fate {
    /// Whether all of the body was handed on to the connection.
    pub(super) fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether the connection still holds something of the body.
    pub(super) fn is_held(&self) -> bool {
        self.held.strong_count() > 0
    }
}

impl Message {
    pub(super) fn new(parts: impl IntoIterator<Item = Bytes>) -> (Self, Fate) {
        let message = Self {
            parts: parts.into_iter().collect(),
            sent: Arc::default(),
            held: Arc::default(),
        };
        let fate = Fate {
            sent: Arc::clone(&message.sent),
            held: Arc::downgrade(&message.held),
        };
        (message, fate)
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.bytes.copy_to_bytes(length)
    }
}

impl Body for Message {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        let part = self.parts.pop_front();
        if self.parts.is_empty() {
            self.sent.store(true, Ordering::Relaxed);
        }
        Poll::Ready(part.map(|bytes| {
            Ok(Frame::data(Piece {
                bytes,
                _held: Arc::clone(&self.held),
            }))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}
