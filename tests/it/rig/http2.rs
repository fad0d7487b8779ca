//! OTLP over HTTP/2: gRPC, and HTTP with knowledge of HTTP/2.

use std::time::Duration;

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing_otlp::Protocol;

use super::client::{
    Answered, GRPC, call, call_on, connect, grpc, gzip, http2, json, protobuf, run, zstd,
};
use crate::support::collector::manner::{
    Answer, Flood, Framing, NoCompression, Pace, Part, TooLarge, garbage, grpc_prefixed,
};
use crate::support::collector::{Collector, Limits, Manner};

/// What one gRPC request gets on a connection of its own.
fn answered(manner: Manner) -> Result<Answered, h2::Error> {
    let collector = Collector::start();
    collector.always(manner);
    run(call(
        collector.port(),
        grpc(None),
        grpc_prefixed(&protobuf(1)),
    ))
}

fn said(manner: Manner) -> Answered {
    answered(manner).expect("an answer")
}

#[test]
fn each_protocol_is_told_apart_and_decoded() {
    let collector = Collector::start();
    let packed = |packed: Vec<u8>| {
        let mut message = grpc_prefixed(&packed);
        message[0] = 1;
        message
    };
    let post = |kind: &str| {
        let request = Request::post("http://localhost/v1/traces");
        request.header("content-type", kind).body(()).unwrap()
    };
    let requests = [
        (grpc(None), grpc_prefixed(&protobuf(2))),
        (grpc(Some("gzip")), packed(gzip(&protobuf(2)))),
        (grpc(Some("zstd")), packed(zstd(&protobuf(2)))),
        // A compression that is announced and not used.
        (grpc(Some("gzip")), grpc_prefixed(&protobuf(2))),
        (post("application/x-protobuf"), protobuf(2)),
        (post("application/json"), json(2)),
    ];
    for (request, body) in requests {
        let answer = run(call(collector.port(), request, body)).expect("an answer");
        assert_eq!(answer.status, 200);
    }
    collector.look(|log| {
        assert_eq!(log.problems(), Vec::<&str>::new());
        let compressions: Vec<_> = log
            .requests
            .iter()
            .map(|one| one.compression.as_deref())
            .collect();
        assert_eq!(
            compressions,
            [None, Some("gzip"), Some("zstd"), None, None, None]
        );
        let protocols: Vec<_> = log.requests.iter().map(|one| one.protocol).collect();
        assert_eq!(protocols[..4], [Protocol::Grpc; 4]);
        assert_eq!(protocols[4..], [Protocol::HttpProtobuf, Protocol::HttpJson]);
        for request in &log.requests {
            assert!(request.is_http2);
            assert_eq!(request.spans, log.requests[0].spans);
        }
        assert_eq!(log.requests[0].path, GRPC);
        assert_eq!(log.requests[0].bytes, protobuf(2).len());
        assert_eq!(log.requests[1].sent_bytes, gzip(&protobuf(2)).len());
        assert_eq!((log.numbers()[&1], log.ambiguous), (6, 0));
    });
}

#[test]
fn a_wrong_prefix_is_refused_and_logged() {
    let collector = Collector::start();
    let mut wrong = grpc_prefixed(&protobuf(1));
    wrong[4] += 1;
    for body in [vec![0, 0], wrong] {
        let answer = run(call(collector.port(), grpc(None), body)).expect("an answer");
        assert_eq!(answer.header("grpc-status"), "3");
    }
    assert_eq!(collector.look(|log| log.problems().len()), 2);
}

#[test]
fn grpc_statuses_are_as_scripted_in_head_and_trailers() {
    let good = said(Manner::Take);
    assert_eq!(
        (good.body, good.headers.get("grpc-status")),
        (vec![0; 5], None)
    );
    assert_eq!(good.trailers.unwrap()["grpc-status"], "0");
    for status in ["0", "14", "99", "-1", "abc", ""] {
        let only = said(Manner::Say(Answer::grpc(status)));
        assert_eq!(
            (only.header("grpc-status"), only.trailers.as_ref()),
            (status, None)
        );
        let behind = said(Manner::Say(Answer::grpc_in_trailers(status)));
        assert_eq!(
            (behind.header("grpc-status"), behind.trailer("grpc-status")),
            ("", status)
        );
    }
    let rich = Answer::grpc("8")
        .with_header("grpc-message", "too%20much")
        .with_header("grpc-status-details-bin", "CAg");
    let rich = said(Manner::Say(rich));
    assert_eq!(rich.header("grpc-message"), "too%20much");
    assert_eq!(rich.header("grpc-status-details-bin"), "CAg");
    assert_eq!(said(Manner::Status(14)).header("grpc-status"), "14");
    let without = said(Manner::TakeWithoutStatus);
    assert_eq!(
        (without.header("grpc-status"), without.trailers.as_ref()),
        ("", None)
    );
    let partly = said(Manner::TakePartly {
        rejected: -2,
        message: String::new(),
    });
    let encoded = b"\x0a\x0b\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(partly.body, grpc_prefixed(encoded));
}

#[test]
fn http_answers_go_over_http2_too() {
    let answer = Answer::http(429)
        .with_header("retry-after", "1")
        .with_interim(103)
        .with_body("text/html", "<html>");
    let answer = said(Manner::Say(answer));
    assert_eq!((answer.status, &*answer.body), (429, &b"<html>"[..]));
    assert_eq!(answer.header("retry-after"), "1");
    let wrong = Answer::http(200)
        .with_body("text/plain", "abc")
        .with_framing(Framing::Wrong(9));
    assert!(
        answered(Manner::Say(wrong)).is_err(),
        "three bytes are not nine"
    );
    let large = Answer::http(200).with_body("application/grpc", vec![7; 5 << 20]);
    assert_eq!(said(Manner::Say(large)).body.len(), 5 << 20);
}

#[test]
fn f8_streams_and_connections_end_with_the_code_that_was_asked_for() {
    for code in [0, 7, 8, 11] {
        let error = answered(Manner::ResetStream(code)).expect_err("a reset");
        assert!(error.is_reset() && error.is_remote(), "{error}");
        assert_eq!(error.reason(), Some(code.into()));
        let error = answered(Manner::GoAway(code)).expect_err("a GOAWAY");
        assert_eq!(error.reason(), Some(code.into()), "{error:?}");
    }
    let collector = Collector::start();
    collector.always(Manner::TakeAndGoAway);
    run(async {
        let (client, connection) = http2(connect(collector.port()).await).await;
        let ended = tokio::spawn(connection);
        let body = grpc_prefixed(&protobuf(1));
        call_on(client, grpc(None), body).await.expect("an answer");
        ended.await.unwrap().expect("an orderly end");
    });
}

#[test]
fn what_is_no_answer_is_an_error() {
    for manner in [
        Manner::Reset,
        Manner::Close,
        Manner::HalfClose,
        Manner::TakeAndReset(0),
        Manner::TakeAndReset(20),
        Manner::Bytes(garbage(2, 1_000)),
        Manner::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
    ] {
        let answer = answered(manner.clone());
        assert!(answer.is_err(), "{manner:?}: {answer:?}");
    }
    let pace = Pace {
        bytes: 10,
        every: Duration::from_millis(1),
    };
    let whole = said(Manner::Trickle(Part::Whole, pace));
    assert_eq!(
        (whole.trailer("grpc-status"), whole.body.clone()),
        ("0", vec![0; 5])
    );
}

#[test]
fn f19_floods_and_endless_answers_are_on_the_wire_until_the_client_goes() {
    for (manner, kind) in [
        (Manner::Flood(Flood::Settings), 4),
        (Manner::Flood(Flood::Ping), 6),
        (Manner::Flood(Flood::Reset), 3),
        (Manner::Trickle(Part::Headers, Pace::FAST), 9),
    ] {
        let collector = Collector::start();
        collector.always(manner);
        run(async {
            // A client that says nothing but its request, and counts frames.
            let mut stream = connect(collector.port()).await;
            stream.write_all(&by_hand()).await.unwrap();
            let mut counted = 0;
            while counted < 2_000 {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.unwrap();
                let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
                stream.read_exact(&mut payload).await.unwrap();
                counted += usize::from(head[3] == kind);
            }
        });
        collector.wait_for_silence();
    }
    // A body without end, as far as the window goes.
    let collector = Collector::start();
    collector.always(Manner::Trickle(Part::Body, Pace::FAST));
    let body = grpc_prefixed(&protobuf(1));
    let endless = call(collector.port(), grpc(None), body);
    run(async {
        let ended = tokio::time::timeout(Duration::from_millis(30), endless).await;
        assert!(ended.is_err(), "{ended:?}");
    });
    collector.wait_for_silence();
}

/// The preface, settings, and one POST whose body is empty.
fn by_hand() -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (":path", GRPC),
        (":authority", "a"),
        ("content-type", "application/grpc"),
    ] {
        block.push(0);
        for part in [name, value] {
            block.push(part.len() as u8);
            block.extend(part.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend([0, 0, block.len() as u8, 1, 4, 0, 0, 0, 1]);
    bytes.extend(block);
    let message = grpc_prefixed(&[]);
    bytes.extend([0, 0, message.len() as u8, 0, 1, 0, 0, 0, 1]);
    bytes.extend(message);
    bytes
}

#[test]
fn limits_are_told_apart() {
    let collector = Collector::start();
    for (refusal, status, words) in [
        (TooLarge::ResourceExhausted, "8", "larger than max"),
        (TooLarge::OutOfRange, "11", "too large"),
    ] {
        collector.refuses(Limits {
            bytes: Some((100, refusal)),
            compression: None,
        });
        let large = run(call(
            collector.port(),
            grpc(None),
            grpc_prefixed(&protobuf(100)),
        ))
        .unwrap();
        assert_eq!(large.header("grpc-status"), status);
        assert!(large.header("grpc-message").contains(words));
    }
    collector.refuses(Limits {
        bytes: None,
        compression: Some(NoCompression::BadRequest),
    });
    let mut packed = grpc_prefixed(&gzip(&protobuf(1)));
    packed[0] = 1;
    let refused = run(call(collector.port(), grpc(Some("gzip")), packed)).unwrap();
    assert_eq!(refused.header("grpc-status"), "12");
    assert_eq!(refused.header("grpc-accept-encoding"), "identity");
    assert_eq!(collector.look(|log| log.taken().count()), 0);
}

#[test]
fn a_script_may_judge_by_what_a_request_holds() {
    let collector = Collector::start();
    collector.judges(|_, request| match request.spans.len() {
        0..3 => Manner::Take,
        _ => Manner::Status(3),
    });
    for (spans, status) in [(2, "0"), (3, "3")] {
        let body = grpc_prefixed(&protobuf(spans));
        let answer = run(call(collector.port(), grpc(None), body)).unwrap();
        let (head, behind) = (answer.header("grpc-status"), answer.trailer("grpc-status"));
        assert_eq!(format!("{head}{behind}"), status);
    }
    assert_eq!(collector.look(|log| log.taken().count()), 2);
}

#[test]
fn idle_connections_are_closed() {
    let collector = Collector::start();
    run(async {
        let (client, connection) = http2(connect(collector.port()).await).await;
        let ended = tokio::spawn(connection);
        let body = grpc_prefixed(&protobuf(1));
        let kept = client.clone();
        call_on(client, grpc(None), body).await.expect("an answer");
        collector.wait_for_silence();
        collector.close_idle();
        // However the end is called, it is one.
        let _ = ended.await.unwrap();
        drop(kept);
    });
    assert_eq!(collector.look(|log| (log.connections, log.open)), (1, 0));
}
