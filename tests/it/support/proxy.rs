//! An HTTP proxy: tunnels by CONNECT, and requests with whole URIs. Whatever name is asked for, it leads to one loopback
//! port, so a client that resolves the name by itself fails.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tracing::subscriber::NoSubscriber;

const MOST_OF_A_HEAD: usize = 64 << 10;

/// What a client asked the proxy for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// `host:port` of a tunnel, or a whole URI.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// With which status it was answered; 200 for what went through.
    pub(crate) status: u16,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// The port to which everything leads.
    port: u16,
    /// The value that Proxy-Authorization has to have.
    authorization: Option<String>,
    /// What every request gets instead.
    refusal: Option<u16>,
    asked: Vec<Asked>,
}

impl Proxy {
    pub(crate) fn leading_to(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the proxy");
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .expect("a free port");
        let address = listener.local_addr().expect("a bound socket has one");
        let shared = Arc::new(Mutex::new(Shared {
            port,
            authorization: None,
            refusal: None,
            asked: Vec::new(),
        }));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let _nobody = tracing::subscriber::set_default(NoSubscriber::default());
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, served) => {}
                }
            });
        });
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, 407 without this `Proxy-Authorization` (`Basic dXNlcjpwYXNz`).
    pub(crate) fn demands(&self, authorization: &str) {
        lock(&self.shared).authorization = Some(authorization.to_owned());
    }

    /// From now on, this status for everything; `None` heals it.
    pub(crate) fn refuses(&self, status: impl Into<Option<u16>>) {
        lock(&self.shared).refusal = status.into();
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.shared).asked.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the proxy did not panic");
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    loop {
        if let Ok((client, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            // What fails here has failed for the client too.
            tokio::spawn(async move { serve(client, &shared).await });
        }
    }
}

async fn serve(mut client: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    let (head, rest) = read_head(&mut client).await?;
    let Some(mut asked) = parse(&head) else {
        return client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    };
    let port = {
        let mut shared = lock(shared);
        let known = shared.authorization.is_none()
            || shared.authorization.as_deref() == asked.header("proxy-authorization");
        asked.status = shared.refusal.unwrap_or(if known { 200 } else { 407 });
        shared.asked.push(asked.clone());
        shared.port
    };
    if asked.status != 200 {
        let refusal = format!(
            "HTTP/1.1 {} No\r\nproxy-authenticate: Basic\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            asked.status
        );
        client.write_all(refusal.as_bytes()).await?;
        client.shutdown().await?;
        // What the client still sends would turn the close into a reset.
        let mut piece = [0; 4 << 10];
        while client.read(&mut piece).await? > 0 {}
        return Ok(());
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    if asked.method == "CONNECT" {
        let established = b"HTTP/1.1 200 Connection Established\r\n\r\n";
        client.write_all(established).await?;
    } else {
        server.write_all(origin_form(&asked).as_bytes()).await?;
    }
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The head as it goes on: the path alone, and one request a connection.
fn origin_form(asked: &Asked) -> String {
    let behind = asked.target.split_once("://").map_or("", |(_, rest)| rest);
    let path = behind.find('/').map_or("/", |at| &behind[at..]);
    let mut head = format!("{} {path} HTTP/1.1\r\n", asked.method);
    for (name, value) in &asked.headers {
        if !name.starts_with("proxy-") && name != "connection" {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head + "connection: close\r\n\r\n"
}

fn parse(head: &str) -> Option<Asked> {
    let mut rows = head.split("\r\n");
    let mut words = rows.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let right = words.next() == Some("HTTP/1.1") && (method == "CONNECT" || target.contains("://"));
    let headers = rows.map(|row| {
        let (name, value) = row.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some(Asked {
        method,
        target,
        headers: headers.collect::<Option<_>>()?,
        status: 200,
    })
    .filter(|_| right)
}

/// The head without its end, and what was read behind it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            read.truncate(end);
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        if read.len() > MOST_OF_A_HEAD || client.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
