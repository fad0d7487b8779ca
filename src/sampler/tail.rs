//! Tail sampling: which local traces are kept, by what their spans turned out to be.

use std::fmt;
use std::time::Duration;

use super::candidate::Candidate;
use super::ratio::{bound, is_below};
use super::{Rule, description};
use crate::clock::nanos;
use crate::id::TraceId;

/// Which traces are kept when they are over, for [`Builder::with_tail_sampling`](crate::Builder::with_tail_sampling).
///
/// A *local trace* is a span without a parent in this process, and all spans below it. Its spans are held as bytes until that
/// span closes. The trace is kept when any of the following holds, else its spans are dropped and counted
/// ([`DropReason::TailSampled`](crate::DropReason::TailSampled)):
///
/// - One of its spans failed: its status is an error, or it has an event of the level ERROR, an exception, or a panic.
/// - Its first span took longer than [`Tail::with_slower_than`].
/// - A rule ([`Tail::with_rule`]) holds for one of its spans.
/// - Its trace id belongs to the share of [`Tail::with_ratio`].
///
/// As soon as one of these is known, what is held of the trace goes to the exporter, and so does what ends later: only what may
/// still be dropped is held.
///
/// ```
/// use std::time::Duration;
/// use tracing_otlp::{Rule, Tail};
///
/// let tail = Tail::default()
///     .with_slower_than(Duration::from_millis(500))
///     .with_rule(Rule::new().name("POST /checkout*"))
///     .with_ratio(0.01);
/// let builder = tracing_otlp::layer().with_tail_sampling(tail);
/// # drop(builder);
/// ```
///
/// # What happens when
///
/// | | |
/// |---|---|
/// | the [`Sampler`](crate::Sampler) does not sample a span | it is not held, and nothing of it counts; if it is the first one, its children begin local traces |
/// | [`SpanExt::set_parent`](crate::SpanExt::set_parent), [`with_remote_parent`](crate::with_remote_parent) | the span begins a local trace, also where the other span is of this process |
/// | a [`Processor`](crate::Processor) changes or discards a span | before it is looked at here; what is discarded counts for nothing |
/// | another API makes the span (a bridge) | it is not held, and counts for nothing: as the sampler says, it is exported |
/// | a flush | decides nothing: what is held stays so |
/// | the room is used up ([`Tail::with_max_bytes`]) | the oldest traces are decided at once, until a sixteenth of the room is free: kept if they have been held longer than what counts as slow, else dropped as [`DropReason::TailOverflow`](crate::DropReason::TailOverflow) |
/// | a trace has been held too long ([`Tail::with_max_age`]) | it is decided at once: kept if it counts as slow by then, else dropped as `TailSampled` |
/// | its spans end later than such a decision | they are held and decided as a trace of their own: a later error keeps them, without what was dropped |
/// | shutdown | all that are left are decided, as those that were held too long |
///
/// A span around the whole of `main` makes one trace of the whole program, which is decided piece by piece; leave it out by a filter.
/// `tracing`'s Registry closes a span after all of its children, so none of them comes late. Where another registry does not, a
/// late child is decided as a trace of its own.
///
/// A decision is one of this process. Other processes of the same trace do not learn of it: where each of them samples its tail, a trace
/// may arrive in parts. [`Tail::with_ratio`] chooses the same traces everywhere, and [`Tail::with_remote_kept`] leaves it to the
/// process in which a trace began.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until a pipeline is built with it"]
pub struct Tail {
    slower_than: Option<Duration>,
    ratio: f64,
    rules: Vec<Rule<()>>,
    keeps_remote: bool,
    max_bytes: Option<usize>,
    max_age: Duration,
}

impl Default for Tail {
    /// Traces that failed, and no others.
    fn default() -> Self {
        Self {
            slower_than: None,
            ratio: 0.0,
            rules: Vec::new(),
            keeps_remote: false,
            max_bytes: None,
            // As long as the Collector's tail sampling waits.
            max_age: Duration::from_secs(30),
        }
    }
}

impl Tail {
    /// Keeps traces whose first span took longer. Default: time keeps none.
    pub fn with_slower_than(mut self, duration: Duration) -> Self {
        self.slower_than = Some(duration);
        self
    }

    /// Keeps this part of all traces, from 0 to 1, chosen by the trace id: in every process the same ones, and with a higher
    /// ratio all that a lower one keeps. It counts all traces, not those that the [`Sampler`](crate::Sampler) has left: behind
    /// `Sampler::ratio(0.1)`, a ratio of 0.01 keeps a tenth of what comes. Default 0.
    ///
    /// A number out of range is an error of [`Builder::build`](crate::Builder::build).
    pub fn with_ratio(mut self, ratio: f64) -> Self {
        self.ratio = ratio;
        self
    }

    /// Keeps traces in which the rule holds for any span. It sees the span as it ended, with all that was recorded. A sampler
    /// is no part of such a rule. Each call adds one. Default: none.
    pub fn with_rule(mut self, rule: Rule<()>) -> Self {
        self.rules.push(rule);
        self
    }

    /// Whether local traces are always kept whose parent is in another process: that process sampled the trace, and to drop a
    /// part of it leaves a hole. Default false: they are treated as all others.
    pub fn with_remote_kept(mut self, on: bool) -> Self {
        self.keeps_remote = on;
        self
    }

    /// How much room held traces may take, in bytes: from 64 KiB to half of the memory limit
    /// ([`Builder::with_memory_limit`](crate::Builder::with_memory_limit)), of which it is a part. Default: a quarter of that, so
    /// that open spans and the exporter keep most of it; of 32 MiB that holds some 20,000 spans of 400 bytes.
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// How long a trace may be held, at least a millisecond; looked at once in a flush interval
    /// ([`Batch::with_interval`](crate::Batch::with_interval)). Default 30 seconds, as the Collector's tail sampling waits.
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// What is wrong with its values, beside this memory limit.
    pub(crate) fn problem(&self, memory: usize) -> Option<String> {
        let (least, most) = (64 << 10, memory / 2);
        let bytes = self.room(memory);
        if !(least..=most).contains(&bytes) {
            return Some(format!(
                "Tail::with_max_bytes({bytes}): expected {least} to {most}, half of the memory limit"
            ));
        }
        if self.max_age < Duration::from_millis(1) {
            let age = self.max_age;
            return Some(format!(
                "Tail::with_max_age({age:?}): expected a millisecond or more"
            ));
        }
        description::problem("Tail::with_ratio", self.ratio)
    }

    pub(crate) fn room(&self, memory: usize) -> usize {
        self.max_bytes.unwrap_or(memory / 4)
    }

    /// In nanoseconds.
    pub(crate) fn max_age(&self) -> u64 {
        nanos(self.max_age)
    }

    pub(crate) fn judge(&self) -> Judge {
        Judge {
            slower_than: self.slower_than.map_or(u64::MAX, nanos),
            bound: bound(self.ratio),
            rules: self.rules.clone(),
            keeps_remote: self.keeps_remote,
        }
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("errors")?;
        if let Some(duration) = self.slower_than {
            write!(f, ", slower than {duration:?}")?;
        }
        for rule in &self.rules {
            write!(f, ", {}", rule.conditions())?;
        }
        write!(f, ", ratio {}", description::ratio(self.ratio))?;
        if self.keeps_remote {
            f.write_str(", below a remote parent")?;
        }
        write!(f, "; held for {:?} at most", self.max_age)
    }
}

/// What keeps a trace, ready to be asked.
#[derive(Debug)]
pub(crate) struct Judge {
    /// Nanoseconds.
    slower_than: u64,
    bound: u64,
    rules: Vec<Rule<()>>,
    keeps_remote: bool,
}

impl Judge {
    /// Whether its id alone keeps the trace.
    #[inline]
    pub(crate) fn keeps(&self, trace: TraceId) -> bool {
        is_below(trace, self.bound)
    }

    #[inline]
    pub(crate) fn keeps_remote(&self) -> bool {
        self.keeps_remote
    }

    /// Whether a trace is kept that took, or has been held for, so many nanoseconds.
    #[inline]
    pub(crate) fn is_slow(&self, nanos: u64) -> bool {
        nanos > self.slower_than
    }

    #[inline]
    pub(crate) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether a rule holds for this span, which has ended.
    pub(crate) fn has_rule_for(&self, span: &Candidate<'_>) -> bool {
        self.rules.iter().any(|rule| rule.matches(span))
    }
}
