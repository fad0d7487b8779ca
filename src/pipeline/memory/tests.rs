//! The memory limit, whatever is recorded, shed and waited for, and wherever it is lowered to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tracing::{Dispatch, Level};
use tracing_subscriber::prelude::*;

use super::assemble::Slack;
use super::builder::{Builder, layer};
use crate::config::{Batch, Concurrency, Limits, RateLimit};
use crate::export::{Answer, Failure, Request, Sending, Transport};
use crate::layer::Events;
use crate::queue::{Budget, CHUNK};

const MOST: usize = 4 << 20;
const THREADS: usize = 2;
/// A thread that read the limit before it was lowered may take so much more, once.
const LATE: usize = THREADS * CHUNK;
const PATIENCE: Duration = Duration::from_secs(20);

/// A destination that takes everything after so long, or nothing.
#[derive(Clone, Copy, Debug)]
struct Sink {
    delay: Option<Duration>,
}

impl Transport for Sink {
    fn send(&self, _: Request) -> Sending {
        let delay = self.delay;
        Box::pin(async move {
            tokio::time::sleep(delay.unwrap_or(Duration::from_millis(1))).await;
            match delay {
                Some(_) => Ok(Answer::delivered()),
                None => Err(Failure::retry("not now")),
            }
        })
    }
}

#[derive(Clone, Debug)]
struct Plan {
    sheds: bool,
    waits: Option<u64>,
    delay: Option<u64>,
    payload: usize,
    /// Of the configured limit, in sixteenths.
    limits: Vec<usize>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let limits = prop::collection::vec(4_usize..=16, 2..5);
    let (waits, delay) = (prop::option::of(1_u64..4), prop::option::of(0_u64..20));
    (any::<bool>(), waits, delay, 100_usize..4_000, limits).prop_map(
        |(sheds, waits, delay, payload, limits)| Plan {
            sheds,
            waits,
            delay,
            payload,
            limits,
        },
    )
}

fn build(plan: &Plan) -> Builder {
    let millis = Duration::from_millis;
    let builder = layer()
        .with_transport(Sink {
            delay: plan.delay.map(millis),
        })
        .with_memory_limit(MOST)
        .with_limits(Limits::default().with_record_bytes(32 << 10))
        .with_shedding(plan.sheds)
        .with_batch(Batch::immediate());
    match plan.waits {
        None => builder,
        Some(most) => builder.with_blocking(millis(most)),
    }
}

/// Traces of two spans, of all levels, until it is over.
fn work(dispatch: &Dispatch, payload: &str, is_over: &AtomicBool) {
    tracing::dispatcher::with_default(dispatch, || {
        let mut random = fastrand::Rng::new();
        while !is_over.load(Ordering::Relaxed) {
            let root = match random.u8(..3) {
                0 => tracing::span!(Level::ERROR, "root", payload),
                1 => tracing::span!(Level::INFO, "root", payload),
                _ => tracing::span!(Level::DEBUG, "root", payload),
            };
            root.in_scope(|| drop(tracing::info_span!("child", payload)));
            std::thread::yield_now();
        }
    });
}

/// Lowers and raises the limit: each time, what is used soon fits, and then it stays so.
fn change(budget: &Budget, slack: &Slack, limits: &[usize]) {
    for sixteenths in limits {
        let limit = MOST / 16 * sixteenths;
        budget.set_limit(limit);
        slack.give_up();
        let begun = Instant::now();
        while budget.used() > limit {
            assert!(budget.used() <= MOST);
            assert!(begun.elapsed() < PATIENCE, "{} of {limit}", budget.used());
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(60) {
            let used = budget.used();
            assert!(used <= limit + LATE, "{used} of {limit}");
            std::thread::yield_now();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn p_5_the_limit_is_kept_with_shedding_and_blocking_and_where_it_is_lowered(plan in plans()) {
        let (layer, guard) = build(&plan).build().expect("a pipeline");
        let handle = guard.handle();
        let budget = &handle.the_parts().budget;
        let slack = Slack::new(handle.the_parts(), &layer);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let (payload, is_over) = ("x".repeat(plan.payload), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| work(&dispatch, &payload, &is_over));
            }
            let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                change(budget, &slack, &plan.limits);
            }));
            is_over.store(true, Ordering::Relaxed);
            changed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        let _ = handle.shutdown(Duration::from_secs(1));
        let stats = handle.stats();
        prop_assert!(stats.is_balanced() && stats.accepted() > 0, "{}", stats);
        drop(guard);
    }
}

#[test]
fn the_largest_values_are_taken_or_refused() {
    let batch = Batch::default()
        .with_max_records(usize::MAX)
        .with_max_queue_records(usize::MAX)
        .with_interval(Duration::MAX);
    let limits = Limits::default()
        .with_attributes(u32::MAX)
        .with_events(u32::MAX)
        .with_links(u32::MAX)
        .with_attributes_per_event(u32::MAX)
        .with_attributes_per_link(u32::MAX)
        .with_value_length(u32::MAX);
    let rate = RateLimit::default()
        .with_records(f64::MAX)
        .with_bytes(f64::MAX);
    let taken = [
        layer().with_memory_limit(usize::MAX),
        layer()
            .with_memory_limit(usize::MAX)
            .with_memory_following_cgroup(true)
            .with_shedding(true),
        layer().with_batch(batch),
        layer().with_limits(limits),
        layer().with_timeout(Duration::MAX),
        layer().with_shutdown_timeout(Duration::MAX),
        layer().with_long_running(Duration::MAX),
        layer().with_rate_limit(rate).with_drop_above(rate),
        layer()
            .with_rate_limit(rate.with_window(Duration::from_secs(3_600)))
            .with_drop_above(rate.with_window(Duration::from_secs(3_600))),
    ];
    for builder in taken {
        let text = format!("{builder:?}");
        let sink = Sink {
            delay: Some(Duration::ZERO),
        };
        let (layer, guard) = builder.with_transport(sink).build().expect("it is taken");
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("span", field = 1).in_scope(|| tracing::info!("event"));
        });
        let report = guard.handle().flush(Duration::MAX).expect(&text);
        assert_eq!(report.delivered(), 1, "{text}");
        assert_eq!(guard.handle().stats().panics(), 0, "{text}");
    }
    let both = || layer().with_events(Events::Both);
    for refused in [
        both().with_concurrency(Concurrency::Fixed(usize::MAX)),
        both().with_concurrency(Concurrency::Adaptive(usize::MAX)),
        both().with_batch(Batch::default().with_max_bytes(usize::MAX)),
        both().with_limits(Limits::default().with_record_bytes(usize::MAX)),
        both().with_limits(Limits::default().with_value_depth(u32::MAX)),
        both().with_blocking(Duration::MAX),
    ] {
        let error = refused.build().expect_err("it is refused");
        assert!(error.is_config(), "{error}");
    }
}
