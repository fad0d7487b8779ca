//! OTLP over the network: gRPC, and HTTP with protobuf or JSON, by one connection that both share.
//!
//! A gRPC call is an HTTP/2 request with a prefix of five bytes and its status in trailers, so hyper's connections carry either.
//! There is no codec and no balancer: the chunks are the frames of the body as they are, and each request in flight has a
//! connection to itself, so that one that hangs or breaks is no other's.
//!
//! What one attempt may do more than once, within its deadline, is decided here: a connection that broke since it was idle, a
//! compression or a credential that was refused. Everything else is decided by the core.

mod body;
mod connect;
mod destination;
mod endpoint;
mod line;
mod mask;
mod message;
mod meter;
mod pending;
mod proxy;
mod stream;
mod tls;
mod whole;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[cfg(feature = "gzip")]
use http::header::ACCEPT_ENCODING;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    TE, USER_AGENT,
};
use http::{Method, Version};

pub(crate) use self::destination::Destination;
pub(crate) use self::endpoint::{Endpoint, Written};

use self::body::{Encoder, Outgoing};
use self::connect::Connector;
use self::line::{Broken, Line};
use self::message::{Fate, Message};
use self::proxy::proxy_for;
use self::whole::Whole;
use super::answer::{self, Sent};
use super::transport::{Answer, Failure, Request, Sending, Transport};
use crate::config::{Compression, Protocol};
use crate::error::Error;
use crate::stats::Ledger;
use crate::sync::lock;

const AGENT: &str = concat!("tracing-otlp-rust/", env!("CARGO_PKG_VERSION"));

/// Credentials that were renewed in vain are not renewed again for so long: a lasting 401 would double every request.
const REFRESH: Duration = Duration::from_secs(60);

/// A destination that refused compressed data gets plain data for so long.
const PLAIN: Duration = Duration::from_secs(600);

/// A destination of OTLP.
#[derive(Debug)]
pub(crate) struct Otlp(Arc<Client>);

#[derive(Debug)]
struct Client {
    destination: Destination,
    connector: Connector,
    /// The connections that no request is at work with, the one last used at the end. One is put back when its request was
    /// answered, and goes with a request that was not: what hangs or broke is not used again.
    lines: Mutex<Vec<Line>>,
    /// Credentials are asked for by one request at a time.
    credentials: tokio::sync::Mutex<()>,
    encoder: Mutex<Encoder>,
    /// Compression was refused: plain data until then.
    plain_until: Mutex<Option<Instant>>,
    /// When credentials were last asked for again in vain.
    refreshed: Mutex<Option<Instant>>,
    user_agent: HeaderValue,
    ledger: Arc<Ledger>,
}

impl Otlp {
    pub(crate) fn new(destination: Destination, ledger: Arc<Ledger>) -> Result<Self, Error> {
        let Destination {
            endpoint,
            protocol,
            tls,
            ..
        } = &destination;
        let proxy = match endpoint.host_and_port() {
            Some((host, port)) if destination.proxy => {
                // What is no Unicode is no proxy, and not none either.
                let variables =
                    |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
                proxy_for(&variables, host, port, endpoint.is_encrypted())?
            }
            _ => None,
        };
        if endpoint.is_encrypted() {
            tls::check(tls)
                .map_err(|error| Error::config(format!("Builder::with_tls: {error}")))?;
        }
        let user_agent = user_agent(destination.user_agent.as_deref())?;
        Ok(Self(Arc::new(Client {
            user_agent,
            ledger,
            connector: Connector::new(endpoint, *protocol, tls, proxy),
            lines: Mutex::default(),
            credentials: tokio::sync::Mutex::default(),
            encoder: Mutex::new(Encoder::new(&destination)?),
            plain_until: Mutex::new(None),
            refreshed: Mutex::new(None),
            destination,
        })))
    }
}

impl Transport for Otlp {
    fn send(&self, request: Request) -> Sending {
        let client = Arc::clone(&self.0);
        Box::pin(async move {
            let stage = Mutex::new(Stage::Connecting);
            let deadline = request.deadline;
            let sending = client.send(request, &stage);
            let sent = match deadline {
                // The worker keeps the same time; who is asked first can say what it was spent on.
                Some(deadline) => tokio::time::timeout_at(deadline.into(), sending)
                    .await
                    .unwrap_or_else(|_| Err(lock(&stage).timed_out())),
                None => sending.await,
            };
            let endpoint = &client.destination.endpoint;
            match sent {
                Ok(answer) => Ok(said_by(endpoint, answer)),
                Err(failure) => Err(Failure {
                    message: format!("{endpoint}: {}", failure.message),
                    ..failure
                }),
            }
        })
    }
}

/// Whose words these are: what a collector says beside its yes.
fn said_by(endpoint: &Endpoint, answer: Answer) -> Answer {
    let message = match (answer.rejected, answer.message.as_str()) {
        (0, "") => return answer,
        (0, said) => format!("{endpoint}: {said}"),
        (_, "") => format!("{endpoint}: the collector does not say why"),
        (_, said) => format!("{endpoint}: the collector says: {said}"),
    };
    Answer { message, ..answer }
}

/// What an attempt is at, for the case that its time ends there.
#[derive(Debug)]
enum Stage {
    Connecting,
    Credentials,
    Exchange(Fate),
}

impl Stage {
    fn timed_out(&self) -> Failure {
        match self {
            Self::Connecting => Failure::unanswered(false, "no connection in time"),
            Self::Credentials => Failure::unanswered(
                false,
                "what gives the headers (a provider or a file) did not answer in time",
            ),
            Self::Exchange(fate) if fate.was_sent() => {
                Failure::unanswered(true, "the request was sent, and not answered in time")
            }
            Self::Exchange(_) => Failure::unanswered(
                false,
                "the request could not be sent in time: the collector does not read",
            ),
        }
    }
}

/// What an attempt has done once already.
#[derive(Debug, Default)]
struct Once {
    connected_anew: bool,
    refreshed: bool,
    sent_plain: bool,
}

/// A request that was made, and what came back.
struct Exchanged {
    received: Result<Whole, Broken>,
    sent: Sent,
    /// Bytes of the body.
    length: u64,
    /// The connection had carried requests before.
    is_reused: bool,
    /// All of the body was handed to the connection.
    was_sent: bool,
}

impl Client {
    async fn send(&self, request: Request, stage: &Mutex<Stage>) -> Result<Answer, Failure> {
        let mut once = Once::default();
        loop {
            *lock(stage) = Stage::Connecting;
            let line = self.line().await;
            let line = line.map_err(|broken| self.unanswered(&broken, false))?;
            let headers = &self.destination.headers;
            *lock(stage) = Stage::Credentials;
            let credentials = {
                let _turn = self.credentials.lock().await;
                headers.resolve(once.refreshed).await
            };
            let credentials = match credentials {
                Ok(credentials) => credentials,
                Err(failure) => {
                    // Nothing is wrong with the connection.
                    lock(&self.lines).push(line);
                    return Err(failure);
                }
            };
            let outgoing = lock(&self.encoder).encode(&request, self.is_plain())?;
            let exchanged = self.exchange(line, &request, outgoing, &credentials, stage);
            let exchanged = exchanged.await;
            if let Some(verdict) = self.judge(exchanged, &mut once) {
                return mask::masked(verdict, &credentials);
            }
        }
    }

    /// What an exchange means; `None` when it is to be repeated at once, which each reason allows once.
    fn judge(&self, exchanged: Exchanged, once: &mut Once) -> Option<Result<Answer, Failure>> {
        let Exchanged {
            received,
            sent,
            length,
            is_reused,
            was_sent,
        } = exchanged;
        let received = match received {
            Ok(received) => received,
            Err(broken) => {
                let ambiguous = was_sent && !broken.is_unprocessed();
                // That a connection ended since it was idle, or was being closed, says nothing of the destination.
                if once.connected_anew || !(is_reused || broken.is_polite()) {
                    return Some(Err(self.unanswered(&broken, ambiguous)));
                }
                once.connected_anew = true;
                // What ended it may have ended the others.
                lock(&self.lines).clear();
                if ambiguous {
                    self.ledger.ambiguous();
                }
                return None;
            }
        };
        if received.cut && self.destination.protocol == Protocol::Grpc {
            // Its status would have come behind the body. OTLP does not allow to retry then.
            let most = self.destination.max_response;
            return Some(Err(Failure::reject(format!(
                "the answer is longer than {most} bytes (Builder::with_max_response_bytes)"
            ))));
        }
        if !once.sent_plain && answer::refuses_compression(&received.view(), &sent) {
            once.sent_plain = true;
            *lock(&self.plain_until) = Some(Instant::now() + PLAIN);
            return None;
        }
        let verdict = answer::judge(&received.view(), self.destination.protocol, &sent);
        let is_refused = verdict.as_ref().is_err_and(answer::refuses_credentials);
        if is_refused && !once.refreshed && self.may_refresh() {
            once.refreshed = true;
            return None;
        }
        if once.refreshed {
            *lock(&self.refreshed) = is_refused.then(Instant::now);
        }
        Some(verdict.map(|answer| Answer {
            sent: Some(length),
            ..answer
        }))
    }

    /// Whether credentials may be others now: not where they were none a moment ago.
    fn may_refresh(&self) -> bool {
        let in_vain = lock(&self.refreshed).is_some_and(|last| last.elapsed() < REFRESH);
        self.destination.headers.may_be_refreshed() && !in_vain
    }

    /// A connection that is kept, or a new one.
    async fn line(&self) -> Result<Line, Broken> {
        let kept = {
            let mut lines = lock(&self.lines);
            std::iter::from_fn(|| lines.pop()).find(Line::is_open)
        };
        match kept {
            Some(line) => Ok(line),
            None => Line::open(&self.connector, self.destination.max_response).await,
        }
    }

    async fn exchange(
        &self,
        mut line: Line,
        request: &Request,
        outgoing: Outgoing,
        credentials: &HeaderMap,
        stage: &Mutex<Stage>,
    ) -> Exchanged {
        let length = outgoing.length();
        let sent = Sent {
            records: request.records(),
            bytes: request.bytes(),
            compression: outgoing.compression,
            first_compressed: line.compressed == 0,
        };
        let is_reused = line.requests > 0;
        line.compressed += u64::from(outgoing.compression != Compression::None);
        let (message, fate) = self.message(&line, outgoing, credentials);
        *lock(stage) = Stage::Exchange(fate.clone());
        let received = async {
            let response = line.send(message).await?;
            let most = self.destination.max_response;
            match self.destination.protocol {
                Protocol::Grpc => Whole::read(response, most).await,
                #[cfg(feature = "http")]
                _ => Ok(Whole::read_behind_head(response, most).await),
                #[cfg(not(feature = "http"))]
                _ => Whole::read(response, most).await,
            }
        };
        let received = received.await;
        // Who answers before all was read may never read the rest. Its memory goes with the connection.
        if received.as_ref().is_ok_and(|received| !received.cut) && !fate.is_held() {
            lock(&self.lines).push(line);
        }
        Exchanged {
            received,
            sent,
            length,
            is_reused,
            was_sent: fate.was_sent(),
        }
    }

    /// Whether compression was refused lately.
    fn is_plain(&self) -> bool {
        let mut plain_until = lock(&self.plain_until);
        let is_plain = plain_until.is_some_and(|until| Instant::now() < until);
        if !is_plain {
            *plain_until = None;
        }
        is_plain
    }

    fn message(
        &self,
        line: &Line,
        outgoing: Outgoing,
        credentials: &HeaderMap,
    ) -> (http::Request<Message>, Fate) {
        let Destination {
            endpoint, protocol, ..
        } = &self.destination;
        let (message, fate) = Message::new(outgoing.parts);
        let mut request = http::Request::new(message);
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.extend(credentials.clone());
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(content_type(*protocol)),
        );
        headers.insert(USER_AGENT, self.user_agent.clone());
        #[cfg(feature = "gzip")]
        if *protocol != Protocol::Grpc {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if *protocol == Protocol::Grpc {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if outgoing.compression != Compression::None {
            let name = if *protocol == Protocol::Grpc {
                HeaderName::from_static("grpc-encoding")
            } else {
                CONTENT_ENCODING
            };
            headers.insert(name, HeaderValue::from_static(outgoing.compression.name()));
        }
        if line.is_http2() {
            *request.version_mut() = Version::HTTP_2;
            *request.uri_mut() = endpoint.uri.clone();
        } else {
            request.headers_mut().insert(HOST, endpoint.host());
            *request.uri_mut() = endpoint.first_line(line.to_a_proxy);
            if let Some(authorization) = self.connector.authorization(line.to_a_proxy) {
                let headers = request.headers_mut();
                headers.insert(PROXY_AUTHORIZATION, authorization.clone());
            }
        }
        (request, fate)
    }

    fn unanswered(&self, broken: &Broken, ambiguous: bool) -> Failure {
        let Destination {
            endpoint, protocol, ..
        } = &self.destination;
        let text = answer::of_transport(broken.error(), endpoint.is_encrypted(), *protocol);
        Failure::unanswered(ambiguous, text)
    }
}

/// A product of the user's own may stand before ours (specification, "OTLP Exporter", user agent).
fn user_agent(product: Option<&str>) -> Result<HeaderValue, Error> {
    let Some(product) = product else {
        return Ok(HeaderValue::from_static(AGENT));
    };
    HeaderValue::from_str(&format!("{product} {AGENT}")).map_err(|_| {
        Error::config(format!(
            "Builder::with_user_agent: {product:?} is no product name; expected visible ASCII, as in shop/1.0"
        ))
    })
}

fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "application/grpc",
        Protocol::HttpProtobuf => "application/x-protobuf",
        Protocol::HttpJson => "application/json",
    }
}

#[cfg(test)]
#[cfg(feature = "grpc")]
mod tests;
