//! What stands for compression where none is built in.

use std::io;

use bytes::Bytes;

use crate::config::Compression;

/// There is none.
#[derive(Debug)]
pub(crate) enum Compressor {}

impl Compressor {
    pub(crate) fn new(compression: Compression, _: Option<u32>) -> io::Result<Option<Self>> {
        match compression {
            Compression::None => Ok(None),
            missing => {
                let what = format!("{0} needs the feature {0}", missing.name());
                Err(io::Error::new(io::ErrorKind::Unsupported, what))
            }
        }
    }

    pub(crate) fn compress(&mut self, _: &[Bytes]) -> io::Result<Bytes> {
        match *self {}
    }

    pub(crate) fn compress_message(&mut self, _: &[Bytes]) -> io::Result<Bytes> {
        match *self {}
    }
}

pub(crate) fn footprint(_: Compression, _: usize) -> usize {
    0
}
