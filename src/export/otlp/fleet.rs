//! The servers of one destination, and the connections to them: several endpoints, and every address that a name has.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::balance::{Balance, Outcome, Place};
use super::connect::{Connector, NEXT_ADDRESS, TIMEOUT};
use super::endpoint::Endpoint;
use super::line::{Broken, Line};
use super::lock;
use super::names::{Name, Resolve};
use super::proxy::Proxy;
use crate::config::{Balance as Choice, Protocol, Tls};

/// One attempt tries no more places than these.
const MOST_TRIED: usize = 8;

/// More addresses of one name are not used.
const MOST_ADDRESSES: usize = 64;

/// Where the known places do not do well, a look-up is waited for so long.
const PATIENCE: Duration = Duration::from_secs(1);

const NOWHERE: Place = Place {
    endpoint: 0,
    address: None,
};

pub(super) struct Fleet {
    sites: Vec<Site>,
    balance: Mutex<Balance>,
    /// The connections that no request is at work with, the one last used at the end. One is put back when its request was
    /// answered, and goes with a request that was not: what hangs or broke is not used again.
    lines: Mutex<Vec<(Place, Line)>>,
    resolve: Resolve,
    /// Some look-up has ended.
    looked_up: Notify,
    max_response: usize,
}

/// One of the endpoints.
#[derive(Debug)]
struct Site {
    endpoint: Endpoint,
    connector: Arc<Connector>,
    /// Where there is something to look up.
    name: Option<Name>,
}

/// A request's stay at a place. One that ends without a word has failed: nobody waited for it any longer.
#[derive(Debug)]
pub(super) struct Visit {
    fleet: Arc<Fleet>,
    pub(super) place: Place,
    is_over: bool,
}

/// There was no connection: from what was tried last, and why.
#[derive(Debug)]
pub(super) struct NoLine {
    pub(super) place: Place,
    pub(super) broken: Broken,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("sites", &self.sites)
            .field("balance", &self.balance)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

impl Fleet {
    /// Of endpoints, each with the proxy that leads to it.
    pub(super) fn new(
        endpoints: Vec<(Endpoint, Option<Proxy>)>,
        protocol: Protocol,
        tls: &Tls,
        choice: Choice,
        resolve: Resolve,
        max_response: usize,
    ) -> Self {
        let mut balance = Balance::new(choice);
        let sites = endpoints
            .into_iter()
            .enumerate()
            .map(|(number, (endpoint, proxy))| {
                let name = endpoint.host_and_port().filter(|_| proxy.is_none());
                let name = name.filter(|(host, _)| host.parse::<IpAddr>().is_err());
                let name = name.map(|(host, port)| Name::new(host, port));
                if name.is_none() {
                    balance.set(number, &[None], || fastrand::u64(..));
                }
                let connector = Arc::new(Connector::new(&endpoint, protocol, tls, proxy));
                Site {
                    endpoint,
                    connector,
                    name,
                }
            });
        Self {
            sites: sites.collect(),
            balance: Mutex::new(balance),
            lines: Mutex::default(),
            resolve,
            looked_up: Notify::new(),
            max_response,
        }
    }

    pub(super) fn endpoint(&self, number: usize) -> Option<&Endpoint> {
        self.sites.get(number).map(|site| &site.endpoint)
    }

    pub(super) fn connector(&self, place: Place) -> Option<&Connector> {
        self.sites.get(place.endpoint).map(|site| &*site.connector)
    }

    /// Whether there are several places, so that a failure is one of them's alone.
    pub(super) fn is_several(&self) -> bool {
        self.sites.len() > 1
    }

    /// How a place is shown: by its address too, where its name has several.
    pub(super) fn shown(&self, place: Place) -> String {
        let endpoint = self.endpoint(place.endpoint);
        let endpoint = endpoint.map(Endpoint::to_string).unwrap_or_default();
        let several = lock(&self.balance).count_of(place.endpoint) > 1;
        match place.address.filter(|_| several) {
            Some(address) => format!("{endpoint} ({address})"),
            None => endpoint,
        }
    }

    /// Whether there is a place that is well, and was not tried.
    pub(super) fn has_healthy(&self, tried: &[Place]) -> bool {
        tried.len() < MOST_TRIED && lock(&self.balance).has_healthy(Instant::now(), tried)
    }

    /// A connection to the best place that was not tried: one that is kept, or the first that is made. Notes what it tries.
    pub(super) async fn line(
        self: &Arc<Self>,
        tried: &mut Vec<Place>,
    ) -> Result<(Visit, Line), NoLine> {
        let line = tokio::time::timeout(TIMEOUT, self.first_line(tried)).await;
        line.unwrap_or_else(|_| {
            let place = tried.last().copied().unwrap_or(NOWHERE);
            let text = format!("no connection within {TIMEOUT:?}");
            let broken = io::Error::new(io::ErrorKind::TimedOut, text).into();
            Err(NoLine { place, broken })
        })
    }

    /// Tries one place after the other, each when the one before has failed or has not answered for a while.
    async fn first_line(self: &Arc<Self>, tried: &mut Vec<Place>) -> Result<(Visit, Line), NoLine> {
        self.look_up().await;
        let mut attempts = JoinSet::new();
        let mut failure = None;
        loop {
            let visit = self.visit(tried);
            let was_last = visit.is_none();
            if let Some(visit) = visit {
                if let Some(line) = self.kept(visit.place) {
                    return Ok((visit, line));
                }
                attempts.spawn(visit.connect());
            }
            let patience = if was_last { TIMEOUT } else { NEXT_ADDRESS };
            match tokio::time::timeout(patience, attempts.join_next()).await {
                Ok(Some(Ok(Ok(made)))) => return Ok(made),
                Ok(Some(Ok(Err(no_line)))) => failure = Some(no_line),
                Ok(Some(Err(error))) => {
                    let broken = io::Error::other(error).into();
                    let place = NOWHERE;
                    failure = Some(NoLine { place, broken });
                }
                Ok(None) if was_last => return Err(failure.unwrap_or_else(|| self.no_address())),
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// A request goes to the best place that was not tried.
    fn visit(self: &Arc<Self>, tried: &mut Vec<Place>) -> Option<Visit> {
        if tried.len() >= MOST_TRIED {
            return None;
        }
        let place = lock(&self.balance).begin(Instant::now(), tried)?;
        tried.push(place);
        Some(Visit {
            fleet: Arc::clone(self),
            place,
            is_over: false,
        })
    }

    /// The connection to a place that was used last, if it is still open.
    fn kept(&self, place: Place) -> Option<Line> {
        let mut lines = lock(&self.lines);
        lines.retain(|(_, line)| line.is_open());
        let at = lines.iter().rposition(|(of, _)| *of == place)?;
        Some(lines.remove(at).1)
    }

    /// Begins the look-ups that are due, and waits for one where no place is well.
    async fn look_up(self: &Arc<Self>) {
        for number in 0..self.sites.len() {
            self.begin_look_up(number);
        }
        let is_known = !lock(&self.balance).is_empty();
        let waiting = async {
            loop {
                let looked_up = self.looked_up.notified();
                let is_well = lock(&self.balance).has_healthy(Instant::now(), &[]);
                if is_well || !self.names().any(Name::is_under_way) {
                    return;
                }
                looked_up.await;
            }
        };
        let patience = if is_known { PATIENCE } else { TIMEOUT };
        // What is known is tried where nothing more can be had.
        let _ = tokio::time::timeout(patience, waiting).await;
    }

    fn begin_look_up(self: &Arc<Self>, number: usize) {
        let Some(name) = self.sites.get(number).and_then(|site| site.name.as_ref()) else {
            return;
        };
        let is_known = lock(&self.balance).count_of(number) > 0;
        if !name.begin(Instant::now(), is_known) {
            return;
        }
        // In a task of its own: it panics where the system has no thread for it, and has to end all the same.
        let looking = tokio::spawn((self.resolve)(name.host.clone(), name.port));
        let fleet = Arc::clone(self);
        tokio::spawn(async move {
            let found = looking.await;
            fleet.found(
                number,
                found.unwrap_or_else(|error| Err(io::Error::other(error))),
            );
        });
    }

    /// A name that is not found, or has no address, keeps those that it had.
    fn found(&self, number: usize, found: io::Result<Vec<SocketAddr>>) {
        let failure = match found {
            Ok(addresses) if addresses.is_empty() => {
                let text = "the host has no address";
                Some(io::Error::new(io::ErrorKind::AddrNotAvailable, text))
            }
            Ok(addresses) => {
                let addresses: Vec<_> = addresses
                    .into_iter()
                    .take(MOST_ADDRESSES)
                    .map(Some)
                    .collect();
                let mut balance = lock(&self.balance);
                balance.set(number, &addresses, || fastrand::u64(..));
                lock(&self.lines).retain(|(place, _)| balance.knows(*place));
                None
            }
            Err(error) => Some(error),
        };
        if let Some(name) = self.sites.get(number).and_then(|site| site.name.as_ref()) {
            name.end(failure);
        }
        self.looked_up.notify_waiters();
    }

    fn names(&self) -> impl Iterator<Item = &Name> {
        self.sites.iter().filter_map(|site| site.name.as_ref())
    }

    fn no_address(&self) -> NoLine {
        let failures = self
            .sites
            .iter()
            .enumerate()
            .filter_map(|(number, site)| Some((number, site.name.as_ref()?.take_failure()?)));
        let (number, error) = failures.last().unwrap_or_else(|| {
            let text = "the host has no address";
            (0, io::Error::new(io::ErrorKind::AddrNotAvailable, text))
        });
        let place = Place {
            endpoint: number,
            ..NOWHERE
        };
        let broken = error.into();
        NoLine { place, broken }
    }
}

impl Visit {
    async fn connect(self) -> Result<(Self, Line), NoLine> {
        match self.open().await {
            Ok(line) => Ok((self, line)),
            Err(broken) => {
                let place = self.place;
                self.end(Outcome::Failed { after: None });
                Err(NoLine { place, broken })
            }
        }
    }

    async fn open(&self) -> Result<Line, Broken> {
        let Place { endpoint, address } = self.place;
        match self.fleet.sites.get(endpoint) {
            Some(site) => Line::open(&site.connector, address, self.fleet.max_response).await,
            None => Err(io::Error::other("there is no such endpoint").into()),
        }
    }

    /// Another connection to the same place: one that is kept, or a new one.
    pub(super) async fn line_again(&self) -> Result<Line, Broken> {
        match self.fleet.kept(self.place) {
            Some(line) => Ok(line),
            None => self.open().await,
        }
    }

    /// What became of the request.
    pub(super) fn end(mut self, outcome: Outcome) {
        self.is_over = true;
        self.note(outcome);
    }

    /// The connection may carry another request, if its place is still one.
    pub(super) fn keep(&self, line: Line) {
        let balance = lock(&self.fleet.balance);
        if balance.knows(self.place) {
            lock(&self.fleet.lines).push((self.place, line));
        }
    }

    /// What ended one connection to a place may have ended the others.
    pub(super) fn forget_lines(&self) {
        lock(&self.fleet.lines).retain(|(place, _)| *place != self.place);
    }

    /// Whether it is the first request since the place failed, while there are others that are well.
    pub(super) fn is_on_trial(&self, tried: &[Place]) -> bool {
        let balance = lock(&self.fleet.balance);
        balance.is_on_trial(self.place) && balance.has_healthy(Instant::now(), tried)
    }

    fn note(&self, outcome: Outcome) {
        let random = fastrand::f64();
        lock(&self.fleet.balance).end(Instant::now(), self.place, outcome, random);
        if matches!(outcome, Outcome::Failed { .. })
            && let Some(site) = self.fleet.sites.get(self.place.endpoint)
            && let Some(name) = &site.name
        {
            name.doubt();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.is_over {
            self.note(Outcome::Failed { after: None });
        }
    }
}

#[cfg(test)]
#[cfg(feature = "grpc")]
mod tests;
