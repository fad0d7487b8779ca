//! An answer, as far as it is read: the server is not trusted in its length.

use std::future::poll_fn;
use std::pin::Pin;
#[cfg(feature = "http")]
use std::time::Duration;
use std::time::SystemTime;

#[cfg(all(feature = "gzip", feature = "http"))]
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::line::Broken;
use crate::export::answer::Received;
#[cfg(all(feature = "gzip", feature = "http"))]
use crate::export::compress;

/// A response says little; what exceeds this is read and forgotten.
const MAX_READ: usize = 64 << 10;

/// Behind the head of an answer, its body has so long.
#[cfg(feature = "http")]
const BODY: Duration = Duration::from_secs(1);

/// No protobuf and no JSON: a body that was not understood must not read as an empty one.
#[cfg(all(feature = "gzip", feature = "http"))]
const UNREADABLE: &[u8] = &[0xFF];

/// An answer, read to its end or to what we look at.
#[derive(Debug)]
pub(super) struct Whole {
    status: StatusCode,
    headers: HeaderMap,
    trailers: HeaderMap,
    body: Vec<u8>,
    at: SystemTime,
    /// It was longer than what we read.
    pub(super) cut: bool,
}

impl Whole {
    /// An answer of gRPC, whose status stands behind its body.
    pub(super) async fn read(response: Response<Incoming>, most: usize) -> Result<Self, Broken> {
        let (mut whole, body) = Self::begin(response);
        whole.read_body(body, most).await?;
        Ok(whole)
    }

    /// An answer of HTTP, which has answered with its head: what is wrong with its body does not undo that.
    #[cfg(feature = "http")]
    pub(super) async fn read_behind_head(response: Response<Incoming>, most: usize) -> Self {
        let (mut whole, body) = Self::begin(response);
        let read = tokio::time::timeout(BODY, whole.read_body(body, most)).await;
        whole.cut |= !matches!(read, Ok(Ok(())));
        whole.decompress();
        whole
    }

    fn begin(response: Response<Incoming>) -> (Self, Incoming) {
        let (head, body) = response.into_parts();
        let whole = Self {
            status: head.status,
            headers: head.headers,
            trailers: HeaderMap::new(),
            body: Vec::new(),
            at: SystemTime::now(),
            cut: false,
        };
        (whole, body)
    }

    /// Keeps the first 64 KiB of the body, and reads on to its end or to `most`.
    async fn read_body(&mut self, mut body: Incoming, most: usize) -> Result<(), Broken> {
        let mut length = 0;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            match frame?.into_data() {
                Ok(data) => {
                    length += data.len();
                    let room = MAX_READ - self.body.len();
                    let kept = data.get(..room).unwrap_or(&data);
                    self.body.extend_from_slice(kept);
                }
                Err(frame) => self.trailers = frame.into_trailers().unwrap_or_default(),
            }
            if length > most {
                self.cut = true;
                break;
            }
        }
        Ok(())
    }

    /// What cannot be decompressed, or comes to more than we look at, is as good as nothing.
    #[cfg(feature = "http")]
    fn decompress(&mut self) {
        #[cfg(feature = "gzip")]
        if let Some(encoding) = self.headers.get(CONTENT_ENCODING) {
            let encoding = encoding.to_str().unwrap_or_default();
            let plain = compress::decompress_limited(encoding, &self.body, MAX_READ);
            self.body = plain.unwrap_or_else(|_| UNREADABLE.to_vec());
        }
    }

    pub(super) fn view(&self) -> Received<'_> {
        Received {
            status: self.status,
            headers: &self.headers,
            trailers: &self.trailers,
            body: &self.body,
            at: self.at,
        }
    }
}
