//! Answers that say yes and nothing that can be read, and answers that are too long (fault F15).

use tracing_otlp::{Builder, Protocol};

use super::{Heard, PROTOCOLS, flush_with_losses, rig};
use crate::support::collector::Manner;
#[cfg(feature = "gzip")]
use crate::support::collector::manner::bomb;
use crate::support::collector::manner::{Answer, Framing, garbage, grpc_prefixed};

const MIB: usize = 1 << 20;

/// A body behind HTTP 200, and behind grpc-status 0.
fn yes(protocol: Protocol, body: Vec<u8>) -> Answer {
    match protocol {
        Protocol::Grpc => Answer {
            body: grpc_prefixed(&body),
            ..Answer::grpc_in_trailers("0")
        },
        Protocol::HttpJson => Answer::http(200).with_body("application/json", body),
        _ => Answer::http(200).with_body("application/x-protobuf", body),
    }
}

/// Two requests with this answer: what was delivered, what was odd, and over how many connections.
fn books(protocol: Protocol, answer: Answer, more: impl FnOnce(Builder) -> Builder) -> [u64; 3] {
    let rig = rig(protocol, more);
    rig.collector.always(Manner::Say(answer));
    for _ in 0..2 {
        rig.record(5);
        rig.flush();
    }
    let connections = rig.collector.look(|log| log.connections as u64);
    let stats = rig.stats();
    assert_eq!((stats.retries(), stats.ambiguous()), (0, 0), "{stats}");
    let counted = [stats.delivered(), stats.odd_answers(), connections];
    rig.finish(0);
    counted
}

#[test]
fn f_15_garbage_behind_a_yes_is_delivered_and_counted_as_odd() {
    for protocol in PROTOCOLS {
        for (seed, bytes) in [(1, 1), (2, 40), (3, 70_000)] {
            let answer = yes(protocol, garbage(seed, bytes));
            assert_eq!(
                books(protocol, answer, |builder| builder),
                [10, 2, 1],
                "{protocol:?} {bytes}"
            );
        }
    }
}

#[test]
fn f_15_bytes_that_are_no_message_of_grpc_are_odd() {
    for body in [
        vec![0],
        vec![0, 0, 0, 0, 9],
        vec![1, 0, 0, 0, 0],
        garbage(4, 5_000),
    ] {
        let answer = Answer {
            body,
            ..Answer::grpc_in_trailers("0")
        };
        assert_eq!(books(Protocol::Grpc, answer, |builder| builder), [10, 2, 1]);
    }
}

/// As the exporter said that it understands.
#[test]
#[cfg(feature = "gzip")]
fn spec_2_16_f_15_a_compressed_answer_is_unpacked_and_a_bomb_is_not() {
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        let packed = |body| yes(protocol, body).with_header("content-encoding", "gzip");
        let zeros = books(protocol, packed(bomb(8 * MIB)), |builder| builder);
        assert_eq!(zeros, [10, 2, 1]);
        let garbage = books(protocol, packed(garbage(5, 500)), |builder| builder);
        assert_eq!(garbage, [10, 2, 1]);
    }
    let empty = bomb(0);
    let empty = yes(Protocol::HttpProtobuf, empty).with_header("content-encoding", "gzip");
    assert_eq!(
        books(Protocol::HttpProtobuf, empty, |builder| builder),
        [10, 0, 1]
    );
}

#[test]
fn spec_2_18_f_15_what_exceeds_the_limit_is_delivered_and_its_connection_is_not_used_again() {
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        for framing in [Framing::Length, Framing::Chunked] {
            let answer = yes(protocol, vec![0; 5 * MIB]).with_framing(framing);
            assert_eq!(
                books(protocol, answer, |builder| builder),
                [10, 2, 2],
                "{protocol:?}"
            );
        }
        let small = |builder: Builder| builder.with_max_response_bytes(4 << 10);
        let answer = |bytes| yes(protocol, vec![0; bytes]);
        assert_eq!(books(protocol, answer((4 << 10) + 1), small), [10, 2, 2]);
        assert_eq!(
            books(protocol, answer(4 << 10), small),
            [10, 2, 1],
            "the limit itself"
        );
    }
}

/// The status stands behind the body, where it is not read; and what exceeds the limit is not sent again.
#[test]
fn spec_2_18_without_a_status_a_long_answer_of_grpc_is_a_refusal() {
    let heard = Heard::default();
    let rig = rig(Protocol::Grpc, |builder| {
        heard.listen(builder.with_max_response_bytes(4 << 10))
    });
    let long = yes(Protocol::Grpc, vec![0; 5 * MIB]);
    rig.collector.answers(move |request| match request {
        0 => Manner::Say(long.clone()),
        _ => Manner::Take,
    });
    rig.record(5);
    flush_with_losses(&rig);
    rig.record(3);
    rig.flush();
    assert_eq!(rig.collector.look(|log| log.connections), 2);
    let message = heard.all().remove(0).message().to_owned();
    assert!(message.contains("longer than 4096 bytes"), "{message}");
    let (_, stats) = rig.end();
    assert_eq!((stats.delivered(), stats.rejected()), (3, 5), "{stats}");
    assert_eq!(stats.retries(), 0, "{stats}");
}

#[test]
fn f_15_a_page_behind_a_yes_is_refused_as_a_mistake_of_the_configuration() {
    for protocol in PROTOCOLS {
        let rig = rig(protocol, |builder| builder);
        let page = "<!doctype html><title>Log in</title>";
        let answer = Answer::http(200).with_body("text/html; charset=utf-8", page);
        rig.collector.always(Manner::Say(answer.with_taken(false)));
        rig.record(5);
        flush_with_losses(&rig);
        let stats = rig.stats();
        assert_eq!((stats.rejected(), stats.retries()), (5, 0), "{stats}");
        assert_eq!(stats.odd_answers(), 0, "{stats}");
        let error = stats.last_error().expect("why").message().to_owned();
        assert!(error.contains("captive portal"), "{error}");
        rig.end();
    }
}
