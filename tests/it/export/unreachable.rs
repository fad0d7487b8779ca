//! Networks and handshakes that swallow what is sent (faults F3, F9, F23).

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use crate::support::collector::{Collector, Greeting};
use crate::support::rig::Rig;
use crate::support::toxic::{Toxic, Toxics};
use crate::support::way::{Carrier, WAYS, Way};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

/// A port whose queue is full: what else asks for a connection gets no answer from Linux, as behind a firewall.
struct Silent {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _waiting: Vec<TcpStream>,
    _runtime: tokio::runtime::Runtime,
}

impl Silent {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the socket");
        let listener = {
            let _inside = runtime.enter();
            let socket = TcpSocket::new_v4().expect("a socket");
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            socket.bind(any).expect("a free port");
            socket.listen(1).expect("the port is ours")
        };
        let address = listener.local_addr().expect("it is bound");
        let connect = |_| TcpStream::connect_timeout(&address, SHORT).ok();
        // Until there is no answer.
        let waiting = (0..10).map_while(connect).collect();
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
            _runtime: runtime,
        }
    }
}

#[test]
fn f3_an_attempt_to_connect_that_nobody_answers_ends_at_the_deadline() {
    let silent = Silent::start();
    for way in [Way::GRPC, Way::HTTP] {
        let rig = Rig::over_with(way, Collector::absent(), |builder| {
            builder
                .with_endpoint(format!("http://{}", silent.address))
                .with_timeout(SHORT)
        });
        rig.record(5);
        rig.wait("a failed attempt", |stats| stats.retries() > 0);
        let said = rig.last_error();
        assert!(said.contains("no connection in time"), "{said}");
        let (_, stats) = rig.give_up();
        assert_eq!(stats.ambiguous(), 0, "nothing was sent");
    }
}

#[test]
fn f3_and_f23_connecting_takes_five_seconds_of_a_longer_deadline() {
    let silent = Silent::start();
    let collector = Collector::start();
    collector.greets(|_| Greeting::StallAfter(0));
    let endpoints = [
        format!("http://{}", silent.address),
        format!("https://127.0.0.1:{}", collector.port()),
    ];
    let started = Instant::now();
    let rigs = endpoints.map(|endpoint| {
        let rig = Rig::over_with(Way::HTTP, Collector::absent(), |builder| {
            builder.with_endpoint(endpoint).with_timeout(LONG)
        });
        rig.record(5);
        rig
    });
    for rig in rigs {
        rig.wait("a failed attempt", |stats| stats.retries() > 0);
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(5), "{took:?}");
        let said = rig.last_error();
        assert!(said.contains("did not answer in time"), "{said}");
        rig.give_up();
    }
}

#[test]
fn f9_a_connection_into_the_void_is_given_up_at_the_deadline_and_replaced() {
    const RECORDS: u64 = 20;
    for way in WAYS {
        let collector = way.collector();
        let toxic = Toxic::before(collector.port());
        let scheme = if way.carrier == Carrier::Plain {
            "http"
        } else {
            "https"
        };
        let endpoint = format!("{scheme}://127.0.0.1:{}", toxic.port());
        let rig = Rig::over_with(way, collector, |builder| {
            builder.with_endpoint(endpoint).with_timeout(SHORT)
        });
        rig.record(RECORDS);
        rig.flush();
        let (before, failed) = (toxic.connections(), rig.stats().retries());
        let blackhole = Toxics {
            blackhole: true,
            ..Toxics::default()
        };
        toxic.set(blackhole);
        rig.record(RECORDS);
        rig.wait("a time-out", |stats| stats.retries() > failed);
        toxic.set(Toxics::default());
        rig.flush();
        assert!(toxic.connections() > before, "{way:?}: a new connection");
        // What the network held back arrives after all.
        let attempts = rig.stats().retries();
        rig.finish(attempts * RECORDS);
    }
}

#[test]
fn f23_a_handshake_that_stalls_or_is_reset_is_no_loss() {
    for way in [Way::GRPC, Way::HTTP] {
        let way = Way {
            carrier: Carrier::Tls,
            ..way
        };
        for greeting in [
            Greeting::StallAfter(0),
            Greeting::StallAfter(100),
            Greeting::ResetAfter(0),
            Greeting::ResetAfter(100),
            // Neither all of the hello, nor what ends the handshake.
            Greeting::StallAfter(300),
        ] {
            let collector = way.collector();
            collector.greets(move |_| greeting);
            let rig = Rig::over_with(way, collector, |builder| builder.with_timeout(SHORT));
            rig.record(5);
            rig.wait("a failed attempt", |stats| stats.retries() > 0);
            let requests = rig.collector.look(|log| log.requests.len());
            assert_eq!(requests, 0, "{greeting:?}");
            rig.collector.greets(|_| Greeting::Serve);
            rig.flush();
            let more = 5 * rig.stats().retries();
            rig.finish(more);
        }
    }
}
