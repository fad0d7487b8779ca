//! A destination that takes less than is sent (fault F14).

use std::time::Duration;

use tracing_otlp::testing::InMemory;
use tracing_otlp::{Batch, DropReason, Failure, Request, Sending, Stats, Transport};
use tracing_subscriber::prelude::*;

const PLENTY: Duration = Duration::from_secs(10);

/// Keeps requests of at most so many bytes.
struct Limited {
    memory: InMemory,
    most: usize,
}

impl Transport for Limited {
    fn send(&self, request: Request) -> Sending {
        if request.bytes() <= self.most {
            return self.memory.send(request);
        }
        let message = format!("{} bytes are more than {}", request.bytes(), self.most);
        Box::pin(async move { Err(Failure::too_large(message)) })
    }
}

/// Records spans of 300 bytes and a large one in their midst, for a destination that takes so much.
fn record(most: usize, spans: u64, large: usize) -> (InMemory, Stats) {
    let memory = InMemory::new();
    let transport = Limited {
        memory: memory.clone(),
        most,
    };
    let (layer, guard) = tracing_otlp::layer()
        .with_transport(transport)
        .with_batch(Batch::default().with_interval(6 * PLENTY))
        .build()
        .expect("a pipeline");
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..spans {
            let size = if number == spans / 2 { large } else { 300 };
            drop(tracing::info_span!("work", number, text = "x".repeat(size)));
        }
    });
    let handle = guard.handle();
    let _ = handle.flush(PLENTY);
    let stats = handle.stats();
    assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
    assert_eq!(stats.accepted(), spans);
    (memory, stats)
}

#[test]
fn f14_what_is_too_large_is_split_until_it_fits() {
    let (memory, stats) = record(5_000, 2_000, 300);
    assert_eq!(stats.delivered(), 2_000, "{stats}");
    let numbers: Vec<_> = memory
        .spans()
        .iter()
        .map(|span| span.attribute("number").cloned())
        .collect();
    let all: Vec<_> = (0..2_000)
        .map(|number| Some(tracing_otlp::Value::Int(number)))
        .collect();
    assert_eq!(numbers, all, "each once, in their order");
}

#[test]
fn f14_a_record_that_is_too_large_by_itself_loses_what_makes_it_large() {
    let (memory, stats) = record(80_000, 100, 200_000);
    assert_eq!(stats.delivered(), 100, "{stats}");
    let spans = memory.spans();
    let short = spans
        .iter()
        .find(|span| span.attribute("text").is_none())
        .expect("one is shortened");
    assert_eq!(short.dropped_attributes_count, 1);
    assert!(short.attribute("number").is_some());
}

#[test]
fn f14_what_does_not_fit_even_so_is_dropped_by_itself() {
    let (_, stats) = record(2_000, 100, 3_000);
    assert_eq!(
        (stats.delivered(), stats.dropped_for(DropReason::TooLarge)),
        (99, 1),
        "{stats}"
    );
}
