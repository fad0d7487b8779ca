//! Several destinations of one pipeline, over real sockets: what one of them does is no other's trouble (P17, specification 2.36).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::Dispatch;
use tracing_otlp::{Batch, DropReason, Exporter, Handle, Signal, Stats};
use tracing_subscriber::prelude::*;

use crate::support::collector::{Collector, Manner};
use crate::support::patience::until;

const MEMORY: usize = 6 << 20;
const ROUNDS: i64 = 40;
const SPANS: i64 = 250;

fn to(name: &str, collector: &Collector) -> Exporter {
    Exporter::new(name)
        .with_endpoint(collector.endpoint())
        .with_timeout(Duration::from_secs(5))
}

fn stats(handle: &Handle, name: &str) -> Stats {
    handle
        .stats_of_destination(name)
        .expect("there is a destination of this name")
}

/// Spans of a KiB and some more.
fn record(dispatch: &Dispatch, numbers: std::ops::Range<i64>) {
    let payload = "x".repeat(1 << 10);
    tracing::dispatcher::with_default(dispatch, || {
        for number in numbers {
            drop(tracing::info_span!("work", number, payload));
        }
    });
}

#[test]
fn p_17_a_dead_and_a_slow_destination_cost_the_healthy_one_nothing() {
    let (healthy, slow, dead) = (Collector::start(), Collector::start(), Collector::absent());
    slow.answers(|_| Manner::TakeAfter(Duration::from_millis(300)));
    let batch = Batch::default()
        .with_interval(Duration::from_millis(20))
        .with_max_bytes(64 << 10);
    let troubled = Arc::new(Mutex::new(HashSet::new()));
    let heard = Arc::clone(&troubled);
    let (layer, guard) = tracing_otlp::layer()
        .with_on_error(move |problem| {
            assert_eq!(problem.signal(), Signal::Traces);
            let name = problem.destination().map(str::to_owned);
            heard.lock().expect("no test panicked").insert(name);
        })
        .with_memory_limit(MEMORY)
        .with_batch(batch)
        .with_exporter(to("dead", &dead))
        .with_exporter(to("slow", &slow))
        .with_exporter(to("healthy", &healthy))
        .build()
        .expect("a pipeline");
    let handle = guard.handle();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    for round in 0..ROUNDS {
        record(&dispatch, round * SPANS..(round + 1) * SPANS);
        // The application does other things too, else no destination could keep up.
        let all = ((round + 1) * SPANS) as u64;
        until(
            "delivered to the healthy one",
            || stats(&handle, "healthy").delivered() == all,
            || stats(&handle, "healthy").to_string(),
        );
    }
    let all = (ROUNDS * SPANS) as u64;
    let found = stats(&handle, "healthy");
    assert_eq!((found.delivered(), found.retries()), (all, 0), "{found}");
    let numbers = healthy.look(|log| log.numbers());
    assert_eq!(numbers.len() as u64, all);
    assert!(numbers.values().all(|times| *times == 1));
    let found = stats(&handle, "dead");
    assert_eq!(found.delivered(), 0);
    assert!(found.dropped_for(DropReason::Evicted) > 0, "{found}");
    // A span takes some 1,150 bytes.
    assert!(found.held() < MEMORY as u64 / 3 / 1_000, "{found}");
    let found = stats(&handle, "slow");
    assert!(found.delivered() > 0 && found.delivered() < all, "{found}");

    let named = |name: &str| {
        let troubled = troubled.lock().expect("no test panicked");
        troubled.contains(&Some(name.to_owned()))
    };
    assert!(named("dead") && !named("healthy"));

    let error = handle.shutdown(Duration::from_millis(500));
    assert!(error.is_err(), "two of them did not get everything");
    let mut sum = 0;
    for name in ["dead", "slow", "healthy"] {
        let found = stats(&handle, name);
        assert!(
            found.is_balanced() && found.accepted() == all,
            "{name}: {found}"
        );
        assert_eq!(found.held(), 0, "{name}: {found}");
        sum += found.accepted();
    }
    let found = handle.stats();
    assert!(found.is_balanced() && found.accepted() == sum, "{found}");
    // The request that was under way at the end was taken all the same.
    let taken = slow.look(|log| log.numbers().len() as u64);
    assert!(taken >= stats(&handle, "slow").delivered());
}

#[test]
fn spec_2_36_a_destination_that_comes_back_gets_what_it_missed() {
    let (healthy, mut late) = (Collector::start(), Collector::absent());
    let (layer, guard) = tracing_otlp::layer()
        .with_batch(Batch::default().with_interval(Duration::from_millis(20)))
        .with_exporter(to("healthy", &healthy))
        .with_exporter(to("late", &late))
        .build()
        .expect("a pipeline");
    let handle = guard.handle();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    record(&dispatch, 0..100);
    until(
        "refused by the late one",
        || stats(&handle, "late").retries() > 0 && stats(&handle, "healthy").delivered() == 100,
        || handle.stats().to_string(),
    );
    late.restart();
    record(&dispatch, 100..200);
    let report = handle.flush(Duration::from_secs(20)).expect("both take it");
    assert!(report.delivered() >= 200, "{report}");
    for (name, collector) in [("healthy", &healthy), ("late", &late)] {
        let found = stats(&handle, name);
        assert_eq!(found.delivered(), 200, "{name}: {found}");
        assert_eq!(collector.look(|log| log.numbers().len()), 200);
    }
}
