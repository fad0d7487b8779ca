//! Where and how to send, as it was decided before anything is connected.

use super::endpoint::Endpoint;
use crate::config::{Balance, Compression, Protocol, Tls};
use crate::export::{Headers, compress, json_footprint};

/// Everything that the network needs to know. It is checked: what is asked for is built in.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: Endpoint,
    /// Beside that one, of the same destination.
    pub(crate) further_endpoints: Vec<Endpoint>,
    /// Which of them has the next request.
    pub(crate) balance: Balance,
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

impl Destination {
    /// In the order given.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.endpoint).chain(&self.further_endpoints)
    }

    /// The most that encoding requests of so many bytes takes: nothing where they are sent as they are.
    pub(crate) fn footprint(&self, request: usize) -> usize {
        match self.protocol {
            Protocol::Grpc | Protocol::HttpProtobuf => {
                compress::footprint(self.compression, request)
            }
            Protocol::HttpJson => {
                json_footprint(request) + compress::footprint(self.compression, 3 * request)
            }
        }
    }
}
