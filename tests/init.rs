//! `init`: one line sets up the whole subscriber. A process of its own, since that one is global.

#![cfg(feature = "init")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::time::Duration;

use tracing_otlp::Events;
use tracing_otlp::testing::InMemory;

#[tracing::instrument]
fn work(items: u64) {
    tracing::info!("at work");
    log::warn!(target: "other::crate", "by the crate {}", "log");
    log::debug!(target: "other::crate", "below what RUST_LOG lets pass");
}

#[test]
fn one_line_records_and_a_second_one_is_an_error() {
    if std::env::var_os("RUST_LOG").is_some() {
        // It is read on purpose, and a test cannot take it back.
        return println!("SKIPPED: RUST_LOG is set");
    }
    let memory = InMemory::new();
    let builder = tracing_otlp::layer()
        .with_service_name("shop")
        .with_events(Events::Both)
        .with_transport(memory.clone());
    let guard = builder.init().unwrap();
    work(3);
    // The middleware around `tracing` makes its spans at this level and target; a trace breaks without them.
    drop(tracing::trace_span!(target: "otel::tracing", "request"));
    drop(tracing::debug_span!("hidden"));

    guard.handle().flush(Duration::from_secs(5)).unwrap();
    let spans = memory.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["work", "request"]);
    assert_eq!(spans[0].attribute("items"), Some(&3.into()));
    assert_eq!(spans[0].events[0].name, "at work");
    // Records of the crate `log` come with the feature that is called after it.
    let logs = memory.logs();
    let said: Vec<_> = logs.iter().filter_map(|log| log.body.clone()).collect();
    if cfg!(feature = "log") {
        assert_eq!(said, ["at work".into(), "by the crate log".into()]);
        let log = &logs[1];
        assert_eq!((&*log.scope, log.severity_number), ("other::crate", 13));
        assert_eq!(log.span_id, Some(spans[0].span_id));
        assert_eq!(log.trace_id, Some(spans[0].trace_id));
        assert_eq!(log.attribute("code.file.path"), Some(&file!().into()));
        assert_eq!(spans[0].events[1].name, "by the crate log");
    } else {
        // Whether the crate `log` is taken over is up to the features that others give `tracing-subscriber`.
        assert_eq!(said.first(), Some(&"at work".into()));
    }
    assert!(
        spans[0]
            .resource
            .contains(&("service.name".to_owned(), "shop".into()))
    );

    let again = tracing_otlp::layer().with_transport(InMemory::new()).init();
    assert!(again.is_err_and(|error| error.is_subscriber()));
    let stats = guard.handle().stats();
    assert!(
        stats.is_balanced() && stats.held() == 0 && stats.delivered() == (2 + logs.len()) as u64,
        "{stats}"
    );
}
