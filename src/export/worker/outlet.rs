//! One signal on its way to one destination: its core, its requests in flight, its books.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Watch;
use crate::export::Outgoing;
use crate::export::books::Books;
use crate::export::core::{Action, Core, Event, Nanos, Settled};
use crate::export::share::Holder;
use crate::export::transport::{Answer, Failure, Request, Sending, Transport};
use crate::export::voice::Voice;
use crate::problem::{Hook, Origin};
use crate::queue::{Queue, Sealed};
use crate::report::Report;

pub(super) struct Outlet {
    transport: Rc<dyn Transport>,
    core: Core,
    books: Books,
    /// Where its chunks came from, and go when they are free.
    queue: Arc<Queue>,
    watch: Watch,
    /// One attempt's deadline; none where it is zero.
    timeout: Duration,
    /// The requests in flight, in the order in which they were begun.
    sending: Vec<Flying>,
    /// Those that have ended, until the core hears of it.
    landed: Vec<Landed>,
    /// Records that were given up for memory, until that is booked.
    evicted: u64,
}

/// A request in flight.
struct Flying {
    id: u64,
    begun: Instant,
    sending: Sending,
}

/// A request that has ended.
struct Landed {
    id: u64,
    took: Duration,
    /// `None`: the transport panicked.
    answer: Option<Result<Answer, Failure>>,
}

/// What an outlet cannot do by itself.
pub(super) enum Errand {
    /// Collect what lies in the lanes, and close them or not.
    Sweep { close: bool },
    /// A flush or shutdown is done here.
    Resolve { id: u64, report: Report },
}

impl Holder for &mut Outlet {
    fn charge(&self) -> usize {
        self.core.charge()
    }

    fn evict(&mut self) -> bool {
        Outlet::evict(self)
    }
}

impl Outlet {
    pub(super) fn new(
        transport: Rc<dyn Transport>,
        outgoing: Outgoing,
        queue: &Arc<Queue>,
        on_error: Option<Hook>,
        watch: Watch,
    ) -> Self {
        let Outgoing {
            mut tuning,
            resource,
            ledger,
            destination,
            label,
        } = outgoing;
        let origin = Origin {
            signal: tuning.signal,
            destination: Some(destination),
        };
        let most = catch_unwind(AssertUnwindSafe(|| transport.most_in_flight()));
        tuning.concurrency = tuning.concurrency.at_most(most.unwrap_or(1));
        Self {
            transport,
            core: Core::new(tuning, resource, 0),
            books: Books::new(ledger, Voice::new(origin, on_error, label)),
            queue: Arc::clone(queue),
            watch,
            timeout: tuning.timeout,
            sending: Vec::new(),
            landed: Vec::new(),
            evicted: 0,
        }
    }

    /// What it holds of the memory.
    pub(super) fn charge(&self) -> usize {
        self.core.charge()
    }

    /// Does what there is to do, up to what it cannot do by itself.
    pub(super) fn act(&mut self) -> Option<Errand> {
        while let Some(action) = self.core.act(self.watch.now()) {
            match action {
                Action::Sweep { close } => return Some(Errand::Sweep { close }),
                Action::Resolve { id, report } => return Some(Errand::Resolve { id, report }),
                Action::Send { id, request } => self.send(id, request),
                Action::Book(settled) => {
                    self.note_what_is_held();
                    self.book(settled);
                }
                Action::Stop => {}
            }
        }
        None
    }

    /// The sweep that it asked for was done.
    pub(super) fn swept(&mut self) {
        self.core.swept();
    }

    /// Chunks that are its own from now on, beside others that have them too; and how many lanes still owe one.
    pub(super) fn take_over(&mut self, chunks: Vec<Rc<Sealed>>, owing: usize) {
        self.feed(Event::Chunks { chunks, owing });
    }

    /// A flush or a shutdown begins; `false` where it has stopped, and nothing is left to do.
    pub(super) fn flush(&mut self, id: u64, deadline: Nanos, shutdown: bool) -> bool {
        if self.core.has_stopped() {
            return false;
        }
        self.feed(if shutdown {
            Event::Shutdown { id, deadline }
        } else {
            Event::Flush { id, deadline }
        });
        true
    }

    /// Nobody waits any more for flushes with these numbers, which are sorted.
    pub(super) fn forget(&mut self, flushes: &[u64]) {
        self.core.forget(flushes);
    }

    /// What has ended is taken in.
    pub(super) fn take_in(&mut self) {
        for Landed { id, took, answer } in std::mem::take(&mut self.landed) {
            self.feed(match answer {
                Some(answer) => {
                    self.books.answered(took, &answer);
                    Event::Answered { id, answer }
                }
                None => Event::Panicked { id },
            });
        }
    }

    /// The memory limit has changed: so much is left of a part of what was configured.
    pub(super) fn fit(&mut self, scaled: impl Fn(usize) -> usize) {
        self.core.fit(scaled);
    }

    /// Gives up its oldest records until it holds so many at most.
    pub(super) fn keep_to(&mut self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        while self.core.holds() > records && self.evict() {}
    }

    /// Books what was given up.
    pub(super) fn book_evicted(&mut self) {
        let evicted = std::mem::take(&mut self.evicted);
        if evicted > 0 {
            self.note_what_is_held();
            self.books.evicted(evicted);
        }
    }

    /// How many lanes owed a chunk when it was last told.
    pub(super) fn owing(&self) -> usize {
        self.core.owing()
    }

    pub(super) fn next_wake(&self) -> Nanos {
        if self.core.has_stopped() {
            return Nanos::MAX;
        }
        self.core.next_wake()
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.core.has_stopped()
    }

    /// Looks at the requests in flight; `true` when one of them has ended.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let mut at = 0;
        while let Some(flying) = self.sending.get_mut(at) {
            let sending = flying.sending.as_mut();
            let answer = match catch_unwind(AssertUnwindSafe(|| sending.poll(context))) {
                Ok(Poll::Pending) => {
                    at += 1;
                    continue;
                }
                Ok(Poll::Ready(answer)) => Some(answer),
                Err(_) => None,
            };
            let Flying { id, begun, sending } = self.sending.remove(at);
            self.hang_up(sending);
            self.landed.push(Landed {
                id,
                took: begun.elapsed(),
                answer,
            });
        }
        !self.landed.is_empty()
    }

    /// The end; gives the number of records that were not delivered.
    pub(super) fn leave(&mut self) -> u64 {
        for flying in std::mem::take(&mut self.sending) {
            self.hang_up(flying.sending);
        }
        let dropped = self.core.holds();
        self.books.left_behind(dropped);
        dropped
    }

    fn evict(&mut self) -> bool {
        let Some((records, chunk)) = self.core.evict() else {
            return false;
        };
        self.evicted += records;
        if let Some(chunk) = chunk {
            self.queue.discard(chunk);
        }
        true
    }

    fn send(&mut self, id: u64, mut request: Request) {
        let timeout = self.timeout;
        let begun = Instant::now();
        // Who has for ever has no deadline.
        let deadline = begun.checked_add(timeout);
        let deadline = deadline.filter(|_| !timeout.is_zero());
        request.deadline = deadline;
        self.note_what_is_held();
        let sending = catch_unwind(AssertUnwindSafe(|| self.transport.send(request)));
        let Ok(sending) = sending else {
            return self.feed(Event::Panicked { id });
        };
        let sending = match deadline {
            None => sending,
            Some(deadline) => Box::pin(async move {
                let answer = tokio::time::timeout_at(deadline.into(), sending).await;
                answer.unwrap_or_else(|_| {
                    let message = format!("no answer within {timeout:?}");
                    Err(Failure::unanswered(true, message))
                })
            }),
        };
        self.sending.push(Flying { id, begun, sending });
    }

    /// Feeds an event, and books what is decided by it.
    fn feed(&mut self, event: Event) {
        let settled = self.core.on(self.watch.now(), event, fastrand::f64());
        self.note_what_is_held();
        settled.into_iter().for_each(|settled| self.book(settled));
    }

    fn book(&mut self, Settled { outcome, chunks }: Settled) {
        self.books.settle(outcome);
        chunks
            .into_iter()
            .for_each(|chunk| self.queue.recycle(chunk));
    }

    fn note_what_is_held(&self) {
        self.books.holds(self.core.holds(), self.core.in_flight());
    }

    /// Drops what is left of a call, which is the transport's code once more.
    fn hang_up(&self, sending: Sending) {
        if catch_unwind(AssertUnwindSafe(|| drop(sending))).is_err() {
            self.books.panicked();
        }
    }
}
