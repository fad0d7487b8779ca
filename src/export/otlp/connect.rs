//! The connector: a byte stream to the endpoint, by TCP or a Unix socket, through a proxy where there is one, encrypted where
//! the endpoint says so.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;

use super::endpoint::{Endpoint, Target};
use super::pending::Pending;
use super::proxy::{self, Proxy};
use super::stream::{Connected, Stream};
use super::tls;
use crate::config::{Protocol, Tls};

/// Names, addresses, proxy and handshakes together take so long at most; the rest of an attempt's time is for sending.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The next address is tried when one has not answered for so long (RFC 8305, "Connection Attempt Delay").
pub(super) const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// The kernel doubles it: what a collector that does not read holds of ours there stays below 256 KiB, and does not grow to
/// the 4 MiB that Linux allows.
const SEND_BUFFER: u32 = 96 << 10;

/// A peer that has vanished is noticed within 20 seconds, also while nothing is sent.
const SILENCE: Duration = Duration::from_secs(10);
const PROBE: Duration = Duration::from_secs(5);
const PROBES: u32 = 2;

#[derive(Debug)]
pub(super) struct Connector {
    target: Target,
    protocol: Protocol,
    tls: Option<Tls>,
    proxy: Option<Proxy>,
    lookup: Pending<Vec<SocketAddr>>,
    certificates: Pending<tls::Config>,
}

impl Connector {
    pub(super) fn new(
        endpoint: &Endpoint,
        protocol: Protocol,
        tls: &Tls,
        proxy: Option<Proxy>,
    ) -> Self {
        Self {
            target: endpoint.target.clone(),
            protocol,
            tls: endpoint.tls.then(|| tls.clone()),
            proxy,
            lookup: Pending::default(),
            certificates: Pending::default(),
        }
    }

    /// To the address given, which is one of its host's, where there is no proxy.
    pub(super) async fn connect(&self, address: Option<SocketAddr>) -> io::Result<Connected> {
        match tokio::time::timeout(TIMEOUT, self.connect_in_time(address)).await {
            Ok(connected) => connected,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no connection within {TIMEOUT:?}"),
            )),
        }
    }

    /// What a proxy that passes requests on wants to see in each.
    pub(super) fn authorization(&self, to_a_proxy: bool) -> Option<&HeaderValue> {
        let proxy = self.proxy.as_ref().filter(|_| to_a_proxy)?;
        proxy.authorization.as_ref()
    }

    async fn connect_in_time(&self, address: Option<SocketAddr>) -> io::Result<Connected> {
        let (host, port) = match &self.target {
            Target::Unix(path) => return Ok(self.plain(unix(path).await?, false)),
            Target::Tcp { host, port } => (host.as_str(), *port),
        };
        // gRPC is HTTP/2, which no proxy passes on unasked: it gets a tunnel, encrypted or not.
        let is_tunnel = self.tls.is_some() || self.protocol == Protocol::Grpc;
        let stream = match (&self.proxy, address) {
            (None, Some(address)) => connect_to(address).await?,
            (None, None) => self.tcp(host, port).await?,
            (Some(proxy), _) => {
                let tunnel = is_tunnel.then_some((host, port));
                let stream = self.through(proxy, tunnel).await;
                stream.map_err(|error| proxy::at(proxy, &error))?
            }
        };
        match &self.tls {
            None => Ok(self.plain(Box::new(stream), self.proxy.is_some() && !is_tunnel)),
            Some(settings) => {
                let config = tls::config(settings, self.protocol, &self.certificates).await?;
                tls::encrypt(stream, host, settings, config, self.protocol).await
            }
        }
    }

    async fn tcp(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        connect_to_any(self.addresses(host, port).await?).await
    }

    /// To the proxy, and through it where there is to be a tunnel.
    async fn through(&self, proxy: &Proxy, tunnel: Option<(&str, u16)>) -> io::Result<TcpStream> {
        let mut stream = self.tcp(&proxy.host, proxy.port).await?;
        if let Some((host, port)) = tunnel {
            proxy::tunnel(&mut stream, proxy, host, port).await?;
        }
        Ok(stream)
    }

    /// Without TLS nobody negotiates: gRPC is HTTP/2, and OTLP over HTTP is HTTP/1.1.
    fn plain(&self, stream: Box<dyn Stream>, to_a_proxy: bool) -> Connected {
        Connected {
            stream,
            speaks_http2: self.protocol == Protocol::Grpc,
            to_a_proxy,
        }
    }

    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let host = host.to_owned();
        let lookup = async move { Ok(lookup_host((host, port)).await?.collect()) };
        self.lookup.join(|| Ok(tokio::spawn(lookup))).await
    }
}

/// Tries the addresses in their order, each one when the one before has failed or has not answered for a while; the first
/// connection is taken.
async fn connect_to_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter();
    loop {
        let next = waiting.next();
        let was_last = next.is_none();
        if let Some(address) = next {
            attempts.spawn(connect_to(address));
        }
        let patience = if was_last { TIMEOUT } else { NEXT_ADDRESS };
        match tokio::time::timeout(patience, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => failure = error,
            Ok(Some(Err(error))) => failure = io::Error::other(error),
            Ok(None) if was_last => return Err(failure),
            Ok(None) | Err(_) => {}
        }
    }
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Each of these helps, and a sandbox that refuses them is no reason not to connect.
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    let stream = socket.connect(address).await?;
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(SILENCE);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let keepalive = keepalive.with_interval(PROBE).with_retries(PROBES);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    Ok(stream)
}

#[cfg(unix)]
async fn unix(path: &Path) -> io::Result<Box<dyn Stream>> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn unix(_: &Path) -> io::Result<Box<dyn Stream>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "Unix sockets are not to be had on this system",
    ))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    /// A listener whose queue is full: Linux answers no further connection.
    #[cfg(target_os = "linux")]
    async fn hanging() -> (TcpListener, Vec<JoinHandle<io::Result<TcpStream>>>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        loop {
            let mut next = tokio::spawn(TcpStream::connect(address));
            let connected = tokio::time::timeout(Duration::from_millis(200), &mut next).await;
            waiting.push(match connected {
                Ok(stream) => tokio::spawn(async { stream.map_err(io::Error::other)? }),
                Err(_) => return (listener, waiting),
            });
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn f_3_and_21_an_address_that_hangs_or_refuses_leads_to_the_next() {
        let (hanging, _waiting) = hanging().await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refuses = closed.local_addr().unwrap();
        drop(closed);
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good_address = good.local_addr().unwrap();
        for bad in [hanging.local_addr().unwrap(), refuses] {
            let stream = connect_to_any(vec![bad, good_address]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good_address);
        }
        let failed = connect_to_any(vec![refuses, refuses]).await;
        let kind = failed.map_err(|error| error.kind()).err();
        assert_eq!(kind, Some(io::ErrorKind::ConnectionRefused));
        assert!(connect_to_any(Vec::new()).await.is_err());
    }
}
