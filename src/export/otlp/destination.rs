//! Where and how to send, as it was decided before anything is connected.

use super::endpoint::Endpoint;
use crate::config::{Compression, Protocol, Tls};
use crate::export::Headers;

/// Everything that the network needs to know. It is checked: what is asked for is built in.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: Headers,
    pub(crate) compression: Compression,
    /// gzip 0 to 9, zstd 1 to 19; `None` without compression.
    pub(crate) level: Option<i32>,
    pub(crate) tls: Tls,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are asked.
    pub(crate) proxy: bool,
    /// The largest answer in bytes, after decompression.
    pub(crate) max_response: usize,
    /// What stands before the crate's own name in `user-agent`, in printable ASCII.
    pub(crate) user_agent: Option<String>,
}
