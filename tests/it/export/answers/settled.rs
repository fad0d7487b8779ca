//! Each answer that decides ends in its own place of the books.

use std::time::{Duration, SystemTime};

use tracing_otlp::{ProblemKind, Protocol};

use super::{Heard, PROTOCOLS, flush_with_losses, rig};
use crate::support::collector::Manner;
use crate::support::collector::manner::Answer;

fn refusals(protocol: Protocol) -> Vec<(Answer, &'static str)> {
    if protocol == Protocol::Grpc {
        return [
            ("2", "gRPC UNKNOWN (2)"),
            ("3", "gRPC INVALID_ARGUMENT (3)"),
            ("13", "gRPC INTERNAL (13)"),
            ("16", "gRPC UNAUTHENTICATED (16)"),
            ("7", "gRPC PERMISSION_DENIED (7)"),
            ("8", "gRPC RESOURCE_EXHAUSTED (8)"),
        ]
        .map(|(code, name)| (Answer::grpc(code), name))
        .to_vec();
    }
    [
        (400, "HTTP 400"),
        (401, "HTTP 401"),
        (403, "HTTP 403"),
        (404, "HTTP 404"),
        (422, "HTTP 422"),
        (500, "HTTP 500"),
        (302, "HTTP 302"),
    ]
    .map(|(status, name)| (Answer::http(status), name))
    .to_vec()
}

#[test]
fn f_10_f_11_what_is_refused_is_counted_by_its_answer_and_never_sent_again() {
    for protocol in PROTOCOLS {
        let heard = Heard::default();
        let rig = rig(protocol, |builder| heard.listen(builder));
        let cases = refusals(protocol);
        let said = cases.clone();
        rig.collector
            .answers(move |request| match said.get(request) {
                Some((answer, _)) => Manner::Say(answer.clone()),
                None => Manner::Take,
            });
        let mut expected = Vec::new();
        for (records, (_, name)) in (1..).zip(&cases) {
            rig.record(records);
            let error = flush_with_losses(&rig);
            let rejected = error.report().map(|report| report.rejected());
            assert_eq!(rejected, Some(records), "{name}");
            expected.push(((*name).to_owned(), records));
        }
        rig.record(7);
        rig.flush();
        let stats = rig.stats();
        let total: u64 = expected.iter().map(|(_, records)| records).sum();
        assert_eq!(stats.rejections(), expected);
        assert_eq!(
            (stats.rejected(), stats.delivered(), stats.dropped()),
            (total, 7, 0),
            "{stats}"
        );
        assert_eq!(
            (stats.requests(), stats.retries()),
            (cases.len() as u64 + 1, 0),
            "{stats}"
        );
        let told: Vec<_> = heard
            .all()
            .iter()
            .map(|p| (p.kind(), p.records()))
            .collect();
        let rejected = expected.iter();
        let rejected: Vec<_> = rejected
            .map(|(_, records)| (ProblemKind::Rejected, *records))
            .collect();
        assert_eq!(told, rejected);
        let connections = rig.collector.look(|log| log.connections);
        assert_eq!(connections, 1, "an answer ends no connection");
        rig.end();
    }
}

#[test]
fn what_is_known_of_requests_is_told_by_the_ledger() {
    for protocol in PROTOCOLS {
        let rig = rig(protocol, |builder| builder);
        let before = rig.stats();
        assert_eq!((before.last_success(), before.last_error()), (None, None));
        assert_eq!(before.latency_p50(), None);
        let began = SystemTime::now();
        const PAUSE: Duration = Duration::from_millis(50);
        rig.collector.answers(|request| match request {
            0 => Manner::Status(14),
            1 => Manner::TakeAfter(PAUSE),
            _ => Manner::Status(3),
        });
        rig.record(100);
        rig.flush();
        let stats = rig.stats();
        let sent = rig.collector.look(|log| log.requests[1].sent_bytes);
        // A message of gRPC has five bytes before it.
        let prefix = if protocol == Protocol::Grpc { 5 } else { 0 };
        assert_eq!(stats.sent_bytes(), (sent + prefix) as u64, "{protocol:?}");
        let error = stats.last_error().expect("the first request failed");
        assert!(
            error.when() >= began && error.message().contains("as scripted"),
            "{error}"
        );
        assert!(
            error.message().starts_with(&rig.collector.endpoint()),
            "{error}"
        );
        let success = stats.last_success().expect("the second was taken");
        assert!(success >= error.when(), "{success:?} {error:?}");
        assert!(stats.latency_p99() >= Some(PAUSE), "{stats}");
        assert!(stats.latency_p50() <= stats.latency_p99(), "{stats}");
        assert!(
            stats.records_per_second() > 0.0 && stats.bytes_per_second() > 0.0,
            "{stats}"
        );
        assert_eq!((stats.queued(), stats.in_flight()), (0, 0), "{stats}");

        rig.record(1);
        flush_with_losses(&rig);
        let later = rig.stats();
        assert_eq!(
            later.last_success(),
            Some(success),
            "a refusal is no success"
        );
        let newest = later.last_error().expect("it was refused").when();
        assert!(newest >= success, "{later}");
        rig.end();
    }
}

#[test]
fn what_is_on_its_way_is_told_apart_from_what_waits() {
    let rig = rig(Protocol::Grpc, |builder| builder);
    rig.collector.always(Manner::Hang);
    rig.record(3);
    let _ = rig.handle.flush(Duration::ZERO);
    rig.collector.wait("the request", |log| log.in_flight == 1);
    rig.wait("a request on its way", |stats| stats.in_flight() == 3);
    rig.record(2);
    let stats = rig.stats();
    assert_eq!((stats.queued(), stats.held()), (2, 5), "{stats}");
    let _ = rig.handle.shutdown(Duration::ZERO);
    rig.end();
}
