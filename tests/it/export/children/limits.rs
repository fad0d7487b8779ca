//! What people are told when a limit leaves something out.

use std::time::Duration;

use tracing_otlp::Limits;
use tracing_otlp::testing::InMemory;
use tracing_subscriber::prelude::*;

use super::{is_child, run};

#[test]
fn child() {
    if !is_child() {
        return;
    }
    let (layer, guard) = tracing_otlp::layer()
        .with_transport(InMemory::new())
        .with_limits(Limits::default().with_attributes(3))
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::dispatcher::set_global_default(subscriber.into()).unwrap();
    for _ in 0..3 {
        (0..2).for_each(|_| drop(tracing::info_span!("work", a = 1, b = 2, c = 3)));
        guard.handle().flush(Duration::from_secs(10)).unwrap();
    }
    assert_eq!(guard.handle().stats().limited(), 6);
}

/// One line a minute at most, so at most one a span.
#[test]
fn spec_5_8_what_a_limit_leaves_out_is_told_by_one_line() {
    let ended = run(module_path!(), &[]);
    let lines = ended.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with("2 records exceeded a limit of attributes, events or links"),
        "{lines:#?}"
    );
    assert!(
        run(module_path!(), &[("OTEL_LOG_LEVEL", "error")])
            .lines()
            .is_empty()
    );
}
