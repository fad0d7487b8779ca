//! Two signals over real sockets: what happens to one of them is no trouble of the other's (P17, R13).

use std::time::Duration;

use tracing::{Dispatch, dispatcher};
use tracing_otlp::{Batch, Builder, Events, Logs, Protocol, Signal};
use tracing_subscriber::prelude::*;

use crate::support::collector::manner::Answer;
use crate::support::collector::{Collector, Manner};
use crate::support::patience::until;

const ROUNDS: i64 = 20;
const MEMORY: usize = 4 << 20;

/// A span with a log in it, both of this number and some KiB.
fn record(number: i64) {
    let payload = "x".repeat(2 << 10);
    let _span = tracing::info_span!("work", number, payload).entered();
    tracing::info!(number, payload, "said");
}

/// Where each signal goes, and soon, by the paths that OTLP has for them over HTTP.
fn to(builder: Builder, protocol: Protocol, traces: &Collector, logs: &Collector) -> Builder {
    let is_http = protocol != Protocol::Grpc;
    let url = |collector: &Collector, path: &str| {
        let path = if is_http { path } else { "" };
        collector.endpoint() + path
    };
    let batch = Batch::default().with_interval(Duration::from_millis(20));
    builder
        .with_batch(batch)
        .with_logs(Logs::default().with_batch(batch))
        .with_protocol(protocol)
        .with_traces_endpoint(url(traces, "/v1/traces"))
        .with_logs_endpoint(url(logs, "/v1/logs"))
}

/// One signal's collector reads and never answers: the other one's records arrive one after the other, without a retry, and that one's
/// books say what it has.
#[track_caller]
fn check(protocol: Protocol, hanging: Signal) {
    let (traces, logs) = (Collector::start(), Collector::start());
    let (bad, good, healthy) = match hanging {
        Signal::Traces => (&traces, &logs, Signal::Logs),
        _ => (&logs, &traces, Signal::Traces),
    };
    bad.answers(|_| Manner::Hang);
    let builder = tracing_otlp::layer()
        .with_events(Events::Logs)
        .with_memory_limit(MEMORY)
        .with_timeout(Duration::from_millis(500));
    let built = to(builder, protocol, &traces, &logs).build();
    let (layer, guard) = built.expect("a pipeline");
    let handle = guard.handle();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    for round in 0..ROUNDS {
        dispatcher::with_default(&dispatch, || record(round));
        let all = round as u64 + 1;
        until(
            "delivered of the healthy signal",
            || handle.stats_of(healthy).delivered() == all,
            || handle.stats_of(healthy).to_string(),
        );
    }
    until(
        "tried again of the other one",
        || handle.stats_of(hanging).retries() > 0,
        || handle.stats_of(hanging).to_string(),
    );
    let all = ROUNDS as u64;
    let found = handle.stats_of(healthy);
    assert_eq!((found.retries(), found.held()), (0, 0), "{found}");
    good.look(|log| {
        let numbers = log.numbers();
        assert_eq!(numbers.len() as u64, all, "{log:?}");
        assert!(numbers.values().all(|times| *times == 1));
    });
    let found = handle.stats_of(hanging);
    assert_eq!((found.delivered(), found.held()), (0, all), "{found}");

    // It comes back, and has missed nothing.
    bad.answers(|_| Manner::Take);
    let report = handle.flush(Duration::from_secs(20)).expect("both take it");
    assert_eq!(report.delivered(), all, "{report}");
    assert_eq!(bad.look(|log| log.numbers().len()) as u64, all);
    for signal in [Signal::Traces, Signal::Logs] {
        let found = handle.stats_of(signal);
        assert_eq!((found.delivered(), found.held()), (all, 0), "{found}");
        assert!(found.is_balanced(), "{found}");
    }
}

#[test]
fn r13_logs_that_hang_over_grpc_delay_no_span() {
    check(Protocol::Grpc, Signal::Logs);
}

#[test]
fn r13_spans_that_hang_over_grpc_delay_no_log() {
    check(Protocol::Grpc, Signal::Traces);
}

#[cfg(feature = "http")]
#[test]
fn r13_logs_that_hang_over_http_delay_no_span() {
    check(Protocol::HttpProtobuf, Signal::Logs);
}

#[cfg(feature = "http")]
#[test]
fn r13_spans_that_hang_over_http_delay_no_log() {
    check(Protocol::HttpProtobuf, Signal::Traces);
}

/// The collector has no pipeline of logs: they are dropped and counted, and asked for seldom; spans go on (fault F17).
#[test]
fn f17_a_collector_without_logs_costs_spans_nothing() {
    const UNIMPLEMENTED: u8 = 12;
    let (traces, logs) = (Collector::start(), Collector::start());
    logs.answers(|_| Manner::Status(UNIMPLEMENTED));
    let builder = tracing_otlp::layer().with_events(Events::Logs);
    let built = to(builder, Protocol::Grpc, &traces, &logs).build();
    let (layer, guard) = built.expect("a pipeline");
    let handle = guard.handle();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    for round in 0..ROUNDS {
        dispatcher::with_default(&dispatch, || record(round));
        let all = round as u64 + 1;
        until(
            "spans delivered and logs settled",
            || {
                let [spans, logs] = [Signal::Traces, Signal::Logs].map(|of| handle.stats_of(of));
                spans.delivered() == all && logs.rejected() + logs.dropped() == all
            },
            || handle.stats().to_string(),
        );
    }
    let all = ROUNDS as u64;
    let found = handle.stats_of(Signal::Traces);
    assert_eq!((found.delivered(), found.retries()), (all, 0), "{found}");
    let found = handle.stats_of(Signal::Logs);
    assert_eq!(found.delivered(), 0, "{found}");
    assert!(found.is_balanced() && found.accepted() == all, "{found}");
    let asked = logs.look(|log| log.requests.len());
    assert_eq!(asked, 1, "then nothing is sent for a while");
}

/// What an answer counts is named after the signal ("JSON Protobuf Encoding": field names as in the .proto).
#[test]
fn f13_logs_that_are_rejected_are_counted_over_json_too() {
    let (traces, logs) = (Collector::start(), Collector::start());
    logs.answers(|_| {
        let said = r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}"#;
        Manner::Say(Answer::http(200).with_body("application/json", said))
    });
    let builder = tracing_otlp::layer().with_events(Events::Logs);
    let built = to(builder, Protocol::HttpJson, &traces, &logs).build();
    let (layer, guard) = built.expect("a pipeline");
    let handle = guard.handle();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    dispatcher::with_default(&dispatch, || record(0));
    let _ = handle.flush(Duration::from_secs(20));
    let found = handle.stats_of(Signal::Logs);
    assert_eq!((found.delivered(), found.rejected()), (0, 1), "{found}");
}
