//! Reads, decides, and lowers or raises the memory limit; says so.

use std::sync::Arc;
use std::time::Duration;

use super::place::Place;
use super::reading::Reading;
use super::tide::Tide;
use crate::clock::{self, nanos};
use crate::queue::Budget;
use crate::resource::World;
use crate::say::{Level, tell};
use crate::stats::Ledger;
use crate::sync::{Mutex, lock};

/// While the limit goes up and down, people are told so often.
const PAUSE: Duration = Duration::from_secs(60);

/// Who keeps the budget within what the cgroup has.
#[derive(Debug)]
pub(crate) struct Follower {
    world: World,
    place: Place,
    budget: Arc<Budget>,
    ledger: Arc<Ledger>,
    /// What was configured.
    most: usize,
    /// Nobody but the exporter's thread takes it, once it runs.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tide: Tide,
    /// When people were last told, in nanoseconds of the monotonic clock.
    told: Option<u64>,
}

impl Follower {
    /// `None`: the process is in no cgroup. What the budget holds already is never free, and `smallest` is what a pipeline needs beside.
    pub(crate) fn new(
        world: World,
        budget: &Arc<Budget>,
        smallest: usize,
        ledger: &Arc<Ledger>,
    ) -> Option<Self> {
        let place = Place::find(&world)?;
        let most = budget.limit();
        let tide = Tide::new(most, budget.used(), smallest);
        Some(Self {
            world,
            place,
            budget: Arc::clone(budget),
            ledger: Arc::clone(ledger),
            most,
            state: Mutex::new(State { tide, told: None }),
        })
    }

    /// Looks at the cgroup, once a second at most; `true` where the limit has become lower.
    pub(crate) fn look(&self) -> bool {
        self.look_at(clock::monotonic())
    }

    fn look_at(&self, now: u64) -> bool {
        let mut state = lock(&self.state);
        if !state.tide.is_due(now) {
            return false;
        }
        let reading = Reading::take(&self.world, &self.place);
        let before = self.budget.limit();
        let limit = state.tide.next(now, self.budget.used(), &reading);
        if limit == before {
            return false;
        }
        self.budget.set_limit(limit);
        self.ledger.memory_limit_changed();
        let is_detail = before != self.most && limit != self.most;
        let is_recent = state
            .told
            .is_some_and(|told| now.saturating_sub(told) < nanos(PAUSE));
        if !(is_detail && is_recent) {
            state.told = Some(now);
            self.say(limit, before);
        }
        limit < before
    }

    fn say(&self, limit: usize, before: usize) {
        let most = self.most;
        if limit == most {
            let text = format!(
                "the cgroup has memory again: the limit is {most} bytes, as it was configured"
            );
            return tell(Level::Info, &text);
        }
        let (level, what) = if limit < before {
            (Level::Warn, "lowered")
        } else {
            (Level::Info, "raised")
        };
        let text = format!(
            "the memory limit is {what} to {limit} bytes of {most}, as the cgroup has room (Builder::with_memory_following_cgroup)"
        );
        tell(level, &text);
    }
}

#[cfg(test)]
mod tests;
