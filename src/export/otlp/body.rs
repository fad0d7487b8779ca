//! From a request to the bytes of a body: framed for gRPC, as JSON, compressed.

use bytes::Bytes;

use super::destination::Destination;
use crate::config::{Compression, Protocol};
use crate::error::Error;
use crate::export::compress::Compressor;
use crate::export::transport::{Failure, Request};

/// Before a gRPC message stand a byte that says whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A body, as pieces in their order.
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
    compression: Compression,
    compressor: Option<Compressor>,
}

impl Encoder {
    pub(super) fn new(destination: &Destination) -> Result<Self, Error> {
        let Destination {
            protocol,
            compression,
            level,
            ..
        } = *destination;
        let level = level.and_then(|level| u32::try_from(level).ok());
        let compressor = Compressor::new(compression, level)
            .map_err(|error| Error::config(format!("Builder::with_compression: {error}")))?;
        Ok(Self {
            protocol,
            compression,
            compressor,
        })
    }

    /// The body of a request, `plain` where the destination does not want it compressed.
    pub(super) fn encode(&mut self, request: &Request, plain: bool) -> Result<Outgoing, Failure> {
        let json = match self.protocol {
            Protocol::HttpJson => Some(json(request)?),
            Protocol::Grpc | Protocol::HttpProtobuf => None,
        };
        let parts = json.as_slice();
        let parts = if parts.is_empty() {
            request.parts()
        } else {
            parts
        };
        let is_grpc = self.protocol == Protocol::Grpc;
        let compressor = self.compressor.as_mut().filter(|_| !plain);
        let compressed = compressor.map(|compressor| {
            if is_grpc {
                compressor.compress_message(parts)
            } else {
                compressor.compress(parts)
            }
        });
        // What cannot be compressed is sent as it is.
        if let Some(Ok(body)) = compressed {
            return Ok(Outgoing {
                parts: vec![body],
                compression: self.compression,
            });
        }
        let mut body = Vec::with_capacity(parts.len() + 1);
        if is_grpc {
            body.push(prefix(request)?);
        }
        body.extend_from_slice(parts);
        Ok(Outgoing {
            parts: body,
            compression: Compression::None,
        })
    }
}

fn prefix(request: &Request) -> Result<Bytes, Failure> {
    let length = u32::try_from(request.bytes())
        .map_err(|_| Failure::too_large("a gRPC message holds less than 4 GiB"))?;
    let mut prefix = [0; PREFIX];
    prefix[1..].copy_from_slice(&length.to_be_bytes());
    Ok(Bytes::copy_from_slice(&prefix))
}

#[cfg(feature = "http-json")]
fn json(request: &Request) -> Result<Bytes, Failure> {
    let mut text = Vec::with_capacity(3 * request.bytes());
    crate::proto::json::request(request.signal(), &request.to_vec(), &mut text)
        .map_err(|_| Failure::reject("the request is no OTLP"))?;
    Ok(text.into())
}

#[cfg(not(feature = "http-json"))]
fn json(_: &Request) -> Result<Bytes, Failure> {
    Err(Failure::reject("JSON needs the feature http-json"))
}
