//! What lies between: a Unix socket, a bad network, a proxy.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::client::{ask, call, connect, exchange, grpc, http1, protobuf, run};
use crate::support::collector::Collector;
use crate::support::collector::manner::grpc_prefixed;
use crate::support::patience::{timed, until};
use crate::support::proxy::Proxy;
use crate::support::rig::Rig;
use crate::support::toxic::{Toxic, Toxics};

fn request() -> Vec<u8> {
    http1("application/x-protobuf", "", &protobuf(9))
}

#[test]
fn a_unix_socket_serves_and_comes_back() {
    let mut collector = Collector::start_unix();
    assert!(collector.endpoint().starts_with("unix:///"));
    let path = collector.path().to_owned();
    for _ in 0..2 {
        let answer = run(async {
            let mut stream = UnixStream::connect(&path).await.expect("somebody listens");
            ask(&mut stream, &request()).await
        });
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        collector.restart();
    }
    assert_eq!(collector.look(|log| log.numbers()[&8]), 2);
    collector.stop();
    assert!(!path.exists());
}

/// One request and its answer through the proxy, and how long they took.
fn through(toxic: &Toxic) -> (String, Duration) {
    timed(|| run(async { ask(&mut connect(toxic.port()).await, &request()).await }))
}

#[test]
fn a_good_network_forwards_both_protocols() {
    let collector = Collector::start();
    let toxic = Toxic::before(collector.port());
    assert!(through(&toxic).0.starts_with("HTTP/1.1 200 "));
    let body = grpc_prefixed(&protobuf(1));
    let answer = run(call(toxic.port(), grpc(None), body)).expect("an answer");
    assert_eq!(answer.trailer("grpc-status"), "0");
    assert_eq!(toxic.connections(), 2);
    let (up, down) = toxic.forwarded();
    assert!(up > request().len() && down > 0, "{up} and {down}");
    until(
        "the end of both",
        || toxic.open() == 0,
        || toxic.open().to_string(),
    );
}

#[test]
fn a_slow_network_is_slow() {
    let collector = Collector::start();
    let toxic = Toxic::before(collector.port());
    toxic.set(Toxics {
        latency: Duration::from_millis(40),
        ..Toxics::default()
    });
    let (_, took) = through(&toxic);
    assert!(took >= Duration::from_millis(80), "{took:?}");
    toxic.set(Toxics {
        bandwidth: Some(10 * request().len()),
        ..Toxics::default()
    });
    let (_, took) = through(&toxic);
    assert!(took >= Duration::from_millis(100), "{took:?}");
    toxic.set(Toxics {
        slice: Some(7),
        ..Toxics::default()
    });
    assert!(through(&toxic).0.starts_with("HTTP/1.1 200 "));
    assert_eq!(collector.look(|log| log.numbers()[&8]), 3);
}

#[test]
fn a_pipeline_delivers_through_tiny_pieces_and_a_cut() {
    let collector = Collector::start();
    let toxic = Toxic::before(collector.port());
    let endpoint = toxic.endpoint();
    let rig = Rig::with(collector, |builder| builder.with_endpoint(endpoint));
    toxic.set(Toxics {
        slice: Some(11),
        ..Toxics::default()
    });
    rig.record(20);
    rig.flush();
    toxic.set(Toxics {
        limit_up: Some(300),
        ..Toxics::default()
    });
    rig.record(20);
    rig.wait("a failed attempt", |stats| stats.retries() > 0);
    toxic.set(Toxics::default());
    rig.flush();
    assert!(toxic.connections() > 1);
    rig.finish(0);
}

#[test]
fn a_black_hole_keeps_connections_and_gives_back_what_it_held() {
    let collector = Collector::start();
    let toxic = Toxic::before(collector.port());
    run(async {
        let mut stream = connect(toxic.port()).await;
        ask(&mut stream, &request()).await;
        toxic.set(Toxics {
            blackhole: true,
            ..Toxics::default()
        });
        stream.write_all(&request()).await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(30), stream.read(&mut [0])).await;
        assert!(silent.is_err(), "{silent:?}");
        assert_eq!(collector.look(|log| log.requests.len()), 1);
        toxic.set(Toxics::default());
        assert!(ask(&mut stream, b"").await.starts_with("HTTP/1.1 200 "));
    });
}

#[test]
fn connections_are_cut_and_reset_and_the_network_heals() {
    let collector = Collector::start();
    let toxic = Toxic::before(collector.port());
    toxic.set(Toxics {
        limit_up: Some(50),
        ..Toxics::default()
    });
    let cut = run(async { exchange(&mut connect(toxic.port()).await, &request()).await });
    assert!(cut.is_err() || cut.is_ok_and(|bytes| bytes.is_empty()));
    assert_eq!(toxic.forwarded().0, 50);
    toxic.set(Toxics {
        limit_down: Some(20),
        ..Toxics::default()
    });
    run(async {
        let mut stream = connect(toxic.port()).await;
        let answer = exchange(&mut stream, &request()).await.expect("an end");
        assert_eq!(answer.len(), 20);
    });
    collector.wait("the request", |log| log.taken().count() == 9);
    toxic.set(Toxics::default());
    run(async {
        let mut stream = connect(toxic.port()).await;
        ask(&mut stream, &request()).await;
        toxic.set(Toxics {
            reset: true,
            ..Toxics::default()
        });
        let reset = stream.read(&mut [0]).await.map_err(|error| error.kind());
        assert_eq!(reset, Err(ErrorKind::ConnectionReset));
    });
    toxic.set(Toxics::default());
    assert!(through(&toxic).0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_tunnel_leads_to_the_collector_whatever_the_name() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    proxy.demands("Basic dXNlcjpwYXNz");
    let connect_to = "CONNECT collector.test:4317 HTTP/1.1\r\nHost: collector.test:4317\r\n";
    run(async {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        let answer = ask(&mut stream, format!("{connect_to}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");

        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        let known = format!("{connect_to}Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
        stream.write_all(known.as_bytes()).await.unwrap();
        let mut answer = [0; 39];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 Connection Established\r\n\r\n");
        let inside = ask(&mut stream, &request()).await;
        assert!(inside.starts_with("HTTP/1.1 200 "), "{inside}");
    });
    let asked = proxy.asked();
    let statuses: Vec<_> = asked.iter().map(|asked| asked.status).collect();
    assert_eq!(statuses, [407, 200]);
    assert_eq!(
        (&*asked[1].method, &*asked[1].target),
        ("CONNECT", "collector.test:4317")
    );
    assert_eq!(
        asked[1].header("proxy-authorization"),
        Some("Basic dXNlcjpwYXNz")
    );
    assert_eq!(
        collector.look(|log| log.requests[0].header("proxy-authorization").len()),
        0
    );
}

#[test]
fn a_whole_uri_is_forwarded_as_a_path_and_a_refusal_is_the_proxys() {
    let collector = Collector::start();
    let proxy = Proxy::leading_to(collector.port());
    let whole = String::from_utf8_lossy(&http1("application/x-protobuf", "", b""))
        .replace("/v1/traces", "http://collector.test/v1/traces?x=1");
    assert_eq!(proxy.endpoint(), format!("http://{}", proxy.address()));
    for status in [200, 503] {
        proxy.refuses((status != 200).then_some(status));
        run(async {
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            let answer = ask(&mut stream, whole.as_bytes()).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        });
    }
    assert_eq!(
        proxy.asked()[0].target,
        "http://collector.test/v1/traces?x=1"
    );
    collector.look(|log| {
        assert_eq!(log.requests.len(), 1);
        assert_eq!(log.requests[0].path, "/v1/traces?x=1");
    });
}
