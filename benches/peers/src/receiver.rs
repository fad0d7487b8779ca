//! A collector that only counts, in a process of its own.
//!
//! HTTP/2 by `h2` and no framework: on a machine with few cores the receiver takes part of what
//! is measured, so it must be cheap and the same for every stack. It answers each request with an
//! empty `ExportTraceServiceResponse` and `grpc-status: 0`.

use std::io::{self, BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::{self, SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

use crate::process::this_executable;
use crate::wire::count_spans;

/// The first argument that makes a program the receiver.
pub const ROLE: &str = "receiver";

/// As large as grpc-go's windows grow, so that flow control is nobody's limit.
const WINDOW: u32 = 16 << 20;

/// A compression flag and a length of four bytes stand before a gRPC message.
const GRPC_PREFIX: usize = 5;

static SPANS: AtomicU64 = AtomicU64::new(0);
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// What the receiver counted since it was asked last.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub spans: u64,
    pub requests: u64,
}

/// The parent's handle; the process ends with it.
#[derive(Debug)]
pub struct Receiver {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    port: u16,
}

impl Receiver {
    /// Starts this executable again in the receiver's role.
    pub fn start() -> io::Result<Self> {
        let mut child = this_executable()
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the receiver has no pipes"));
        };
        let mut receiver = Self {
            child,
            questions,
            answers: BufReader::new(answers),
            port: 0,
        };
        receiver.port = receiver.answer()?[0] as u16;
        Ok(receiver)
    }

    /// The endpoint to export to.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Takes the counts, and sets them back to zero.
    pub fn take(&mut self) -> io::Result<Counts> {
        writeln!(self.questions, "take")?;
        self.questions.flush()?;
        match self.answer()?[..] {
            [spans, requests] => Ok(Counts { spans, requests }),
            _ => Err(io::Error::other("the receiver did not answer")),
        }
    }

    fn answer(&mut self) -> io::Result<Vec<u64>> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let numbers: Option<Vec<u64>> = line.split_whitespace().map(|n| n.parse().ok()).collect();
        numbers
            .filter(|numbers| !numbers.is_empty())
            .ok_or_else(|| io::Error::other("the receiver did not answer"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The process may have ended already; there is nothing left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The receiver's `main`: prints its port, then answers until its standard input ends.
pub fn serve() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(move || runtime.block_on(accept(listener)));
    for question in io::stdin().lines() {
        question?;
        let spans = SPANS.swap(0, Ordering::Relaxed);
        let requests = REQUESTS.swap(0, Ordering::Relaxed);
        println!("{spans} {requests}");
    }
    Ok(())
}

async fn accept(listener: TcpListener) {
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::task::spawn_local(connection(socket));
            }
        })
        .await;
}

async fn connection(socket: TcpStream) {
    // Without it the answer would wait for the client's delayed acknowledgement.
    let _ = socket.set_nodelay(true);
    let handshake = server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(1 << 20)
        .handshake::<_, Bytes>(socket);
    let Ok(mut connection) = handshake.await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::task::spawn_local(async move {
            if let Err(error) = export(request, respond).await {
                eprintln!("receiver: {error}");
            }
        });
    }
}

async fn export(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let body = read(request.into_body()).await?;
    let message = body.get(GRPC_PREFIX..).unwrap_or_default();
    match count_spans(message) {
        Some(spans) => drop(SPANS.fetch_add(spans, Ordering::Relaxed)),
        None => eprintln!("receiver: a request of {} bytes is malformed", body.len()),
    }
    REQUESTS.fetch_add(1, Ordering::Relaxed);

    let mut response = Response::new(());
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", content_type);
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(Bytes::from_static(&[0; GRPC_PREFIX]), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}

async fn read(mut body: RecvStream) -> Result<BytesMut, h2::Error> {
    let mut whole = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}
