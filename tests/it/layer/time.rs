//! Times: where a span begins and ends, seen by what lies beside it. All of one trace, on one clock.

use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{info, info_span};

use crate::support::layer::{Exported, Spans, record};

fn times(spans: &Spans, name: &str) -> (u64, u64) {
    let Exported { .. } = spans.named(name);
    (
        spans.named(name).start_time_unix_nano,
        spans.named(name).end_time_unix_nano,
    )
}

#[test]
fn spec_7_8_a_span_lasts_from_its_creation_to_its_close() {
    let spans = record(|| {
        let root = info_span!("root").entered();
        let span = info_span!("span");
        drop(info_span!("before the first enter"));
        span.in_scope(|| {});
        drop(info_span!("after the last exit"));
        drop(span);
        drop(info_span!("after the close"));
        drop(root);
    });
    let (start, end) = times(&spans, "span");
    assert!(start <= times(&spans, "before the first enter").0);
    assert!(end >= times(&spans, "after the last exit").1);
    assert!(end <= times(&spans, "after the close").0);
}

#[test]
fn children_and_events_lie_within_their_spans() {
    let spans = record(|| {
        for _ in 0..100 {
            let _a = info_span!("a").entered();
            info!("first");
            let _b = info_span!("b").entered();
            let _c = info_span!("c").entered();
            info!("second");
        }
    });
    assert_eq!(spans.len(), 300);
    for span in spans.iter() {
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(start <= end);
        for event in &span.events {
            assert!((start..=end).contains(&event.time_unix_nano));
        }
        let parent = spans
            .iter()
            .find(|parent| parent.span_id == span.parent_span_id);
        if let Some(parent) = parent {
            assert!(parent.start_time_unix_nano <= start && end <= parent.end_time_unix_nano);
        }
    }
}

#[test]
fn what_follows_one_another_does_not_overlap() {
    let spans = record(|| {
        let _root = info_span!("root").entered();
        (0..100).for_each(|_| drop(info_span!("step")));
    });
    let steps = spans.all_named("step");
    assert!(
        steps
            .windows(2)
            .all(|pair| pair[0].end_time_unix_nano <= pair[1].start_time_unix_nano)
    );
}

#[test]
fn spec_1_13_times_are_unix_nanoseconds() {
    let wall = || {
        u64::try_from(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos(),
        )
        .unwrap()
    };
    let before = wall();
    let spans = record(|| drop(info_span!("span")));
    let after = wall();
    // The wall clock may be slewed meanwhile.
    const SECOND: u64 = 1_000_000_000;
    let (start, end) = times(&spans, "span");
    assert!(start >= before - SECOND && end <= after + SECOND);
}
