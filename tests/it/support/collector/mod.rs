//! A scripted collector: real HTTP/2 on a loopback port, as well or as badly behaved as a test asks.
//!
//! It runs on a thread of its own whose subscriber is nobody, so what its network stack traces goes nowhere.

mod serve;
mod wire;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tracing::subscriber::NoSubscriber;

/// How a connection behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Greeting {
    Serve,
    /// Reads so many bytes, then nothing more: the connection stays, and its window closes.
    StallAfter(usize),
    /// Reads so many bytes, then resets.
    ResetAfter(usize),
}

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Take,
    TakeAfter(Duration),
    /// Takes it, and says that this is the connection's last answer.
    TakeAndGoAway,
    /// Does not take it and answers with this grpc-status.
    Status(u8),
    /// Reads it and never answers.
    Hang,
    /// Takes it, and ends the answer before its status.
    TakeWithoutStatus,
    /// Takes it, and resets after so many bytes of the answer.
    TakeAndReset(usize),
}

/// A span that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) id: Vec<u8>,
    /// The attribute `number`.
    pub(crate) number: Option<i64>,
    /// The attribute `thread`.
    pub(crate) thread: Option<i64>,
    pub(crate) scope: String,
}

/// A request that was read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) connection: usize,
    /// The length of the message.
    pub(crate) bytes: usize,
    /// Bytes that were read on the connection up to here.
    pub(crate) wire_bytes: usize,
    pub(crate) taken: bool,
    pub(crate) spans: Vec<Arrival>,
}

#[derive(Default)]
pub(crate) struct Log {
    /// Connections so far, and those that are open.
    pub(crate) connections: usize,
    pub(crate) open: usize,
    pub(crate) requests: Vec<Request>,
    /// Requests that were begun and not yet answered, and the most that there ever were.
    pub(crate) in_flight: usize,
    pub(crate) most_in_flight: usize,
    /// Spans that were taken without the exporter having to know.
    pub(crate) ambiguous: u64,
}

impl Log {
    /// The spans that were taken, in their order.
    pub(crate) fn taken(&self) -> impl Iterator<Item = &Arrival> {
        let taken = self.requests.iter().filter(|request| request.taken);
        taken.flat_map(|request| &request.spans)
    }

    /// The ids of the spans that were taken; each of 8 bytes, not all zero.
    pub(crate) fn ids(&self) -> HashSet<&[u8]> {
        let ids = self.taken().map(|span| span.id.as_slice());
        ids.inspect(|id| assert!(id.len() == 8 && id.iter().any(|byte| *byte != 0), "{id:?}"))
            .collect()
    }

    /// How often each number was taken.
    pub(crate) fn numbers(&self) -> HashMap<i64, usize> {
        let mut numbers = HashMap::new();
        for number in self.taken().filter_map(|span| span.number) {
            *numbers.entry(number).or_default() += 1;
        }
        numbers
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("connections", &self.connections)
            .field("open", &self.open)
            .field("requests", &self.requests.len())
            .field("in_flight", &self.in_flight)
            .field("taken", &self.taken().count())
            .finish()
    }
}

/// The collector. Its port stays its own while it is stopped, and refuses connections then.
pub(crate) struct Collector {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Bound and never listening, so that nobody else gets the port.
    _port: TcpSocket,
    serving: Option<Serving>,
}

struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
    script: Mutex<Script>,
}

struct Script {
    greeting: Box<dyn Fn(usize) -> Greeting + Send>,
    manner: Box<dyn Fn(usize) -> Manner + Send>,
}

struct Serving {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Collector {
    /// One that takes everything.
    pub(crate) fn start() -> Self {
        let mut collector = Self::absent();
        collector.restart();
        collector
    }

    /// One that is not there yet.
    pub(crate) fn absent() -> Self {
        let port = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let script = Script {
            greeting: Box::new(|_| Greeting::Serve),
            manner: Box::new(|_| Manner::Take),
        };
        Self {
            shared: Arc::new(Shared {
                log: Mutex::default(),
                changed: Condvar::new(),
                script: Mutex::new(script),
            }),
            address: port.local_addr().expect("a bound socket has an address"),
            _port: port,
            serving: None,
        }
    }

    /// How connections behave from now on, by their number.
    pub(crate) fn greets(&self, greeting: impl Fn(usize) -> Greeting + Send + 'static) {
        lock(&self.shared.script).greeting = Box::new(greeting);
    }

    /// How requests are answered from now on, by their number.
    pub(crate) fn answers(&self, manner: impl Fn(usize) -> Manner + Send + 'static) {
        lock(&self.shared.script).manner = Box::new(manner);
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops if need be, and begins anew on the same port.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the collector");
        let listener = {
            let _inside = runtime.enter();
            bind(self.address).listen(1024).expect("the port is ours")
        };
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::spawn(move || {
            let _nobody = tracing::subscriber::set_default(NoSubscriber::default());
            runtime.block_on(serve::connections(&listener, &shared, stopped));
            drop(listener);
            // Every connection goes with its task.
            drop(runtime);
        });
        self.serving = Some(Serving { stop, thread });
    }

    /// Closes every connection where it stands, and refuses new ones.
    pub(crate) fn stop(&mut self) {
        if let Some(Serving { stop, thread }) = self.serving.take() {
            drop(stop);
            thread.join().expect("the collector did not panic");
        }
    }

    /// Looks at what has arrived.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&lock(&self.shared.log))
    }

    /// Waits until no request is at work, and forgets how many were at a time.
    #[track_caller]
    pub(crate) fn wait_for_silence(&self) {
        self.wait("the requests to end", |log| log.in_flight == 0);
        self.shared.change(|log| log.most_in_flight = log.in_flight);
    }

    /// Waits until the log is as it should be; ten seconds at most.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut is_so: impl FnMut(&Log) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut log = lock(&self.shared.log);
        while !is_so(&log) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}: {log:?}");
            let waited = self.shared.changed.wait_timeout(log, left);
            log = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let result = change(&mut lock(&self.log));
        self.changed.notify_all();
        result
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Several sockets may have the port while at most one of them listens.
    socket.set_reuseaddr(true).expect("SO_REUSEADDR");
    socket.bind(address).expect("a free port");
    socket
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
