//! Middlewares that are still on opentelemetry 0.32, unchanged, over loopback.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use actix_web::{App, HttpServer, web};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_tracing::TracingMiddleware;
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, info, info_span};
use tracing_actix_web::TracingLogger;
use tracing_otlp::bridge::tracing_opentelemetry_0_33;
use tracing_otlp::{Events, Guard, OtlpLayer, SpanKind};
use tracing_subscriber::prelude::*;

use interop::{Collector, Process, Received, attribute, serve};

use super::middleware::{run, serve_axum};

const PATIENCE: Duration = Duration::from_secs(30);

fn client() -> ClientWithMiddleware {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    ClientBuilder::new(client)
        .with(TracingMiddleware::default())
        .build()
}

async fn get(address: SocketAddr, path: &str) -> String {
    let url = format!("http://{address}{path}");
    let answer = client().get(url).send().await.unwrap();
    answer.text().await.unwrap()
}

/// Its client is of the older version, and the server of the newer.
#[test]
fn reqwest_with_reqwest_tracing_to_axum() {
    let spans = run(
        |builder| builder,
        async |handle| {
            tracing_opentelemetry_0_33::set_global(&handle);
            let address = serve_axum(&handle).await;
            let answer = get(address, "/users/7").instrument(info_span!("caller"));
            assert_eq!(answer.await, "done");
        },
    );
    assert_eq!(spans.len(), 6, "{:?}", spans.names());
    for (child, parent) in [
        ("GET", "caller"),
        ("GET /users/{id}", "GET"),
        ("work", "GET /users/{id}"),
        ("query", "work"),
        ("row", "query"),
    ] {
        spans.assert_child(child, parent);
    }
    let client = spans.named("GET");
    assert_eq!(client.kind, SpanKind::Client);
    assert_eq!(
        client.attribute("http.response.status_code"),
        Some(&200.into())
    );
    assert_eq!(spans.named("GET /users/{id}").kind, SpanKind::Server);
}

/// A pipeline to the collector, with the global propagator of the older version.
fn pipeline(service: &str, endpoint: &str) -> (OtlpLayer, Guard) {
    let (layer, guard) = tracing_otlp::layer()
        .with_service_name(service)
        .with_endpoint(endpoint)
        .with_events(Events::Logs)
        .build()
        .unwrap();
    tracing_opentelemetry_0_33::set_global(&guard.handle());
    (layer, guard)
}

async fn user(id: web::Path<u32>) -> String {
    let work = info_span!("work", %id);
    async {
        tokio::task::yield_now().await;
        info!("handled");
        format!("user {id}")
    }
    .instrument(work)
    .await
}

#[test]
#[ignore = "the server's process, which the test below starts"]
fn serve_with_actix_web() {
    serve(|endpoint| {
        let (layer, guard) = pipeline("server", endpoint);
        tracing_subscriber::registry().with(layer).init();
        let (sender, receiver) = mpsc::channel();
        let serving = thread::spawn(|| System::new().block_on(run_actix_web(sender)));
        let (address, server) = receiver.recv().unwrap();
        let end = move || {
            System::new().block_on(server.stop(false));
            serving.join().unwrap();
            guard.handle().shutdown(PATIENCE).unwrap();
        };
        (address, end)
    });
}

async fn run_actix_web(started: mpsc::Sender<(SocketAddr, ServerHandle)>) {
    let app = || {
        App::new()
            .wrap(TracingLogger::default())
            .route("/users/{id}", web::get().to(user))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    started.send((address, server.handle())).unwrap();
    server.await.unwrap();
}

/// Two real processes, each with its pipeline, to one collector.
#[test]
fn reqwest_with_reqwest_tracing_to_actix_web_with_tracing_actix_web() {
    let collector = Collector::start();
    let server = Process::start("lagging::serve_with_actix_web", &collector.endpoint());
    let (layer, guard) = pipeline("client", &collector.endpoint());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let call = async {
            info!("calling");
            get(server.address(), "/users/7").await
        };
        let call = call.instrument(info_span!("caller"));
        assert_eq!(runtime.block_on(call.with_current_subscriber()), "user 7");
    });
    drop(runtime);
    guard.handle().shutdown(PATIENCE).unwrap();
    server.stop();
    check(&collector.received());
}

fn check(received: &Received) {
    assert_eq!(received.spans.len(), 4, "{received:#?}");
    let caller = received.span("client", "caller");
    let client = received.span("client", "GET");
    let served = received.span("server", "GET /users/{id}");
    let work = received.span("server", "work");
    assert!(caller.parent_span_id.is_empty());
    for (child, parent) in [(client, caller), (served, client), (work, served)] {
        assert_eq!(child.trace_id, parent.trace_id, "{}", child.name);
        assert_eq!(child.parent_span_id, parent.span_id, "{}", child.name);
    }
    assert_eq!(client.kind(), Kind::Client);
    assert_eq!(served.kind(), Kind::Server);
    let trace_id: String = caller
        .trace_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let of_server = |key| attribute(&served.attributes, key);
    assert_eq!(of_server("trace_id"), Some(trace_id), "as it logs it");
    assert_eq!(of_server("http.status_code").as_deref(), Some("200"));
    for (message, span) in [("calling", caller), ("handled", work)] {
        let log = received.log(message);
        assert_eq!(log.trace_id, span.trace_id, "{message}");
        assert_eq!(log.span_id, span.span_id, "{message}");
    }
}
