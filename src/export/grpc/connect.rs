//! The connector: a TCP connection without Nagle's delay, and with a send buffer of known size.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tower_service::Service;

/// Names, addresses and the handshake of TCP together take so long at most; the rest of an attempt's time is for sending.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The kernel doubles it: what a collector that does not read holds of ours there stays below 256 KiB, and does not grow to
/// the 4 MiB that Linux allows.
const SEND_BUFFER: u32 = 96 << 10;

#[derive(Clone, Copy, Debug)]
pub(super) struct Connector;

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(async move {
            let connected = tokio::time::timeout(TIMEOUT, connect(&uri)).await;
            connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        })
    }
}

/// Tries the addresses of the host one after the other.
async fn connect(uri: &Uri) -> io::Result<TokioIo<TcpStream>> {
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    // Without a port, the scheme's own; OTLP's 4317 stands in the default endpoint.
    let addresses = lookup_host((host, uri.port_u16().unwrap_or(80))).await?;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match connect_to(address).await {
            Ok(stream) => return Ok(TokioIo::new(stream)),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
