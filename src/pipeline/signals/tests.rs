//! Both signals through one pipeline: neither disturbs the other, and both are accounted for.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::builder::{Builder, layer};
use super::guard::{Guard, Handle};
use crate::config::{Batch, Logs};
use crate::export::{Answer, Failure, Request, Sending, Transport};
use crate::layer::OtlpLayer;
use crate::proto::wire::put_len;
use crate::queue::{Record, Scope, Stream};
use crate::signal::Signal;
use crate::stats::DropReason;
use crate::testing::InMemory;

const PATIENCE: Duration = Duration::from_secs(20);

fn build(builder: Builder) -> (OtlpLayer, Guard) {
    builder
        .with_events(crate::Events::Both)
        .build()
        .expect("a pipeline")
}

/// Records so many of this length, as nothing else would.
fn record(stream: &Stream, records: usize, length: usize) {
    let mut message = Vec::new();
    // LogRecord.event_name and Span.status, which nothing looks into.
    put_len(&mut message, 0x62, &vec![b'x'; length]);
    for _ in 0..records {
        stream.append(&Record {
            scope: Scope::named("test"),
            message: &message,
        });
    }
}

fn spans(handle: &Handle, records: usize) {
    record(&handle.the_parts().traces, records, 100);
}

fn logs(handle: &Handle, records: usize) {
    record(
        handle.the_parts().logs.as_ref().expect("a stream"),
        records,
        100,
    );
}

/// What one signal meets, and how often it was asked.
#[derive(Clone, Default)]
struct Gate {
    shut: Option<Failure>,
    hangs: bool,
    asked: Arc<AtomicU64>,
}

/// Each signal meets its own.
struct Gates {
    traces: Gate,
    logs: Gate,
    seen: Arc<Mutex<Vec<(Signal, u64)>>>,
}

impl Transport for Gates {
    fn send(&self, request: Request) -> Sending {
        let gate = match request.signal() {
            Signal::Traces => self.traces.clone(),
            Signal::Logs => self.logs.clone(),
        };
        gate.asked.fetch_add(1, Ordering::Relaxed);
        let seen = Arc::clone(&self.seen);
        Box::pin(async move {
            if gate.hangs {
                std::future::pending::<()>().await;
            }
            if let Some(failure) = gate.shut {
                return Err(failure);
            }
            let mut seen = seen.lock().expect("it is not poisoned");
            seen.push((request.signal(), request.records()));
            Ok(Answer::delivered())
        })
    }
}

fn gates(traces: Gate, logs: Gate) -> Gates {
    Gates {
        traces,
        logs,
        seen: Arc::default(),
    }
}

#[test]
fn a_flush_and_the_ledger_are_of_both_signals_and_of_each() {
    let memory = InMemory::new();
    let (_layer, guard) = build(layer().with_transport(memory.clone()));
    let handle = guard.handle();
    spans(&handle, 3);
    logs(&handle, 4);
    let report = handle.flush(PATIENCE).expect("all is delivered");
    assert_eq!(report.delivered(), 7);
    assert_eq!(memory.requests().len(), 1);
    assert_eq!(memory.logs().len(), 4);
    assert_eq!(memory.logs()[0].scope, "test");
    let delivered = [Signal::Traces, Signal::Logs].map(|of| handle.stats_of(of).delivered());
    assert_eq!(delivered, [3, 4]);
    assert!(handle.stats().is_balanced() && handle.stats().delivered() == 7);
    logs(&handle, 1);
    let report = handle.shutdown(PATIENCE).expect("all is delivered");
    assert_eq!(report.delivered(), 1);
    logs(&handle, 2);
    assert_eq!(
        handle
            .stats_of(Signal::Logs)
            .dropped_for(DropReason::Shutdown),
        2
    );
    assert_eq!(handle.stats_of(Signal::Traces).dropped(), 0);
    assert!(handle.stats().is_balanced());
}

#[test]
fn without_log_records_nothing_of_them_exists() {
    let memory = InMemory::new();
    let (_layer, guard) = layer().with_transport(memory).build().expect("a pipeline");
    let handle = guard.handle();
    assert!(handle.the_parts().logs.is_none());
    assert_eq!(handle.stats_of(Signal::Logs), crate::Stats::default());
}

#[test]
fn r_13_a_signal_that_hangs_delays_no_other() {
    let hangs = Gate {
        hangs: true,
        ..Gate::default()
    };
    let builder = layer()
        .with_transport(gates(Gate::default(), hangs))
        .with_timeout(Duration::from_secs(600));
    let (_layer, guard) = build(builder);
    let handle = guard.handle();
    logs(&handle, 5);
    let error = handle
        .flush(Duration::from_millis(50))
        .expect_err("logs hang");
    assert!(error.is_timeout());
    for round in 1..=10 {
        spans(&handle, 2);
        let begun = Instant::now();
        let error = handle
            .flush(Duration::from_millis(50))
            .expect_err("logs hang");
        assert_eq!(error.report().map(|report| report.unfinished()), Some(5));
        assert_eq!(handle.stats_of(Signal::Traces).delivered(), 2 * round);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    assert!(handle.stats_of(Signal::Traces).is_balanced());
    assert_eq!(handle.stats_of(Signal::Logs).held(), 5);
    let error = handle
        .shutdown(Duration::from_millis(50))
        .expect_err("logs hang");
    assert_eq!(error.report().map(|report| report.delivered()), Some(0));
}

#[test]
fn f_17_a_missing_pipeline_of_logs_leaves_traces_alone() {
    let missing = Gate {
        shut: Some(Failure::no_pipeline("unknown service")),
        ..Gate::default()
    };
    let asked = Arc::clone(&missing.asked);
    let (_layer, guard) = build(layer().with_transport(gates(Gate::default(), missing)));
    let handle = guard.handle();
    for _ in 0..5 {
        spans(&handle, 2);
        logs(&handle, 3);
        let _ = handle.flush(PATIENCE);
    }
    let (traces, logs) = (
        handle.stats_of(Signal::Traces),
        handle.stats_of(Signal::Logs),
    );
    assert_eq!((traces.delivered(), traces.retries()), (10, 0));
    assert_eq!(
        asked.load(Ordering::Relaxed),
        1,
        "one asks, and the breaker is open"
    );
    assert_eq!(
        (logs.rejected(), logs.dropped_for(DropReason::NoPipeline)),
        (3, 12)
    );
    assert!(traces.is_balanced() && logs.is_balanced());
}

#[test]
fn r_13_a_dead_destination_of_logs_costs_no_trace_under_load() {
    let dead = Gate {
        shut: Some(Failure::retry("connection refused")),
        ..Gate::default()
    };
    let fast = Batch::default().with_interval(Duration::from_millis(10));
    let builder = layer()
        .with_transport(gates(Gate::default(), dead))
        .with_memory_limit(4 << 20)
        .with_batch(fast)
        .with_logs(Logs::new().with_batch(fast));
    let (_layer, guard) = build(builder);
    let handle = guard.handle();
    let rounds = 400;
    for round in 0..rounds {
        // 40 KiB of logs and 10 KiB of spans a round: the memory limit ten times over.
        record(
            handle.the_parts().logs.as_ref().expect("a stream"),
            40,
            1 << 10,
        );
        record(&handle.the_parts().traces, 10, 1 << 10);
        if round % 16 == 0 {
            // The application does other things too, else nothing could keep up.
            let _ = handle.flush(Duration::from_millis(5));
        }
    }
    let _ = handle.flush(Duration::from_millis(100));
    let (traces, logs) = (
        handle.stats_of(Signal::Traces),
        handle.stats_of(Signal::Logs),
    );
    assert_eq!(traces.delivered(), 10 * rounds, "{traces}");
    assert!(logs.dropped_for(DropReason::Evicted) > 0, "{logs}");
    assert!(
        traces.is_balanced() && logs.is_balanced(),
        "{traces}; {logs}"
    );
    assert!(handle.the_parts().budget.used() <= 4 << 20);
}
