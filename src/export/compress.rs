//! Compression of requests, and its counterpart for responses.
//!
//! A request goes straight from its chunks into one buffer. The codec's tables and the buffer are used again for the next
//! request: to make them anew costs more than to compress a small request.

use std::io;

use bytes::Bytes;

use crate::config::Compression;

/// "The compressed flag" and a length of four bytes stand before each message of gRPC.
const MESSAGE_PREFIX: usize = 5;
/// zstd looks back 128 KiB. On spans of 1 MiB at level 3, its own choice of 1 MiB takes 2.5 MiB of memory instead of 1.6, and a
/// sixth more time, to save two bytes in a thousand.
#[cfg(feature = "zstd")]
const WINDOW_LOG: u32 = 17;
/// The buffer grows by this much at least.
const STEP: usize = 8 << 10;
/// A buffer that is this many times larger than what is needed is given back.
const TOO_LARGE: usize = 4;

/// The most that compressing requests of so many bytes takes, between them too: the buffer at its worst, and the codec's tables.
pub(crate) fn footprint(compression: Compression, request: usize) -> usize {
    let tables = match compression {
        Compression::None => return 0,
        // zlib's own figure for its largest window and memory level.
        Compression::Gzip => 272 << 10,
        // Measured at level 19; level 3 takes 1.7 MiB.
        Compression::Zstd => 4 << 20,
    };
    tables + request + request / 8 + 2 * STEP
}

/// Compresses one request after the other.
pub(crate) struct Compressor {
    codec: Codec,
    /// What the last request was compressed to. Where nobody holds it any more, its memory is used again.
    last: Bytes,
    capacity: usize,
    /// What requests came to lately, the largest of them fading.
    needed: usize,
}

enum Codec {
    #[cfg(feature = "gzip")]
    Gzip(Box<flate2::Compress>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::zstd_safe::CCtx<'static>),
}

impl Compressor {
    /// `None` where nothing is to be compressed. Levels: gzip 0 to 9 (default 1), zstd 1 to 19 (default 3).
    ///
    /// # Errors
    ///
    /// If the feature is missing or the codec cannot be made.
    pub(crate) fn new(compression: Compression, level: Option<u32>) -> io::Result<Option<Self>> {
        let codec = match compression {
            Compression::None => return Ok(None),
            #[cfg(feature = "gzip")]
            Compression::Gzip => Codec::gzip(level.unwrap_or(1)),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Codec::zstd(level.unwrap_or(3))?,
            #[cfg(not(all(feature = "gzip", feature = "zstd")))]
            missing => {
                let _ = level;
                let what = format!("{0} needs the feature {0}", missing.name());
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        };
        Ok(Some(Self {
            codec,
            last: Bytes::new(),
            capacity: 0,
            needed: 0,
        }))
    }

    /// The parts as one compressed body. Its memory is used again by the next request, if nobody holds it by then.
    pub(crate) fn compress(&mut self, parts: &[Bytes]) -> io::Result<Bytes> {
        self.compress_behind(0, parts)
    }

    /// The parts as one compressed message of gRPC, with its prefix.
    pub(crate) fn compress_message(&mut self, parts: &[Bytes]) -> io::Result<Bytes> {
        self.compress_behind(MESSAGE_PREFIX, parts)
    }

    fn compress_behind(&mut self, prefix: usize, parts: &[Bytes]) -> io::Result<Bytes> {
        let total: usize = parts.iter().map(Bytes::len).sum();
        let mut output = Output {
            bytes: self.take_buffer(prefix + total),
            // The worst case: deflate's fixed code, which gzip's level 1 uses, has nine bits for a byte.
            bound: prefix + total + total / 8 + STEP,
        };
        output.bytes.resize(prefix, 0);
        self.codec.compress(parts, total, &mut output)?;
        let mut bytes = output.bytes;
        let length = u32::try_from(bytes.len() - prefix).map_err(io::Error::other)?;
        if let Some(first) = bytes.first_chunk_mut::<MESSAGE_PREFIX>()
            && prefix == MESSAGE_PREFIX
        {
            let [a, b, c, d] = length.to_be_bytes();
            *first = [1, a, b, c, d];
        }
        self.needed = bytes.len().max(self.needed - self.needed / 8);
        self.capacity = bytes.capacity();
        self.last = bytes.into();
        Ok(self.last.clone())
    }

    fn take_buffer(&mut self, uncompressed: usize) -> Vec<u8> {
        self.capacity = 0;
        if let Ok(last) = std::mem::take(&mut self.last).try_into_mut() {
            let mut buffer = Vec::from(last);
            buffer.clear();
            if buffer.capacity() <= self.needed.max(STEP).saturating_mul(TOO_LARGE) {
                return buffer;
            }
        }
        let expected = if self.needed == 0 {
            uncompressed / 8
        } else {
            self.needed
        };
        Vec::with_capacity(expected.max(STEP))
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// A buffer that grows by need, and not past what compression can come to.
struct Output {
    bytes: Vec<u8>,
    bound: usize,
}

impl Output {
    fn make_room(&mut self) {
        let length = self.bytes.len();
        if length == self.bytes.capacity() {
            let more = length.min(self.bound.saturating_sub(length)).max(STEP);
            self.bytes.reserve_exact(more);
        }
    }
}

impl Codec {
    #[cfg(feature = "gzip")]
    fn gzip(level: u32) -> Self {
        let level = flate2::Compression::new(level.min(9));
        Self::Gzip(Box::new(flate2::Compress::new_gzip(level, 15)))
    }

    #[cfg(feature = "zstd")]
    fn zstd(level: u32) -> io::Result<Self> {
        use zstd::zstd_safe::{CCtx, CParameter};

        let mut context =
            CCtx::try_create().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let level = i32::try_from(level.clamp(1, 19)).unwrap_or(3);
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::WindowLog(WINDOW_LOG),
        ] {
            context.set_parameter(parameter).map_err(zstd_error)?;
        }
        Ok(Self::Zstd(context))
    }

    fn compress(&mut self, parts: &[Bytes], total: usize, output: &mut Output) -> io::Result<()> {
        // Only zstd wants to know how much it will be.
        #[cfg(not(feature = "zstd"))]
        let _ = total;
        match *self {
            #[cfg(feature = "gzip")]
            Self::Gzip(ref mut deflate) => gzip(deflate, parts, output),
            #[cfg(feature = "zstd")]
            Self::Zstd(ref mut context) => zstd(context, parts, total, output),
        }
    }
}

#[cfg(feature = "gzip")]
fn gzip(deflate: &mut flate2::Compress, parts: &[Bytes], output: &mut Output) -> io::Result<()> {
    use flate2::{FlushCompress, Status};

    deflate.reset();
    let mut step = |input: &[u8], flush, output: &mut Output| {
        output.make_room();
        let before = deflate.total_in();
        let status = deflate.compress_vec(input, &mut output.bytes, flush)?;
        let consumed = usize::try_from(deflate.total_in() - before).unwrap_or(usize::MAX);
        Ok::<_, io::Error>((consumed, status))
    };
    for part in parts {
        let mut rest: &[u8] = part;
        while !rest.is_empty() {
            let (consumed, _) = step(rest, FlushCompress::None, output)?;
            rest = rest.get(consumed..).unwrap_or_default();
        }
    }
    while step(&[], FlushCompress::Finish, output)?.1 != Status::StreamEnd {}
    Ok(())
}

#[cfg(feature = "zstd")]
fn zstd(
    context: &mut zstd::zstd_safe::CCtx<'static>,
    parts: &[Bytes],
    total: usize,
    output: &mut Output,
) -> io::Result<()> {
    use zstd::zstd_safe::{InBuffer, OutBuffer, ResetDirective};

    context
        .reset(ResetDirective::SessionOnly)
        .map_err(zstd_error)?;
    // With the size known, the tables are no larger than it needs.
    let pledged = u64::try_from(total).ok();
    context.set_pledged_src_size(pledged).map_err(zstd_error)?;
    for part in parts {
        let mut input = InBuffer::around(part);
        while input.pos() < part.len() {
            output.make_room();
            let written = output.bytes.len();
            let mut into = OutBuffer::around_pos(&mut output.bytes, written);
            context
                .compress_stream(&mut into, &mut input)
                .map_err(zstd_error)?;
        }
    }
    loop {
        output.make_room();
        let written = output.bytes.len();
        let mut into = OutBuffer::around_pos(&mut output.bytes, written);
        if context.end_stream(&mut into).map_err(zstd_error)? == 0 {
            return Ok(());
        }
    }
}

#[cfg(feature = "zstd")]
fn zstd_error(code: usize) -> io::Error {
    io::Error::other(zstd::zstd_safe::get_error_name(code))
}

/// Why a response's body could not be decompressed.
#[cfg(all(feature = "gzip", feature = "http"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecompressed {
    /// It comes to more than the limit.
    TooLarge,
    /// It is no gzip, or is cut, or comes in an encoding that we did not ask for.
    Malformed,
}

/// What a response's body is after `content-encoding` is undone: gzip and `identity` are known. "Limit [the size] of
/// response bodies ... including after decompression": it stops at `limit` bytes, and holds no more.
#[cfg(all(feature = "gzip", feature = "http"))]
pub(crate) fn decompress_limited(
    encoding: &str,
    body: &[u8],
    limit: usize,
) -> Result<Vec<u8>, Undecompressed> {
    let encoding = encoding.trim();
    let is = |name: &str| encoding.eq_ignore_ascii_case(name);
    if encoding.is_empty() || is("identity") {
        let small = body.len() <= limit;
        return small.then(|| body.to_vec()).ok_or(Undecompressed::TooLarge);
    }
    if !is("gzip") && !is("x-gzip") {
        return Err(Undecompressed::Malformed);
    }
    inflate(body, limit)
}

#[cfg(all(feature = "gzip", feature = "http"))]
fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, Undecompressed> {
    use io::Read;

    // A gzip file may have several members.
    let mut decoder = flate2::bufread::MultiGzDecoder::new(body);
    let mut plain = Vec::with_capacity(limit.min(body.len().saturating_mul(4)));
    let mut piece = [0; 4096];
    loop {
        let read = match decoder.read(&mut piece) {
            Ok(0) => return Ok(plain),
            Ok(read) => piece.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(Undecompressed::Malformed),
        };
        let room = limit - plain.len();
        if read.len() > room {
            return Err(Undecompressed::TooLarge);
        }
        if plain.capacity() - plain.len() < read.len() {
            plain.reserve_exact(plain.len().max(read.len()).min(room));
        }
        plain.extend_from_slice(read);
    }
}

#[cfg(test)]
mod tests;
