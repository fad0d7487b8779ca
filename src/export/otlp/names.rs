//! Names that are looked up, again and again: what stands behind one comes and goes.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;
use crate::export::blocking;

/// A name is looked up again after so long, while requests are sent.
const AGAIN: Duration = Duration::from_secs(30);

/// When one of its addresses has failed, it is looked up again at once, but not more often.
const SOONEST: Duration = Duration::from_secs(1);

/// What gives a name's addresses.
pub(super) type Resolve = Box<dyn Fn(String, u16) -> Looking + Send + Sync>;

pub(super) type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// The system's resolver.
pub(super) fn system() -> Resolve {
    Box::new(|host, port| {
        Box::pin(async move {
            let look_up = move || Ok((host.as_str(), port).to_socket_addrs()?.collect());
            match blocking::start(look_up) {
                Some(found) => found.await.map_err(io::Error::other)?,
                None => Err(io::Error::other(
                    "the system has no thread to look up names",
                )),
            }
        })
    })
}

/// A host's name, and when it was looked up.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) host: String,
    pub(super) port: u16,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    /// One at a time: a look-up may hang, and cannot be cancelled.
    under_way: bool,
    last: Option<Instant>,
    /// One of its addresses has failed since.
    is_stale: bool,
    failure: Option<io::Error>,
}

impl Name {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            asked: Mutex::default(),
        }
    }

    /// Whether it is to be looked up now; then it is under way. An address must be had where none `is_known`.
    pub(super) fn begin(&self, now: Instant, is_known: bool) -> bool {
        let mut asked = lock(&self.asked);
        let age = asked.last.map(|last| now.saturating_duration_since(last));
        // What is behind this name does not change by itself.
        let is_fixed = self.host == "localhost";
        let is_due = age.is_none_or(|age| {
            !is_known || asked.is_stale && age >= SOONEST || !is_fixed && age >= AGAIN
        });
        if asked.under_way || !is_due {
            return false;
        }
        *asked = Asked {
            under_way: true,
            last: Some(now),
            ..Asked::default()
        };
        true
    }

    /// It was looked up, and may not have been found.
    pub(super) fn end(&self, failure: Option<io::Error>) {
        let mut asked = lock(&self.asked);
        asked.under_way = false;
        asked.failure = failure;
    }

    /// One of its addresses has failed.
    pub(super) fn doubt(&self) {
        lock(&self.asked).is_stale = true;
    }

    pub(super) fn is_under_way(&self) -> bool {
        lock(&self.asked).under_way
    }

    /// Why it was not found.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        lock(&self.asked).failure.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_on_a_timer_and_when_an_address_failed() {
        let (name, start) = (Name::new("collector", 4317), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(name.begin(at(0), false));
        assert!(!name.begin(at(1), false), "one at a time");
        name.end(None);
        assert!(!name.begin(at(29_999), true));
        assert!(name.begin(at(30_000), true));
        name.end(None);
        name.doubt();
        assert!(!name.begin(at(30_999), true), "not more than once a second");
        assert!(name.begin(at(31_000), true));
        name.end(None);
        assert!(
            !name.begin(at(40_000), true),
            "what failed before is no news"
        );
    }

    #[test]
    fn a_name_that_was_not_found_is_looked_up_with_each_attempt() {
        let (name, now) = (Name::new("collector", 4317), Instant::now());
        for _ in 0..3 {
            assert!(name.begin(now, false) && name.is_under_way());
            name.end(Some(io::Error::other("no such name")));
            assert!(name.take_failure().is_some() && name.take_failure().is_none());
        }
    }

    #[test]
    fn localhost_stays_where_it_is() {
        let (name, now) = (Name::new("localhost", 4317), Instant::now());
        assert!(name.begin(now, false));
        name.end(None);
        let later = now + Duration::from_secs(3600);
        assert!(!name.begin(later, true));
        name.doubt();
        assert!(name.begin(later, true));
    }
}
