//! A network that is made up: bytes arrive later, and each connection has so many a second.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What is read at a time, and how many of these are on their way: more than any window of the receiver.
const PIECE: usize = 16 << 10;
const PIECES: usize = 2_048;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    /// One way.
    pub(crate) delay: Duration,
    /// Of each connection, towards the collector.
    pub(crate) bytes_per_second: Option<u64>,
}

/// Where it listens. It runs as long as the process does.
pub(crate) fn start(to: SocketAddr, network: Network) -> io::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(relay(socket, to, network));
            }
        });
    });
    Ok(address)
}

async fn relay(from: TcpStream, to: SocketAddr, network: Network) -> io::Result<()> {
    let to = TcpStream::connect(to).await?;
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    let ((from, back), (answers, to)) = (from.into_split(), to.into_split());
    let free = Network {
        bytes_per_second: None,
        ..network
    };
    tokio::try_join!(carry(from, to, network), carry(answers, back, free))?;
    Ok(())
}

/// Carries one way, until either end has gone.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    network: Network,
) -> io::Result<()> {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let reads = async {
        let mut free_at = Instant::now();
        loop {
            let mut piece = vec![0; PIECE];
            let length = from.read(&mut piece).await?;
            if length == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            piece.truncate(length);
            let now = Instant::now();
            if let Some(rate) = network.bytes_per_second {
                let time = Duration::from_secs_f64(length as f64 / rate as f64);
                free_at = free_at.max(now) + time;
                tokio::time::sleep_until(free_at).await;
            }
            let due = Instant::now() + network.delay;
            if sender.send((due, piece)).await.is_err() {
                return Ok(());
            }
        }
    };
    let writes = async {
        while let Some((due, piece)) = pieces.recv().await {
            if !network.delay.is_zero() {
                tokio::time::sleep_until(due).await;
            }
            to.write_all(&piece).await?;
        }
        Ok(())
    };
    tokio::try_join!(reads, writes).map(drop)
}
