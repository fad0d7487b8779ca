//! An open connection, whatever carries it.

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection's bytes, whatever carries them.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open connection, and what its peer agreed to speak.
pub(super) struct Connected {
    pub(super) stream: Box<dyn Stream>,
    pub(super) speaks_http2: bool,
    /// Requests go to a proxy that passes them on, and say so in their first line.
    pub(super) to_a_proxy: bool,
}
