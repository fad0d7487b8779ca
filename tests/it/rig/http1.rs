//! OTLP over HTTP/1.1.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing_otlp::Protocol;

use super::client::{ask, connect, exchange, gzip, http1, json, protobuf, run, zstd};
use crate::support::collector::manner::{
    Answer, Flood, Framing, NoCompression, Pace, Part, TooLarge, bomb, garbage,
};
use crate::support::collector::{Collector, Greeting, Limits, Manner, Speaks};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// What one request gets on a connection of its own, to its end.
fn answered(manner: Manner) -> std::io::Result<Vec<u8>> {
    let collector = Collector::start();
    collector.always(manner);
    run(async {
        let mut stream = connect(collector.port()).await;
        let request = http1(PROTOBUF, "connection: close\r\n", &protobuf(1));
        exchange(&mut stream, &request).await
    })
}

fn text(manner: Manner) -> String {
    String::from_utf8(answered(manner).expect("an end")).expect("text")
}

#[test]
fn each_encoding_and_compression_is_decoded_on_one_connection() {
    let collector = Collector::start();
    let cases = [
        (PROTOBUF, "", protobuf(3)),
        (PROTOBUF, "content-encoding: gzip\r\n", gzip(&protobuf(3))),
        (PROTOBUF, "content-encoding: zstd\r\n", zstd(&protobuf(3))),
        (JSON, "", json(3)),
        (JSON, "content-encoding: gzip\r\n", gzip(&json(3))),
        (JSON, "content-encoding: zstd\r\n", zstd(&json(3))),
    ];
    run(async {
        let mut stream = connect(collector.port()).await;
        for (kind, encoding, body) in &cases {
            let request = http1(
                kind,
                &format!("authorization: Bearer x\r\n{encoding}"),
                body,
            );
            let answer = ask(&mut stream, &request).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(
                answer.contains(&format!("content-type: {kind}")),
                "{answer}"
            );
        }
    });
    collector.look(|log| {
        assert_eq!((log.connections, log.requests.len()), (1, 6), "{log:?}");
        assert_eq!(log.problems(), Vec::<&str>::new());
        let first = &log.requests[0];
        assert_eq!(first.spans[2].name, "span 2");
        for (request, (kind, encoding, body)) in log.requests.iter().zip(&cases) {
            assert_eq!(request.spans, first.spans, "{kind} {encoding}");
            let is_json = request.protocol == Protocol::HttpJson;
            assert_eq!(is_json, *kind == JSON);
            assert_eq!(request.sent_bytes, body.len());
            let plain = if is_json { json(3) } else { protobuf(3) };
            assert_eq!(request.bytes, plain.len());
            assert_eq!(request.compression.is_some(), !encoding.is_empty());
            assert_eq!(request.header("authorization"), "Bearer x");
            assert_eq!((&*request.path, request.is_http2), ("/v1/traces", false));
        }
        assert_eq!((log.numbers()[&2], log.ids().len()), (6, 3));
    });
}

#[test]
fn a_chunked_request_is_read_and_100_continue_is_said_when_it_is_expected() {
    let collector = Collector::start();
    let body = protobuf(1);
    run(async {
        let mut stream = connect(collector.port()).await;
        let head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n\
            expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        let (one, two) = body.split_at(7);
        let mut chunks = Vec::new();
        for piece in [one, two, &[]] {
            chunks.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            chunks.extend([piece, b"\r\n"].concat());
        }
        let answer = ask(&mut stream, &chunks).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    });
    assert_eq!(collector.look(|log| log.requests[0].bytes), body.len());
}

#[test]
fn what_cannot_be_decoded_is_refused_and_logged() {
    let collector = Collector::start();
    let truncated = protobuf(1)[..9].to_vec();
    let cases = [
        http1(PROTOBUF, "", &truncated),
        http1("text/plain", "", &protobuf(1)),
        http1(PROTOBUF, "content-encoding: gzip\r\n", &protobuf(1)),
        http1(JSON, "", b"[]"),
        http1(
            JSON,
            "",
            br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"zz"}]}]}]}"#,
        ),
    ];
    run(async {
        for request in &cases {
            let answer = ask(&mut connect(collector.port()).await, request).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
    });
    collector.look(|log| {
        assert_eq!(log.problems().len(), cases.len(), "{log:?}");
        assert_eq!(log.taken().count(), 0);
    });
}

#[test]
fn statuses_headers_and_bodies_are_as_scripted() {
    let answer = Answer::http(503)
        .with_header("retry-after", "30")
        .with_interim(103)
        .with_body("text/html", "<html>");
    let said = text(Manner::Say(answer));
    assert!(
        said.starts_with("HTTP/1.1 103 Interim\r\n\r\nHTTP/1.1 503 "),
        "{said}"
    );
    assert!(
        said.contains("retry-after: 30\r\n") && said.ends_with("\r\n\r\n<html>"),
        "{said}"
    );

    let partly = Manner::TakePartly {
        rejected: 7,
        message: "seven".to_owned(),
    };
    assert!(
        answered(partly)
            .unwrap()
            .ends_with(b"\x0a\x09\x08\x07\x12\x05seven")
    );
    assert!(text(Manner::Status(14)).starts_with("HTTP/1.1 503 "));
    assert!(text(Manner::TakeAndGoAway).contains("connection: close\r\n"));

    let chunked = Answer::http(200)
        .with_body(PROTOBUF, "abc")
        .with_framing(Framing::Chunked);
    assert!(text(Manner::Say(chunked)).ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
    let unbounded = Answer::http(200)
        .with_body(PROTOBUF, "abc")
        .with_framing(Framing::Close);
    let said = text(Manner::Say(unbounded));
    assert!(
        !said.contains("content-length") && said.ends_with("abc"),
        "{said}"
    );
    let wrong = Answer::http(200)
        .with_body(PROTOBUF, "abc")
        .with_framing(Framing::Wrong(9));
    let said = text(Manner::Say(wrong));
    assert!(
        said.contains("content-length: 9\r\n") && said.ends_with("abc"),
        "{said}"
    );
}

#[test]
fn what_counts_as_taken_is_what_the_exporter_has_to_believe() {
    let collector = Collector::start();
    for (manner, taken, ambiguous) in [
        (Manner::Take, 1, 0),
        (Manner::Status(14), 0, 0),
        (Manner::Say(Answer::http(204)), 1, 0),
        (Manner::Say(Answer::http(200).with_taken(false)), 0, 0),
        (Manner::Say(Answer::http(503)), 0, 0),
        (Manner::TakeAndReset(0), 1, 1),
        (Manner::TakeWithoutStatus, 1, 1),
        (Manner::Reset, 0, 0),
    ] {
        let before = collector.look(|log| (log.taken().count(), log.ambiguous));
        collector.always(manner.clone());
        run(async {
            let mut stream = connect(collector.port()).await;
            let request = http1(PROTOBUF, "connection: close\r\n", &protobuf(1));
            let _ = exchange(&mut stream, &request).await;
        });
        collector.wait("the end", |log| log.open == 0);
        let after = collector.look(|log| (log.taken().count(), log.ambiguous));
        let grown = (after.0 - before.0, after.1 - before.1);
        assert_eq!(grown, (taken, ambiguous), "{manner:?}");
    }
}

#[test]
fn what_is_no_answer_is_as_scripted() {
    assert_eq!(
        answered(Manner::Bytes(garbage(1, 5_000))).unwrap(),
        garbage(1, 5_000)
    );
    for manner in [
        Manner::Close,
        Manner::HalfClose,
        Manner::TakeWithoutStatus,
        Manner::ResetStream(8),
        Manner::GoAway(0),
    ] {
        assert_eq!(answered(manner).unwrap(), b"");
    }
    for manner in [
        Manner::Reset,
        Manner::TakeAndReset(0),
        Manner::TakeAndReset(10),
    ] {
        let kind = answered(manner).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::ConnectionReset));
    }
    let pace = Pace {
        bytes: 40,
        every: Duration::from_millis(1),
    };
    let whole = text(Manner::Trickle(Part::Whole, pace));
    assert!(
        whole.starts_with("HTTP/1.1 200 ") && whole.ends_with("\r\n\r\n"),
        "{whole}"
    );
}

#[test]
fn what_has_no_end_goes_on() {
    for (manner, repeated) in [
        (Manner::Trickle(Part::Headers, Pace::FAST), "x-header: and"),
        (Manner::Trickle(Part::Body, Pace::FAST), "10\r\n0123"),
        (Manner::Flood(Flood::Settings), "103 Early Hints"),
    ] {
        let collector = Collector::start();
        collector.always(manner);
        run(async {
            let mut stream = connect(collector.port()).await;
            stream
                .write_all(&http1(PROTOBUF, "", &protobuf(1)))
                .await
                .unwrap();
            let mut read = vec![0; 300_000];
            stream.read_exact(&mut read).await.unwrap();
            let text = String::from_utf8(read).unwrap();
            assert!(text.matches(repeated).count() > 5_000);
        });
        // The client has gone, and the collector notices.
        collector.wait_for_silence();
    }
}

#[test]
fn limits_are_told_apart() {
    let collector = Collector::start();
    let ask_for = |encoding: &str, body: Vec<u8>| {
        let request = http1(PROTOBUF, encoding, &body);
        run(async { ask(&mut connect(collector.port()).await, &request).await })
    };
    collector.refuses(Limits {
        bytes: Some((100, TooLarge::OutOfRange)),
        compression: None,
    });
    assert!(ask_for("", protobuf(100)).starts_with("HTTP/1.1 413 "));
    assert!(ask_for("", protobuf(1)).starts_with("HTTP/1.1 200 "));
    for (refusal, status) in [
        (NoCompression::UnsupportedMediaType, "HTTP/1.1 415 "),
        (NoCompression::BadRequest, "HTTP/1.1 400 "),
    ] {
        collector.refuses(Limits {
            bytes: None,
            compression: Some(refusal),
        });
        let packed = ask_for("content-encoding: gzip\r\n", gzip(&protobuf(1)));
        assert!(packed.starts_with(status), "{packed}");
        assert!(ask_for("", protobuf(1)).starts_with("HTTP/1.1 200 "));
    }
    let bomb = bomb(5 << 20);
    assert!(bomb.len() < 10_000, "{}", bomb.len());
}

#[test]
fn idle_connections_are_closed_and_busy_ones_stay() {
    let collector = Collector::start();
    collector.answers(|request| match request {
        0 => Manner::Take,
        _ => Manner::TakeAfter(Duration::from_millis(100)),
    });
    let request = http1(PROTOBUF, "", &protobuf(1));
    run(async {
        let mut idle = connect(collector.port()).await;
        ask(&mut idle, &request).await;
        collector.wait_for_silence();
        let mut busy = connect(collector.port()).await;
        busy.write_all(&request).await.unwrap();
        while collector.look(|log| log.in_flight) == 0 {
            tokio::task::yield_now().await;
        }
        collector.close_idle();
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        assert!(ask(&mut busy, b"").await.starts_with("HTTP/1.1 200 "));
    });
}

#[test]
fn f20_a_port_of_another_protocol_answers_as_real_ones_do() {
    let collector = Collector::start();
    let first = |request: &[u8]| {
        run(async {
            exchange(&mut connect(collector.port()).await, request)
                .await
                .unwrap()
        })
    };
    collector.speaks(Speaks::Http2);
    let settings = first(&http1(PROTOBUF, "", b""));
    assert_eq!(settings, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
    collector.speaks(Speaks::Http1);
    run(async {
        let mut stream = connect(collector.port()).await;
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400");
    });
    collector.greets(|_| Greeting::Say(b"SSH-2.0-OpenSSH\r\n"));
    run(async {
        let mut banner = [0; 17];
        connect(collector.port())
            .await
            .read_exact(&mut banner)
            .await
            .unwrap();
        assert_eq!(&banner, b"SSH-2.0-OpenSSH\r\n");
    });
}
