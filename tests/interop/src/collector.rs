//! A collector over gRPC, for what comes from more than one process.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// It runs on a thread of its own for as long as the process.
pub struct Collector {
    address: SocketAddr,
    shelf: Shelf,
}

/// What a service has sent: its name, and a record.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub spans: Vec<(String, Span)>,
    pub logs: Vec<(String, LogRecord)>,
}

#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Received>>);

impl Collector {
    pub fn start() -> Self {
        let shelf = Shelf::default();
        let (traces, logs) = (shelf.clone(), shelf.clone());
        let (sender, addresses) = mpsc::channel();
        let serve = async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            Server::builder()
                .add_service(TraceServiceServer::new(traces))
                .add_service(LogsServiceServer::new(logs))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        };
        thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(serve);
        });
        Self {
            address: addresses.recv().unwrap(),
            shelf,
        }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn received(&self) -> Received {
        self.shelf.0.lock().unwrap().clone()
    }
}

impl Received {
    /// The one span of this service and name.
    #[track_caller]
    pub fn span(&self, service: &str, name: &str) -> &Span {
        let is_it = |(of, span): &&(String, Span)| of == service && span.name == name;
        let found: Vec<_> = self.spans.iter().filter(is_it).collect();
        match found[..] {
            [(_, span)] => span,
            _ => panic!(
                "{} spans {name:?} of {service} in {:#?}",
                found.len(),
                self.spans
            ),
        }
    }

    /// The one log record with this message.
    #[track_caller]
    pub fn log(&self, message: &str) -> &LogRecord {
        let is_it = |(_, log): &&(String, LogRecord)| text(log.body.as_ref()) == Some(message);
        let found: Vec<_> = self.logs.iter().filter(is_it).collect();
        match found[..] {
            [(_, log)] => log,
            _ => panic!("{} records {message:?} in {:#?}", found.len(), self.logs),
        }
    }
}

/// An attribute's text, or its number as one.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn text(value: Option<&AnyValue>) -> Option<&str> {
    match value?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn service(resource: Option<&Resource>) -> String {
    let name = resource.and_then(|resource| attribute(&resource.attributes, "service.name"));
    name.unwrap_or_default()
}

#[tonic::async_trait]
impl TraceService for Shelf {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            let service = service(of_resource.resource.as_ref());
            let scopes = of_resource.scope_spans.into_iter();
            let spans = scopes.flat_map(|of_scope| of_scope.spans);
            let named = spans.map(|span| (service.clone(), span));
            self.0.lock().unwrap().spans.extend(named);
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Shelf {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_logs {
            let service = service(of_resource.resource.as_ref());
            let scopes = of_resource.scope_logs.into_iter();
            let logs = scopes.flat_map(|of_scope| of_scope.log_records);
            let named = logs.map(|log| (service.clone(), log));
            self.0.lock().unwrap().logs.extend(named);
        }
        Ok(Response::new(Default::default()))
    }
}
