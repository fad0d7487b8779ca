//! What is left out, and who waits, where memory is short.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::{Dispatch, Level, Span};
use tracing_otlp::testing::InMemory;
use tracing_otlp::{
    Batch, Builder, DropReason, Events, Failure, Guard, Limits, Request, Sending, Signal, SpanExt,
    Stats, Transport,
};
use tracing_subscriber::prelude::*;

use crate::support::patience::{timed, until};

/// A destination that takes everything, in its time, or nothing.
#[derive(Clone)]
struct Gate {
    memory: InMemory,
    is_open: Arc<AtomicBool>,
    millis: Arc<AtomicU64>,
}

impl Transport for Gate {
    fn send(&self, request: Request) -> Sending {
        if !self.is_open.load(Ordering::Relaxed) {
            return Box::pin(async { Err(Failure::retry("not now")) });
        }
        let time = Duration::from_millis(self.millis.load(Ordering::Relaxed));
        let sending = self.memory.send(request);
        Box::pin(async move {
            tokio::time::sleep(time).await;
            sending.await
        })
    }
}

struct World {
    gate: Gate,
    guard: Guard,
    dispatch: Dispatch,
    payload: String,
}

impl World {
    /// With 4 MiB of memory, and a destination that takes nothing.
    fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let gate = Gate {
            memory: InMemory::new(),
            is_open: Arc::default(),
            millis: Arc::default(),
        };
        let builder = tracing_otlp::layer()
            .with_transport(gate.clone())
            .with_memory_limit(4 << 20)
            .with_limits(Limits::default().with_record_bytes(32 << 10))
            .with_batch(Batch::default().with_interval(Duration::from_millis(10)));
        let (layer, guard) = configure(builder).build().expect("a pipeline");
        Self {
            gate,
            guard,
            dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
            payload: "x".repeat(2_000),
        }
    }

    fn opens(&self) {
        self.gate.is_open.store(true, Ordering::Relaxed);
    }

    fn stats(&self) -> Stats {
        self.guard.handle().stats()
    }

    fn shed(&self) -> u64 {
        self.stats().dropped_for(DropReason::Shed)
    }

    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.dispatch, work)
    }

    /// A trace whose root has this level, with a child of another.
    fn trace(&self, root: Level, child: Level) {
        self.within(|| {
            let root = span(root);
            let _entered = root.enter();
            drop(span(child));
        });
    }

    /// Records traces of two large spans, and two events that are as large, until something is so.
    fn fill_until(&self, level: Level, is_so: impl Fn(&Stats) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.stats()) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{}",
                self.stats()
            );
            self.within(|| {
                let payload = self.payload.as_str();
                let root = match level {
                    Level::WARN => tracing::warn_span!("filler", payload),
                    _ => tracing::info_span!("filler", payload),
                };
                root.in_scope(|| {
                    (0..2).for_each(|_| tracing::info!(payload));
                    drop(tracing::info_span!("filler", payload));
                });
            });
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    /// Everything is delivered; gives the names of what arrived, of which no trace is in part.
    fn finish(self) -> (Vec<String>, Stats) {
        self.opens();
        let handle = self.guard.handle();
        let flushed = handle.flush(Duration::from_secs(20));
        assert!(flushed.is_ok(), "{flushed:?}: {}", handle.stats());
        let stats = handle.stats();
        assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
        let spans = self.gate.memory.spans();
        let ids: HashSet<_> = spans.iter().map(|span| span.span_id).collect();
        assert_eq!(ids.len() as u64, stats.delivered(), "{stats}");
        for span in &spans {
            let parent = span.parent_span_id;
            assert!(
                parent.is_none_or(|parent| ids.contains(&parent)),
                "half a trace"
            );
        }
        (spans.into_iter().map(|span| span.name).collect(), stats)
    }
}

fn span(level: Level) -> Span {
    match level {
        Level::ERROR => tracing::error_span!("error"),
        Level::WARN => tracing::warn_span!("warn"),
        Level::INFO => tracing::info_span!("info"),
        Level::DEBUG => tracing::debug_span!("debug"),
        _ => tracing::trace_span!("trace"),
    }
}

#[test]
fn p_12_whole_traces_are_shed_the_most_detailed_first_and_errors_never() {
    let world = World::new(|builder| builder.with_shedding(true));
    world.trace(Level::TRACE, Level::DEBUG);
    let long = world.within(|| span(Level::DEBUG));
    world.fill_until(Level::INFO, |stats| stats.pressure_changes() == 1);
    let before = world.shed();
    world.trace(Level::DEBUG, Level::ERROR);
    world.trace(Level::TRACE, Level::TRACE);
    assert_eq!(world.shed(), before + 4);
    // A trace that is recorded is whole, also one that had begun.
    world.trace(Level::INFO, Level::TRACE);
    world.within(|| long.in_scope(|| drop(span(Level::DEBUG))));
    assert_eq!(world.shed(), before + 4);
    world.fill_until(Level::WARN, |stats| stats.pressure_changes() == 2);
    let before = world.shed();
    world.trace(Level::INFO, Level::ERROR);
    assert_eq!(world.shed(), before + 2);
    world.trace(Level::WARN, Level::INFO);
    world.trace(Level::ERROR, Level::DEBUG);
    assert_eq!(world.shed(), before + 2);

    world.opens();
    let flushed = world.guard.handle().flush(Duration::from_secs(20));
    assert!(flushed.is_ok(), "{flushed:?}");
    world.fill_until(Level::WARN, |stats| stats.pressure_changes() > 2);
    let before = world.shed();
    world.trace(Level::TRACE, Level::TRACE);
    assert_eq!(world.shed(), before, "below the low mark all is recorded");
    drop(long);
    let (names, stats) = world.finish();
    let count = |name: &str| names.iter().filter(|it| *it == name).count();
    let counts = ["error", "warn", "info", "debug", "trace"].map(count);
    assert_eq!(counts, [1, 1, 2, 4, 4], "{names:?}");
    assert_eq!(
        stats.dropped(),
        stats.dropped_for(DropReason::Shed),
        "{stats}"
    );
}

#[test]
fn what_is_shed_says_so_to_others_and_stays_shed() {
    let world = World::new(|builder| builder.with_shedding(true));
    world.fill_until(Level::INFO, |stats| stats.pressure_changes() == 1);
    let remote = world.within(|| {
        let parent = span(Level::ERROR);
        parent.context()
    });
    assert!(remote.span().is_some_and(|span| span.is_sampled()));
    let (before, shed) = (world.shed(), world.within(|| span(Level::DEBUG)));
    assert!(shed.set_parent(remote.clone()).is_ok());
    let context = shed.context();
    let of = |context: &tracing_otlp::Context| context.span().map(|span| span.trace_id());
    assert_eq!(of(&context), of(&remote));
    assert!(context.span().is_some_and(|span| !span.is_sampled()));
    world.opens();
    world.fill_until(Level::WARN, |stats| stats.pressure_changes() >= 2);
    // Its trace is shed, though there is room again.
    world.within(|| shed.in_scope(|| drop(span(Level::ERROR))));
    drop(shed);
    assert_eq!(world.shed(), before + 2);
    let (_, stats) = world.finish();
    assert_eq!(stats.dropped_for(DropReason::Evicted), 0, "{stats}");
}

#[test]
fn p_12_log_records_are_shed_by_their_own_level() {
    let world = World::new(|builder| builder.with_shedding(true).with_events(Events::Logs));
    world.fill_until(Level::INFO, |stats| stats.pressure_changes() == 1);
    let handle = world.guard.handle();
    let logs = || handle.stats_of(Signal::Logs);
    let accepted = logs().accepted();
    world.within(|| {
        tracing::debug!("left out");
        span(Level::INFO).in_scope(|| tracing::trace!("left out"));
        tracing::info!("kept");
        tracing::error!("kept");
    });
    assert_eq!(logs().accepted(), accepted + 4);
    assert_eq!(logs().dropped_for(DropReason::Shed), 2);
    world.opens();
    assert!(handle.flush(Duration::from_secs(20)).is_ok());
    assert_eq!(world.gate.memory.logs().len() as u64, accepted + 2);
    assert!(handle.stats().is_balanced());
}

#[test]
fn without_it_the_oldest_go_and_nothing_is_shed() {
    let world = World::new(|builder| builder);
    world.fill_until(Level::INFO, |stats| {
        stats.dropped_for(DropReason::Evicted) > 100
    });
    world.trace(Level::TRACE, Level::TRACE);
    let (names, stats) = world.finish();
    assert!(names.iter().any(|name| name == "trace"));
    assert_eq!(
        (
            stats.dropped_for(DropReason::Shed),
            stats.pressure_changes()
        ),
        (0, 0)
    );
}

#[test]
fn who_waits_for_room_loses_nothing_to_a_slow_destination() {
    let most = Duration::from_secs(5);
    let world = World::new(|builder| builder.with_blocking(most));
    world.gate.millis.store(20, Ordering::Relaxed);
    // Some 8 MiB, twice the memory.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                world.within(|| {
                    for _ in 0..2_000 {
                        drop(tracing::info_span!(
                            "work",
                            payload = world.payload.as_str()
                        ));
                    }
                });
            });
        }
        let state = || world.stats().to_string();
        until("somebody waits", || world.stats().waits() > 0, state);
        world.opens();
    });
    let (names, stats) = world.finish();
    assert_eq!((names.len(), stats.dropped()), (4_000, 0), "{stats}");
    assert!(stats.waits() > 0, "{stats}");
}

#[test]
fn nobody_waits_longer_than_is_allowed_or_when_the_pipeline_has_ended() {
    let most = Duration::from_millis(30);
    let world = World::new(|builder| builder.with_blocking(most));
    world.fill_until(Level::INFO, |stats| stats.waits() > 0);
    let ((), took) = timed(|| world.trace(Level::INFO, Level::INFO));
    assert!(took < 2 * most + Duration::from_millis(500), "{took:?}");
    let _ = world.guard.handle().shutdown(Duration::ZERO);
    // Once the exporter has gone.
    let begun = Instant::now();
    loop {
        let waits = world.stats().waits();
        world.trace(Level::INFO, Level::INFO);
        if world.stats().waits() == waits && world.stats().held() == 0 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{}",
            world.stats()
        );
    }
    let waits = world.stats().waits();
    (0..100).for_each(|_| world.trace(Level::INFO, Level::INFO));
    assert_eq!(world.stats().waits(), waits);
    assert!(world.stats().is_balanced());
}

#[test]
fn a_wait_of_more_than_ten_seconds_is_refused() {
    let build = |most| {
        tracing_otlp::layer()
            .with_blocking(most)
            .with_disabled(true)
            .build()
    };
    assert!(build(Duration::from_secs(10)).is_ok());
    let error = build(Duration::from_secs(11)).expect_err("it is too long");
    assert!(
        error.is_config() && error.to_string().contains("with_blocking"),
        "{error}"
    );
}
