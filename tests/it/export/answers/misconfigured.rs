//! What is refused by a mistake in the configuration is held where that is wanted; a collector without our signal is left in
//! peace (fault F17); and after an outage what is live goes first (fault F36).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing_otlp::{Batch, DropReason, ProblemKind, Protocol};

use super::{Heard, PLENTY, flush_with_losses, rig};
use crate::support::collector::manner::Answer;
use crate::support::collector::{Manner, Request};
use crate::support::rig::assert_unfinished;

#[test]
fn what_is_held_over_a_mistake_in_the_configuration_arrives_when_that_is_mended() {
    let cases = [
        (Protocol::Grpc, Answer::grpc("16")),
        (Protocol::Grpc, Answer::grpc("7")),
        (Protocol::Grpc, Answer::grpc("12")),
        (Protocol::HttpProtobuf, Answer::http(401)),
        (Protocol::HttpProtobuf, Answer::http(404)),
        (Protocol::HttpJson, Answer::http(302)),
    ];
    for (protocol, answer) in cases {
        let heard = Heard::default();
        let rig = rig(protocol, |builder| {
            heard.listen(builder.with_hold_on_config_error(true))
        });
        rig.collector.always(Manner::Say(answer));
        rig.record(5);
        let _ = rig.handle.flush(Duration::ZERO);
        rig.wait("the first refusal", |stats| stats.retries() == 1);
        rig.record(5);
        // A flush asks at once.
        let _ = rig.handle.flush(Duration::ZERO);
        rig.wait("the second refusal", |stats| stats.retries() == 2);
        let stats = rig.stats();
        assert_eq!((stats.held(), stats.rejected()), (10, 0), "{stats}");
        rig.collector.always(Manner::Take);
        rig.flush();
        assert_eq!(
            rig.stats().requests(),
            4,
            "the first batch is sent as it was"
        );
        let kinds: Vec<_> = heard.all().iter().map(|problem| problem.kind()).collect();
        assert_eq!(kinds, [ProblemKind::Undelivered; 2]);
        rig.finish(0);
    }
}

#[test]
fn what_is_held_and_never_mended_is_dropped_at_the_end() {
    let heard = Heard::default();
    let rig = rig(Protocol::HttpProtobuf, |builder| {
        heard.listen(builder.with_hold_on_config_error(true))
    });
    rig.collector.always(Manner::Say(Answer::http(401)));
    rig.record(5);
    let shut_down = rig.handle.shutdown(Duration::from_millis(200));
    assert_unfinished(&shut_down.expect_err("nothing was taken"), 5);
    let (collector, stats) = rig.end();
    assert_eq!(stats.dropped_for(DropReason::Shutdown), 5, "{stats}");
    assert_eq!(collector.look(|log| log.requests.len()), 1);
    let heard = heard.all();
    let last = heard
        .last()
        .map(|problem| (problem.kind(), problem.records()));
    assert_eq!(last, Some((ProblemKind::Dropped, 5)), "{heard:?}");
}

#[test]
fn what_is_refused_in_itself_is_not_held() {
    let rig = rig(Protocol::HttpProtobuf, |builder| {
        builder.with_hold_on_config_error(true)
    });
    rig.collector.always(Manner::Say(Answer::http(400)));
    rig.record(5);
    flush_with_losses(&rig);
    let (_, stats) = rig.end();
    assert_eq!((stats.rejected(), stats.dropped()), (5, 0), "{stats}");
}

#[test]
fn f_17_a_collector_without_the_signal_is_asked_once() {
    let heard = Heard::default();
    let rig = rig(Protocol::Grpc, |builder| heard.listen(builder));
    rig.collector.always(Manner::Status(12));
    rig.record(5);
    flush_with_losses(&rig);
    for dropped in [3, 4] {
        rig.record(dropped);
        let error = flush_with_losses(&rig);
        let report = error.report().expect("numbers");
        assert_eq!((report.dropped(), report.rejected()), (dropped, 0));
    }
    let told: Vec<_> = heard
        .all()
        .iter()
        .map(|p| (p.kind(), p.records()))
        .collect();
    let dropped = ProblemKind::Dropped;
    assert_eq!(
        told,
        [(ProblemKind::Rejected, 5), (dropped, 3), (dropped, 4)]
    );
    // What is dropped then is told with what the collector said, since that may have been told long ago.
    for problem in heard.all() {
        let message = problem.message();
        let names_the_fix = message.contains("service.pipelines.traces");
        assert!(
            names_the_fix && message.contains(&rig.collector.endpoint()),
            "{message}"
        );
    }
    let (collector, stats) = rig.end();
    assert_eq!(
        (stats.rejected(), stats.dropped_for(DropReason::NoPipeline)),
        (5, 7),
        "{stats}"
    );
    assert_eq!(
        stats.rejections(),
        [("gRPC UNIMPLEMENTED (12)".to_owned(), 5)]
    );
    assert_eq!(collector.look(|log| log.requests.len()), 1);
}

#[test]
fn f_17_a_path_that_is_not_there_is_asked_each_time() {
    let rig = rig(Protocol::HttpProtobuf, |builder| builder);
    rig.collector.always(Manner::Say(Answer::http(404)));
    for _ in 0..2 {
        rig.record(5);
        flush_with_losses(&rig);
    }
    let (collector, stats) = rig.end();
    assert_eq!((stats.rejected(), stats.dropped()), (10, 0), "{stats}");
    assert_eq!(collector.look(|log| log.requests.len()), 2);
}

#[test]
fn f_36_after_an_outage_what_is_live_goes_first_and_what_waited_takes_turns() {
    const OLD: i64 = 100;
    let rig = rig(Protocol::HttpProtobuf, |builder| {
        let batch = Batch::default().with_max_records(10);
        builder.with_batch(batch.with_interval(6 * PLENTY))
    });
    rig.collector.always(Manner::Status(14));
    rig.record(OLD as u64);
    let _ = rig.handle.flush(Duration::ZERO);
    rig.wait("the outage", |stats| stats.retries() > 0);
    // The second request is long enough on its way to record something meanwhile.
    let taken = AtomicUsize::new(0);
    rig.collector
        .answers(move |_| match taken.fetch_add(1, Ordering::Relaxed) {
            1 => Manner::TakeAfter(Duration::from_secs(1)),
            _ => Manner::Take,
        });
    let _ = rig.handle.flush(Duration::ZERO);
    rig.wait("the end of the outage", |stats| stats.delivered() >= 10);
    rig.record(30);
    rig.flush();
    let is_live = |request: &Request| request.spans.iter().any(|span| span.number >= Some(OLD));
    let order: Vec<_> = rig.collector.look(|log| {
        let taken = log.requests.iter().filter(|request| request.taken);
        taken.map(is_live).collect()
    });
    // At once, or behind the request that was on its way; then one of what waited, and one of what is live.
    let first = order.iter().position(|live| *live).expect("it arrived");
    assert!((1..=2).contains(&first), "{order:?}");
    let turns = &order[first..first + 5];
    assert_eq!(turns, [true, false, true, false, true], "{order:?}");
    assert_eq!(order.len(), 13, "{order:?}");
    assert_eq!(rig.collector.look(|log| log.most_in_flight), 1);
    rig.finish(0);
}
