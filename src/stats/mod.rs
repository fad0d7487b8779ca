//! The ledger: counters that always balance, and what users see of them.
//!
//! accepted = delivered + rejected + dropped{reason} + held, for every record since the pipeline was built.

mod details;
mod latency;
mod recent;
mod sum;

use std::fmt;
use std::time::{Duration, SystemTime};

use self::details::Details;
pub use self::details::LastError;
use self::latency::Histogram;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Declares every reason once: the variant, its name in text, its documentation.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a record was dropped. Every drop has exactly one reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DropReason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl DropReason {
            /// All reasons, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The reason's name, as it stands in the text of [`Stats`].
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    /// The queue or the memory budget was full when the record ended; the newest is dropped.
    QueueFull = "queue_full",
    /// The memory budget had no room for the record when its span was opened.
    OpenSpans = "open_spans",
    /// It was recorded from within the formatting of another record's field, more than four levels deep.
    Reentrant = "reentrant",
    /// It waited for a collector that did not take it while newer records needed the memory; the oldest is dropped.
    Evicted = "evicted",
    /// It ended after the pipeline was shut down, or was not delivered by then.
    Shutdown = "shutdown",
    /// Memory was short, and its trace was of a level that is not recorded then
    /// ([`Builder::with_shedding`](crate::Builder::with_shedding)).
    Shed = "shed",
    /// More was recorded a second than is wanted ([`Builder::with_drop_above`](crate::Builder::with_drop_above),
    /// [`Logs::with_drop_above`](crate::Logs::with_drop_above)).
    RateLimited = "rate_limited",
    /// It was in the exporter's hands when the exporter panicked.
    ExporterPanic = "exporter_panic",
    /// The collector calls it too large, by itself and shortened to a quarter of the record limit.
    TooLarge = "too_large",
    /// Tail sampling did not keep its trace (`Builder::with_tail_sampling`).
    TailSampled = "tail_sampled",
    /// Its trace was decided about before it was over, since tail sampling's room was used up, and nothing known by then kept it.
    TailOverflow = "tail_overflow",
    /// The collector said that it does not take this signal at all, and is left in peace for a while.
    NoPipeline = "no_pipeline",
    /// A [`Processor`](crate::Processor) has discarded it.
    Processor = "processor",
}

const REASONS: usize = DropReason::ALL.len();

/// What a queue counts by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Records that lanes took in,
    pub(crate) appended: u64,
    /// those of them that wait in lanes and ring,
    pub(crate) queued: u64,
    /// those that were lost since the ring was full,
    pub(crate) lost: u64,
    /// and those that came when the exporter had gone.
    pub(crate) late: u64,
}

/// The counters. Any thread adds, any thread reads; Relaxed throughout, since each is a number on its own: what makes
/// a sum exact is that the reader has synchronized with the writers (by a flush), not the counters.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Records that never reached a lane: they count as accepted beside those that the lanes count.
    refused: AtomicU64,
    delivered: AtomicU64,
    rejected: AtomicU64,
    dropped: [AtomicU64; REASONS],
    /// Records in the exporter's hands: backlog and in flight. Written by the exporter alone.
    exporter_holds: AtomicU64,
    /// Records of the request that is on its way, or waits to be sent again. Written by the exporter alone.
    in_flight: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
    ambiguous: AtomicU64,
    failovers: AtomicU64,
    splits: AtomicU64,
    odd_answers: AtomicU64,
    sent_bytes: AtomicU64,
    truncated: AtomicU64,
    limited: AtomicU64,
    waits: AtomicU64,
    pressure_changes: AtomicU64,
    memory_limit_changes: AtomicU64,
    panics: AtomicU64,
    processor_panics: AtomicU64,
    /// Written once a request, by the exporter.
    details: Mutex<Details>,
}

impl Ledger {
    /// A record was dropped before it reached a lane.
    pub(crate) fn refuse(&self, reason: DropReason) {
        add(&self.refused, 1);
        self.dropped(reason, 1);
    }

    /// As [`Ledger::refuse`], for so many records.
    #[cfg(feature = "tail")]
    pub(crate) fn refuse_all(&self, reason: DropReason, records: u64) {
        add(&self.refused, records);
        self.dropped(reason, records);
    }

    /// Tail sampling did not keep so many records, of which people need not be told: they wanted it so.
    #[cfg(feature = "tail")]
    pub(crate) fn sampled_out(&self, records: u64) {
        if records > 0 {
            self.dropped(DropReason::TailSampled, records);
        }
    }

    /// Records were dropped after a lane had counted them.
    pub(crate) fn dropped(&self, reason: DropReason, records: u64) {
        add(&self.dropped[reason as usize], records);
    }

    /// A request of so many bytes was answered well.
    pub(crate) fn delivered(&self, records: u64, bytes: u64) {
        add(&self.delivered, records);
        add(&self.sent_bytes, bytes);
        lock(&self.details).delivered(records, bytes);
    }

    /// Records were refused for good, by an answer of this name.
    pub(crate) fn rejected(&self, records: u64, answer: &str) {
        if records > 0 {
            add(&self.rejected, records);
            lock(&self.details).rejected(records, answer);
        }
    }

    /// A request was answered, or failed, after so long.
    pub(crate) fn request(&self, took: Duration) {
        add(&self.requests, 1);
        lock(&self.details).latency.record(took);
    }

    pub(crate) fn failed(&self, message: &str) {
        lock(&self.details).failed(message);
    }

    pub(crate) fn retry(&self) {
        add(&self.retries, 1);
    }

    pub(crate) fn split(&self) {
        add(&self.splits, 1);
    }

    pub(crate) fn odd_answer(&self) {
        add(&self.odd_answers, 1);
    }

    /// A request failed, or was sent twice, although it may have been taken.
    pub(crate) fn ambiguous(&self) {
        add(&self.ambiguous, 1);
    }

    /// A server failed, and the request went to another one at once.
    #[cfg(any(feature = "grpc", feature = "http"))]
    pub(crate) fn failed_over(&self, message: &str) {
        add(&self.failovers, 1);
        self.failed(message);
    }

    pub(crate) fn truncated(&self, values: u64) {
        add(&self.truncated, values);
    }

    /// Something of a record was left out for a limit.
    #[cold]
    pub(crate) fn limited(&self) {
        add(&self.limited, 1);
    }

    /// Records of which a limit left something out.
    pub(crate) fn limited_records(&self) -> u64 {
        get(&self.limited)
    }

    /// A thread waited for room.
    #[cold]
    pub(crate) fn waited(&self) {
        add(&self.waits, 1);
    }

    /// More or less is shed than before.
    pub(crate) fn pressure_changed(&self) {
        add(&self.pressure_changes, 1);
    }

    pub(crate) fn memory_limit_changed(&self) {
        add(&self.memory_limit_changes, 1);
    }

    pub(crate) fn panicked(&self) {
        add(&self.panics, 1);
    }

    pub(crate) fn processor_panicked(&self) {
        add(&self.processor_panics, 1);
    }

    /// What the exporter has in its hands, and what of that is on its way.
    pub(crate) fn exporter_holds(&self, records: u64, in_flight: u64) {
        self.exporter_holds.store(records, Ordering::Relaxed);
        self.in_flight.store(in_flight, Ordering::Relaxed);
    }

    /// Records that were dropped before they reached a lane.
    pub(crate) fn refused(&self) -> u64 {
        // What the program's own processors discard is no trouble to tell of.
        // Nor is what comes while the exporter goes, for which nothing was full.
        let untold = [DropReason::Processor, DropReason::Shutdown];
        let untold: u64 = untold
            .map(|reason| get(&self.dropped[reason as usize]))
            .iter()
            .sum();
        get(&self.refused).saturating_sub(untold)
    }

    /// What is known now, given what the queue counted.
    pub(crate) fn snapshot(&self, counts: Counts) -> Stats {
        let Counts {
            appended,
            queued,
            lost,
            late,
        } = counts;
        let mut dropped = std::array::from_fn(|reason| get(&self.dropped[reason]));
        dropped[DropReason::QueueFull as usize] += lost;
        dropped[DropReason::Shutdown as usize] += late;
        let details = lock(&self.details);
        let (records_per_second, bytes_per_second) = details.rate();
        Stats {
            // What tail sampling drops was never in a lane, and is no refusal.
            accepted: appended + get(&self.refused) + dropped[DropReason::TailSampled as usize],
            delivered: get(&self.delivered),
            rejected: get(&self.rejected),
            dropped,
            held: queued + get(&self.exporter_holds),
            queued,
            in_flight: get(&self.in_flight),
            requests: get(&self.requests),
            retries: get(&self.retries),
            ambiguous: get(&self.ambiguous),
            failovers: get(&self.failovers),
            splits: get(&self.splits),
            odd_answers: get(&self.odd_answers),
            sent_bytes: get(&self.sent_bytes),
            records_per_second,
            bytes_per_second,
            latency: details.latency.clone(),
            last_success: details.last_success,
            last_error: details.last_error.clone(),
            rejections: details.rejections.clone(),
            truncated: get(&self.truncated),
            limited: get(&self.limited),
            waits: get(&self.waits),
            pressure_changes: get(&self.pressure_changes),
            memory_limit_changes: get(&self.memory_limit_changes),
            panics: get(&self.panics),
            processor_panics: get(&self.processor_panics),
        }
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The ledger at one moment, in records since the pipeline was built.
///
/// A record counts once for each destination that it goes to.
///
/// Exact when nothing is being recorded or exported, for instance after a flush; while threads are at work, each number
/// is right or a moment behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    accepted: u64,
    delivered: u64,
    rejected: u64,
    dropped: [u64; REASONS],
    held: u64,
    queued: u64,
    in_flight: u64,
    requests: u64,
    retries: u64,
    ambiguous: u64,
    failovers: u64,
    splits: u64,
    odd_answers: u64,
    sent_bytes: u64,
    records_per_second: f64,
    bytes_per_second: f64,
    latency: Histogram,
    last_success: Option<SystemTime>,
    last_error: Option<LastError>,
    rejections: Vec<(String, u64)>,
    truncated: u64,
    limited: u64,
    waits: u64,
    pressure_changes: u64,
    memory_limit_changes: u64,
    panics: u64,
    processor_panics: u64,
}

impl Stats {
    /// With records that are held before they reach a lane.
    pub(crate) fn waiting(mut self, records: u64) -> Self {
        self.accepted += records;
        self.held += records;
        self
    }

    /// Records that ended, or were refused when they began; each is in exactly one of the other numbers.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Records that the collector took.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Records that the collector refused for good.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Records dropped for any reason.
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Records dropped for this reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Records in lanes, queue, backlog and requests in flight, and those that tail sampling has not decided about.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Records among the held that wait in lanes and queue, where the exporter has not seen them.
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// Records among the held that are on their way, or wait to be sent again.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Records rejected, by the answer that rejected them, as in `("gRPC INVALID_ARGUMENT (3)", 512)`. Partial success is among
    /// them, as `"partial success"`. At most 32 kinds are told apart.
    pub fn rejections(&self) -> &[(String, u64)] {
        &self.rejections
    }

    /// Requests that got an answer or failed.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Requests that failed in a way that may pass, and will be or were sent again.
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Requests that failed, or were sent again at once, although they may have been taken: what arrived twice is among their
    /// records.
    pub fn ambiguous(&self) -> u64 {
        self.ambiguous
    }

    /// Requests that went to another endpoint or address at once, since one had failed; [`Stats::last_error`] says which.
    pub fn failovers(&self) -> u64 {
        self.failovers
    }

    /// Requests that were too large for the collector and were split.
    pub fn splits(&self) -> u64 {
        self.splits
    }

    /// Answers that said yes, with something beside that could not be read.
    pub fn odd_answers(&self) -> u64 {
        self.odd_answers
    }

    /// Bytes of the bodies of the requests that were taken, as they were sent: compressed, where they were.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Records delivered a second, over the last minute.
    pub fn records_per_second(&self) -> f64 {
        self.records_per_second
    }

    /// Bytes of delivered requests' bodies a second, over the last minute.
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes_per_second
    }

    /// How long half of all requests took at most, from the first byte to the answer or the failure. `None` before the first.
    pub fn latency_p50(&self) -> Option<Duration> {
        self.latency.quantile(0.5)
    }

    /// How long 99 of 100 requests took at most. It is at most an eighth too high, as [`Stats::latency_p50`] is.
    pub fn latency_p99(&self) -> Option<Duration> {
        self.latency.quantile(0.99)
    }

    /// When a request was last taken.
    pub fn last_success(&self) -> Option<SystemTime> {
        self.last_success
    }

    /// What went wrong last with a request, and when. It stays when later requests are taken.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// Field values that were cut at a limit.
    pub fn truncated(&self) -> u64 {
        self.truncated
    }

    /// Records of which attributes, events or links were left out, since they exceeded a limit
    /// ([`Builder::with_limits`](crate::Builder::with_limits)).
    pub fn limited(&self) -> u64 {
        self.limited
    }

    /// Spans whose thread waited for room ([`Builder::with_blocking`](crate::Builder::with_blocking)).
    pub fn waits(&self) -> u64 {
        self.waits
    }

    /// How often more or less began to be shed ([`Builder::with_shedding`](crate::Builder::with_shedding)). What was shed is counted
    /// as [`DropReason::Shed`].
    pub fn pressure_changes(&self) -> u64 {
        self.pressure_changes
    }

    /// How often the memory limit was lowered or raised
    /// ([`Builder::with_memory_following_cgroup`](crate::Builder::with_memory_following_cgroup)).
    pub fn memory_limit_changes(&self) -> u64 {
        self.memory_limit_changes
    }

    /// Panics of the exporter that were caught.
    pub fn panics(&self) -> u64 {
        self.panics
    }

    /// Panics of a [`Processor`](crate::Processor) that were caught.
    pub fn processor_panics(&self) -> u64 {
        self.processor_panics
    }

    /// Whether accepted = delivered + rejected + dropped + held.
    pub fn is_balanced(&self) -> bool {
        self.accepted == self.delivered + self.rejected + self.dropped() + self.held
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            delivered,
            rejected,
            held,
            ..
        } = self;
        write!(
            f,
            "accepted {accepted} = delivered {delivered} + rejected {rejected} + dropped {}",
            self.dropped()
        )?;
        let mut opened = false;
        for reason in DropReason::ALL
            .iter()
            .filter(|reason| self.dropped_for(**reason) > 0)
        {
            let separator = if opened { ", " } else { " (" };
            write!(
                f,
                "{separator}{} {}",
                reason.name(),
                self.dropped_for(*reason)
            )?;
            opened = true;
        }
        write!(f, "{} + held {held}", if opened { ")" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_reasons_that_occurred() {
        let ledger = Ledger::default();
        ledger.refuse(DropReason::OpenSpans);
        ledger.dropped(DropReason::Evicted, 2);
        ledger.delivered(3, 90);
        let stats = ledger.snapshot(Counts {
            appended: 6,
            queued: 1,
            ..Counts::default()
        });
        assert!(stats.is_balanced(), "{stats}");
        let text =
            "accepted 7 = delivered 3 + rejected 0 + dropped 3 (open_spans 1, evicted 2) + held 1";
        assert_eq!(stats.to_string(), text);
        assert!(stats.last_success().is_some() && stats.last_error().is_none());
    }

    #[test]
    fn rejections_are_told_apart_by_their_answer() {
        let ledger = Ledger::default();
        ledger.rejected(2, "HTTP 400");
        ledger.rejected(3, "HTTP 401");
        ledger.rejected(4, "HTTP 400");
        ledger.rejected(0, "HTTP 500");
        let stats = ledger.snapshot(Counts {
            appended: 9,
            ..Counts::default()
        });
        assert_eq!(stats.rejected(), 9);
        let expected = [("HTTP 400".to_owned(), 6), ("HTTP 401".to_owned(), 3)];
        assert_eq!(stats.rejections(), expected);
    }
}
