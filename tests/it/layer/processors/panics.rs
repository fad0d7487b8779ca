//! What a panic says of the spans that it leaves.

use std::panic;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::info_span;
use tracing_otlp::testing::InMemory;
use tracing_otlp::{DropReason, Events, Logs, RecordKind, Signal};
use tracing_subscriber::prelude::*;

use super::on_end;

/// "An event or a log record is complete": that of a panic, too.
#[test]
fn the_exception_of_a_panic_is_shown_to_processors() {
    for is_discarded in [false, true] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kinds = Arc::clone(&seen);
        let processor = on_end(move |record| {
            if record.kind() == RecordKind::Span {
                return;
            }
            let mut kinds = kinds.lock().unwrap();
            kinds.push((record.kind(), record.name().to_owned()));
            record.set_attribute("tenant", "x");
            if is_discarded {
                record.discard();
            }
        });
        let memory = InMemory::new();
        let (layer, guard) = tracing_otlp::layer()
            .with_transport(memory.clone())
            .with_events(Events::Both)
            .with_logs(Logs::new().with_all_span_fields())
            .with_processor(processor)
            .build()
            .unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let _ = panic::catch_unwind(|| {
                let _outer = info_span!("outer", outer = 1).entered();
                let _span = info_span!("span", inner = 2).entered();
                panic!("as it should");
            });
        });
        let handle = guard.handle();
        handle.shutdown(Duration::from_secs(60)).unwrap();
        let kinds = [RecordKind::Event, RecordKind::Log].repeat(2);
        let expected = kinds.into_iter().map(|kind| (kind, "exception".to_owned()));
        assert_eq!(*seen.lock().unwrap(), expected.collect::<Vec<_>>());
        let (spans, logs) = (memory.spans(), memory.logs());
        if is_discarded {
            assert!(logs.is_empty() && spans.iter().all(|span| span.events.is_empty()));
            assert_eq!(
                handle
                    .stats_of(Signal::Logs)
                    .dropped_for(DropReason::Processor),
                2
            );
            continue;
        }
        assert_eq!(spans[0].events[0].attribute("tenant"), Some(&"x".into()));
        let keys = ["tenant", "inner", "outer"].map(|key| logs[0].attribute(key));
        assert_eq!(keys, [Some(&"x".into()), Some(&2.into()), Some(&1.into())]);
    }
}
