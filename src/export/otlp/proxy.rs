//! Through an HTTP proxy: a tunnel (`CONNECT`, RFC 9110) for what is encrypted.

mod environment;

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) use self::environment::{Proxy, proxy_for};

/// A proxy's answer is short.
const MAX_ANSWER: usize = 8 << 10;

/// What fails at the proxy is not to be taken for a failure of the destination, so it does not keep its kind.
pub(super) fn at(proxy: &Proxy, error: &io::Error) -> io::Error {
    io::Error::other(format!("the proxy {proxy}: {error}"))
}

/// Asks the proxy for a tunnel; what is written afterwards goes to the target.
pub(super) async fn tunnel(
    stream: &mut TcpStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> io::Result<()> {
    let target = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let status = answer(stream).await?;
    let seen = match status {
        200..=299 => return Ok(()),
        407 => "wants other credentials; they stand in the variable that names it",
        _ => "did not open a tunnel",
    };
    Err(io::Error::other(format!("it {seen} (HTTP {status})")))
}

/// Reads the head of the answer byte by byte, since what stands behind it is the target's.
async fn answer(stream: &mut TcpStream) -> io::Result<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_ANSWER {
            return Err(malformed());
        }
        head.push(stream.read_u8().await?);
    }
    status(&head).ok_or_else(malformed)
}

fn status(head: &[u8]) -> Option<u16> {
    let head = head.strip_prefix(b"HTTP/1.")?;
    let digits = head.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn malformed() -> io::Error {
    io::Error::other("its answer is no HTTP/1.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_stands_behind_the_version() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for odd in ["", "HTTP/1.1", "HTTP/2 200 OK", "SSH-2.0-x", "HTTP/1.1 abc"] {
            assert_eq!(status(odd.as_bytes()), None, "{odd}");
        }
    }
}
