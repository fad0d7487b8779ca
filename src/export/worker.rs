//! The exporter thread: it waits, feeds the core and does what the core says.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::books::Books;
use super::core::{Action, Core, Event, Nanos, Settled, Tuning};
use super::mailbox::{Command, Mailbox, Reply};
use super::transport::{Answer, Failure, Request, Sending, Transport};
use super::voice::Voice;
use crate::clock::Clock;
use crate::error::Error;
use crate::problem::Hook;
use crate::queue::{Budget, Queue};
use crate::quiet;
use crate::report::Report;
use crate::stats::{DropReason, Ledger};

/// What the exporter works with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) queue: Arc<Queue>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) tuning: Tuning,
    /// The encoded resource, which each request begins with.
    pub(crate) resource: Vec<u8>,
    pub(crate) on_error: Option<Hook>,
}

/// Starts the thread, with a runtime of its own.
pub(crate) fn start(settings: Settings, transport: Box<dyn Transport>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // What may hang runs on blocking threads, name look-ups and writes to a file: one at work and one that hangs.
        .max_blocking_threads(2)
        .thread_name("otlp-blocking")
        .on_thread_start(quiet::silence_this_thread)
        .build()
        .map_err(|error| {
            Error::thread(format!("the exporter's runtime cannot be started: {error}"))
        })?;
    let run = move || {
        quiet::silence_this_thread();
        let mut worker = Worker::new(settings, transport);
        // A panic that even the worker does not catch costs the step in which it happened.
        while catch_unwind(AssertUnwindSafe(|| runtime.block_on(worker.run()))).is_err() {
            worker.settings.ledger.panicked();
        }
        worker.leave();
        drop(worker);
        // A name look-up that hangs must not hold the thread.
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name("otlp-exporter".to_owned());
    let handle = thread.spawn(run);
    handle.map_err(|error| {
        Error::thread(format!("the exporter thread cannot be started: {error}"))
    })?;
    Ok(())
}

struct Worker {
    settings: Settings,
    transport: Box<dyn Transport>,
    core: Core,
    started: Instant,
    /// The requests in flight, in the order in which they were begun.
    sending: Vec<Flying>,
    timer: Option<Pin<Box<Sleep>>>,
    replies: Vec<Waiting>,
    farewells: Vec<(Reply, Report)>,
    next_id: u64,
    books: Books,
}

/// A request in flight.
struct Flying {
    id: u64,
    begun: Instant,
    sending: Sending,
}

/// Who waits for the end of a flush, or of a shutdown.
struct Waiting {
    id: u64,
    last: bool,
    reply: Reply,
}

/// Why the worker is awake.
enum Wakeup {
    Queue,
    Timer,
    Answered(Flown, Result<Answer, Failure>),
    Panicked(Flown),
}

/// What is left of a request that has ended.
struct Flown {
    id: u64,
    took: Duration,
}

impl Worker {
    fn new(settings: Settings, transport: Box<dyn Transport>) -> Self {
        let voice = Voice::new(settings.on_error.clone());
        let books = Books::new(Arc::clone(&settings.ledger), voice);
        let mut tuning = settings.tuning;
        let most = catch_unwind(AssertUnwindSafe(|| transport.most_in_flight()));
        tuning.concurrency = tuning.concurrency.at_most(most.unwrap_or(1));
        let core = Core::new(tuning, settings.resource.clone(), 0);
        Self {
            settings,
            transport,
            core,
            started: Instant::now(),
            sending: Vec::new(),
            timer: None,
            replies: Vec::new(),
            farewells: Vec::new(),
            next_id: 0,
            books,
        }
    }

    /// Works until the core says stop. A panic of ours is counted and costs the step in which it happened.
    async fn run(&mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.act())) {
                Ok(true) => return,
                Ok(false) => {}
                Err(_) => self.settings.ledger.panicked(),
            }
            let wakeup = self.wait().await;
            if catch_unwind(AssertUnwindSafe(|| self.take_in(wakeup))).is_err() {
                self.settings.ledger.panicked();
            }
        }
    }

    fn now(&self) -> Nanos {
        self.at(Instant::now())
    }

    fn at(&self, instant: Instant) -> Nanos {
        u64::try_from(instant.saturating_duration_since(self.started).as_nanos())
            .unwrap_or(u64::MAX)
    }

    /// Does what there is to do; `true` when that was to stop.
    fn act(&mut self) -> bool {
        while let Some(action) = self.core.act(self.now()) {
            match action {
                Action::Sweep { close } => {
                    self.collect(Some(close));
                    self.core.swept();
                    self.settings.clock.follow_wall();
                    self.books.look_at_the_layer(&self.settings.queue);
                }
                Action::Send { id, request } => self.send(id, request),
                Action::Resolve { id, report } => self.resolve(id, report),
                Action::Book(settled) => {
                    self.note_what_is_held();
                    self.book(settled);
                }
                Action::Stop => return true,
            }
        }
        self.farewells
            .drain(..)
            .for_each(|(reply, report)| reply.fill(report));
        false
    }

    fn resolve(&mut self, id: u64, report: Report) {
        let Some(at) = self.replies.iter().position(|reply| reply.id == id) else {
            return;
        };
        let reply = self.replies.swap_remove(at);
        if reply.last {
            // Whoever shuts down finds the exporter gone: the answer waits until it is, if it goes now.
            self.farewells.push((reply.reply, report));
        } else {
            reply.reply.fill(report);
        }
    }

    /// Takes over what is in the ring, and in the lanes when they are swept.
    fn collect(&mut self, sweep: Option<bool>) {
        let queue = &self.settings.queue;
        let mut chunks = Vec::new();
        if let Some(close) = sweep {
            queue.sweep(close, &mut chunks);
        }
        // In this order: a lane that no longer owes a chunk has pushed it to the ring, and what its thread pushed before the
        // sweep is there too.
        let owing = queue.owing();
        chunks.extend(std::iter::from_fn(|| queue.pop()));
        // A thread's records stay in their order.
        chunks.sort_by_key(|chunk| chunk.number);
        self.feed(Event::Chunks { chunks, owing });
        self.evict();
    }

    /// Gives up the oldest records while memory is short.
    fn evict(&mut self) {
        let Settings { budget, queue, .. } = &self.settings;
        if !budget.exceeds(7, 8) {
            return;
        }
        let mut evicted = 0;
        while budget.exceeds(3, 4)
            && let Some((records, chunk)) = self.core.evict()
        {
            evicted += records;
            if let Some(chunk) = chunk {
                queue.discard(chunk);
            }
        }
        self.note_what_is_held();
        if evicted > 0 {
            self.books.evicted(evicted);
        }
    }

    fn send(&mut self, id: u64, mut request: Request) {
        let timeout = self.settings.tuning.timeout;
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
        let settled = self.core.on(self.now(), event, fastrand::f64());
        self.note_what_is_held();
        settled.into_iter().for_each(|settled| self.book(settled));
    }

    fn book(&mut self, Settled { outcome, chunks }: Settled) {
        self.books.settle(outcome);
        chunks
            .into_iter()
            .for_each(|chunk| self.settings.queue.recycle(chunk));
    }

    fn note_what_is_held(&self) {
        let (holds, in_flight) = (self.core.holds(), self.core.in_flight());
        self.settings.ledger.exporter_holds(holds, in_flight);
    }

    fn take_in(&mut self, wakeup: Wakeup) {
        match wakeup {
            Wakeup::Answered(Flown { id, took }, answer) => {
                self.books.answered(took, &answer);
                self.feed(Event::Answered { id, answer });
            }
            Wakeup::Panicked(Flown { id, .. }) => self.feed(Event::Panicked { id }),
            Wakeup::Queue | Wakeup::Timer => {}
        }
        for Command {
            shutdown,
            deadline,
            reply,
        } in self.settings.mailbox.take()
        {
            let (id, deadline) = (self.next_id, self.at(deadline));
            self.next_id += 1;
            self.replies.push(Waiting {
                id,
                last: shutdown,
                reply,
            });
            self.feed(if shutdown {
                Event::Shutdown { id, deadline }
            } else {
                Event::Flush { id, deadline }
            });
        }
        self.collect(None);
    }

    /// Waits for whatever comes first: enough in the queue, mail, the timer, the answer.
    async fn wait(&mut self) -> Wakeup {
        let wake_at = self.started + Duration::from_nanos(self.core.next_wake());
        let mut timer = self
            .timer
            .take()
            .unwrap_or_else(|| Box::pin(tokio::time::sleep(Duration::ZERO)));
        timer.as_mut().reset(wake_at.into());
        let wakeup = poll_fn(|context| self.poll(context, timer.as_mut())).await;
        self.settings.queue.wake.cancel();
        self.timer = Some(timer);
        wakeup
    }

    fn poll(&mut self, context: &mut Context<'_>, timer: Pin<&mut Sleep>) -> Poll<Wakeup> {
        if let Poll::Ready(ended) = self.poll_sending(context) {
            return Poll::Ready(ended);
        }
        if timer.poll(context).is_ready() {
            return Poll::Ready(Wakeup::Timer);
        }
        let Settings { queue, mailbox, .. } = &self.settings;
        queue.wake.prepare(context.waker());
        let handed_over = self.core.owing() > 0 && queue.owing() != self.core.owing();
        if queue.is_ripe() || mailbox.has_mail() || handed_over {
            return Poll::Ready(Wakeup::Queue);
        }
        Poll::Pending
    }

    /// The first of the requests in flight that has ended.
    fn poll_sending(&mut self, context: &mut Context<'_>) -> Poll<Wakeup> {
        for at in 0..self.sending.len() {
            let Some(flying) = self.sending.get_mut(at) else {
                break;
            };
            let sending = flying.sending.as_mut();
            let polled = catch_unwind(AssertUnwindSafe(|| sending.poll(context)));
            if matches!(polled, Ok(Poll::Pending)) {
                continue;
            }
            let Flying { id, begun, sending } = self.sending.remove(at);
            self.hang_up(sending);
            let took = begun.elapsed();
            let flown = Flown { id, took };
            return Poll::Ready(match polled {
                Ok(Poll::Ready(answer)) => Wakeup::Answered(flown, answer),
                _ => Wakeup::Panicked(flown),
            });
        }
        Poll::Pending
    }

    /// Drops what is left of a call, which is the transport's code once more.
    fn hang_up(&self, sending: Sending) {
        if catch_unwind(AssertUnwindSafe(|| drop(sending))).is_err() {
            self.settings.ledger.panicked();
        }
    }

    /// The end: whatever was not delivered is dropped, and nobody is left waiting.
    fn leave(&mut self) {
        for flying in std::mem::take(&mut self.sending) {
            self.hang_up(flying.sending);
        }
        let Settings {
            queue,
            ledger,
            mailbox,
            ..
        } = &self.settings;
        let dropped = queue.abandon() + self.core.holds();
        ledger.dropped(DropReason::Shutdown, dropped);
        ledger.exporter_holds(0, 0);
        let unanswered = mailbox.close().into_iter().map(|command| command.reply);
        let replies = self
            .replies
            .drain(..)
            .map(|waiting| waiting.reply)
            .chain(unanswered);
        let report = Report {
            dropped,
            ..Report::default()
        };
        let late = replies.map(|reply| (reply, report));
        late.chain(self.farewells.drain(..))
            .for_each(|(reply, report)| reply.fill(report));
    }
}
