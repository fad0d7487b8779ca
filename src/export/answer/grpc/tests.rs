use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use proptest::prelude::*;
use prost::Message;

use super::super::refuses_compression;
use super::super::tests::*;
use super::*;
use crate::config::Compression;

/// Where a status may stand.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the headers, with trailers and a body that say nothing.
    Headers,
    Trailers,
    /// In the headers, and nothing else comes.
    TrailersOnly,
}

const PLACES: [Place; 3] = [Place::Headers, Place::Trailers, Place::TrailersOnly];

fn came(place: Place, pairs: &[(&'static str, &str)]) -> Came {
    let mut came = Came::http(200).with("content-type", "application/grpc+proto");
    let target = match place {
        Place::Headers | Place::TrailersOnly => &mut came.headers,
        Place::Trailers => &mut came.trailers,
    };
    for (name, value) in pairs {
        target.append(*name, HeaderValue::from_str(value).unwrap());
    }
    if !matches!(place, Place::TrailersOnly) {
        came.body = message(&[]);
    }
    if matches!(place, Place::Headers) {
        came.trailers
            .insert("x-trace", HeaderValue::from_static("1"));
    }
    came
}

fn message(bytes: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    body.extend_from_slice(bytes);
    body
}

fn details(seconds: i64) -> String {
    BASE64.encode(rpc_status("", &[(RETRY_INFO, retry_info(seconds, 0))]))
}

fn verdict(came: &Came) -> Result<Answer, Failure> {
    grpc(&came.received(), &small())
}

fn failure(place: Place, pairs: &[(&'static str, &str)]) -> Failure {
    verdict(&came(place, pairs)).unwrap_err()
}

/// The table as it is written, beside the code's own order: kind, and whether a RetryInfo counts.
fn expected(code: i32, has_retry_info: bool) -> (Kind, bool) {
    match code {
        1 | 4 | 10 | 14 | 15 => (Kind::Busy, true),
        8 if has_retry_info => (Kind::Busy, true),
        11 => (Kind::OutOfRange, true),
        12 => (Kind::NoPipeline, false),
        7 | 16 => (Kind::Misconfigured, false),
        _ => (Kind::Refused, false),
    }
}

#[test]
fn spec_2_21_f_10_every_code_in_every_place_with_and_without_retry_info() {
    let details = details(42);
    for code in (-1..=17).chain([99, i32::MIN, i32::MAX]) {
        for place in PLACES {
            for has_retry_info in [false, true] {
                let number = code.to_string();
                let mut pairs = vec![("grpc-status", number.as_str()), ("grpc-message", "why")];
                if has_retry_info {
                    pairs.push(("grpc-status-details-bin", &details));
                }
                let verdict = verdict(&came(place, &pairs));
                if code == 0 {
                    assert_eq!(verdict, Ok(Answer::delivered()), "{place:?}");
                    continue;
                }
                let failure = verdict.unwrap_err();
                let (kind, honoured) = expected(code, has_retry_info);
                let after = (honoured && has_retry_info).then_some(Duration::from_secs(42));
                let context = format!("{code} {place:?} {has_retry_info}: {failure:?}");
                assert_eq!((failure.kind, failure.after), (kind, after), "{context}");
                assert_eq!(failure.code, Some(Code::Grpc(code)), "{context}");
                assert!(failure.message.contains("why"), "{context}");
                assert!(failure.message.contains(&number), "{context}");
            }
        }
    }
}

#[test]
fn what_has_no_pipeline_is_named_by_its_signal() {
    for signal in Signal::ALL {
        let sent = Sent {
            signal: *signal,
            ..small()
        };
        let came = came(Place::Headers, &[("grpc-status", "12")]);
        let failure = grpc(&came.received(), &sent).unwrap_err();
        let pipelines = format!("service.pipelines.{}", signal.name());
        assert!(failure.message.ends_with(&pipelines), "{}", failure.message);
    }
}

#[test]
fn f_10_an_answer_without_a_status_is_none() {
    for place in PLACES {
        let failure = failure(place, &[("grpc-message", "why")]);
        assert_eq!(failure.kind, Kind::Unanswered { ambiguous: true });
        assert_eq!(failure.code, None);
    }
    let nothing = verdict(&Came::http(200)).unwrap_err();
    assert_eq!(nothing.kind, Kind::Unanswered { ambiguous: true });
}

#[test]
fn f_10_a_status_that_is_no_number_is_unknown_and_named() {
    for place in PLACES {
        for text in ["abc", "", "1.0", "0x1", "99999999999", "14 UNAVAILABLE"] {
            let failure = failure(place, &[("grpc-status", text)]);
            assert_eq!(failure.kind, Kind::Refused, "{text}");
            assert_eq!(failure.code, Some(Code::Grpc(2)), "{text}");
            assert!(failure.message.contains(text), "{}", failure.message);
        }
    }
}

#[test]
fn trailers_go_before_headers() {
    let mut came = came(Place::Headers, &[("grpc-status", "0")]);
    came.trailers
        .insert("grpc-status", HeaderValue::from_static("14"));
    assert_eq!(verdict(&came).unwrap_err().code, Some(Code::Grpc(14)));
}

#[test]
fn spec_2_22_resource_exhausted_with_retry_info_is_busy_whatever_it_says() {
    let details = details(3);
    let failure = failure(
        Place::Trailers,
        &[
            ("grpc-status", "8"),
            ("grpc-message", "received message larger than max"),
            ("grpc-status-details-bin", &details),
        ],
    );
    assert_eq!(failure.kind, Kind::Busy);
    assert_eq!(failure.after, Some(Duration::from_secs(3)));
}

#[test]
fn f_14_too_large_is_known_by_its_text_or_its_size() {
    let large = Sent {
        bytes: 2 << 20,
        ..small()
    };
    for code in ["8", "11"] {
        let came = |text| {
            came(
                Place::TrailersOnly,
                &[("grpc-status", code), ("grpc-message", text)],
            )
        };
        let kind = |text, sent| grpc(&came(text).received(), &sent).unwrap_err().kind;
        assert_eq!(
            kind("Error, decoded message length too large", small()),
            Kind::TooLarge
        );
        assert_eq!(kind("", large), Kind::TooLarge);
        assert_ne!(kind("", small()), Kind::TooLarge);
    }
    let other = came(
        Place::Trailers,
        &[("grpc-status", "13"), ("grpc-message", "too large")],
    );
    assert_eq!(verdict(&other).unwrap_err().kind, Kind::Refused);
}

#[test]
fn f_12_details_are_read_with_and_without_padding_and_garbage_is_none() {
    let after = |details: &str| {
        let pairs = [("grpc-status", "14"), ("grpc-status-details-bin", details)];
        failure(Place::Trailers, &pairs).after
    };
    let mut all_lengths = Vec::new();
    for text in ["", "a", "ab", "abc"] {
        let status = rpc_status(text, &[(RETRY_INFO, retry_info(5, 0))]);
        let padded = BASE64.encode(&status);
        all_lengths.push(padded.matches('=').count());
        for details in [padded.trim_end_matches('='), &padded] {
            assert_eq!(after(details), Some(Duration::from_secs(5)), "{details}");
        }
    }
    assert!(all_lengths.contains(&1) && all_lengths.contains(&2));
    assert_eq!(
        after(&format!("AAAA,{}", details(5))),
        Some(Duration::from_secs(5))
    );
    let broken = BASE64.encode(rpc_status("", &[(RETRY_INFO, vec![0xFF])]));
    for garbage in ["", "!", "=", "AAAA", "CgIICg", &broken] {
        assert_eq!(after(garbage), None, "{garbage}");
    }
}

#[test]
fn a_message_is_decoded_leniently_cut_and_escaped() {
    for (encoded, text) in [
        ("caf%C3%A9 100%25", "café 100%"),
        ("100%", "100%"),
        ("%4", "%4"),
        ("%zz%41", "%zzA"),
        ("%C3", "\u{fffd}"),
        ("%%41", "%A"),
    ] {
        assert_eq!(message_text(encoded.as_bytes()), text, "{encoded}");
    }
    let long = format!("%1B[31m{}", "x".repeat(10_000));
    let message = failure(
        Place::Trailers,
        &[("grpc-status", "3"), ("grpc-message", &long)],
    )
    .message;
    assert!(message.contains(r"\u{1b}[31m") && message.len() < 500);
}

#[test]
fn f_20_what_is_not_grpc_is_named_with_the_fix() {
    for (media_type, words) in [
        ("text/html; charset=utf-8", ["web page", "captive portal"]),
        ("application/json", ["OTLP/HTTP", "protocol http/protobuf"]),
        ("application/x-protobuf", ["OTLP/HTTP", "4317"]),
        ("text/plain", ["text/plain", "4317"]),
        (
            "application/grpc-web+proto",
            ["application/grpc-web", "4317"],
        ),
    ] {
        let failure = verdict(&Came::http(200).with("content-type", media_type)).unwrap_err();
        assert_eq!(failure.kind, Kind::Misconfigured, "{media_type}");
        for word in words {
            assert!(failure.message.contains(word), "{}", failure.message);
        }
    }
    let page = Came::http(200).body("<!doctype html><p>log in");
    assert_eq!(verdict(&page).unwrap_err().kind, Kind::Misconfigured);
}

#[test]
fn f_11_a_proxys_status_is_http_s() {
    for status in (100..600).filter(|status| *status != 200) {
        let came = Came::http(status).with("retry-after", "7");
        let failure = verdict(&came).unwrap_err();
        let kind = match status {
            100..=199 => Kind::Unanswered { ambiguous: true },
            429 | 502 | 503 | 504 => Kind::Busy,
            413 => Kind::TooLarge,
            300..=399 | 401 | 403 | 404 | 407 => Kind::Misconfigured,
            _ => Kind::Refused,
        };
        let after = (kind == Kind::Busy).then_some(Duration::from_secs(7));
        assert_eq!((failure.kind, failure.after), (kind, after), "{status}");
        assert_eq!(failure.code, Some(Code::Http(status)));
    }
    let missing = verdict(&Came::http(404)).unwrap_err().message;
    assert!(missing.contains("OTLP/HTTP"), "{missing}");
}

fn answered(body: Vec<u8>) -> Answer {
    let mut came = came(Place::Trailers, &[("grpc-status", "0")]);
    came.body = body;
    verdict(&came).unwrap()
}

fn partial(rejected: i64, text: &str) -> Vec<u8> {
    ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: text.to_owned(),
        }),
    }
    .encode_to_vec()
}

#[test]
fn f_13_a_partial_success_is_read() {
    assert_eq!(
        answered(message(&partial(3, "bad"))),
        Answer::partial(3, "bad")
    );
    assert_eq!(
        answered(message(&partial(0, "hm"))),
        Answer::partial(0, "hm")
    );
    assert_eq!(answered(message(&partial(-5, ""))), Answer::delivered());
    assert_eq!(answered(message(&partial(i64::MIN, ""))).rejected, 0);
    let huge = answered(message(&partial(1, &"\u{1b}[2J".repeat(10_000))));
    assert!(huge.message.len() < 4_000 && !huge.message.contains('\u{1b}'));
}

#[test]
fn f_15_what_cannot_be_read_is_delivered_and_odd() {
    let whole = message(&partial(3, "bad"));
    let mut compressed = whole.clone();
    compressed[0] = 1;
    let mut longer = whole.clone();
    longer.push(0);
    let bodies = [
        compressed,
        longer,
        whole[..whole.len() - 1].to_vec(),
        vec![0],
        vec![0; 4],
        message(&[0xFF; 3]),
        b"<html>".to_vec(),
    ];
    for body in bodies {
        let answer = answered(body.clone());
        assert!(answer.odd && answer.rejected == 0, "{body:?}");
    }
}

#[test]
fn f_15_the_empty_message_and_no_message_are_plain_success() {
    assert_eq!(answered(message(&[])), Answer::delivered());
    assert_eq!(answered(Vec::new()), Answer::delivered());
}

#[test]
fn f_16_unimplemented_refuses_compression_if_the_server_does_not_list_it() {
    let refuses = |compression, pairs: &[(&'static str, &str)]| {
        PLACES.map(|place| {
            let sent = Sent {
                compression,
                ..small()
            };
            refuses_compression(&came(place, pairs).received(), &sent)
        })
    };
    let status = ("grpc-status", "12");
    let accepts = |list| ("grpc-accept-encoding", list);
    let says = |text| ("grpc-message", text);
    let gzip = Compression::Gzip;
    assert_eq!(refuses(gzip, &[status, accepts("identity")]), [true; 3]);
    assert_eq!(
        refuses(gzip, &[status, accepts("zstd, deflate")]),
        [true; 3]
    );
    assert_eq!(
        refuses(gzip, &[status, accepts("identity, GZIP")]),
        [false; 3]
    );
    assert_eq!(
        refuses(gzip, &[status, accepts("identity"), accepts("gzip")]),
        [false; 3]
    );
    for text in [
        "grpc: Decompressor is not installed for grpc-encoding %22gzip%22",
        "Can't find decompressor for gzip",
        "Content is compressed with `gzip` which isn't supported",
    ] {
        assert_eq!(refuses(gzip, &[status, says(text)]), [true; 3], "{text}");
    }
    assert_eq!(
        refuses(gzip, &[status, says("unknown service")]),
        [false; 3]
    );
    assert_eq!(
        refuses(Compression::None, &[status, accepts("identity")]),
        [false; 3]
    );
    assert_eq!(
        refuses(gzip, &[("grpc-status", "13"), accepts("identity")]),
        [false; 3]
    );
}

proptest! {
    #[test]
    fn what_is_percent_encoded_comes_back(text: String) {
        let encoded: String = text.bytes().map(|byte| match byte {
            b'%' | 0..0x20 | 0x7F.. => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        }).collect();
        prop_assert_eq!(message_text(encoded.as_bytes()), text);
    }

    #[test]
    fn any_body_is_delivered_or_read(body: Vec<u8>) {
        is_harmless(Ok(answered(body)));
    }

    #[test]
    fn f_13_what_prost_encodes_is_read(rejected: i64, text in "[a-z ]{0,40}") {
        let answer = answered(message(&partial(rejected, &text)));
        prop_assert_eq!(answer, Answer::partial(rejected.max(0) as u64, text));
    }
}
