//! A collector that keeps what it is sent: a tonic server with the services of opentelemetry-proto.

use std::net::TcpListener;
use std::sync::mpsc;
use std::{io, thread};

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
use tokio::runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A collector on a loopback port that the system picks; it serves until the process ends.
pub(crate) struct Collector {
    endpoint: String,
    inbox: mpsc::Receiver<ExportTraceServiceRequest>,
    logs: mpsc::Receiver<ExportLogsServiceRequest>,
}

impl Collector {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (sender, inbox) = mpsc::channel();
        let (log_sender, logs) = mpsc::channel();

        let traces = TraceServiceServer::new(Service(sender));
        let logs_service = LogsServiceServer::new(Service(log_sender));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let server = Server::builder()
                    .add_service(traces)
                    .add_service(logs_service);
                let connections = TcpListenerStream::new(listener);
                server
                    .serve_with_incoming(connections)
                    .await
                    .map_err(io::Error::other)
            });
            if let Err(error) = served {
                eprintln!("the collector stopped: {error}");
            }
        });
        Ok(Self {
            endpoint,
            inbox,
            logs,
        })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Takes the requests that have arrived.
    pub(crate) fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.inbox.try_iter().collect()
    }

    /// Takes the requests with logs that have arrived.
    pub(crate) fn logs(&self) -> Vec<ExportLogsServiceRequest> {
        self.logs.try_iter().collect()
    }
}

struct Service<T>(mpsc::Sender<T>);

#[tonic::async_trait]
impl LogsService for Service<ExportLogsServiceRequest> {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let kept = self.0.send(request.into_inner());
        kept.map_err(|_| Status::unavailable("nobody reads any more"))?;
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Service<ExportTraceServiceRequest> {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let kept = self.0.send(request.into_inner());
        kept.map_err(|_| Status::unavailable("nobody reads any more"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
