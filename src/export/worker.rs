//! The exporter thread: it waits, feeds the cores and does what they say.
//!
//! One thread and one runtime serve all: each signal has a [`Stream`], and each stream an [`Outlet`] for each destination that takes
//! its records. An outlet has all that one destination can disturb (its core, its requests in flight, its books), so that one that
//! is slow or dead delays no other.

mod chore;
mod outlet;
mod pressure;
mod replies;
mod stream;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

pub(crate) use self::chore::Chore;
use self::outlet::Outlet;
use self::pressure::Gauge;
pub(crate) use self::pressure::Pressed;
use self::replies::Replies;
use self::stream::{Errand, Stream};
use super::core::{Nanos, Tuning};
use super::mailbox::{Command, Mailbox};
use super::share;
use super::transport::Transport;
use crate::clock::{Clock, nanos};
use crate::error::Error;
use crate::problem::Hook;
use crate::queue::{self, Budget};
use crate::quiet;
use crate::report::Report;
use crate::signal::Signal;
use crate::stats::Ledger;

/// What the exporter works with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) budget: Arc<Budget>,
    /// Who is told how short memory is.
    pub(crate) pressed: Option<Pressed>,
    /// Who records waits for room, so the oldest records go later.
    pub(crate) spares_the_oldest: bool,
    pub(crate) clock: Arc<Clock>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) streams: Vec<queue::Stream>,
    pub(crate) on_error: Option<Hook>,
    /// What is done before the traces are swept,
    pub(crate) on_sweep: Vec<Chore>,
    /// and after any sweep.
    pub(crate) on_swept: Option<Chore>,
}

/// A transport, and what goes out by it.
pub(crate) struct Way {
    pub(crate) transport: Box<dyn Transport>,
    /// One for each signal that it takes.
    pub(crate) outgoing: Vec<Outgoing>,
}

/// One signal on its way to one destination.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) tuning: Tuning,
    /// The encoded resource, which each request begins with.
    pub(crate) resource: Vec<u8>,
    pub(crate) ledger: Arc<Ledger>,
    /// The destination's name.
    pub(crate) destination: Arc<str>,
    /// What it is called in lines for people; nothing where there is only one.
    pub(crate) label: Option<String>,
}

/// Starts the thread, with a runtime of its own.
pub(crate) fn start(settings: Settings, ways: Vec<Way>) -> Result<(), Error> {
    let outlets: usize = ways.iter().map(|way| way.outgoing.len()).sum();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // What may hang runs on blocking threads, name look-ups and writes to a file: for each outlet one at work and some that
        // hang, since it may have several names.
        .max_blocking_threads(4 * outlets.max(1))
        .thread_name("otlp-blocking")
        .on_thread_start(quiet::silence_this_thread)
        .build()
        .map_err(|error| {
            Error::thread(format!("the exporter's runtime cannot be started: {error}"))
        })?;
    let run = move || {
        quiet::silence_this_thread();
        let mut worker = Worker::new(settings, ways);
        // A panic that even the worker does not catch costs the step in which it happened.
        while catch_unwind(AssertUnwindSafe(|| runtime.block_on(worker.run()))).is_err() {
            worker.panicked();
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

/// Lanes are not emptied more often for records that were refused.
const SHORTAGE: Duration = Duration::from_millis(10);

/// Time as the cores have it.
#[derive(Clone, Copy, Debug)]
struct Watch {
    started: Instant,
}

impl Watch {
    fn now(self) -> Nanos {
        self.at(Instant::now())
    }

    fn at(self, instant: Instant) -> Nanos {
        u64::try_from(instant.saturating_duration_since(self.started).as_nanos())
            .unwrap_or(u64::MAX)
    }
}

struct Worker {
    settings: Settings,
    watch: Watch,
    streams: Vec<Stream>,
    gauge: Gauge,
    /// The memory limit that the outlets know of.
    limit: usize,
    /// Before this, lanes are not emptied for records that were refused.
    next_emptying: Nanos,
    timer: Option<Pin<Box<Sleep>>>,
    replies: Replies,
}

impl Worker {
    fn new(mut settings: Settings, ways: Vec<Way>) -> Self {
        let watch = Watch {
            started: Instant::now(),
        };
        let streams = settings.streams.iter();
        let mut streams: Vec<Stream> = streams
            .map(|source| {
                let chores = match source.signal {
                    Signal::Traces => settings.on_sweep.clone(),
                    Signal::Logs => Vec::new(),
                };
                Stream::new(source.clone(), settings.on_error.clone(), chores)
            })
            .collect();
        for Way {
            transport,
            outgoing,
        } in ways
        {
            let transport: Rc<dyn Transport> = Rc::from(transport);
            for outgoing in outgoing {
                let signal = outgoing.tuning.signal;
                if let Some(stream) = streams.iter_mut().find(|stream| stream.signal() == signal) {
                    stream.add(&transport, outgoing, settings.on_error.clone(), watch);
                }
            }
        }
        Self {
            gauge: Gauge::new(settings.pressed.take()),
            // None, so that they are told of one that was lowered before they were there.
            limit: 0,
            next_emptying: 0,
            settings,
            watch,
            streams,
            timer: None,
            replies: Replies::default(),
        }
    }

    /// Works until the cores say stop. A panic of ours is counted and costs the step in which it happened.
    async fn run(&mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.act())) {
                Ok(true) => return,
                Ok(false) => {}
                Err(_) => self.panicked(),
            }
            self.wait().await;
            if catch_unwind(AssertUnwindSafe(|| self.take_in())).is_err() {
                self.panicked();
            }
        }
    }

    /// Does what there is to do; `true` when that was to stop.
    fn act(&mut self) -> bool {
        for at in 0..self.streams.len() {
            while let Some(errand) = self.streams.get_mut(at).and_then(Stream::act) {
                match errand {
                    Errand::Swept => {
                        self.do_chore();
                        self.make_room();
                        self.settings.clock.follow_wall();
                    }
                    Errand::Resolve { id, report } => self.replies.resolve(id, report),
                }
            }
        }
        if self.streams.iter().all(Stream::has_stopped) {
            return true;
        }
        self.replies.part();
        false
    }

    /// Takes in what has come: answers, mail, and what is in the rings.
    fn take_in(&mut self) {
        self.streams.iter_mut().for_each(Stream::take_in);
        let mail = self.settings.mailbox.take();
        if !mail.is_empty() {
            self.forget_abandoned();
        }
        mail.into_iter().for_each(|command| self.pass_on(command));
        self.streams
            .iter_mut()
            .for_each(|stream| stream.collect(None));
        self.make_room();
    }

    /// Flushes whose callers have gone end now: others come, and there may be any number of them before the deadline of the first.
    fn forget_abandoned(&mut self) {
        let flushes = self.replies.forget_abandoned();
        if !flushes.is_empty() {
            let outlets = self.streams.iter_mut().flat_map(Stream::outlets);
            outlets.for_each(|outlet| outlet.forget(&flushes));
        }
    }

    /// A flush or a shutdown is every outlet's, and done when all have resolved it.
    fn pass_on(&mut self, command: Command) {
        let Command {
            shutdown,
            deadline,
            reply,
        } = command;
        let outlets = self.streams.iter_mut().flat_map(Stream::outlets);
        let outlets: Vec<&mut Outlet> = outlets.collect();
        let id = self.replies.register(reply, shutdown, outlets.len());
        let deadline = self.watch.at(deadline);
        for outlet in outlets {
            if !outlet.flush(id, deadline, shutdown) {
                self.replies.resolve(id, Report::default());
            }
        }
    }

    fn do_chore(&self) {
        if let Some(chore) = &self.settings.on_swept
            && !chore.run(false)
        {
            self.panicked();
        }
    }

    fn make_room(&mut self) {
        self.streams.iter_mut().for_each(Stream::keep_shares);
        // Who waits for room does so before anything is given up.
        let sixteenths = if self.settings.spares_the_oldest {
            (15, 14)
        } else {
            share::USUAL
        };
        self.empty_lanes(sixteenths.0);
        let Settings {
            budget, streams, ..
        } = &self.settings;
        let outlets = self.streams.iter_mut().flat_map(Stream::outlets);
        let mut outlets: Vec<&mut Outlet> = outlets.collect();
        let limit = budget.limit();
        if std::mem::replace(&mut self.limit, limit) != limit {
            let outlets = outlets.iter_mut();
            outlets.for_each(|outlet| outlet.fit(|part| budget.scaled(part)));
        }
        let exceeds = |part, of| budget.exceeds(part, of);
        share::make_room(limit, sixteenths, exceeds, &mut outlets);
        outlets.into_iter().for_each(|outlet| outlet.book_evicted());
        if let Some(stream) = streams.first() {
            self.gauge.look(budget, &stream.ledger);
        }
        self.streams.iter_mut().for_each(Stream::stock);
    }

    /// Nothing is refused for long, and nothing given up, for what lies in lanes: a thread that records seldom has a whole chunk there.
    fn empty_lanes(&mut self, high: usize) {
        let budget = &self.settings.budget;
        let outlets = self.streams.iter_mut().flat_map(Stream::outlets);
        let held: usize = outlets.map(|outlet| outlet.charge()).sum();
        let is_in_lanes = budget.exceeds(high, 16) && held < budget.limit() / 2;
        let now = self.watch.now();
        let is_short = now >= self.next_emptying && self.streams.iter().any(Stream::is_short);
        if is_in_lanes || is_short {
            self.next_emptying = now.saturating_add(nanos(SHORTAGE));
            self.streams.iter_mut().for_each(Stream::empty_lanes);
        }
    }

    /// Waits for whatever comes first: enough in a queue, mail, the timer, an answer.
    async fn wait(&mut self) {
        let next = self.streams.iter_mut().flat_map(Stream::outlets);
        let next = next.map(|outlet| outlet.next_wake()).min().unwrap_or(0);
        let is_short = self.streams.iter().any(Stream::is_short);
        let next = if is_short {
            next.min(self.next_emptying)
        } else {
            next
        };
        let wake_at = self.watch.started + Duration::from_nanos(next);
        let mut timer = self
            .timer
            .take()
            .unwrap_or_else(|| Box::pin(tokio::time::sleep(Duration::ZERO)));
        timer.as_mut().reset(wake_at.into());
        poll_fn(|context| self.poll(context, timer.as_mut(), is_short)).await;
        self.streams.iter().for_each(Stream::stay_awake);
        self.timer = Some(timer);
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        timer: Pin<&mut Sleep>,
        knows_of_shortage: bool,
    ) -> Poll<()> {
        let mut is_awake = false;
        for outlet in self.streams.iter_mut().flat_map(Stream::outlets) {
            is_awake |= outlet.poll(context);
        }
        if is_awake || timer.poll(context).is_ready() {
            return Poll::Ready(());
        }
        for stream in &self.streams {
            stream.go_to_sleep(context.waker());
        }
        let mut streams = self.streams.iter();
        if self.settings.mailbox.has_mail()
            || streams.any(|stream| stream.has_work(knows_of_shortage))
        {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// A panic of our own, in no outlet's name.
    fn panicked(&self) {
        if let Some(stream) = self.streams.first() {
            stream.panicked();
        }
    }

    /// The end: whatever was not delivered is dropped, and nobody is left waiting.
    fn leave(&mut self) {
        self.gauge.leave();
        let dropped = self.streams.iter_mut().map(Stream::leave).sum();
        let late = self.settings.mailbox.close();
        self.replies.leave(late, dropped);
    }
}
