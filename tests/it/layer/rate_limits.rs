//! What exceeds so much a second is not recorded: whole traces, the most detailed first; log records by their own level.

use std::time::{Duration, Instant};

use tracing::{Dispatch, Level, Span};
use tracing_otlp::testing::InMemory;
use tracing_otlp::{
    Builder, DropReason, Events, Guard, Logs, RateLimit, Sampler, Signal, SpanExt, Stats,
};
use tracing_subscriber::prelude::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// An hour's 3,600, of which nothing comes back while a test runs.
fn hourly() -> RateLimit {
    RateLimit::default().with_records(1.0).with_window(HOUR)
}

struct World {
    memory: InMemory,
    guard: Guard,
    dispatch: Dispatch,
}

impl World {
    fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let memory = InMemory::new();
        let builder = tracing_otlp::layer().with_transport(memory.clone());
        let (layer, guard) = configure(builder).build().expect("a pipeline");
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Self {
            memory,
            guard,
            dispatch,
        }
    }

    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.dispatch, work)
    }

    /// So many traces of one span.
    fn traces(&self, level: Level, count: usize) {
        self.within(|| (0..count).for_each(|_| drop(span(level))));
    }

    fn limited(&self) -> u64 {
        self.guard
            .handle()
            .stats()
            .dropped_for(DropReason::RateLimited)
    }

    /// What arrived, and the books.
    fn finish(&self) -> (Vec<String>, Stats) {
        let handle = self.guard.handle();
        handle
            .flush(Duration::from_secs(20))
            .expect("it is delivered");
        let stats = handle.stats();
        assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
        assert_eq!(
            stats.dropped(),
            self.limited(),
            "for no other reason: {stats}"
        );
        let spans = self.memory.spans();
        let names = spans.into_iter().map(|span| span.name);
        (names.collect(), stats)
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

fn count(names: &[String], wanted: &str) -> usize {
    names.iter().filter(|name| *name == wanted).count()
}

#[test]
fn the_most_detailed_is_left_out_first_and_what_is_wrong_last() {
    let world = World::new(|builder| builder.with_drop_above(hourly()));
    for level in [
        Level::DEBUG,
        Level::TRACE,
        Level::INFO,
        Level::WARN,
        Level::ERROR,
    ] {
        world.traces(level, 2_000);
    }
    let (names, stats) = world.finish();
    let counts = ["debug", "trace", "info", "warn", "error"].map(|name| count(&names, name));
    assert_eq!(counts, [1_800, 0, 900, 900, 0], "half, a quarter, the rest");
    assert_eq!((stats.accepted(), stats.delivered()), (10_000, 3_600));
    assert_eq!(world.limited(), 6_400);
}

#[test]
fn a_trace_that_was_recorded_goes_on_and_one_that_was_not_does_not_begin() {
    let world = World::new(|builder| builder.with_drop_above(hourly()));
    let long = world.within(|| span(Level::INFO));
    world.traces(Level::WARN, 3_599);
    world.within(|| long.in_scope(|| (0..100).for_each(|_| drop(span(Level::DEBUG)))));
    assert_eq!(world.limited(), 0, "whatever its level, and however many");
    drop(long);
    let context = world.within(|| {
        let root = span(Level::ERROR);
        root.in_scope(|| drop(span(Level::ERROR)));
        root.context()
    });
    assert!(context.span().is_some_and(|span| !span.is_sampled()));
    assert_eq!(world.limited(), 2, "each span of it counts");
    let (names, _) = world.finish();
    let counts = ["warn", "info", "debug", "error"].map(|name| count(&names, name));
    assert_eq!(counts, [3_599, 1, 100, 0]);
}

#[test]
fn what_a_sampler_does_not_keep_costs_nothing_of_it() {
    let sampler = Sampler::parent_based(Sampler::ratio(0.0));
    let world = World::new(|builder| builder.with_drop_above(hourly()).with_sampler(sampler));
    world.traces(Level::INFO, 10_000);
    assert_eq!(world.guard.handle().stats().accepted(), 0);
    // Here the limit is used up, and what would not be sampled is no loss.
    let half = Sampler::parent_based(Sampler::ratio(0.5));
    let world = World::new(|builder| builder.with_drop_above(hourly()).with_sampler(half));
    world.traces(Level::WARN, 20_000);
    let (names, stats) = world.finish();
    assert_eq!(names.len(), 3_600);
    let accepted = stats.accepted();
    assert!((9_500..10_500).contains(&accepted), "half: {accepted}");
}

#[test]
fn bytes_are_limited_too() {
    let limit = RateLimit::default().with_bytes(1_024.0).with_window(HOUR);
    let world = World::new(|builder| builder.with_drop_above(limit));
    let payload = "x".repeat(9_900);
    world.within(|| {
        (0..600).for_each(|_| drop(tracing::warn_span!("large", payload)));
    });
    let (names, _) = world.finish();
    // 3,600 KiB, and each has a little more than its payload.
    assert!((360..=370).contains(&names.len()), "{}", names.len());
}

#[test]
fn log_records_have_their_own_limit_and_go_by_their_own_level() {
    let logs = Logs::new().with_drop_above(hourly());
    let world = World::new(|builder| builder.with_logs(logs).with_events(Events::Logs));
    world.within(|| {
        let root = span(Level::DEBUG);
        root.in_scope(|| {
            for _ in 0..2_000 {
                tracing::trace!("trace");
            }
            (0..2_000).for_each(|_| tracing::info!("info"));
            (0..1_000).for_each(|_| tracing::error!("error"));
        });
    });
    world.traces(Level::DEBUG, 4_000);
    let (names, stats) = world.finish();
    assert_eq!(names.len(), 4_001, "spans are not limited by that");
    let of_logs = world.guard.handle().stats_of(Signal::Logs);
    assert_eq!(of_logs.delivered(), 3_600, "{of_logs}");
    assert_eq!(of_logs.dropped_for(DropReason::RateLimited), 1_400);
    let severities: Vec<i32> = world
        .memory
        .logs()
        .iter()
        .map(|log| log.severity_number as i32)
        .collect();
    let of = |number| severities.iter().filter(|it| **it == number).count();
    assert_eq!([1, 9, 17].map(of), [1_800, 900, 900]);
    assert_eq!(stats.dropped(), 1_400);
}

#[test]
fn in_the_mean_no_more_is_recorded_than_may_be() {
    let limit = RateLimit::default().with_records(500.0);
    let world = World::new(|builder| builder.with_drop_above(limit));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while begun.elapsed() < Duration::from_millis(1_200) {
                    world.within(|| span(Level::WARN).in_scope(|| drop(span(Level::INFO))));
                }
            });
        }
    });
    let most = 500.0 * (begun.elapsed().as_secs_f64() + 1.0);
    let (names, _) = world.finish();
    // A trace that begins with the last one there is has its second span too, on each thread.
    assert!(
        (names.len() as f64) <= most + 5.0,
        "{} of {most}",
        names.len()
    );
    assert!(
        names.len() as f64 >= 800.0,
        "and it is used: {}",
        names.len()
    );
    assert_eq!(count(&names, "warn"), count(&names, "info"), "whole traces");
    assert!(world.limited() > 0);
}

#[test]
fn a_limit_that_is_none_is_refused() {
    let wrong = RateLimit::default().with_records(0.1);
    let build = |builder: Builder| builder.with_disabled(true).build().map(drop);
    for built in [
        build(tracing_otlp::layer().with_drop_above(wrong)),
        build(
            tracing_otlp::layer()
                .with_events(Events::Logs)
                .with_logs(Logs::new().with_drop_above(wrong)),
        ),
    ] {
        assert!(built.is_err_and(|error| error.is_config()));
    }
}
