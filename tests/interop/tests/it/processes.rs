//! Middlewares, unchanged, between two real processes, each with its pipeline, to one collector.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use interop::{Collector, Process, Received, serve};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::runtime::{Builder, Runtime};
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, info_span};
use tracing_otlp::bridge::opentelemetry_0_33;
use tracing_otlp::{Guard, Handle, OtlpLayer};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::middleware::{call, call_tonic, serve_axum, serve_tonic};

/// Long enough for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

fn pipeline(service: &str, endpoint: &str) -> (OtlpLayer, Guard) {
    // The middlewares' spans are of level TRACE, and so are many of h2's.
    let filter = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("otel", LevelFilter::TRACE);
    let (layer, guard) = tracing_otlp::layer()
        .with_service_name(service)
        .with_endpoint(endpoint)
        .with_filter(filter)
        .build()
        .unwrap();
    opentelemetry_0_33::set_global(&guard.handle());
    (layer, guard)
}

/// A runtime of which one thread works whether or not it is waited for.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// The server's process.
fn serve_by(start: impl AsyncFnOnce(&Handle) -> SocketAddr) {
    serve(|endpoint| {
        let (layer, guard) = pipeline("server", endpoint);
        tracing_subscriber::registry().with(layer).init();
        let runtime = runtime();
        let address = runtime.block_on(start(&guard.handle()));
        let end = move || {
            drop(runtime);
            guard.handle().shutdown(PATIENCE).unwrap();
        };
        (address, end)
    });
}

/// What both processes send while this one calls the other.
fn received<F: Future>(server: &str, call: impl FnOnce(SocketAddr) -> F) -> Received {
    let collector = Collector::start();
    let server = Process::start(server, &collector.endpoint());
    let (layer, guard) = pipeline("client", &collector.endpoint());
    let subscriber = tracing_subscriber::registry().with(layer);
    let runtime = runtime();
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(call(server.address()).with_current_subscriber());
    });
    drop(runtime);
    guard.handle().shutdown(PATIENCE).unwrap();
    server.stop();
    collector.received()
}

/// One trace, in which each is the parent of the next.
#[track_caller]
fn assert_chain(spans: &[&Span]) {
    assert!(spans[0].parent_span_id.is_empty());
    for pair in spans.windows(2) {
        let [parent, child] = pair else { return };
        assert_eq!(child.trace_id, parent.trace_id, "{}", child.name);
        assert_eq!(child.parent_span_id, parent.span_id, "{}", child.name);
    }
}

#[test]
#[ignore = "the server's process, which the test below starts"]
fn serve_with_axum() {
    serve_by(serve_axum);
}

#[test]
fn axum_in_another_process() {
    let received = received("processes::serve_with_axum", |address| {
        call(address, "/users/7")
    });
    assert_eq!(received.spans.len(), 5, "{received:#?}");
    let client = received.span("client", "client");
    let [served, work, query, row] =
        ["GET /users/{id}", "work", "query", "row"].map(|name| received.span("server", name));
    assert_chain(&[client, served, work, query, row]);
    assert_eq!(client.kind(), SpanKind::Client);
    assert_eq!(served.kind(), SpanKind::Server);
}

#[test]
#[ignore = "the server's process, which the test below starts"]
fn serve_with_tonic() {
    serve_by(async |_| serve_tonic().await);
}

#[test]
fn tonic_in_another_process() {
    let received = received("processes::serve_with_tonic", |address| {
        call_tonic(address).instrument(info_span!("caller"))
    });
    assert_eq!(received.spans.len(), 3, "{received:#?}");
    let of_kind = |service: &str, kind| {
        let is_it = |(of, span): &&(String, Span)| of == service && span.kind() == kind;
        &received.spans.iter().find(is_it).unwrap().1
    };
    assert_chain(&[
        received.span("client", "caller"),
        of_kind("client", SpanKind::Client),
        of_kind("server", SpanKind::Server),
    ]);
}
