//! A server that is slow, endless or wrong, or sends somewhere else (faults F7, F18, F19).

use std::time::Duration;

use tracing_otlp::Batch;

use crate::support::collector::manner::{Answer, Flood, Framing, Pace, Part, garbage};
use crate::support::collector::{Collector, Manner};
use crate::support::rig::Rig;
use crate::support::toxic::Toxic;
use crate::support::way::{PLAIN_WAYS, WAYS, Way};

const RECORDS: u64 = 20;
/// More than any test waits for.
const LONG: Duration = Duration::from_secs(60);
/// What the kernel's buffers and the windows of HTTP/2 may hold of an answer that nobody reads any more, and more.
const FLAT: usize = 32 << 20;

/// Behaves like this once, and takes the request when it comes again.
fn once(collector: &Collector, manner: Manner) {
    collector.answers(move |request| match request {
        0 => manner.clone(),
        _ => Manner::Take,
    });
}

/// The first request is answered like this, which is no answer; it is sent again on another connection.
#[track_caller]
fn is_no_answer(way: Way, manner: Manner, timeout: Duration) {
    let what = format!("{way:?}, {manner:?}");
    let collector = way.collector();
    once(&collector, manner);
    let rig = Rig::over_with(way, collector, |builder| builder.with_timeout(timeout));
    rig.record(RECORDS);
    rig.wait("a failed attempt", |stats| stats.retries() > 0);
    rig.flush();
    let stats = rig.stats();
    // On a busy machine, a short time may not do for a good answer either.
    let more = stats.retries() - 1;
    assert!(more == 0 || timeout < LONG, "{what}: {}", rig.last_error());
    assert_eq!(stats.rejected() + stats.dropped(), 0, "{what}: {stats}");
    rig.collector
        .wait("the first connection to close", |log| log.open == 1);
    rig.finish(more * RECORDS);
}

#[test]
fn f7_the_deadline_is_of_the_whole_answer_and_not_of_a_read() {
    let pace = Pace {
        bytes: 1,
        every: Duration::from_millis(20),
    };
    for way in WAYS {
        for part in [Part::Whole, Part::Headers, Part::Body] {
            is_no_answer(way, Manner::Trickle(part, pace), Duration::from_millis(300));
        }
    }
}

#[test]
fn f7_a_head_without_end_is_not_read_on() {
    for way in WAYS {
        let manner = Manner::Trickle(Part::Headers, Pace::FAST);
        is_no_answer(way, manner, LONG);
    }
}

#[test]
fn f7_a_head_may_be_long_and_not_too_long() {
    for way in WAYS {
        let answer = |length: usize| {
            let answer = match way {
                Way::GRPC => Answer::grpc_in_trailers("0"),
                _ => Answer::http(200).with_body("application/x-protobuf", *b""),
            };
            answer.with_header("x-long", "x".repeat(length))
        };
        let too_long = answer(17 << 10).with_taken(false);
        is_no_answer(way, Manner::Say(too_long), LONG);

        let rig = Rig::over(way);
        rig.collector.always(Manner::Say(answer(10 << 10)));
        rig.record(RECORDS);
        rig.flush();
        assert_eq!(rig.stats().retries(), 0, "{way:?}: {}", rig.last_error());
        rig.finish(0);
    }
}

/// How many bytes of an endless answer are read through, until the first attempt has ended.
fn bytes_of_an_endless(way: Way, part: Part) -> usize {
    let collector = way.collector();
    once(&collector, Manner::Trickle(part, Pace::FAST));
    let toxic = Toxic::before(collector.port());
    let rig = Rig::over_with(way, collector, |builder| {
        builder
            .with_endpoint(toxic.endpoint())
            .with_timeout(LONG)
            .with_max_response_bytes(64 << 10)
    });
    rig.record(RECORDS);
    rig.wait("the end of an attempt", |stats| {
        stats.retries() + stats.delivered() + stats.rejected() > 0
    });
    rig.collector
        .wait("its connection's end", |log| log.open < log.connections);
    let (_, down) = toxic.forwarded();
    rig.end();
    down
}

#[test]
fn f7_no_more_of_an_answer_is_taken_than_the_cap() {
    for way in PLAIN_WAYS {
        for part in [Part::Headers, Part::Body] {
            let bytes = bytes_of_an_endless(way, part);
            assert!(bytes <= FLAT, "{way:?}, {part:?}: {bytes} bytes");
        }
    }
}

#[test]
fn f19_floods_end_with_the_attempt_and_hold_up_no_shutdown() {
    for way in WAYS {
        for flood in [Flood::Settings, Flood::Ping, Flood::Reset] {
            let collector = way.collector();
            collector.always(Manner::Flood(flood));
            let rig = Rig::over_with(way, collector, |builder| {
                builder.with_timeout(Duration::from_millis(100))
            });
            rig.record(RECORDS);
            rig.wait("a failed attempt", |stats| stats.retries() > 0);
            let _ = rig.handle.flush(Duration::ZERO);
            rig.wait("the next one", |stats| stats.requests() > 1);
            rig.give_up();
        }
    }
}

#[test]
fn f19_a_flood_that_ends_is_survived() {
    for way in WAYS {
        for flood in [Flood::Settings, Flood::Ping] {
            is_no_answer(way, Manner::Flood(flood), Duration::from_millis(100));
        }
    }
}

#[test]
fn f19_interim_answers_are_ended_by_their_bytes() {
    is_no_answer(Way::HTTP, Manner::Flood(Flood::Settings), LONG);
}

#[test]
fn f19_what_is_no_head_of_http_1_is_no_answer() {
    for lie in [
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999999\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1",
        "\r\n\r\n\r\n",
    ] {
        is_no_answer(Way::HTTP, Manner::Bytes(lie.into()), LONG);
    }
}

/// The first request is answered by this head, and what is wrong with its body does not undo that; the connection is not
/// used again.
#[track_caller]
fn is_an_answer(way: Way, manner: Manner) {
    let what = format!("{way:?}, {manner:?}");
    let collector = way.collector();
    once(&collector, manner);
    let rig = Rig::over_with(way, collector, |builder| {
        builder
            .with_batch(Batch::default().with_interval(LONG))
            .with_timeout(LONG)
    });
    for requests in 1..=2 {
        rig.record(RECORDS);
        rig.flush();
        let stats = rig.stats();
        assert_eq!(stats.delivered(), requests * RECORDS, "{what}: {stats}");
        assert_eq!(stats.retries(), 0, "{what}: {}", rig.last_error());
    }
    rig.collector.look(|log| {
        assert_eq!((log.requests.len(), log.connections), (2, 2), "{what}");
    });
    rig.end();
}

#[test]
fn f19_a_body_that_lies_behind_a_good_head_of_http_changes_nothing() {
    for body in [
        "content-length: 10\r\n\r\nabc",
        "transfer-encoding: chunked\r\n\r\nzz\r\n",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "transfer-encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{body}");
        is_an_answer(Way::HTTP, Manner::Bytes(answer.into()));
    }
    let too_long = Answer::http(200)
        .with_body("application/x-protobuf", *b"abc")
        .with_framing(Framing::Wrong(10));
    is_an_answer(Way::HTTP, Manner::Say(too_long));
}

#[test]
fn f19_garbage_is_no_answer() {
    for way in WAYS {
        for seed in 0..20 {
            // What looks like a frame of HTTP/2 may go on beyond its end.
            let bytes = garbage(seed, 1 + 50 * seed as usize);
            is_no_answer(way, Manner::Bytes(bytes), Duration::from_millis(500));
        }
    }
}

#[test]
fn f19_frames_that_http_2_forbids_are_no_answer() {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        [&head, payload].concat()
    };
    let forbidden = [
        // DATA and HEADERS of no stream, and of one that nobody began.
        frame(0, 0, 0, b"data"),
        frame(1, 4, 0, &[0x88]),
        frame(1, 4, 9, &[0x88]),
        // HEADERS that cannot be unpacked.
        frame(1, 4, 1, &[0xff; 20]),
        // SETTINGS and WINDOW_UPDATE of a wrong length, and one of nothing.
        frame(4, 0, 0, &[1, 2, 3]),
        frame(8, 0, 0, &[1]),
        frame(8, 0, 0, &[0; 4]),
        // A push, which was not allowed: PUSH_PROMISE of stream 2.
        frame(5, 4, 1, &[0, 0, 0, 2, 0x82, 0x86, 0x84]),
        // CONTINUATION of nothing.
        frame(9, 4, 1, &[0x88]),
    ];
    for way in WAYS.into_iter().filter(|way| way.is_http2()) {
        for bytes in &forbidden {
            is_no_answer(way, Manner::Bytes(bytes.clone()), LONG);
        }
    }
}

#[test]
fn f19_a_length_of_grpc_that_is_wrong_is_no_answer() {
    for length in [0, 10] {
        let answer = Answer::grpc_in_trailers("0")
            .with_framing(Framing::Wrong(length))
            .with_taken(false);
        is_no_answer(Way::GRPC, Manner::Say(answer), LONG);
    }
}

#[test]
fn f18_redirects_are_never_followed() {
    for way in WAYS {
        let elsewhere = Collector::start();
        for status in [301, 302, 303, 307, 308] {
            let rig = Rig::over(way);
            // To another host, by another scheme, and in a circle.
            let places = [
                format!("{}/v1/traces?token=canary-91c0", elsewhere.endpoint()),
                format!("//127.0.0.1:{}/", elsewhere.port()),
                format!("{}/v1/traces", rig.collector.endpoint()),
            ];
            let names = [
                elsewhere.endpoint(),
                String::new(),
                rig.collector.endpoint(),
            ];
            for (place, name) in places.into_iter().zip(names) {
                let answer = Answer::http(status).with_header("location", place);
                rig.collector.always(Manner::Say(answer));
                rig.record(1);
                let _ = rig.handle.flush(LONG);
                let said = rig.last_error();
                assert!(said.contains("redirects are not followed"), "{said}");
                assert!(said.contains(&name), "{said}");
                assert!(!said.contains("canary"), "{said}");
            }
            let (collector, stats) = rig.end();
            assert_eq!(
                (stats.rejected(), stats.retries()),
                (3, 0),
                "{way:?}: {stats}"
            );
            let requests = collector.look(|log| log.requests.len());
            assert_eq!(requests, 3, "{way:?}: none is repeated");
        }
        elsewhere.look(|log| assert_eq!(log.connections, 0, "{way:?}"));
    }
}
