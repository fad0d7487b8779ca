//! `init` where the crate `log` has a logger already. A process of its own, since both are global.

#![cfg(feature = "init")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tracing_otlp::testing::InMemory;

struct Own;

impl log::Log for Own {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}

#[test]
fn a_logger_that_is_set_already_stays_and_spans_are_recorded() {
    log::set_logger(&Own).unwrap();
    let memory = InMemory::new();
    let guard = tracing_otlp::layer()
        .with_transport(memory.clone())
        .init()
        .unwrap();
    drop(tracing::error_span!("work"));
    guard.handle().flush(Duration::from_secs(5)).unwrap();
    assert_eq!(memory.spans().len(), 1);
    let again = tracing_otlp::layer().with_transport(InMemory::new()).init();
    assert!(again.is_err_and(|error| error.is_subscriber()));
}
