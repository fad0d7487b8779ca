//! Log records of a program that is configured by its environment alone.

use std::time::Duration;

use tracing_otlp::Events;
use tracing_subscriber::prelude::*;

use super::{is_child, run};
use crate::support::collector::Collector;

const LOGS: i64 = 3;

/// Logs inside of a span, wherever the variables say.
#[test]
fn child() {
    if !is_child() {
        return;
    }
    let builder = tracing_otlp::layer().with_events(Events::Logs);
    let (layer, guard) = builder.build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let _span = tracing::info_span!("work").entered();
        (0..LOGS).for_each(|number| tracing::info!(number, "said"));
    });
    let _ = guard.handle().flush(Duration::from_secs(10));
    let stats = guard.handle().stats();
    assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
}

/// 10.37: "none" is of one signal. Logs go on, with the ids of spans that go nowhere.
#[test]
fn spec_10_37_where_spans_go_nowhere_logs_have_their_ids_all_the_same() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    let ended = run(
        module_path!(),
        &[endpoint, ("OTEL_TRACES_EXPORTER", "none")],
    );
    assert_eq!(ended.said, "");
    collector.look(|log| {
        let paths: Vec<_> = log.requests.iter().map(|request| &*request.path).collect();
        let service = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
        assert_eq!(paths, [service], "{log:?}");
        assert_eq!(log.numbers().len() as i64, LOGS, "{log:?}");
        let mut traces: Vec<_> = log.taken().map(|record| &record.trace).collect();
        traces.dedup();
        assert_eq!((traces.len(), traces[0].len()), (1, 16), "one trace");
        assert_eq!(log.ids().len(), 1, "one span");
    });
    // The other way round.
    let ended = run(module_path!(), &[endpoint, ("OTEL_LOGS_EXPORTER", "none")]);
    assert_eq!(ended.said, "");
    collector.look(|log| {
        let last = log.requests.last().expect("a request");
        assert!(last.path.ends_with("TraceService/Export"), "{log:?}");
        assert_eq!((log.requests.len(), last.spans.len()), (2, 1), "{log:?}");
    });
}
