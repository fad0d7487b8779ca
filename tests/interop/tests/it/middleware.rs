//! Middlewares, unchanged, over loopback: one trace across both sides.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_tracing_opentelemetry::middleware::{client, server};
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, Level, Subscriber, info, info_span};
use tracing_otlp::bridge::opentelemetry_0_33::{ContextPropagator, TracerProvider};
use tracing_otlp::{Builder, Handle, SpanExt, SpanKind};
use tracing_subscriber::prelude::*;

use interop::{Pipeline, Spans};

/// What becomes of the spans of `work`, which runs on one thread: both sides take turns there.
pub(super) fn run<F: Future>(
    settings: impl FnOnce(Builder) -> Builder,
    work: impl FnOnce(Handle) -> F,
) -> Spans {
    let (layer, pipeline) = Pipeline::with(settings);
    let handle = pipeline.handle();
    opentelemetry::global::set_text_map_propagator(ContextPropagator::from(&handle));
    let subscriber = tracing_subscriber::registry().with(layer);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(work(handle).with_current_subscriber());
    });
    drop(runtime);
    pipeline.spans()
}

/// What a server on HTTP/1.1 answers to a request inside of a span of ours, with the context in its headers.
pub(super) async fn call(address: std::net::SocketAddr, path: &str) -> String {
    let span = info_span!("client", otel.kind = "client");
    let mut headers = HashMap::<String, String>::new();
    tracing_otlp::inject(&span, &mut headers);
    let headers: String = headers
        .iter()
        .map(|(key, value)| format!("{key}: {value}\r\n"))
        .collect();
    async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
    .instrument(span)
    .await
}

pub(super) async fn serve_axum(handle: &Handle) -> std::net::SocketAddr {
    let tracer = TracerProvider::from(handle).tracer("library");
    let app = Router::new()
        .route(
            "/users/{id}",
            get(async move || {
                let work = info_span!("work");
                async {
                    tokio::task::yield_now().await;
                    tracer.in_span("query", |_| info_span!("row").in_scope(|| {}));
                }
                .instrument(work)
                .await;
                "done"
            }),
        )
        .layer(OtelInResponseLayer)
        .layer(OtelAxumLayer::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await }.with_current_subscriber());
    address
}

fn check_axum(spans: &Spans, answer: &str) {
    assert_eq!(spans.len(), 5, "{:?}", spans.names());
    for (child, parent) in [
        ("GET /users/{id}", "client"),
        ("work", "GET /users/{id}"),
        ("query", "work"),
        ("row", "query"),
    ] {
        spans.assert_child(child, parent);
    }
    let server = spans.named("GET /users/{id}");
    assert_eq!(server.kind, SpanKind::Server);
    assert_eq!(
        server.attribute("http.response.status_code"),
        Some(&200.into())
    );
    assert_eq!(spans.named("client").kind, SpanKind::Client);
    let traceparent = format!("traceparent: 00-{}-{}-03", server.trace_id, server.span_id);
    assert!(answer.contains(&traceparent), "{answer}");
}

#[test]
fn axum_with_axum_tracing_opentelemetry() {
    for activates in [true, false] {
        let mut answer = String::new();
        let spans = run(
            |builder| builder.with_context_activation(activates),
            async |handle| answer = call(serve_axum(&handle).await, "/users/7").await,
        );
        if activates {
            check_axum(&spans, &answer);
        } else {
            // The parent goes by their trait; what asks for the active context finds none.
            spans.assert_child("GET /users/{id}", "client");
            spans.assert_child("work", "GET /users/{id}");
        }
    }
}

pub(super) async fn serve_tonic() -> std::net::SocketAddr {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Server::builder()
        .layer(server::OtelGrpcLayer::default())
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving.with_current_subscriber());
    address
}

pub(super) async fn call_tonic(address: std::net::SocketAddr) {
    let channel = Endpoint::new(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    let service = tower::Layer::layer(&client::OtelGrpcLayer, channel);
    let request = HealthCheckRequest {
        service: String::new(),
    };
    HealthClient::new(service).check(request).await.unwrap();
}

#[test]
fn tonic_client_and_server_with_tonic_tracing_opentelemetry() {
    let spans = run(
        |builder| builder,
        async |_| {
            let address = serve_tonic().await;
            let caller = info_span!("caller");
            call_tonic(address).instrument(caller).await;
        },
    );
    let of_kind = |kind| {
        let found: Vec<_> = spans.iter().filter(|span| span.kind == kind).collect();
        assert_eq!(found.len(), 1, "{:?}", spans.names());
        found[0]
    };
    let (client, server) = (of_kind(SpanKind::Client), of_kind(SpanKind::Server));
    assert_eq!(client.parent_span_id, Some(spans.named("caller").span_id));
    assert_eq!(
        server.parent_span_id,
        Some(client.span_id),
        "no level is lost"
    );
    assert_eq!(server.trace_id, spans.named("caller").trace_id);
    assert_eq!(server.attribute("rpc.method"), Some(&"Check".into()));
}

/// It only makes spans: what they are called, and whose children they are, its callbacks say.
#[test]
fn tower_http_whose_spans_are_tracing_s_alone() {
    let spans = run(
        |builder| builder,
        |_| async {
            let trace = TraceLayer::new_for_http()
                .make_span_with(|request: &axum::extract::Request| {
                    let span = info_span!("served", otel.kind = "server");
                    span.set_parent(tracing_otlp::extract(request.headers()))
                        .unwrap();
                    span
                })
                .on_response(DefaultOnResponse::new().level(Level::INFO));
            let handler = || async { info_span!("inside").in_scope(|| "answer") };
            let router = Router::new().route("/", get(handler)).layer(trace);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async { axum::serve(listener, router).await }.with_current_subscriber());
            assert!(call(address, "/").await.ends_with("answer"));
        },
    );
    assert_eq!(spans.len(), 3, "{:?}", spans.names());
    spans.assert_child("served", "client");
    spans.assert_child("inside", "served");
    let served = spans.named("served");
    assert_eq!(served.kind, SpanKind::Server);
    let events: Vec<_> = served.events.iter().map(|event| &*event.name).collect();
    assert!(
        events.contains(&"finished processing request"),
        "{events:?}"
    );
}

fn with_layer<S: Subscriber + Send + Sync>(
    make: impl FnOnce(tracing_otlp::OtlpLayer) -> S,
    work: impl FnOnce(),
) -> Spans {
    let (layer, pipeline) = Pipeline::new();
    tracing::subscriber::with_default(make(layer), work);
    pipeline.spans()
}

#[test]
fn opentelemetry_appender_tracing_beside_our_layer() {
    let exporter = InMemoryLogExporter::default();
    let provider = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let logs = OpenTelemetryTracingBridge::new(&provider);
    let spans = with_layer(
        |layer| tracing_subscriber::registry().with(layer).with(logs),
        || {
            info!("outside");
            info_span!("span").in_scope(|| info!("inside"));
        },
    );
    let records = exporter.get_emitted_logs().unwrap();
    let ids: Vec<_> = records
        .iter()
        .map(|record| {
            let context = record.record.trace_context();
            context.map(|context| (context.trace_id.to_string(), context.span_id.to_string()))
        })
        .collect();
    let span = spans.named("span");
    assert_eq!(
        ids,
        [
            None,
            Some((span.trace_id.to_string(), span.span_id.to_string()))
        ]
    );
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn json_subscribers_trace_ids() {
    let lines = Lines::default();
    let writer = lines.clone();
    let spans = with_layer(
        |layer| {
            let mut json = json_subscriber::JsonLayer::new(move || writer.clone());
            json.with_opentelemetry_ids(true);
            tracing_subscriber::registry().with(layer).with(json)
        },
        || {
            let span = info_span!("span");
            span.in_scope(|| info!("inside"));
            assert!(span.trace_id().is_some());
        },
    );
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let span = spans.named("span");
    for id in [span.trace_id.to_string(), span.span_id.to_string()] {
        assert!(text.contains(&id), "{id} in {text}");
    }
}
