//! Whether several connections to one address help: what goes through one, through several requests on one, and through several.
//!
//! ```text
//! cargo run --release -p peers --bin connections [-- --quick]
//! ```
//!
//! A collector on loopback behind a relay that delays bytes both ways, and lets each connection have so many a second where that
//! is said; so no rights are needed to make a network slow. The first three columns are a plain HTTP/2 client that sends bodies of 1 MiB one
//! after the other, in so many streams of so many connections; the last two are the exporter, in requests of 1 MiB, as it comes and with
//! [`Builder::with_concurrency`](tracing_otlp::Builder::with_concurrency).

mod client;
mod relay;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use peers::arguments::Arguments;
use peers::collector::{Collector, Manner};
use peers::machine;
use peers::table::Table;
use tracing_otlp::{Batch, Concurrency};
use tracing_subscriber::prelude::*;

use relay::Network;

/// HTTP/2's own, which a server has that says nothing.
const USUAL: u32 = 65_535;
/// As large as grpc-go's windows grow.
const LARGE: u32 = 16 << 20;
/// Requests in flight where there are several.
const SEVERAL: usize = 4;
const MIB: usize = 1 << 20;

struct Case {
    name: &'static str,
    window: u32,
    network: Network,
    /// How long the collector works on a request.
    work: Duration,
}

const fn case(
    name: &'static str,
    window: u32,
    millis: u64,
    mib_per_second: u64,
    work: u64,
) -> Case {
    Case {
        name,
        window,
        network: Network {
            delay: Duration::from_millis(millis),
            bytes_per_second: match mib_per_second {
                0 => None,
                mib => Some(mib << 20),
            },
        },
        work: Duration::from_millis(work),
    }
}

const CASES: [Case; 5] = [
    case("near: loopback, and the relay", LARGE, 0, 0, 0),
    case("20 ms there and back", LARGE, 10, 0, 0),
    case("the same, windows of 64 KiB", USUAL, 10, 0, 0),
    case("each connection has 4 MiB/s", LARGE, 0, 4, 0),
    case("the collector works 50 ms on each", LARGE, 0, 0, 50),
];

fn main() -> io::Result<()> {
    let arguments = Arguments::of_process(&["--quick"]);
    let time = Duration::from_secs(if arguments.has("--quick") { 2 } else { 8 });
    let mut table = Table::new([
        "MiB/s",
        "1 connection, 1 request",
        "1 connection, 4 requests",
        "4 connections, 1 request each",
        "exporter",
        "exporter, Fixed(4)",
    ]);
    for case in &CASES {
        let mut row = vec![case.name.to_owned()];
        for (connections, streams) in [(1, 1), (1, SEVERAL), (SEVERAL, 1)] {
            let rate = measure(case, time, |address| {
                client::send(address, connections, streams, MIB)
            })?;
            row.push(format!("{rate:.1}"));
        }
        for requests in [1, SEVERAL] {
            let rate = measure(case, time, |address| export(address, requests))?;
            row.push(format!("{rate:.1}"));
        }
        table.row(row);
    }
    println!("{}\n", machine::description());
    print!("{}", table.markdown());
    Ok(())
}

/// MiB a second that the collector took, after a second in which everything gets going.
fn measure<T>(
    case: &Case,
    time: Duration,
    start: impl FnOnce(SocketAddr) -> io::Result<T>,
) -> io::Result<f64> {
    let collector = Collector::start(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), case.window)?;
    collector.does(Manner::Take(case.work));
    let relay = relay::start(collector.address(), case.network)?;
    let running = start(relay)?;
    std::thread::sleep(Duration::from_secs(1));
    collector.take_bytes();
    let begun = Instant::now();
    std::thread::sleep(time);
    let bytes = collector.take_bytes() as f64;
    let rate = bytes / begun.elapsed().as_secs_f64() / MIB as f64;
    drop(running);
    Ok(rate)
}

/// Records more than can be sent, until this is dropped.
struct Recording {
    _guard: tracing_otlp::Guard,
    stop: std::sync::mpsc::Sender<()>,
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.stop.send(());
    }
}

fn export(address: SocketAddr, requests: usize) -> io::Result<Recording> {
    let (layer, guard) = tracing_otlp::layer()
        .with_endpoint(format!("http://{address}"))
        .with_memory_limit(64 << 20)
        .with_batch(Batch::default().with_adaptive_size(false))
        .with_concurrency(Concurrency::Fixed(requests))
        .with_shutdown_timeout(Duration::ZERO)
        .build()
        .map_err(io::Error::other)?;
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let (stop, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let payload = "x".repeat(4_000);
        tracing::dispatcher::with_default(&dispatch, || {
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                // 250 MiB a second at most, in pieces that leave the machine to the others.
                (0..64).for_each(|_| drop(tracing::info_span!("work", payload)));
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    });
    Ok(Recording {
        _guard: guard,
        stop,
    })
}
