//! What people are told on stderr, and the program by its hook.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_otlp::{Batch, ProblemKind};
use tracing_subscriber::prelude::*;

use super::{Ended, is_child, run};
use crate::support::collector::{Collector, Manner};

/// Makes the hook panic.
const PANICS: &str = "EXPORT_TEST_PANICS";
const ENDPOINT: &str = "EXPORT_TEST_ENDPOINT";
const REQUESTS: u64 = 10;

/// Sends spans one by one, and prints what its hook hears.
#[test]
fn child() {
    if !is_child() {
        return;
    }
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (log, panics) = (Arc::clone(&heard), std::env::var_os(PANICS).is_some());
    let (layer, guard) = tracing_otlp::layer()
        .with_endpoint(std::env::var(ENDPOINT).unwrap())
        .with_batch(Batch::default().with_interval(Duration::from_secs(60)))
        .with_on_error(move |problem| {
            log.lock()
                .unwrap()
                .push((problem.kind(), problem.records()));
            // What is traced here is not recorded.
            tracing::error_span!("never").in_scope(|| tracing::error!("never"));
            assert!(!panics, "as it may");
        })
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::dispatcher::set_global_default(subscriber.into()).unwrap();
    for _ in 0..REQUESTS {
        drop(tracing::info_span!("work"));
        let _ = guard.handle().flush(Duration::from_secs(10));
    }
    let stats = guard.handle().stats();
    assert!(stats.is_balanced(), "{stats}");
    assert_eq!((stats.accepted(), stats.held()), (REQUESTS, 0), "{stats}");
    assert_eq!((stats.rejected(), stats.dropped()), (4, 2), "{stats}");
    assert_eq!(stats.panics(), 0, "the hook's are the program's own");
    let expected = [
        (ProblemKind::Undelivered, 1),
        (ProblemKind::Rejected, 1),
        (ProblemKind::Rejected, 1),
        (ProblemKind::Warning, 0),
        (ProblemKind::Warning, 0),
        (ProblemKind::Rejected, 1),
        (ProblemKind::Rejected, 1),
        (ProblemKind::Dropped, 1),
        (ProblemKind::Dropped, 1),
    ];
    let heard = heard
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    assert_eq!(*heard, expected);
}

/// A child whose collector answers in every way.
fn child_with(variables: &[(&str, &str)]) -> Ended {
    let collector = Collector::start();
    let partly = |rejected, message: &str| Manner::TakePartly {
        rejected,
        message: message.to_owned(),
    };
    collector.answers(move |request| match request {
        0 => Manner::Status(14),
        2 | 3 => Manner::Status(3),
        4 | 5 => partly(0, "this way is old"),
        6 => partly(1, "too late"),
        8 => Manner::Status(12),
        _ => Manner::Take,
    });
    let endpoint = collector.endpoint();
    let mut all = variables.to_vec();
    all.push((ENDPOINT, &endpoint));
    let ended = run(module_path!(), &all);
    let plain = ended.said.replace(&endpoint, "ENDPOINT");
    Ended {
        said: plain,
        ..ended
    }
}

/// The begin of each line that may be told.
const FAILS: &str =
    "cannot deliver, records are kept and sent again: ENDPOINT: gRPC UNAVAILABLE (14)";
const WORKS: &str = "delivery works again";
const REJECTED: &str = "1 record rejected: ENDPOINT: gRPC INVALID_ARGUMENT (3)";
const WARNS: &str = "the collector warns: ENDPOINT: ";
const DROPPED: &str = "1 record dropped: it is not asked again for 10 minutes: ENDPOINT: ";

#[test]
fn each_kind_of_trouble_is_told_once_by_one_line_and_the_hook_hears_each() {
    let all = [FAILS, WORKS, REJECTED, WARNS, DROPPED];
    let severe = [REJECTED, DROPPED];
    for (level, expected) in [
        ("", &all[..]),
        ("info", &all),
        ("warn", &[FAILS, REJECTED, WARNS, DROPPED]),
        ("error", &severe),
        ("none", &[]),
    ] {
        let ended = child_with(&[("OTEL_LOG_LEVEL", level)]);
        let lines = ended.lines();
        assert_eq!(lines.len(), expected.len(), "{level}: {lines:#?}");
        for (line, begin) in lines.iter().zip(expected) {
            assert!(line.starts_with(begin), "{level}: {lines:#?}");
        }
    }
}

#[test]
fn a_hook_that_panics_harms_nothing() {
    let ended = child_with(&[(PANICS, "1")]);
    assert_eq!(ended.lines().len(), 5, "{}", ended.said);
    let panics = ended.said.matches("as it may").count();
    assert_eq!(panics, 9, "each call was made: {}", ended.said);
}
