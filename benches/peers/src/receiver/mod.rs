//! A collector that only counts, in a process of its own.
//!
//! On a machine with few cores the receiver takes part of what is measured, so it must be cheap and
//! the same for every stack: it answers each request with an empty `ExportTraceServiceResponse`,
//! counts the spans of what is protobuf, and undoes no compression.

mod grpc;
mod http1;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::runtime;
use tracing_otlp::Protocol;

use crate::process::this_executable;
use crate::wire::count_spans;

/// The first argument that makes a program the receiver.
pub const ROLE: &str = "receiver";

static SPANS: AtomicU64 = AtomicU64::new(0);
static REQUESTS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// What the receiver counted since it was asked last.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Of the requests that were protobuf without compression.
    pub spans: u64,
    pub requests: u64,
    /// Of the bodies, as they were sent.
    pub bytes: u64,
}

/// The parent's handle; the process ends with it.
#[derive(Debug)]
pub struct Receiver {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    grpc: u64,
    http: u64,
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
            grpc: 0,
            http: 0,
        };
        [receiver.grpc, receiver.http] = receiver.answer()?;
        Ok(receiver)
    }

    /// The endpoint to export to.
    pub fn endpoint(&self, protocol: Protocol) -> String {
        let port = match protocol {
            Protocol::Grpc => self.grpc,
            _ => self.http,
        };
        format!("http://127.0.0.1:{port}")
    }

    /// Takes the counts, and sets them back to zero.
    pub fn take(&mut self) -> io::Result<Counts> {
        writeln!(self.questions, "take")?;
        self.questions.flush()?;
        let [spans, requests, bytes] = self.answer()?;
        Ok(Counts {
            spans,
            requests,
            bytes,
        })
    }

    fn answer<const N: usize>(&mut self) -> io::Result<[u64; N]> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let numbers: Option<Vec<u64>> = line.split_whitespace().map(|n| n.parse().ok()).collect();
        numbers
            .and_then(|numbers| numbers.try_into().ok())
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

/// The receiver's `main`: prints its ports, then answers until its standard input ends.
pub fn serve() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let address = (Ipv4Addr::LOCALHOST, 0);
    let grpc = runtime.block_on(tokio::net::TcpListener::bind(address))?;
    let http = TcpListener::bind(address)?;
    let ports = [grpc.local_addr()?.port(), http.local_addr()?.port()];
    println!("{} {}", ports[0], ports[1]);
    thread::spawn(move || runtime.block_on(grpc::serve(grpc)));
    thread::spawn(move || http1::serve(http));
    for question in io::stdin().lines() {
        question?;
        let [spans, requests, bytes] =
            [&SPANS, &REQUESTS, &BYTES].map(|count| count.swap(0, Ordering::Relaxed));
        println!("{spans} {requests} {bytes}");
    }
    Ok(())
}

/// Counts a body of this many bytes; its message, where that can be read.
fn count(bytes: usize, message: Option<&[u8]>) {
    match message.map(count_spans) {
        None => {}
        Some(Some(spans)) => drop(SPANS.fetch_add(spans, Ordering::Relaxed)),
        Some(None) => eprintln!("receiver: a request of {bytes} bytes is malformed"),
    }
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    REQUESTS.fetch_add(1, Ordering::Relaxed);
}
