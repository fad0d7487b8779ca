//! Which of a destination's addresses has the next request: a state machine without IO, clock or randomness of its own.
//!
//! A place that fails is left out for a while, longer with each failure in a row; then it gets one request, and twice as many
//! with each that it takes. Where no place is well, the one that is soonest to be is asked: never are all left out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::backoff;
use crate::config::Balance as Choice;

/// After so many requests that a place took since it failed last, it is as any other.
const RECOVERED: u32 = 4;

/// A place that took this part of an attempt's time is slow; where there are faster ones, they are asked.
const SLOW: f64 = 1.0 / 8.0;

/// For so long it is remembered how slow a place was.
const MEMORY: Duration = Duration::from_secs(60);

/// One of the endpoints, and one of the addresses that its name has: `None` where it has no name, or where a proxy looks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) endpoint: usize,
    pub(super) address: Option<SocketAddr>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The place answered for good, after this part of the time that the attempt had.
    Answered { share: f64 },
    /// There was no connection, no answer, or a "not now", perhaps with the time that it asked for.
    Failed { after: Option<Duration> },
    /// It tells nothing of the place.
    Nothing,
}

#[derive(Debug)]
struct Peer {
    place: Place,
    /// Of several that are as good, the least.
    order: (usize, u64),
    in_flight: u32,
    /// In a row.
    failures: u32,
    /// It is left out until then.
    until: Option<Instant>,
    /// Requests that it took since it failed.
    taken: u32,
    /// What part of an attempt's time it takes, and when that was seen last.
    share: Option<(f64, Instant)>,
}

/// The places, and how well each one is.
#[derive(Debug)]
pub(super) struct Balance {
    choice: Choice,
    peers: Vec<Peer>,
    /// Where the last request was taken: there is a connection, and a thread's records stay in their order.
    current: Option<Place>,
}

impl Balance {
    pub(super) fn new(choice: Choice) -> Self {
        Self {
            choice,
            peers: Vec::new(),
            current: None,
        }
    }

    /// The places of an endpoint from now on. What is known of those that stay is kept. A process has an order of its own
    /// (`random`), so that many of them do not go to the same place; where a name has addresses of both families, those of its
    /// first one go before (RFC 6724).
    pub(super) fn set(
        &mut self,
        endpoint: usize,
        addresses: &[Option<SocketAddr>],
        mut random: impl FnMut() -> u64,
    ) {
        let is_v6 = |address: &Option<SocketAddr>| address.is_some_and(|it| it.is_ipv6());
        let first_is_v6 = addresses.first().is_some_and(is_v6);
        let stays = |peer: &Peer| {
            peer.place.endpoint != endpoint || addresses.contains(&peer.place.address)
        };
        self.peers.retain(stays);
        for address in addresses {
            let address = *address;
            let place = Place { endpoint, address };
            if self.knows(place) {
                continue;
            }
            let is_second_family = is_v6(&address) != first_is_v6;
            self.peers.push(Peer {
                place,
                order: (usize::from(is_second_family), random()),
                in_flight: 0,
                failures: 0,
                until: None,
                taken: RECOVERED,
                share: None,
            });
        }
    }

    pub(super) fn knows(&self, place: Place) -> bool {
        self.peers.iter().any(|peer| peer.place == place)
    }

    /// Whether no place is known.
    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// How many addresses an endpoint has.
    pub(super) fn count_of(&self, endpoint: usize) -> usize {
        let of_it = |peer: &&Peer| peer.place.endpoint == endpoint;
        self.peers.iter().filter(of_it).count()
    }

    /// Whether there is a place that is well and was not tried.
    pub(super) fn has_healthy(&self, now: Instant, tried: &[Place]) -> bool {
        self.untried(tried).any(|peer| peer.is_ready(now))
    }

    /// Whether so little is known of a place that it may hang.
    pub(super) fn is_on_trial(&self, place: Place) -> bool {
        let peer = self.peers.iter().find(|peer| peer.place == place);
        peer.is_some_and(Peer::is_on_trial)
    }

    /// The best place that was not tried; a request is begun there, which ends with [`Balance::end`].
    pub(super) fn begin(&mut self, now: Instant, tried: &[Place]) -> Option<Place> {
        let well = self.untried(tried).filter(|peer| peer.is_ready(now));
        let best = well.min_by(|one, other| self.rank(one, now).cmp(&self.rank(other, now)));
        let chosen = best.or_else(|| {
            let least_bad = |peer: &&Peer| (peer.until, peer.in_flight, peer.order);
            self.untried(tried).min_by_key(least_bad)
        });
        let place = chosen?.place;
        self.peer(place)?.in_flight += 1;
        Some(place)
    }

    /// What became of a request that was begun. `random` is from 0 to 1.
    pub(super) fn end(&mut self, now: Instant, place: Place, outcome: Outcome, random: f64) {
        if matches!(outcome, Outcome::Answered { .. }) {
            self.current = Some(place);
        }
        let Some(peer) = self.peer(place) else {
            return;
        };
        // One that went out of the name and came back has none of those that were begun before.
        peer.in_flight = peer.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Answered { share } => peer.answered(now, share),
            Outcome::Failed { after } => peer.failed(now, after, random),
            Outcome::Nothing => {}
        }
    }

    fn untried(&self, tried: &[Place]) -> impl Iterator<Item = &Peer> {
        let is_untried = |peer: &&Peer| !tried.contains(&peer.place);
        self.peers.iter().filter(is_untried)
    }

    fn peer(&mut self, place: Place) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.place == place)
    }

    /// The least is the best.
    fn rank(&self, peer: &Peer, now: Instant) -> (usize, u32, bool, bool, (usize, u64)) {
        let is_other = self.current != Some(peer.place);
        match self.choice {
            Choice::Failover => (peer.place.endpoint, 0, false, is_other, peer.order),
            Choice::LeastOutstanding => {
                let is_on_trial = peer.is_on_trial();
                (0, peer.wait(now), is_on_trial, is_other, peer.order)
            }
        }
    }
}

impl Peer {
    /// Whether it is not left out, and does not have as many requests as it may have since it is back.
    fn is_ready(&self, now: Instant) -> bool {
        let is_back = self.until.is_none_or(|until| until <= now);
        is_back && (self.taken >= RECOVERED || self.in_flight < 1 << self.taken)
    }

    fn is_on_trial(&self) -> bool {
        self.failures > 0 && self.taken == 0
    }

    /// How long a further request is expected to wait here, in requests of a place that is not slow.
    fn wait(&self, now: Instant) -> u32 {
        let is_fresh = |seen: Instant| now.saturating_duration_since(seen) < MEMORY;
        let share = self.share.filter(|(_, seen)| is_fresh(*seen));
        let times = match share.map_or(0.0, |(share, _)| share / SLOW) {
            times if times < 1.0 => 1,
            times if times < 2.0 => 2,
            times if times < 4.0 => 4,
            _ => 8,
        };
        self.in_flight.saturating_add(1).saturating_mul(times)
    }

    fn answered(&mut self, now: Instant, share: f64) {
        self.until = None;
        self.taken = self.taken.saturating_add(1).min(RECOVERED);
        if self.taken == RECOVERED {
            self.failures = 0;
        }
        let fresh = self
            .share
            .filter(|(_, seen)| now.saturating_duration_since(*seen) < MEMORY);
        let share = fresh.map_or(share, |(before, _)| (3.0 * before + share) / 4.0);
        self.share = Some((share, now));
    }

    fn failed(&mut self, now: Instant, after: Option<Duration>, random: f64) {
        // Requests that were in flight together fail together, and tell it once.
        let is_known = self.until.is_some_and(|until| now < until);
        if !is_known {
            self.failures = self.failures.saturating_add(1);
        }
        let own = backoff::own(self.failures, random);
        let asked = after.map_or(Duration::ZERO, |after| backoff::asked(after, random));
        let until = now.checked_add(own.max(asked));
        self.until = self.until.max(until);
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests;
