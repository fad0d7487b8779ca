//! What one attempt leaves behind, against servers in the same runtime.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::TcpListener;

use super::*;
use crate::config::{Balance, Tls};
use crate::export::Headers;
use crate::signal::Signal;

/// gRPC to this endpoint.
pub(super) fn destination(endpoint: &str, headers: Headers) -> Destination {
    let written = Written {
        signal: Signal::Traces,
        text: endpoint,
        origin: "the test",
        whole: false,
        insecure: false,
    };
    Destination {
        protocol: Protocol::Grpc,
        endpoint: Endpoint::parse(written, Protocol::Grpc).unwrap(),
        further_endpoints: Vec::new(),
        balance: Balance::default(),
        headers,
        compression: Compression::None,
        level: None,
        tls: Tls::new(),
        proxy: false,
        max_response: 4 << 20,
        user_agent: None,
    }
}

fn otlp(port: u16, headers: Headers) -> Otlp {
    let endpoint = format!("http://127.0.0.1:{port}");
    Otlp::new(destination(&endpoint, headers), Arc::default()).unwrap()
}

/// Says yes to every request: when it has read it, or as soon as its head is there.
pub(super) async fn answers(listener: TcpListener, reads: bool, connections: Arc<Mutex<u32>>) {
    // They end with the server.
    let mut served = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        *lock(&connections) += 1;
        served.spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(answer(request.into_body(), reads, respond));
            }
        });
    }
}

async fn answer(
    mut body: h2::RecvStream,
    reads: bool,
    mut respond: h2::server::SendResponse<Bytes>,
) {
    while reads && let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    let mut answer = respond.send_response(Response::new(()), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    answer.send_trailers(trailers).unwrap();
    // As long as the body is there, the stream is not reset.
    std::future::pending::<()>().await;
}

async fn serve(reads: bool) -> (u16, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::default();
    tokio::spawn(answers(listener, reads, Arc::clone(&connections)));
    (port, connections)
}

#[tokio::test]
async fn p_5_what_a_server_answers_without_reading_it_is_not_kept() {
    let (port, connections) = serve(false).await;
    let otlp = otlp(port, Headers::default());
    for sent in 1..4 {
        let body = Bytes::from(vec![0; 1 << 20]);
        let answer = otlp
            .send(Request::new(Signal::Traces, vec![body.clone()], 1))
            .await;
        assert!(answer.is_ok(), "{answer:?}");
        // The connection ends in its own task.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(body.is_unique(), "the body of an answered request is held");
        assert_eq!(*lock(&connections), sent);
    }
}

#[tokio::test]
async fn a_connection_outlives_credentials_that_cannot_be_had() {
    let (port, connections) = serve(false).await;
    let failing = Arc::new(Mutex::new(false));
    let mut headers = Headers::default();
    let fails = Arc::clone(&failing);
    headers.provide(Arc::new(move |_| match *lock(&fails) {
        true => Err("not now".into()),
        false => Ok(Vec::new()),
    }));
    let otlp = otlp(port, headers);
    for fails in [false, true, true, false] {
        *lock(&failing) = fails;
        let body = Bytes::from_static(b"\x0A\x00");
        let answer = otlp.send(Request::new(Signal::Traces, vec![body], 1)).await;
        assert_eq!(answer.is_err(), fails, "{answer:?}");
    }
    assert_eq!(*lock(&connections), 1);
}

#[tokio::test]
async fn a_connection_carries_every_request_that_is_read() {
    let (port, connections) = serve(true).await;
    let otlp = otlp(port, Headers::default());
    for size in (0..40).map(|step| 1 + step * 50_000) {
        let body = Bytes::from(vec![0; size]);
        let answer = otlp.send(Request::new(Signal::Traces, vec![body], 1)).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(*lock(&connections), 1);
}

#[tokio::test]
async fn headers_that_cannot_be_had_are_asked_for_once_and_not_at_each_endpoint() {
    let (one, _) = serve(true).await;
    let (other, _) = serve(true).await;
    let asked = Arc::new(Mutex::new(0));
    let mut headers = Headers::default();
    let asks = Arc::clone(&asked);
    headers.provide(Arc::new(move |_| {
        *lock(&asks) += 1;
        Err("not now".into())
    }));
    let endpoint = |port| destination(&format!("http://127.0.0.1:{port}"), Headers::default());
    let further_endpoints = vec![endpoint(other).endpoint];
    let destination = Destination {
        headers,
        further_endpoints,
        ..endpoint(one)
    };
    let ledger = Arc::<Ledger>::default();
    let otlp = Otlp::new(destination, Arc::clone(&ledger)).unwrap();
    let body = Bytes::from_static(b"\x0A\x00");
    let answer = otlp.send(Request::new(Signal::Traces, vec![body], 1)).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(*lock(&asked), 1);
    assert_eq!(ledger.snapshot(Default::default()).failovers(), 0);
}
