//! Names whose addresses come and go, before servers in the same runtime.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::super::tests::{answers, destination};
use super::*;
use crate::export::otlp::Otlp;
use crate::export::{Headers, Request, Transport};
use crate::signal::Signal;
use crate::stats::{Counts, Ledger};

struct Server {
    address: SocketAddr,
    connections: Arc<Mutex<u32>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::default();
        let task = tokio::spawn(answers(listener, true, Arc::clone(&connections)));
        Self {
            address,
            connections,
            task,
        }
    }

    fn connections(&self) -> u32 {
        *lock(&self.connections)
    }
}

type Addresses = Arc<Mutex<io::Result<Vec<SocketAddr>>>>;

/// A client of `collector`, a name that has these addresses.
fn client(addresses: &[SocketAddr]) -> (Otlp, Addresses, Arc<Ledger>) {
    let known: Addresses = Arc::new(Mutex::new(Ok(addresses.to_vec())));
    let names = Arc::clone(&known);
    let resolve: Resolve = Box::new(move |host, port| {
        assert_eq!((host.as_str(), port), ("collector", 4317));
        let found = match &*lock(&names) {
            Ok(addresses) => Ok(addresses.clone()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        Box::pin(async { found })
    });
    let destination = destination("http://collector:4317", Headers::default());
    let ledger = Arc::<Ledger>::default();
    let otlp = Otlp::with_names(destination, Arc::clone(&ledger), resolve).unwrap();
    (otlp, known, ledger)
}

async fn send(otlp: &Otlp) -> Result<(), String> {
    let request = Request::new(Signal::Traces, vec![Bytes::from_static(b"\x0A\x00")], 1);
    let answer = otlp.send(request).await;
    answer.map(drop).map_err(|failure| failure.message)
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn every_address_of_a_name_is_tried_and_the_one_that_answers_is_kept() {
    let server = Server::start().await;
    let addresses = [nobody().await, nobody().await, server.address];
    let (otlp, _, ledger) = client(&addresses);
    for _ in 0..5 {
        assert_eq!(send(&otlp).await, Ok(()));
    }
    assert_eq!(server.connections(), 1);
    // Where nobody listened, nothing was sent.
    assert_eq!(ledger.snapshot(Counts::default()).failovers(), 0);
}

#[tokio::test]
async fn a_name_that_moves_is_followed_when_its_address_fails() {
    let (old, new) = (Server::start().await, Server::start().await);
    let (otlp, known, _) = client(&[old.address]);
    assert_eq!(send(&otlp).await, Ok(()));
    old.task.abort();
    *lock(&known) = Ok(vec![new.address]);
    // It is looked up once a second at most.
    let deadline = Instant::now() + Duration::from_secs(10);
    while send(&otlp).await.is_err() {
        assert!(Instant::now() < deadline, "the new address is not found");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(new.connections(), 1);
}

#[tokio::test]
async fn what_is_gone_from_a_name_has_no_further_request_and_may_come_back() {
    let (one, other) = (Server::start().await, Server::start().await);
    let (otlp, _, _) = client(&[one.address]);
    assert_eq!(send(&otlp).await, Ok(()));
    let fleet = &otlp.0.fleet;
    for (address, connections) in [(other.address, [1, 1]), (one.address, [2, 1])] {
        fleet.found(0, Ok(vec![address]));
        for _ in 0..3 {
            assert_eq!(send(&otlp).await, Ok(()));
        }
        assert_eq!([one.connections(), other.connections()], connections);
    }
    // A look-up that fails, or finds nothing, changes nothing.
    fleet.found(0, Err(io::Error::other("no resolver")));
    fleet.found(0, Ok(Vec::new()));
    assert_eq!(send(&otlp).await, Ok(()));
    assert_eq!(one.connections(), 2);
}

#[tokio::test]
async fn a_name_that_is_not_found_is_said_and_looked_up_again() {
    let server = Server::start().await;
    let (otlp, known, _) = client(&[]);
    let text = "failed to lookup address information: Name or service not known";
    *lock(&known) = Err(io::Error::other(text));
    for _ in 0..3 {
        let said = send(&otlp).await.unwrap_err();
        assert!(
            said.starts_with("http://collector:4317: the host's name was not found"),
            "{said}"
        );
    }
    *lock(&known) = Ok(Vec::new());
    let said = send(&otlp).await.unwrap_err();
    assert!(said.contains("the host has no address"), "{said}");
    *lock(&known) = Ok(vec![server.address]);
    assert_eq!(send(&otlp).await, Ok(()));
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_nothing_in_flight() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (otlp, _, _) = client(&[listener.local_addr().unwrap()]);
    for _ in 0..3 {
        let sending = tokio::time::timeout(Duration::from_millis(20), send(&otlp));
        assert!(sending.await.is_err(), "nobody answers");
    }
    let balance = format!("{:?}", otlp.0.fleet.balance);
    assert!(balance.contains("in_flight: 0"), "{balance}");
}

/// tokio panics where the system has no thread for the look-up.
#[tokio::test]
async fn f_21_a_look_up_that_panics_is_not_the_last_one() {
    let server = Server::start().await;
    let address = server.address;
    let asked = Mutex::new(0);
    let resolve: Resolve = Box::new(move |_, _| {
        *lock(&asked) += 1;
        let is_first = *lock(&asked) == 1;
        Box::pin(async move {
            if is_first {
                std::panic::resume_unwind(Box::new("OS can't spawn worker thread"));
            }
            Ok(vec![address])
        })
    });
    let destination = destination("http://collector:4317", Headers::default());
    let otlp = Otlp::with_names(destination, Arc::default(), resolve).unwrap();
    let began = Instant::now();
    let said = send(&otlp).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(1), "{said}");
    assert_eq!(send(&otlp).await, Ok(()));
}
