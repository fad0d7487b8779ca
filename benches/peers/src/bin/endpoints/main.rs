//! How late records are where one of three endpoints has trouble, under load, on loopback; and whether any are lost.
//!
//! ```text
//! cargo run --release -p peers --bin endpoints [-- --quick] [--rate 1000]
//! ```
//!
//! Three collectors listen at three addresses of the loopback network. Spans are recorded evenly; after a while the collector that takes the most
//! begins to have trouble, and after another it is well again. The delay of a span is the time from its end until a collector takes it, which holds
//! the flush interval (100 ms here). Where a name has the three addresses, it is one of a hosts file that this program has for itself
//! (a mount namespace, by `unshare`): where the machine does not allow that, the row is left out and that is said.

mod hosts;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use peers::arguments::Arguments;
use peers::collector::{Collector, Manner};
use peers::machine;
use peers::table::Table;
use tracing_otlp::{Balance, Batch, Builder, Concurrency, Stats};
use tracing_subscriber::prelude::*;

use hosts::Hosts;

const INTERVAL: Duration = Duration::from_millis(100);
/// As large as grpc-go's windows grow.
const WINDOW: u32 = 16 << 20;
/// The program's own name for the three addresses.
const NAME: &str = "collectors.test";

/// What happens to the collector that takes the most.
#[derive(Clone, Copy)]
struct Trouble {
    name: &'static str,
    manner: Manner,
    /// It is found by its name, which it leaves too.
    is_named: bool,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::of("none", Manner::Take(Duration::ZERO)),
    Trouble::of("dead: connections are refused", Manner::Dead),
    Trouble::of("slow: 3 s a request", Manner::Take(Duration::from_secs(3))),
    Trouble::of("refusing: UNAVAILABLE", Manner::Refuse),
    Trouble::of("hanging: no answer", Manner::Hang),
    Trouble {
        name: "gone from DNS, and dead",
        manner: Manner::Dead,
        is_named: true,
    },
];

impl Trouble {
    const fn of(name: &'static str, manner: Manner) -> Self {
        Self {
            name,
            manner,
            is_named: false,
        }
    }
}

type Way = fn(Builder) -> Builder;

/// How the endpoints are used.
const WAYS: [(&str, Way); 3] = [
    ("fewest in flight, 1 request", |builder| builder),
    ("failover, 1 request", |builder| {
        builder.with_balance(Balance::Failover)
    }),
    ("fewest in flight, 4 requests", |builder| {
        builder.with_concurrency(Concurrency::Fixed(4))
    }),
];

#[derive(Clone, Copy)]
struct Load {
    rate: u32,
    /// Before, during and after the trouble.
    phases: [Duration; 3],
}

fn main() -> io::Result<()> {
    let arguments = Arguments::of_process(&["--quick", "--rate 1000"]);
    // Before any thread is there: it moves the process.
    let hosts = Hosts::of_our_own();
    if let Err(why) = &hosts {
        eprintln!("what is about names is left out: {why}");
    }
    let seconds = if arguments.has("--quick") {
        [1, 2, 2]
    } else {
        [5, 15, 10]
    };
    let load = Load {
        rate: arguments.value("--rate", 1_000),
        phases: seconds.map(Duration::from_secs),
    };
    let mut table = Table::new(
        ["delay: p50, p99, max"]
            .into_iter()
            .chain(WAYS.iter().map(|(name, _)| *name)),
    );
    for trouble in TROUBLES {
        if trouble.is_named && hosts.is_err() {
            continue;
        }
        let cells = std::thread::scope(|scope| {
            let runs = WAYS.iter().enumerate().map(|(number, (_, way))| {
                let hosts = hosts.as_ref().ok().filter(|_| trouble.is_named);
                scope.spawn(move || run(number as u8, *way, trouble, hosts, load))
            });
            let runs: Vec<_> = runs.collect();
            let joined = runs.into_iter().map(|run| run.join().expect("a run"));
            joined.collect::<io::Result<Vec<String>>>()
        })?;
        table.row([trouble.name.to_owned()].into_iter().chain(cells).collect());
    }
    println!("{}\n", machine::description());
    print!("{}", table.markdown());
    Ok(())
}

/// The way's own three addresses, with one port.
fn collectors(way: u8) -> io::Result<Vec<Collector>> {
    let address = |number: u8| IpAddr::V4(Ipv4Addr::new(127, 0, way + 1, number));
    let first = Collector::start(SocketAddr::new(address(1), 0), WINDOW)?;
    let port = first.address().port();
    let others =
        (2..=3).map(|number| Collector::start(SocketAddr::new(address(number), port), WINDOW));
    [Ok(first)].into_iter().chain(others).collect()
}

fn run(
    number: u8,
    way: Way,
    trouble: Trouble,
    hosts: Option<&Hosts>,
    load: Load,
) -> io::Result<String> {
    let collectors = collectors(number)?;
    let addresses: Vec<IpAddr> = collectors.iter().map(|it| it.address().ip()).collect();
    let name = format!("{number}.{NAME}");
    let builder = match hosts {
        None => tracing_otlp::layer().with_endpoints(collectors.iter().map(Collector::endpoint)),
        Some(hosts) => {
            hosts.set(&name, &addresses)?;
            let port = collectors[0].address().port();
            tracing_otlp::layer().with_endpoint(format!("http://{name}:{port}"))
        }
    };
    let builder = builder.with_batch(Batch::default().with_interval(INTERVAL));
    let (layer, guard) = way(builder).build().map_err(io::Error::other)?;
    let subscriber = tracing_subscriber::registry().with(layer);
    let _default = tracing::subscriber::set_default(subscriber);

    let [before, during, after] = load.phases;
    record(load.rate, before);
    let busiest = collectors.iter().max_by_key(|it| it.take_bytes());
    let troubled = busiest.unwrap_or(&collectors[0]);
    troubled.does(trouble.manner);
    if let Some(hosts) = hosts {
        let others = addresses.iter().copied();
        let others = others.filter(|it| *it != troubled.address().ip());
        hosts.set(&name, &others.collect::<Vec<_>>())?;
    }
    record(load.rate, during);
    troubled.does(Manner::Take(Duration::ZERO));
    if let Some(hosts) = hosts {
        hosts.set(&name, &addresses)?;
    }
    record(load.rate, after);
    let handle = guard.handle();
    let _ = handle.flush(Duration::from_secs(30));
    let delays = collectors.iter().flat_map(Collector::take_delays);
    Ok(cell(delays.collect(), &handle.stats()))
}

/// A span after the other, evenly.
fn record(rate: u32, time: Duration) {
    let begun = Instant::now();
    let spans = (f64::from(rate) * time.as_secs_f64()) as u32;
    for number in 0..spans {
        let due = begun + Duration::from_secs(1) / rate * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        drop(tracing::info_span!("work", number));
    }
}

fn cell(mut delays: Vec<Duration>, stats: &Stats) -> String {
    delays.sort_unstable();
    let at = |share: f64| {
        let place = (delays.len().saturating_sub(1) as f64 * share) as usize;
        delays.get(place).copied().unwrap_or_default().as_secs_f64()
    };
    let mut text = format!("{:.2} s, {:.2} s, {:.2} s", at(0.5), at(0.99), at(1.0));
    let lost = stats.accepted() - stats.delivered();
    let twice = (delays.len() as u64).saturating_sub(stats.delivered());
    if lost > 0 {
        text += &format!(", {lost} LOST");
    }
    if twice > 0 {
        text += &format!(", {twice} of {} twice", stats.accepted());
    }
    text
}
