//! OTLP over the network: gRPC, and HTTP with protobuf or JSON, by one connection that both share.
//!
//! A gRPC call is an HTTP/2 request with a prefix of five bytes and its status in trailers, so hyper's connections carry either.
//! There is no codec: the chunks are the frames of the body as they are, and each request in flight has a connection to itself,
//! so that one that hangs or breaks is no other's. Which of several servers has it is decided by [`balance`].
//!
//! What one attempt may do more than once, within its deadline, is decided here: a connection that broke since it was idle, a
//! compression or a credential that was refused; and where one server fails, another that is well is asked. Everything else is
//! decided by the core.

mod attempt;
mod balance;
mod body;
mod connect;
mod destination;
mod endpoint;
mod fleet;
mod line;
mod mask;
mod message;
mod meter;
mod names;
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

use self::attempt::{Exchanged, Once, Progress, Stage};
use self::balance::{Outcome, Place};
use self::body::{Encoder, Outgoing};
use self::fleet::{Fleet, NoLine, Visit};
use self::line::{Broken, Line};
use self::message::{Fate, Message};
use self::names::Resolve;
use self::proxy::{Proxy, proxy_for};
use self::whole::Whole;
use super::answer::{self, Sent};
use super::transport::{Answer, Failure, Kind, Request, Sending, Transport};
use crate::config::{Compression, Protocol};
use crate::error::Error;
use crate::stats::Ledger;
use crate::sync::lock;

const AGENT: &str = concat!("tracing-otlp-rust/", env!("CARGO_PKG_VERSION"));

/// Credentials that were renewed in vain are not renewed again for so long: a lasting 401 would double every request.
const REFRESH: Duration = Duration::from_secs(60);

/// A destination that refused compressed data gets plain data for so long.
const PLAIN: Duration = Duration::from_secs(600);

/// How long an attempt is taken to have where it has no deadline.
const PATIENCE: Duration = Duration::from_secs(10);

/// A destination of OTLP.
#[derive(Debug)]
pub(crate) struct Otlp(Arc<Client>);

#[derive(Debug)]
struct Client {
    destination: Destination,
    fleet: Arc<Fleet>,
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
        Self::with_names(destination, ledger, names::system())
    }

    fn with_names(
        destination: Destination,
        ledger: Arc<Ledger>,
        resolve: Resolve,
    ) -> Result<Self, Error> {
        let Destination { protocol, tls, .. } = &destination;
        let with_proxy =
            |endpoint: &Endpoint| Ok((endpoint.clone(), proxy_to(endpoint, destination.proxy)?));
        let endpoints = destination.endpoints().map(with_proxy);
        let endpoints = endpoints.collect::<Result<Vec<_>, Error>>()?;
        if destination.endpoints().any(Endpoint::is_encrypted) {
            tls::check(tls)
                .map_err(|error| Error::config(format!("Builder::with_tls: {error}")))?;
        }
        let user_agent = user_agent(destination.user_agent.as_deref())?;
        let (balance, max_response) = (destination.balance, destination.max_response);
        let fleet = Fleet::new(endpoints, *protocol, tls, balance, resolve, max_response);
        Ok(Self(Arc::new(Client {
            user_agent,
            ledger,
            fleet: Arc::new(fleet),
            credentials: tokio::sync::Mutex::default(),
            encoder: Mutex::new(Encoder::new(&destination)?),
            plain_until: Mutex::new(None),
            refreshed: Mutex::new(None),
            destination,
        })))
    }
}

/// What the environment says of the way there.
fn proxy_to(endpoint: &Endpoint, is_asked: bool) -> Result<Option<Proxy>, Error> {
    let Some((host, port)) = endpoint.host_and_port().filter(|_| is_asked) else {
        return Ok(None);
    };
    // What is no Unicode is no proxy, and not none either.
    let variables = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
    proxy_for(&variables, host, port, endpoint.is_encrypted())
}

impl Transport for Otlp {
    fn send(&self, request: Request) -> Sending {
        let client = Arc::clone(&self.0);
        Box::pin(async move {
            let progress = Progress::default();
            let deadline = request.deadline;
            let sending = client.send(request, &progress);
            match deadline {
                // The worker keeps the same time; who is asked first can say what it was spent on.
                Some(deadline) => tokio::time::timeout_at(deadline.into(), sending)
                    .await
                    .unwrap_or_else(|_| Err(client.timed_out(&progress))),
                None => sending.await,
            }
        })
    }
}

/// Whose words these are: what a collector says beside its yes.
fn said_by(place: &str, answer: Answer) -> Answer {
    let message = match (answer.rejected, answer.message.as_str()) {
        (0, "") => return answer,
        (0, said) => format!("{place}: {said}"),
        (_, "") => format!("{place}: the collector does not say why"),
        (_, said) => format!("{place}: the collector says: {said}"),
    };
    Answer { message, ..answer }
}

impl Client {
    /// Sends it to the best place, and where that fails to the next one that is well, within the attempt's time. What a place
    /// may have taken before it failed is taken twice then, as with any request that is sent again.
    async fn send(&self, request: Request, progress: &Progress) -> Result<Answer, Failure> {
        let began = Instant::now();
        let mut tried = Vec::new();
        let mut earlier = None;
        loop {
            progress.note(Stage::Connecting);
            let (visit, line) = match self.fleet.line(&mut tried).await {
                Ok(found) => found,
                // What a server answered tells more than what could not be connected to.
                Err(no_line) => return Err(earlier.unwrap_or_else(|| self.not_connected(&no_line))),
            };
            let place = visit.place;
            progress.note_place(place);
            let sent = self.on_trial(began, &visit, &request, &tried);
            let sent = match sent {
                Some(trial) => {
                    let sending = self.send_to(visit, line, &request, began, progress);
                    tokio::time::timeout(trial, sending)
                        .await
                        .unwrap_or_else(|_| Err(progress.timed_out()))
                }
                None => self.send_to(visit, line, &request, began, progress).await,
            };
            let failure = match sent {
                Ok(answer) => return Ok(said_by(&self.fleet.shown(place), answer)),
                Err(failure) => self.said_at(place, failure),
            };
            let may_help = progress.is_at_the_place() && self.is_of_the_place(&failure);
            if !may_help || !self.fleet.has_healthy(&tried) {
                return Err(failure);
            }
            self.ledger.failed_over(&failure.message);
            if failure.kind == (Kind::Unanswered { ambiguous: true }) {
                self.ledger.ambiguous();
            }
            earlier = Some(failure).filter(|failure| failure.kind == Kind::Busy);
        }
    }

    /// A place of which little good is known has a quarter of the time that is left, where there are others that are well.
    fn on_trial(
        &self,
        began: Instant,
        visit: &Visit,
        request: &Request,
        tried: &[Place],
    ) -> Option<Duration> {
        let left = match request.deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => PATIENCE.saturating_sub(began.elapsed()),
        };
        visit.is_on_trial(tried).then_some(left / 4)
    }

    /// Whether another place may do better. What is wrong with the request is wrong everywhere; a path or a credential that one
    /// of several servers does not know may be known to another.
    fn is_of_the_place(&self, failure: &Failure) -> bool {
        match failure.kind {
            Kind::Unanswered { .. } | Kind::Busy => true,
            Kind::Misconfigured | Kind::NoPipeline => self.fleet.is_several(),
            Kind::OutOfRange | Kind::TooLarge | Kind::Refused => false,
        }
    }

    /// Sends it to this place, which it does once more for each reason of [`Client::judge`].
    async fn send_to(
        &self,
        visit: Visit,
        mut line: Line,
        request: &Request,
        began: Instant,
        progress: &Progress,
    ) -> Result<Answer, Failure> {
        let mut once = Once::default();
        loop {
            progress.note(Stage::Credentials);
            let credentials = {
                let _turn = self.credentials.lock().await;
                self.destination.headers.resolve(once.refreshed).await
            };
            let ready = credentials.and_then(|credentials| {
                let outgoing = lock(&self.encoder).encode(request, self.is_plain())?;
                Ok((credentials, outgoing))
            });
            let (credentials, outgoing) = match ready {
                Ok(ready) => ready,
                Err(failure) => {
                    // Nothing is wrong with the connection.
                    visit.keep(line);
                    visit.end(Outcome::Nothing);
                    return Err(failure);
                }
            };
            let exchanged = self.exchange(&visit, line, request, outgoing, &credentials, progress);
            let exchanged = exchanged.await;
            if let Some(verdict) = self.judge(&visit, exchanged, &mut once) {
                visit.end(self.outcome(&verdict, began, request.deadline));
                return mask::masked(verdict, &credentials);
            }
            progress.note(Stage::Connecting);
            line = match visit.line_again().await {
                Ok(line) => line,
                Err(broken) => {
                    let failure = self.unanswered(visit.place.endpoint, &broken, false);
                    visit.end(Outcome::Failed { after: None });
                    return Err(failure);
                }
            };
        }
    }

    /// What a verdict says of the place.
    fn outcome(
        &self,
        verdict: &Result<Answer, Failure>,
        began: Instant,
        deadline: Option<Instant>,
    ) -> Outcome {
        match verdict {
            Err(failure) if self.is_of_the_place(failure) => Outcome::Failed {
                after: failure.after,
            },
            _ => {
                let time = deadline.map_or(PATIENCE, |deadline| deadline - began);
                let share = began.elapsed().as_secs_f64() / time.as_secs_f64().max(0.001);
                Outcome::Answered { share }
            }
        }
    }

    /// What an exchange means; `None` when it is to be repeated at once, which each reason allows once.
    fn judge(
        &self,
        visit: &Visit,
        exchanged: Exchanged,
        once: &mut Once,
    ) -> Option<Result<Answer, Failure>> {
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
                    let endpoint = visit.place.endpoint;
                    return Some(Err(self.unanswered(endpoint, &broken, ambiguous)));
                }
                once.connected_anew = true;
                visit.forget_lines();
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

    async fn exchange(
        &self,
        visit: &Visit,
        mut line: Line,
        request: &Request,
        outgoing: Outgoing,
        credentials: &HeaderMap,
        progress: &Progress,
    ) -> Exchanged {
        let length = outgoing.length();
        let sent = Sent {
            signal: request.signal(),
            records: request.records(),
            bytes: request.bytes(),
            compression: outgoing.compression,
            first_compressed: line.compressed == 0,
        };
        let is_reused = line.requests > 0;
        line.compressed += u64::from(outgoing.compression != Compression::None);
        let (message, fate) = self.message(visit.place, &line, outgoing, credentials);
        progress.note(Stage::Exchange(fate.clone()));
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
            visit.keep(line);
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
        place: Place,
        line: &Line,
        outgoing: Outgoing,
        credentials: &HeaderMap,
    ) -> (http::Request<Message>, Fate) {
        let protocol = &self.destination.protocol;
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
        let endpoint = self.fleet.endpoint(place.endpoint);
        match endpoint {
            Some(endpoint) if line.is_http2() => {
                *request.version_mut() = Version::HTTP_2;
                *request.uri_mut() = endpoint.uri.clone();
            }
            Some(endpoint) => {
                request.headers_mut().insert(HOST, endpoint.host());
                *request.uri_mut() = endpoint.first_line(line.to_a_proxy);
                let connector = self.fleet.connector(place);
                let authorization = connector.and_then(|it| it.authorization(line.to_a_proxy));
                if let Some(authorization) = authorization {
                    let headers = request.headers_mut();
                    headers.insert(PROXY_AUTHORIZATION, authorization.clone());
                }
            }
            None => {}
        }
        (request, fate)
    }

    fn unanswered(&self, endpoint: usize, broken: &Broken, ambiguous: bool) -> Failure {
        let endpoint = self.fleet.endpoint(endpoint);
        let is_encrypted = endpoint.is_some_and(Endpoint::is_encrypted);
        let protocol = self.destination.protocol;
        let text = answer::of_transport(broken.error(), is_encrypted, protocol);
        Failure::unanswered(ambiguous, text)
    }

    fn not_connected(&self, no_line: &NoLine) -> Failure {
        let NoLine { place, broken } = no_line;
        let failure = self.unanswered(place.endpoint, broken, false);
        self.said_at(*place, failure)
    }

    fn timed_out(&self, progress: &Progress) -> Failure {
        self.said_at(progress.place(), progress.timed_out())
    }

    fn said_at(&self, place: Place, failure: Failure) -> Failure {
        let message = format!("{}: {}", self.fleet.shown(place), failure.message);
        Failure { message, ..failure }
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
