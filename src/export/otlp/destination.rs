//! What is known of a destination before the first request.

use super::Endpoint;
use crate::config::{Compression, Protocol, Tls};
use crate::export::headers::Headers;

#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: Headers,
    pub(crate) compression: Compression,
    pub(crate) level: Option<i32>,
    pub(crate) tls: Tls,
    pub(crate) proxy: bool,
    /// A longer answer is not read to its end.
    pub(crate) max_response: usize,
    pub(crate) user_agent: Option<String>,
}
