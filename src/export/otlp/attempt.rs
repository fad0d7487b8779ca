//! What one attempt is at, and what it has done already.

use std::sync::Mutex;

use super::balance::Place;
use super::line::Broken;
use super::lock;
use super::message::Fate;
use super::whole::Whole;
use crate::export::answer::Sent;
use crate::export::transport::Failure;

/// What an attempt is at, and where, for the case that its time ends there.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<At>);

#[derive(Debug)]
struct At {
    stage: Stage,
    place: Place,
}

#[derive(Debug)]
pub(super) enum Stage {
    Connecting,
    Credentials,
    Exchange(Fate),
}

impl Default for At {
    fn default() -> Self {
        let place = Place {
            endpoint: 0,
            address: None,
        };
        Self {
            stage: Stage::Connecting,
            place,
        }
    }
}

impl Progress {
    pub(super) fn note(&self, stage: Stage) {
        lock(&self.0).stage = stage;
    }

    pub(super) fn note_place(&self, place: Place) {
        lock(&self.0).place = place;
    }

    pub(super) fn place(&self) -> Place {
        lock(&self.0).place
    }

    /// Whether it is at what another place may do better: who gives the headers is the same for all.
    pub(super) fn is_at_the_place(&self) -> bool {
        !matches!(lock(&self.0).stage, Stage::Credentials)
    }

    pub(super) fn timed_out(&self) -> Failure {
        lock(&self.0).stage.timed_out()
    }
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

/// What a request to one place has done once already.
#[derive(Debug, Default)]
pub(super) struct Once {
    pub(super) connected_anew: bool,
    pub(super) refreshed: bool,
    pub(super) sent_plain: bool,
}

/// A request that was made, and what came back.
pub(super) struct Exchanged {
    pub(super) received: Result<Whole, Broken>,
    pub(super) sent: Sent,
    /// Bytes of the body.
    pub(super) length: u64,
    /// The connection had carried requests before.
    pub(super) is_reused: bool,
    /// All of the body was handed to the connection.
    pub(super) was_sent: bool,
}
