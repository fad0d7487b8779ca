//! A TCP proxy that makes a network bad, while it runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tracing::subscriber::NoSubscriber;

/// What is wrong with the network, in both directions where nothing else is said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Toxics {
    /// Each piece (16 KiB at most) comes so much later.
    pub(crate) latency: Duration,
    /// Bytes a second.
    pub(crate) bandwidth: Option<usize>,
    /// Pieces of so many bytes, each by itself.
    pub(crate) slice: Option<usize>,
    /// Nothing is forwarded; connections stay, and new ones are accepted.
    pub(crate) blackhole: bool,
    /// A connection ends after so many bytes to the collector.
    pub(crate) limit_up: Option<usize>,
    /// A connection ends after so many bytes of the collector.
    pub(crate) limit_down: Option<usize>,
    /// Every connection is reset, and every new one too.
    pub(crate) reset: bool,
}

pub(crate) struct Toxic {
    address: SocketAddr,
    toxics: watch::Sender<Toxics>,
    counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    open: AtomicUsize,
    up: AtomicUsize,
    down: AtomicUsize,
}

impl Toxic {
    /// A good network to a loopback port.
    pub(crate) fn before(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the proxy");
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .expect("a free port");
        let address = listener.local_addr().expect("a bound socket has one");
        let (toxics, current) = watch::channel(Toxics::default());
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        let thread = std::thread::spawn(move || {
            let _nobody = tracing::subscriber::set_default(NoSubscriber::default());
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, port, current, counted) => {}
                }
            });
        });
        Self {
            address,
            toxics,
            counts,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, on every connection.
    pub(crate) fn set(&self, toxics: Toxics) {
        self.toxics.send_replace(toxics);
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// Bytes that were forwarded to the collector, and from it.
    pub(crate) fn forwarded(&self) -> (usize, usize) {
        let Counts { up, down, .. } = &*self.counts;
        (up.load(Ordering::Relaxed), down.load(Ordering::Relaxed))
    }
}

impl Drop for Toxic {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the proxy did not panic");
        }
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    toxics: watch::Receiver<Toxics>,
    counts: Arc<Counts>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        counts.connections.fetch_add(1, Ordering::Relaxed);
        counts.open.fetch_add(1, Ordering::Relaxed);
        let (toxics, counts) = (toxics.clone(), Arc::clone(&counts));
        tokio::spawn(async move {
            forward(client, port, toxics, &counts).await;
            counts.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Until either end, or the network, has had enough.
async fn forward(
    client: TcpStream,
    port: u16,
    mut toxics: watch::Receiver<Toxics>,
    counts: &Counts,
) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (mut up, mut down) = (
        Pump::new(from_client, to_server, &toxics, |toxics| toxics.limit_up),
        Pump::new(from_server, to_client, &toxics, |toxics| toxics.limit_down),
    );
    let is_reset = tokio::select! {
        reset = toxics.wait_for(|toxics| toxics.reset) => reset.is_ok(),
        _ = async { tokio::try_join!(up.run(&counts.up), down.run(&counts.down)) } => false,
    };
    if is_reset {
        for Pump { from, to, .. } in [up, down] {
            let _ = from.as_ref().set_zero_linger();
            // Otherwise it would say an orderly end first.
            to.forget();
        }
    }
}

/// One direction of a connection.
struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    toxics: watch::Receiver<Toxics>,
    limit: fn(&Toxics) -> Option<usize>,
    forwarded: usize,
}

impl Pump {
    fn new(
        from: OwnedReadHalf,
        to: OwnedWriteHalf,
        toxics: &watch::Receiver<Toxics>,
        limit: fn(&Toxics) -> Option<usize>,
    ) -> Self {
        Self {
            from,
            to,
            toxics: toxics.clone(),
            limit,
            forwarded: 0,
        }
    }

    /// An error ends both directions.
    async fn run(&mut self, count: &AtomicUsize) -> io::Result<()> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            self.healed().await?;
            let Toxics { slice, .. } = *self.toxics.borrow();
            let most = slice.unwrap_or(buffer.len()).clamp(1, buffer.len());
            let length = self.from.read(&mut buffer[..most]).await?;
            if length == 0 {
                return self.to.shutdown().await;
            }
            let toxics = *self.toxics.borrow();
            // A sleep of nothing takes a millisecond.
            if !toxics.latency.is_zero() {
                tokio::time::sleep(toxics.latency).await;
            }
            if let Some(bandwidth) = toxics.bandwidth {
                let seconds = length as f64 / bandwidth.max(1) as f64;
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
            self.healed().await?;
            let left =
                (self.limit)(&toxics).map_or(length, |limit| limit.saturating_sub(self.forwarded));
            let piece = &buffer[..length.min(left)];
            self.to.write_all(piece).await?;
            self.forwarded += piece.len();
            count.fetch_add(piece.len(), Ordering::Relaxed);
            if left <= length && (self.limit)(&toxics).is_some() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    async fn healed(&mut self) -> io::Result<()> {
        let healed = self.toxics.wait_for(|toxics| !toxics.blackhole).await;
        healed.map(drop).map_err(io::Error::other)
    }
}
