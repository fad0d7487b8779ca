//! Three endpoints of one destination, one of which has trouble while records come in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing::Dispatch;
use tracing_otlp::{Balance, Batch, Builder, Concurrency, Guard, Stats};
use tracing_subscriber::prelude::*;

use crate::support::collector::{Collector, Manner};
use crate::support::patience::until;

/// One attempt's time.
const ATTEMPT: Duration = Duration::from_secs(2);
/// What a machine that is busy may add.
const SLACK: Duration = Duration::from_millis(800);

/// When each number first reached a collector.
type Arrivals = Arc<Mutex<HashMap<i64, Instant>>>;

struct Trio {
    collectors: [Collector; 3],
    guard: Guard,
    dispatch: Dispatch,
    recorded: Vec<Instant>,
    arrivals: Arrivals,
}

impl Trio {
    fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let collectors = [Collector::start(), Collector::start(), Collector::start()];
        let builder = tracing_otlp::layer()
            .with_endpoints(collectors.each_ref().map(Collector::endpoint))
            .with_balance(Balance::Failover)
            .with_batch(Batch::default().with_interval(Duration::from_millis(20)))
            .with_timeout(ATTEMPT);
        let (layer, guard) = configure(builder).build().expect("a pipeline");
        let trio = Self {
            collectors,
            guard,
            dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
            recorded: Vec::new(),
            arrivals: Arrivals::default(),
        };
        (0..3).for_each(|number| trio.does(number, Manner::Take));
        trio
    }

    /// How a collector behaves from now on.
    fn does(&self, number: usize, manner: Manner) {
        let arrivals = Arc::clone(&self.arrivals);
        self.collectors[number].judges(move |_, request| {
            if matches!(manner, Manner::Take | Manner::TakeAfter(_)) {
                let mut arrivals = arrivals.lock().expect("no test panicked");
                for number in request.spans.iter().filter_map(|span| span.number) {
                    arrivals.entry(number).or_insert_with(Instant::now);
                }
            }
            manner.clone()
        });
    }

    /// Records a span each millisecond for so long.
    fn record_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.record();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn record(&mut self) {
        let number = self.recorded.len();
        tracing::dispatcher::with_default(&self.dispatch, || {
            drop(tracing::info_span!("work", number));
        });
        self.recorded.push(Instant::now());
    }

    /// Records until something is so.
    fn record_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{what}: {}",
                self.stats()
            );
            self.record();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn taken(&self, number: usize) -> usize {
        self.collectors[number].look(|log| log.taken().count())
    }

    fn stats(&self) -> Stats {
        self.guard.handle().stats()
    }

    /// The end: nothing is lost; gives what 99 of 100 records waited, and what may have come twice.
    fn finish(self) -> (Duration, Stats) {
        let handle = self.guard.handle();
        let flushed = handle.flush(Duration::from_secs(20));
        assert!(flushed.is_ok(), "{flushed:?}: {}", handle.stats());
        let stats = handle.stats();
        let recorded = self.recorded.len();
        assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
        assert_eq!(stats.delivered(), recorded as u64, "{stats}");
        let arrivals = self.arrivals.lock().expect("no test panicked");
        assert_eq!(
            arrivals.len(),
            recorded,
            "delivered by the ledger, and did not arrive"
        );
        let delay = |(number, recorded): (usize, &Instant)| {
            arrivals[&(number as i64)].saturating_duration_since(*recorded)
        };
        let mut delays: Vec<_> = self.recorded.iter().enumerate().map(delay).collect();
        delays.sort_unstable();
        let taken: usize = self
            .collectors
            .iter()
            .map(|it| it.look(|log| log.taken().count()))
            .sum();
        if stats.ambiguous() == 0 {
            assert_eq!(taken, recorded, "nothing comes twice");
        }
        (delays[(delays.len() - 1) * 99 / 100], stats)
    }
}

#[test]
fn one_of_three_that_is_dead_costs_nothing_and_is_used_again() {
    let mut trio = Trio::new(|builder| builder);
    trio.record_for(Duration::from_millis(300));
    trio.collectors[0].stop();
    trio.record_for(Duration::from_millis(1_000));
    assert!(trio.taken(1) > 0, "{}", trio.stats());
    trio.collectors[0].restart();
    let before = trio.taken(0);
    trio.record_until("the first one takes again", |trio| trio.taken(0) > before);
    let (p99, stats) = trio.finish();
    assert_eq!(stats.retries(), 0, "the core never hears of it: {stats}");
    assert!(p99 < SLACK, "{p99:?}");
}

#[test]
fn one_of_three_that_refuses_costs_nothing() {
    // UNAVAILABLE; UNAUTHENTICATED; UNIMPLEMENTED.
    for status in [14, 16, 12] {
        let mut trio = Trio::new(|builder| builder);
        trio.record_for(Duration::from_millis(100));
        trio.does(0, Manner::Status(status));
        trio.record_for(Duration::from_millis(300));
        trio.does(0, Manner::Take);
        let before = trio.taken(0);
        trio.record_until("the first one takes again", |trio| trio.taken(0) > before);
        let (p99, stats) = trio.finish();
        assert!(stats.failovers() > 0 && stats.ambiguous() == 0, "{stats}");
        assert!(
            stats.last_error().is_some(),
            "people are told which one it was"
        );
        assert!(p99 < SLACK, "{p99:?}");
    }
}

#[test]
fn one_of_three_that_hangs_costs_one_attempt() {
    let mut trio = Trio::new(|builder| builder.with_balance(Balance::Failover));
    trio.record_for(Duration::from_millis(100));
    trio.does(0, Manner::Hang);
    trio.record_until("another one takes", |trio| trio.taken(1) > 0);
    trio.record_for(Duration::from_millis(200));
    trio.does(0, Manner::Take);
    let (p99, stats) = trio.finish();
    assert!(stats.ambiguous() > 0, "{stats}");
    assert!(p99 < 2 * ATTEMPT + SLACK, "{p99:?}");
}

#[test]
fn one_of_three_that_is_slow_is_left() {
    let mut trio = Trio::new(|builder| builder.with_balance(Balance::LeastOutstanding));
    let slow = Duration::from_millis(600);
    trio.record_until("one takes", |trio| {
        (0..3).any(|number| trio.taken(number) > 0)
    });
    let first = (0..3)
        .find(|number| trio.taken(*number) > 0)
        .expect("one did");
    trio.does(first, Manner::TakeAfter(slow));
    trio.record_until("another one takes", |trio| {
        (0..3).any(|number| number != first && trio.taken(number) > 0)
    });
    let before = trio.taken(first);
    trio.record_for(Duration::from_millis(500));
    assert_eq!(trio.taken(first), before, "it has no further request");
    let (p99, stats) = trio.finish();
    assert_eq!((stats.failovers(), stats.ambiguous()), (0, 0), "{stats}");
    assert!(p99 < 2 * slow + SLACK, "{p99:?}");
}

#[test]
fn several_in_flight_spread_over_all_and_stay_whole_when_each_goes_in_turn() {
    let mut trio = Trio::new(|builder| {
        let batch = Batch::default()
            .with_max_records(10)
            .with_interval(Duration::from_millis(20));
        builder
            .with_balance(Balance::LeastOutstanding)
            .with_concurrency(Concurrency::Fixed(6))
            .with_batch(batch)
    });
    (0..3).for_each(|number| trio.does(number, Manner::TakeAfter(Duration::from_millis(30))));
    for number in 0..3 {
        trio.collectors[number].stop();
        trio.record_for(Duration::from_millis(300));
        trio.collectors[number].restart();
        let before = trio.taken(number);
        trio.record_until("it takes again", |trio| trio.taken(number) > before);
    }
    trio.finish();
}

#[test]
fn where_all_are_gone_records_wait_for_the_first_that_is_back() {
    let mut trio = Trio::new(|builder| builder);
    trio.collectors.iter_mut().for_each(Collector::stop);
    trio.record_for(Duration::from_millis(300));
    let stats = || trio.stats().to_string();
    until("an attempt in vain", || trio.stats().retries() > 0, stats);
    trio.collectors[2].restart();
    let (_, stats) = trio.finish();
    assert!(stats.ambiguous() == 0, "{stats}");
}

#[test]
fn an_endpoint_that_is_none_is_refused_and_all_are_explained() {
    let builder = tracing_otlp::layer();
    let build = |builder: Builder| builder.build().map(|(_, guard)| guard.handle());
    for (wrong, says) in [
        (
            vec!["http://a:1", "ftp://b"],
            "Builder::with_endpoints=\"ftp://b\" is no endpoint",
        ),
        (vec![], "is no endpoint"),
        (vec!["http://a:1"; 17], "17 is not from 1 to 16"),
    ] {
        let error = build(tracing_otlp::layer().with_endpoints(wrong)).expect_err("it is wrong");
        assert!(
            error.is_config() && error.to_string().contains(says),
            "{error}"
        );
    }
    let handle = build(builder.with_endpoints(["http://127.0.0.1:1", "http://127.0.0.1:2"]));
    let text = handle.expect("a pipeline").explain().to_string();
    for line in [
        "endpoint = http://127.0.0.1:1 (Builder::with_endpoint)",
        "endpoint = http://127.0.0.1:2 (Builder::with_endpoints)",
        "balance = LeastOutstanding (default)",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
