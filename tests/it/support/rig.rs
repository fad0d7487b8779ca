//! A pipeline that exports to a scripted collector, and the books of what was recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::{Dispatch, Span};
use tracing_otlp::{Batch, Builder, Error, Guard, Handle, Report, Stats};
use tracing_subscriber::prelude::*;

use super::collector::Collector;
use super::patience::{timed, until};
use super::way::Way;

/// What the deadline of a shutdown may be exceeded by, in real time on a busy machine.
pub(crate) const SLACK: Duration = Duration::from_millis(500);

pub(crate) struct Rig {
    pub(crate) collector: Collector,
    pub(crate) handle: Handle,
    pub(crate) guard: Option<Guard>,
    pub(crate) recorder: Recorder,
}

/// Records spans into a pipeline, each with a number of its own. Clones count together.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) dispatch: Dispatch,
    recorded: Arc<AtomicU64>,
}

impl Recorder {
    /// Records so many spans on the calling thread.
    pub(crate) fn record(&self, spans: u64) {
        self.record_on(0, spans);
    }

    /// As `record`, with the number of the thread.
    pub(crate) fn record_on(&self, thread: u64, spans: u64) {
        tracing::dispatcher::with_default(&self.dispatch, || {
            for _ in 0..spans {
                let number = self.recorded.fetch_add(1, Ordering::Relaxed);
                drop(tracing::info_span!("work", number, thread));
            }
        });
    }

    /// A span that is recorded when it is dropped.
    pub(crate) fn open(&self) -> Span {
        tracing::dispatcher::with_default(&self.dispatch, || {
            let number = self.recorded.fetch_add(1, Ordering::Relaxed);
            tracing::info_span!("open", number)
        })
    }

    /// Records so many spans of so many bytes and some more.
    pub(crate) fn record_large(&self, spans: u64, bytes: usize) {
        let payload = "x".repeat(bytes);
        tracing::dispatcher::with_default(&self.dispatch, || {
            for _ in 0..spans {
                let number = self.recorded.fetch_add(1, Ordering::Relaxed);
                drop(tracing::info_span!("work", number, payload));
            }
        });
    }
}

impl Rig {
    /// Sends every 20 ms, and waits half a second for an answer.
    pub(crate) fn new(collector: Collector) -> Self {
        Self::with(collector, |builder| builder)
    }

    /// In this way, to a collector that takes everything: sends every 20 ms, and waits for an answer as long as it takes.
    pub(crate) fn over(way: Way) -> Self {
        Self::over_with(way, way.collector(), |builder| {
            builder.with_timeout(Duration::from_secs(60))
        })
    }

    /// As `with`, in this way, to a collector of `way`'s.
    pub(crate) fn over_with(
        way: Way,
        collector: Collector,
        configure: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        Self::with(collector, |builder| configure(way.configure(builder)))
    }

    pub(crate) fn with(collector: Collector, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let builder = tracing_otlp::layer()
            .with_endpoint(collector.endpoint())
            .with_batch(Batch::default().with_interval(Duration::from_millis(20)))
            .with_timeout(Duration::from_millis(500));
        let (layer, guard) = configure(builder).build().expect("a pipeline");
        Self {
            collector,
            handle: guard.handle(),
            guard: Some(guard),
            recorder: Recorder {
                dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
                recorded: Arc::default(),
            },
        }
    }

    /// Records so many spans on the calling thread.
    pub(crate) fn record(&self, spans: u64) {
        self.recorder.record(spans);
    }

    /// What went wrong last with a request; empty when nothing did.
    pub(crate) fn last_error(&self) -> String {
        let stats = self.stats();
        let error = stats.last_error();
        error.map_or(String::new(), |error| error.message().to_owned())
    }

    pub(crate) fn recorded(&self) -> u64 {
        self.recorder.recorded.load(Ordering::Relaxed)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Waits until the ledger is as it should be; ten seconds at most.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&Stats) -> bool) {
        until(what, || is_so(&self.stats()), || self.stats().to_string());
    }

    /// Flushes with plenty of time, and everything is delivered.
    #[track_caller]
    pub(crate) fn flush(&self) {
        let flushed = self.handle.flush(Duration::from_secs(10));
        assert!(flushed.is_ok(), "{flushed:?}: {}", self.stats());
    }

    /// The end of a test in which nothing is lost: everything arrives, and so many spans twice at most.
    #[track_caller]
    pub(crate) fn finish(self, duplicates: u64) {
        let doubled = self.finish_with_doubled().0;
        assert!(
            doubled <= duplicates,
            "{doubled} arrived twice; {duplicates} may"
        );
    }

    /// As `finish`, where the collector took requests without being able to say so: as many spans may arrive twice, and
    /// that number is given back.
    #[track_caller]
    pub(crate) fn finish_with_ambiguous(self) -> u64 {
        let (doubled, collector) = self.finish_with_doubled();
        collector.wait("the last requests to end", |log| log.in_flight == 0);
        let ambiguous = collector.look(|log| log.ambiguous);
        assert!(
            doubled <= ambiguous,
            "{doubled} arrived twice; {ambiguous} may"
        );
        ambiguous
    }

    #[track_caller]
    fn finish_with_doubled(self) -> (u64, Collector) {
        let recorded = self.recorded();
        let (collector, stats) = self.end();
        assert_eq!(stats.delivered(), recorded, "{stats}");
        let doubled = collector.look(|log| {
            let (numbers, taken) = (log.numbers(), log.taken().count() as u64);
            let missing = (0..recorded).find(|number| !numbers.contains_key(&(*number as i64)));
            assert_eq!(missing, None, "delivered by the ledger, and did not arrive");
            let (known, ids) = (numbers.len() as u64, log.ids().len() as u64);
            assert_eq!(
                (known, ids),
                (recorded, recorded),
                "each has its id, and no other came"
            );
            taken - recorded
        });
        (doubled, collector)
    }

    /// The end of a test in which the collector stays unreachable: the shutdown keeps a short deadline, and what is held
    /// is given up.
    #[track_caller]
    pub(crate) fn give_up(self) -> (Collector, Stats) {
        const TIME: Duration = Duration::from_millis(50);
        let (ended, took) = timed(|| self.handle.shutdown(TIME));
        assert!(took <= TIME + SLACK, "the shutdown took {took:?}");
        assert!(ended.is_err(), "{ended:?}");
        self.end()
    }

    /// The end of any test: the shutdown keeps its deadline, the ledger balances and nothing is held any more.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Collector, Stats) {
        const TIME: Duration = Duration::from_secs(2);
        let (_, took) = timed(|| self.handle.shutdown(TIME));
        assert!(took <= TIME + SLACK, "the shutdown took {took:?}");
        // What was still held at the deadline is dropped right after it.
        self.wait("an empty exporter", |stats| stats.held() == 0);
        drop(self.guard.take());
        let stats = self.stats();
        assert!(stats.is_balanced(), "{stats}");
        assert_eq!(stats.accepted(), self.recorded(), "{stats}");
        self.collector.look(|log| {
            let problems = log.problems();
            assert!(problems.is_empty(), "{problems:?}");
        });
        (self.collector, stats)
    }
}

/// A flush or a shutdown ended at its deadline with so many records unfinished. On a machine so busy that the exporter
/// itself is late there is no report.
#[track_caller]
pub(crate) fn assert_unfinished(error: &Error, records: u64) {
    assert!(error.is_timeout(), "{error}");
    let unfinished = error.report().map(Report::unfinished);
    assert!(
        unfinished.is_none_or(|unfinished| unfinished == records),
        "{error}"
    );
}
