//! The exporter does not trace itself (fault F31, requirement R6). A binary of its own, for the global subscriber.

#![cfg(feature = "grpc")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "it/support/collector/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod collector;

use std::time::{Duration, Instant};

use collector::{Collector, Manner};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tracing::level_filters::LevelFilter;
use tracing_otlp::{Batch, Handle, Stats};
use tracing_subscriber::prelude::*;

const INTERVAL: Duration = Duration::from_millis(30);
const PLENTY: Duration = Duration::from_secs(10);

/// What is recorded while the application does nothing for some intervals.
fn idle(handle: &Handle) -> (Stats, Stats) {
    let before = handle.stats();
    let until = Instant::now() + 12 * INTERVAL;
    while Instant::now() < until {
        std::thread::park_timeout(INTERVAL);
    }
    (before, handle.stats())
}

#[test]
fn f31_the_exporters_own_network_stack_is_not_recorded_and_the_applications_is() {
    let mut collector = Collector::start();
    let (layer, guard) = tracing_otlp::layer()
        // By name, so that the thread which resolves it takes part.
        .with_endpoint(format!("http://localhost:{}", collector.port()))
        .with_batch(Batch::default().with_interval(INTERVAL))
        .with_timeout(Duration::from_millis(200))
        .build()
        .expect("a pipeline");
    tracing_subscriber::registry().with(layer).init();
    assert_eq!(
        LevelFilter::current(),
        LevelFilter::TRACE,
        "nothing is filtered"
    );
    let handle = guard.handle();

    while_all_is_well(&handle);
    while_nothing_works(&handle, &mut collector);
    assert_eq!(scopes(&collector), ["feedback"; 6], "our own spans alone");
    the_application_speaks_grpc(&handle, &collector);

    handle.shutdown(PLENTY).expect("it is delivered");
    drop(guard);
    let stats = handle.stats();
    assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
    assert_eq!(stats.delivered(), stats.accepted(), "{stats}");
    let taken = collector.look(|log| log.taken().count() as u64 - log.ambiguous);
    assert_eq!(taken, stats.delivered(), "{stats}");
}

/// A connection, requests and their answers.
fn while_all_is_well(handle: &Handle) {
    for _ in 0..5 {
        work();
        handle.flush(PLENTY).expect("it is delivered");
    }
    let (before, after) = idle(handle);
    assert_eq!(after, before, "nothing happened, and something changed");
    assert_eq!(after.accepted(), 5, "{after}");
}

/// Failures, time-outs and back-offs, of which each connects anew.
fn while_nothing_works(handle: &Handle, collector: &mut Collector) {
    collector.stop();
    work();
    handle.flush(4 * INTERVAL).expect_err("nobody is there");
    let (_, after) = idle(handle);
    assert_eq!((after.accepted(), after.held()), (6, 1), "{after}");
    collector.answers(|_| Manner::Hang);
    collector.restart();
    handle.flush(12 * INTERVAL).expect_err("nobody answers");
    assert_eq!(handle.stats().accepted(), 6);
    collector.answers(|_| Manner::Take);
    handle.flush(PLENTY).expect("it is delivered");
}

/// With the same crates, on threads of its own.
fn the_application_speaks_grpc(handle: &Handle, collector: &Collector) {
    call(&Collector::start());
    handle.flush(PLENTY).expect("it is delivered");
    let scopes = scopes(collector);
    let of_h2 = |scope: &String| scope.starts_with("h2::");
    assert!(scopes.iter().any(of_h2), "{scopes:?}");
}

fn work() {
    tracing::info_span!("work").in_scope(|| tracing::trace!("done"));
}

fn scopes(collector: &Collector) -> Vec<String> {
    collector.look(|log| log.taken().map(|span| span.scope.clone()).collect())
}

/// A request of the application's own, on threads of its own, which end with it.
fn call(application: &Collector) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let endpoint = application.endpoint();
    runtime.block_on(async {
        let client = TraceServiceClient::connect(endpoint);
        let mut client = client.await.expect("a connection");
        let request = ExportTraceServiceRequest::default();
        client.export(request).await.expect("an answer");
    });
    application.wait("the request", |log| log.requests.len() == 1);
}
