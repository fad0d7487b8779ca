//! A scripted collector: OTLP over gRPC and HTTP on one loopback port or Unix socket, with or without TLS, as well or as
//! badly behaved as a test asks.
//!
//! It runs on a thread of its own whose subscriber is nobody, so what its network stack traces goes nowhere.

mod http1;
mod http2;
pub(crate) mod manner;
pub(crate) mod request;
mod serve;
mod wire;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, UnixListener};
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;
use tracing::subscriber::NoSubscriber;

pub(crate) use self::manner::{Greeting, Limits, Manner};
pub(crate) use self::request::{Arrival, Request};
use self::serve::Listener;
use self::wire::Faults;

/// Which protocols it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Both,
    /// As a collector's port for OTLP over HTTP without HTTP/2: the preface of HTTP/2 is a bad request.
    Http1,
    /// As a collector's port for gRPC: HTTP/1 gets settings of HTTP/2, and an end.
    Http2,
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
    /// Why TLS failed, connection by connection.
    pub(crate) failed_handshakes: Vec<String>,
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

    /// What was wrong with requests that could not be decoded.
    pub(crate) fn problems(&self) -> Vec<&str> {
        let requests = self.requests.iter();
        requests
            .filter_map(|request| request.problem.as_deref())
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
            .field("problems", &self.problems())
            .field("failed_handshakes", &self.failed_handshakes)
            .finish()
    }
}

/// The collector. Its port stays its own while it is stopped, and refuses connections then.
pub(crate) struct Collector {
    shared: Arc<Shared>,
    place: Place,
    serving: Option<Serving>,
}

enum Place {
    Tcp {
        address: SocketAddr,
        /// Bound and never listening, so that nobody else gets the port.
        _port: TcpSocket,
    },
    Unix(PathBuf),
}

struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
    script: Mutex<Script>,
    /// Those that are open, by their numbers.
    connections: Mutex<HashMap<usize, Arc<Faults>>>,
}

type Judge = dyn Fn(usize, &Request) -> Manner + Send;

struct Script {
    greeting: Box<dyn Fn(usize) -> Greeting + Send>,
    manner: Box<Judge>,
    limits: Limits,
    speaks: Speaks,
    tls: Option<Arc<ServerConfig>>,
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
        let port = free_port();
        Self::at(Place::Tcp {
            address: port.local_addr().expect("a bound socket has an address"),
            _port: port,
        })
    }

    /// One that takes everything on a Unix socket.
    pub(crate) fn start_unix() -> Self {
        static SOCKETS: AtomicUsize = AtomicUsize::new(0);
        let number = SOCKETS.fetch_add(1, Ordering::Relaxed);
        let name = format!("otlp-{}-{number}.sock", std::process::id());
        let mut collector = Self::at(Place::Unix(std::env::temp_dir().join(name)));
        collector.restart();
        collector
    }

    /// One that takes everything over TLS.
    pub(crate) fn start_tls(config: Arc<ServerConfig>) -> Self {
        let collector = Self::start();
        collector.shows(Some(config));
        collector
    }

    fn at(place: Place) -> Self {
        let script = Script {
            greeting: Box::new(|_| Greeting::Serve),
            manner: Box::new(|_, _| Manner::Take),
            limits: Limits::default(),
            speaks: Speaks::Both,
            tls: None,
        };
        Self {
            shared: Arc::new(Shared {
                log: Mutex::default(),
                changed: Condvar::new(),
                script: Mutex::new(script),
                connections: Mutex::default(),
            }),
            place,
            serving: None,
        }
    }

    /// How connections behave from now on, by their number.
    pub(crate) fn greets(&self, greeting: impl Fn(usize) -> Greeting + Send + 'static) {
        lock(&self.shared.script).greeting = Box::new(greeting);
    }

    /// How requests are answered from now on, by their number.
    pub(crate) fn answers(&self, manner: impl Fn(usize) -> Manner + Send + 'static) {
        self.judges(move |number, _| manner(number));
    }

    /// How requests are answered from now on, by their number and what they hold.
    pub(crate) fn judges(&self, manner: impl Fn(usize, &Request) -> Manner + Send + 'static) {
        lock(&self.shared.script).manner = Box::new(manner);
    }

    /// How every request is answered from now on.
    pub(crate) fn always(&self, manner: Manner) {
        self.answers(move |_| manner.clone());
    }

    /// What is refused from now on, before the script is asked.
    pub(crate) fn refuses(&self, limits: Limits) {
        lock(&self.shared.script).limits = limits;
    }

    /// Which protocols are understood on the connections that come.
    pub(crate) fn speaks(&self, speaks: Speaks) {
        lock(&self.shared.script).speaks = speaks;
    }

    /// The certificate and the demands of TLS on the connections that come; without one, plain text.
    pub(crate) fn shows(&self, config: Option<Arc<ServerConfig>>) {
        lock(&self.shared.script).tls = config;
    }

    /// By its address, or by the name `localhost` where it has a certificate. It listens on 127.0.0.1 alone, so that the
    /// name's other address refuses.
    pub(crate) fn endpoint(&self) -> String {
        match &self.place {
            Place::Unix(path) => format!("unix://{}", path.display()),
            Place::Tcp { address, .. } if lock(&self.shared.script).tls.is_some() => {
                format!("https://localhost:{}", address.port())
            }
            Place::Tcp { address, .. } => format!("http://{address}"),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match &self.place {
            Place::Tcp { address, .. } => address.port(),
            Place::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    /// The Unix socket.
    pub(crate) fn path(&self) -> &Path {
        match &self.place {
            Place::Tcp { address, .. } => panic!("{address} is no path"),
            Place::Unix(path) => path,
        }
    }

    /// Stops if need be, and begins anew at the same place.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the collector");
        let listener = {
            let _inside = runtime.enter();
            match &self.place {
                Place::Tcp { address, .. } => {
                    Listener::Tcp(bind(*address).listen(1024).expect("the port is ours"))
                }
                Place::Unix(path) => Listener::Unix(UnixListener::bind(path).expect("a socket")),
            }
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

    /// Closes every connection on which no request is at work, and waits until they are closed. An answer is read a moment
    /// before its request counts as ended: `wait_for_silence` comes first.
    #[track_caller]
    pub(crate) fn close_idle(&self) {
        let mut idle = Vec::new();
        for (number, faults) in lock(&self.shared.connections).iter() {
            if faults.busy.load(Ordering::Relaxed) == 0 {
                faults.ending.notify_one();
                idle.push(*number);
            }
        }
        self.wait("the idle connections to close", |_| {
            let open = lock(&self.shared.connections);
            !idle.iter().any(|number| open.contains_key(number))
        });
    }

    /// Closes every connection where it stands, and refuses new ones.
    pub(crate) fn stop(&mut self) {
        if let Some(Serving { stop, thread }) = self.serving.take() {
            drop(stop);
            thread.join().expect("the collector did not panic");
        }
        lock(&self.shared.connections).clear();
        if let Place::Unix(path) = &self.place {
            let _ = std::fs::remove_file(path);
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

/// A port that no other collector has, also none that is not there yet: to a socket that shares its port, the system gives one
/// that others share as well.
fn free_port() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(address).expect("a free port");
    socket.set_reuseaddr(true).expect("SO_REUSEADDR");
    socket
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Several sockets may have the port while at most one of them listens.
    socket.set_reuseaddr(true).expect("SO_REUSEADDR");
    socket.bind(address).expect("our port");
    socket
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
