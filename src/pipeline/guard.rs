//! The life of a pipeline: the guard that ends it, and handles to it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing_subscriber::filter::Targets;

use super::explain::Explanation;
#[cfg(feature = "opentelemetry-0_33")]
use crate::config;
#[cfg(feature = "_bridge")]
use crate::context::Propagators;
use crate::error::Error;
use crate::export::{Mailbox, Reply};
use crate::layer::{OpenSpans, Parts, SpanSnapshot};
use crate::pattern::Pattern;
use crate::queue::Stream;
use crate::report::Report;
use crate::say::{Level, tell};
use crate::signal::Signal;
use crate::stats::{Counts, DropReason, Ledger, Stats};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) parts: Parts,
    /// `None` where the pipeline is switched off: there is no exporter.
    pub(super) mailbox: Option<Arc<Mailbox>>,
    pub(super) outlets: Vec<Outlet>,
    pub(super) open_spans: OpenSpans,
    pub(super) explanation: Explanation,
    /// What a layer is made of beside its parts.
    #[cfg(feature = "opentelemetry-0_33")]
    pub(super) rules: Rules,
}

/// What is recorded, and the limits of spans and log records.
#[cfg(feature = "opentelemetry-0_33")]
pub(super) type Rules = (config::Record, [config::Limits; 2]);

/// One signal on its way to one destination.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) signal: Signal,
    pub(super) destination: Arc<str>,
    /// What became of its records behind the queue.
    pub(super) ledger: Arc<Ledger>,
}

/// Keeps a pipeline alive. When it is dropped, what was recorded is sent, within the shutdown time-out, and the exporter
/// stops; what could not be sent is said on stderr.
///
/// Keep it until the end of `main`. `std::process::exit` and a panic with `panic = "abort"` run no destructors: call
/// [`Handle::shutdown`] before, or what was recorded in the last seconds is lost.
///
/// It may be dropped inside an asynchronous runtime of any kind: the exporter needs none of its threads. The thread that
/// drops it waits meanwhile.
#[must_use = "dropping the guard shuts the pipeline down"]
pub struct Guard {
    handle: Handle,
    timeout: Duration,
}

impl Guard {
    pub(super) fn new(shared: Arc<Shared>, timeout: Duration) -> Self {
        Self {
            handle: Handle(shared),
            timeout,
        }
    }

    /// A handle to the pipeline. It does not keep it alive.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.handle.shutdown(self.timeout) {
            tell(Level::Error, &error.to_string());
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What one can do with a running pipeline, from any thread. Cloning is cheap.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

/// At the deadline the exporter itself answers a caller. So much longer is waited for that; then the exporter hangs, and the caller
/// goes on without it.
const GRACE: Duration = Duration::from_millis(40);

impl Handle {
    /// Sends everything that ended before the call, and blocks until that is done or the time is over. What tail sampling holds
    /// is not decided about by a flush.
    ///
    /// # Errors
    ///
    /// When not all of it was delivered: [`Error::is_timeout`] if some is still held, which is then sent later, or
    /// [`Error::is_undelivered`]. [`Error::report`] has the numbers.
    pub fn flush(&self, timeout: Duration) -> Result<Report, Error> {
        match self.post(false, timeout) {
            Some(reply) => self.await_reply("flush", &reply, timeout),
            None => self.too_late(),
        }
    }

    /// As [`Handle::flush`], without blocking the thread. It works in any runtime, and asks at once, also if it is not
    /// polled. The exporter keeps the time: a [`Transport`](crate::Transport) that blocks the exporter's thread holds it up.
    ///
    /// # Errors
    ///
    /// Those of [`Handle::flush`].
    pub fn flush_async(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<Report, Error>> + Send + use<> {
        let reply = self.post(false, timeout);
        let handle = self.clone();
        async move {
            match reply {
                Some(reply) => handle.judge("flush", reply.await),
                None => handle.too_late(),
            }
        }
    }

    /// Sends everything, as [`Handle::flush`] does, and stops the exporter, at the latest when the time is over. Records that
    /// end afterwards are dropped and counted. A second call finds nothing to do.
    ///
    /// # Errors
    ///
    /// Those of [`Handle::flush`]; what is then still held is dropped.
    pub fn shutdown(&self, timeout: Duration) -> Result<Report, Error> {
        match self.post(true, timeout) {
            Some(reply) => self.await_reply("shutdown", &reply, timeout),
            None => Ok(Report::default()),
        }
    }

    #[cfg(feature = "_bridge")]
    pub(super) fn propagators(&self) -> Propagators {
        self.0.parts.propagators.clone()
    }

    /// What a further layer of the pipeline is made of.
    #[cfg(feature = "opentelemetry-0_33")]
    pub(super) fn parts(&self) -> (Parts, Rules) {
        (self.0.parts.clone(), self.0.rules)
    }

    /// The ledger now: the sum over all signals and destinations. A record counts once for each destination that it goes to, so
    /// that each of them balances, and the sum does.
    pub fn stats(&self) -> Stats {
        self.sum(|_| true, |_| true)
    }

    /// The ledger of one signal now, over all destinations.
    pub fn stats_of(&self, signal: Signal) -> Stats {
        self.sum(|stream| stream.signal == signal, |_| true)
    }

    /// The ledger of one destination now, over all signals that it gets; `None` where no [`Exporter`](crate::Exporter) has that
    /// name, or it gets nothing. What was dropped before the exporter had it is in each destination's.
    pub fn stats_of_destination(&self, name: &str) -> Option<Stats> {
        let is_it = |outlet: &Outlet| *outlet.destination == *name;
        let outlets = || self.0.outlets.iter().filter(|outlet| is_it(outlet));
        let gets = |stream: &Stream| outlets().any(|outlet| outlet.signal == stream.signal);
        outlets().next()?;
        Some(self.sum(gets, is_it))
    }

    /// Bytes that may be used now: what [`Builder::with_memory_limit`](crate::Builder::with_memory_limit) says, or less where it follows the
    /// cgroup ([`Builder::with_memory_following_cgroup`](crate::Builder::with_memory_following_cgroup)).
    pub fn memory_limit(&self) -> usize {
        self.0.parts.budget.limit()
    }

    fn sum(&self, of: impl Fn(&Stream) -> bool, at: impl Fn(&Outlet) -> bool) -> Stats {
        let mut sum = Stats::default();
        let Parts {
            traces,
            logs,
            holder,
            ..
        } = &self.0.parts;
        for stream in std::iter::once(traces)
            .chain(logs)
            .filter(|stream| of(stream))
        {
            let outlets = self.0.outlets.iter();
            let outlets = outlets.filter(|outlet| outlet.signal == stream.signal && at(outlet));
            let behind = outlets.map(|outlet| outlet.ledger.snapshot(Counts::default()));
            let held = match stream.signal {
                Signal::Traces => holder.held(),
                _ => 0,
            };
            sum.add(&Stats::of_stream(&stream.stats().waiting(held), behind));
        }
        sum
    }

    /// Replaces the layer's filter (see [`Builder::with_filter`](crate::Builder::with_filter)), from the next span and event
    /// on. A pipeline that is switched off stays so.
    pub fn set_filter(&self, filter: impl Into<Targets>) {
        if self.0.mailbox.is_some() {
            self.0.parts.filter.set(filter.into());
        }
    }

    /// Replaces the targets of which nothing is recorded (see
    /// [`Builder::with_disabled_targets`](crate::Builder::with_disabled_targets)), from the next span and event on; none enables all that
    /// the filter lets through.
    pub fn set_disabled_targets<T: Into<String>>(&self, targets: impl IntoIterator<Item = T>) {
        let targets = targets.into_iter().map(Pattern::new).collect();
        self.0.parts.filter.disable(targets);
    }

    /// What the layer shares with the exporter.
    #[cfg(test)]
    pub(super) fn the_parts(&self) -> &Parts {
        &self.0.parts
    }

    /// The spans that are open and recorded, the oldest first: what a program does at the moment, or what it hangs in.
    ///
    /// Nobody is stopped for it. Spans are copied in 64 groups, as a rule those of one thread together, and threads that work on a span of
    /// the group that is being copied wait for that long (about 0.1 ms for a thousand spans). So what is in one group is of one moment, and the whole is
    /// not: a child may be missing whose parent is there. It takes as much memory as the open spans. Spans that a bridge's tracers began are
    /// not among them.
    ///
    /// ```
    /// # fn show(handle: &tracing_otlp::Handle) {
    /// for span in handle.open_spans().iter().take(10) {
    ///     println!("{span}");
    /// }
    /// # }
    /// ```
    pub fn open_spans(&self) -> Vec<SpanSnapshot> {
        self.0.open_spans.snapshots()
    }

    /// What the pipeline was built with, and who said so. No secret is in it.
    pub fn explain(&self) -> Explanation {
        self.0.explanation.clone()
    }

    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// As [`Handle::flush`]; `None` where the exporter has stopped or never was.
    pub(super) fn flush_if_it_runs(&self, timeout: Duration) -> Option<Result<Report, Error>> {
        let reply = self.post(false, timeout)?;
        Some(self.await_reply("flush", &reply, timeout))
    }

    /// A flush after the end: well, unless the end left records undelivered, or some came later.
    fn too_late(&self) -> Result<Report, Error> {
        let dropped = self.stats().dropped_for(DropReason::Shutdown);
        self.judge(
            "flush after shutdown",
            Report {
                dropped,
                ..Report::default()
            },
        )
    }

    fn await_reply(&self, what: &str, reply: &Reply, timeout: Duration) -> Result<Report, Error> {
        match reply.wait(timeout.saturating_add(GRACE)) {
            Some(report) => self.judge(what, report),
            None => Err(Error::timeout(format!(
                "{what}: the exporter did not answer within {timeout:?}"
            ))),
        }
    }

    fn judge(&self, what: &str, report: Report) -> Result<Report, Error> {
        if report.unfinished + report.rejected + report.dropped == 0 {
            return Ok(report);
        }
        Err(Error::incomplete(what, report, || self.why()))
    }

    /// What is known of records that are neither delivered nor given up: what went wrong last, if nothing was taken since; else who is
    /// being asked.
    fn why(&self) -> String {
        let stats = self.stats();
        let failed = stats.last_error().filter(|error| {
            let taken = stats.last_success();
            taken.is_none_or(|taken| taken <= error.when())
        });
        if let Some(error) = failed {
            return format!("; what went wrong last: {}", error.message());
        }
        let endpoints = self.0.explanation.endpoints();
        if endpoints.is_empty() {
            return String::new();
        }
        format!("; no answer yet from {}", endpoints.join(", "))
    }

    /// `None`: the exporter has stopped or never was, and there is nothing left to do.
    fn post(&self, shutdown: bool, timeout: Duration) -> Option<Reply> {
        let now = Instant::now();
        // A year is for ever.
        let deadline = now
            .checked_add(timeout)
            .unwrap_or(now + Duration::from_secs(365 * 86_400));
        let reply = self.0.mailbox.as_ref()?.post(shutdown, deadline)?;
        // Whichever queue's wake-up it is, it wakes the exporter.
        self.0.parts.traces.queue.wake.notify();
        Some(reply)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.stats()).finish()
    }
}
