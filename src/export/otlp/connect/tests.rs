use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::super::endpoint::Written;
use super::*;

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Nobody listens there.
fn refuses() -> SocketAddr {
    listener().1
}

fn connector(endpoint: &str) -> Connector {
    let written = Written {
        text: endpoint,
        origin: "a test",
        whole: false,
        insecure: false,
    };
    let endpoint = Endpoint::parse(written, Protocol::Grpc).unwrap();
    Connector::new(&endpoint, Protocol::Grpc, &Tls::default(), None)
}

#[test]
fn f_21_an_address_that_refuses_leads_to_the_next_at_once() {
    let (_listening, good) = listener();
    runtime().block_on(async {
        let begun = Instant::now();
        for addresses in [
            vec![good],
            vec![refuses(), good],
            vec![refuses(), refuses(), good, refuses()],
        ] {
            let stream = connect_to_any(addresses).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
        }
        assert!(begun.elapsed() < TIMEOUT);
    });
}

#[test]
fn f_21_where_every_address_refuses_the_reason_is_told() {
    runtime().block_on(async {
        for addresses in [vec![refuses()], vec![refuses(), refuses()]] {
            let error = connect_to_any(addresses).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
        let error = connect_to_any(Vec::new()).await.unwrap_err();
        assert!(error.to_string().contains("no address"), "{error}");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn f_3_an_address_that_is_silent_leads_to_the_next_after_a_moment() {
    let runtime = runtime();
    let silent = {
        let _inside = runtime.enter();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        socket.listen(1).unwrap()
    };
    let address = silent.local_addr().unwrap();
    let connect = |_| std::net::TcpStream::connect_timeout(&address, NEXT_ADDRESS).ok();
    // Linux does not answer where its queue is full.
    let _waiting: Vec<_> = (0..10).map_while(connect).collect();
    let (_listening, good) = listener();
    runtime.block_on(async {
        let begun = Instant::now();
        let stream = connect_to_any(vec![address, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let took = begun.elapsed();
        assert!(took >= NEXT_ADDRESS && took < TIMEOUT, "{took:?}");
    });
}

#[test]
fn f_21_a_lookup_that_hangs_is_waited_for_by_the_next_attempt_and_by_nobody_else() {
    let (_listening, good) = listener();
    let connector = connector(&format!("http://collector.test:{}", good.port()));
    runtime().block_on(async {
        let (answer, asked) = oneshot::channel();
        *lock(&connector.lookup) =
            Some(tokio::spawn(async { Ok(asked.await.unwrap_or_default()) }));
        // An attempt that is given up leaves it as it is.
        for _ in 0..3 {
            let given_up = tokio::time::timeout(Duration::from_millis(5), connector.connect());
            assert!(given_up.await.is_err());
            assert!(lock(&connector.lookup).is_some());
        }
        answer.send(vec![refuses(), good]).unwrap();
        assert!(connector.connect().await.is_ok());
        assert!(
            lock(&connector.lookup).is_none(),
            "the next connection asks again"
        );
    });
}
