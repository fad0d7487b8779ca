//! The memory limit, whatever is recorded, shed and waited for, and wherever it is lowered to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tracing::{Dispatch, Level};
use tracing_subscriber::prelude::*;

use super::assemble::Slack;
use super::builder::{Builder, layer};
use crate::config::{Batch, Limits};
use crate::export::{Answer, Failure, Request, Sending, Transport};
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
