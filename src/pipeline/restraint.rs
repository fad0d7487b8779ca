//! The builder's methods that hold back: where memory is short, and what is sent a second.

use std::time::Duration;

use super::builder::Builder;
use crate::config::RateLimit;

/// What the code says about what is held back.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) shedding: Option<bool>,
    pub(super) blocking: Option<Duration>,
    pub(super) follows_cgroup: Option<bool>,
    pub(super) rate: Option<RateLimit>,
    pub(super) drop_above: Option<RateLimit>,
}

impl Builder {
    /// Whether new traces are left out where memory is short, so that the records that matter most find room: of the memory that may be
    /// used before the oldest records are given up (7/8 of [`Builder::with_memory_limit`]), at 80 % those whose local root is TRACE or
    /// DEBUG, at 90 % INFO as well, and never WARN or ERROR; below 60 % all is recorded again. Off by default: then the oldest records
    /// go, whatever they are.
    ///
    /// Log records are left out by their own level in the same way. A trace is left out as a whole, in this process and, by its sampled flag, in those that it calls. Its spans are counted as
    /// [`DropReason::Shed`](crate::DropReason::Shed). The exporter looks at the memory whenever it is awake, which is each MiB of
    /// records and each interval at least; each change is a line on stderr and counted by
    /// [`Stats::pressure_changes`](crate::Stats::pressure_changes).
    pub fn with_shedding(mut self, on: bool) -> Self {
        self.restraint.shedding = Some(on);
        self
    }

    /// Whether the memory limit follows what the process's cgroup has, on Linux. Off by default: then [`Builder::with_memory_limit`] holds,
    /// whatever the container has left.
    ///
    /// The limit is never above what was configured, and never below an eighth of that, or 1 MiB or four of the largest records beside what is set
    /// aside for encoding. Between the two:
    ///
    /// - it is an eighth of the cgroup's own limit at most (`memory.max` and `memory.high`, the smallest of the cgroup and all above it);
    /// - it is halved, or lowered by what is missing, where less than a sixteenth of the cgroup's limit is left (`memory.current`, less the
    ///   inactive part of the page cache) or tasks wait for memory in 10 % of the time (`memory.pressure`, `some avg10`); where they wait in 40 %, it is
    ///   the least at once;
    /// - it rises again by a sixteenth of what was configured, when for ten seconds all of that could have been used and a sixteenth of
    ///   the cgroup's limit would have been left, and tasks waited in less than 5 % of the time.
    ///
    /// So it falls within seconds and comes back within minutes. What is held beyond a limit that has fallen goes as where memory is short: the oldest records first,
    /// counted as [`DropReason::Evicted`](crate::DropReason::Evicted), held traces as `TailOverflow`; open spans stay. The
    /// exporter reads these files at each flush interval ([`Batch::with_interval`](crate::Batch::with_interval)), once a second at most. Each change is counted by
    /// [`Stats::memory_limit_changes`](crate::Stats::memory_limit_changes), people get a line for the first, the last, and at most one a minute in
    /// between, and [`Handle::memory_limit`](crate::Handle::memory_limit) tells the limit that holds. Of version 1 of cgroups the limit and the use are
    /// followed, and there is no pressure. What memory the program's allocator keeps for itself when records were freed, it has not got back.
    pub fn with_memory_following_cgroup(mut self, on: bool) -> Self {
        self.restraint.follows_cgroup = Some(on);
        self
    }

    /// How much is sent a second, of each signal to each destination. What exceeds it waits, within the memory limit. Default: not
    /// limited.
    ///
    /// ```
    /// use tracing_otlp::RateLimit;
    ///
    /// let limit = RateLimit::default().with_records(5_000.0).with_bytes(1_000_000.0);
    /// let builder = tracing_otlp::layer().with_rate_limit(limit);
    /// # drop(builder);
    /// ```
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.restraint.rate = Some(limit);
        self
    }

    /// Spans that exceed so much a second are not recorded: what is left out is chosen here, before it costs anything more, and a destination
    /// never sees it. [`Logs::with_drop_above`](crate::Logs::with_drop_above) is the same for log records. Default: not limited.
    ///
    /// Whole traces are left out, the most detailed first: a new trace whose local root is TRACE or DEBUG while less than half of
    /// a second's worth is left, INFO while less than a quarter is, WARN and ERROR when nothing is. A trace of which a span was recorded goes on, and its
    /// spans count as they end; where that is more than there is, new traces wait until it has come back. So the rate holds in the mean, and is
    /// exceeded at most by what is open at a time. What is left out is counted as
    /// [`DropReason::RateLimited`](crate::DropReason::RateLimited), each span of it, and others are told that it is not sampled. What a sampler does not keep
    /// costs nothing of the limit, and spans that come through OpenTelemetry's API count and are not left out; [`Sampler::rate_limited`](crate::Sampler::rate_limited) limits roots, and counts nothing.
    ///
    /// ```
    /// use tracing_otlp::RateLimit;
    ///
    /// let builder = tracing_otlp::layer().with_drop_above(RateLimit::default().with_records(20_000.0));
    /// # drop(builder);
    /// ```
    pub fn with_drop_above(mut self, limit: RateLimit) -> Self {
        self.restraint.drop_above = Some(limit);
        self
    }

    /// Lets a thread that begins a span wait while memory is short (7/8 of [`Builder::with_memory_limit`] are used), at most so long for
    /// each span: for programs to which their records matter more than their time, such as batch jobs. Only when it has waited in vain,
    /// the oldest records go. Without this nobody waits, and that is the default.
    ///
    /// **It blocks the thread**, also one that runs an async runtime's tasks, and while the collector is away each span takes so long:
    /// with 10 ms a service still answers, with a second it may not. Never use it where a span may be begun under a lock that the
    /// collector's own answer needs. [`Stats::waits`](crate::Stats::waits) counts the spans that waited. The exporter's own threads never
    /// wait, and once the pipeline is shut down nobody does.
    ///
    /// `build` fails for more than 10 seconds.
    pub fn with_blocking(mut self, most: Duration) -> Self {
        self.restraint.blocking = Some(most);
        self
    }
}
