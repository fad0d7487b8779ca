//! What fails for now is sent again, and not before the collector wants it (faults F10 to F12).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost::Message;
use tracing_otlp::{ProblemKind, Protocol};

use super::{Heard, PLENTY, PROTOCOLS, Times, rig};
use crate::support::collector::Manner;
use crate::support::collector::manner::Answer;
use crate::support::patience::timed;

/// UNAVAILABLE with a `google.rpc.RetryInfo`, as servers write it.
fn unavailable(delay: Duration) -> Answer {
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Pause>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Pause {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }
    let retry_delay = Some(Pause {
        seconds: delay.as_secs().cast_signed(),
        nanos: delay.subsec_nanos().cast_signed(),
    });
    let any = Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: RetryInfo { retry_delay }.encode_to_vec(),
    };
    let status = Status {
        code: 14,
        details: vec![any],
    };
    let details = BASE64_STANDARD.encode(status.encode_to_vec());
    Answer::grpc("14").with_header("grpc-status-details-bin", details)
}

/// What a protocol says to ask for so much time; HTTP knows whole seconds.
fn later(protocol: Protocol, delay: Duration) -> Answer {
    match protocol {
        Protocol::Grpc => unavailable(delay),
        _ => Answer::http(503).with_header("retry-after", delay.as_secs().to_string()),
    }
}

fn delay(protocol: Protocol) -> Duration {
    match protocol {
        Protocol::Grpc => Duration::from_millis(300),
        _ => Duration::from_secs(1),
    }
}

#[test]
fn spec_2_26_f_12_a_delay_that_was_asked_for_holds_for_all_that_is_sent() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let (rig, times) = (rig(protocol, |builder| builder), Times::default());
        let (noted, answer) = (times.clone(), later(protocol, delay(protocol)));
        rig.collector.answers(move |request| {
            noted.note();
            match request {
                0 => Manner::Say(answer.clone()),
                _ => Manner::Take,
            }
        });
        rig.record(3);
        let _ = rig.handle.flush(Duration::ZERO);
        rig.wait("the refusal", |stats| stats.retries() == 1);
        // Neither a flush nor newer records are a reason to come earlier.
        rig.record(4);
        rig.flush();
        let between = times.between();
        assert!(between[0] >= delay(protocol), "{protocol:?}: {between:?}");
        let stats = rig.stats();
        assert_eq!((stats.retries(), stats.delivered()), (1, 7), "{stats}");
        rig.finish(0);
    }
}

#[test]
fn f_12_a_shutdown_tries_once_more_whatever_was_asked_for() {
    for protocol in PROTOCOLS {
        let rig = rig(protocol, |builder| builder);
        let answer = later(protocol, 60 * PLENTY);
        rig.collector.answers(move |request| match request {
            0 => Manner::Say(answer.clone()),
            _ => Manner::Take,
        });
        rig.record(3);
        let _ = rig.handle.flush(Duration::ZERO);
        rig.wait("the refusal", |stats| stats.retries() == 1);
        rig.finish(0);
    }
}

#[test]
fn f_12_a_delay_that_makes_no_sense_loses_nothing() {
    let values = ["-1", "soon", "", "1e9", "0", " 0 "];
    for value in values {
        let rig = rig(Protocol::HttpProtobuf, |builder| builder);
        rig.collector.answers(move |request| match request {
            0 => Manner::Say(Answer::http(429).with_header("retry-after", value)),
            _ => Manner::Take,
        });
        rig.record(1);
        let _ = rig.handle.flush(Duration::ZERO);
        rig.wait("the refusal", |stats| stats.retries() == 1);
        // Nothing was asked for that a flush would have to wait for.
        let (_, took) = timed(|| rig.flush());
        assert!(took < PLENTY / 2, "{value:?}: {took:?}");
        rig.finish(0);
    }
}

#[test]
fn f_10_f_11_what_may_pass_is_sent_again_until_it_is_taken() {
    let grpc = ["1", "4", "10", "14", "15"].map(Answer::grpc);
    let http = [429, 502, 503, 504].map(Answer::http);
    let cases = [
        (Protocol::Grpc, grpc.to_vec()),
        (Protocol::HttpProtobuf, http.to_vec()),
        (Protocol::HttpJson, http.to_vec()),
    ];
    for (protocol, refusals) in cases {
        let heard = Heard::default();
        let rig = rig(protocol, |builder| heard.listen(builder));
        let number = refusals.len() as u64;
        let said = refusals.clone();
        rig.collector
            .answers(move |request| match said.get(request) {
                Some(answer) => Manner::Say(answer.clone()),
                None => Manner::Take,
            });
        rig.record(5);
        for failures in 1..=number {
            // A flush ends a back-off.
            let _ = rig.handle.flush(Duration::ZERO);
            rig.wait("a refusal", |stats| stats.retries() >= failures);
        }
        rig.flush();
        let stats = rig.stats();
        assert_eq!(
            (stats.retries(), stats.requests(), stats.ambiguous()),
            (number, number + 1, 0),
            "{protocol:?}: {stats}"
        );
        let all = heard.all();
        assert_eq!(all.len() as u64, number);
        let endpoint = rig.collector.endpoint();
        for problem in all {
            assert_eq!(problem.kind(), ProblemKind::Undelivered, "{problem}");
            assert_eq!(problem.records(), 5, "{problem}");
            assert!(problem.message().starts_with(&endpoint), "{problem}");
        }
        rig.finish(0);
    }
}

#[test]
fn f_10_an_answer_without_a_status_is_none_and_is_sent_again() {
    let rig = rig(Protocol::Grpc, |builder| builder);
    rig.collector.answers(|request| match request {
        0 => Manner::TakeWithoutStatus,
        _ => Manner::Take,
    });
    rig.record(5);
    rig.flush();
    let stats = rig.stats();
    assert_eq!((stats.retries(), stats.ambiguous()), (1, 1), "{stats}");
    assert_eq!(rig.finish_with_ambiguous(), 5);
}
