use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use proptest::prelude::*;
use prost::Message;

use super::super::tests::*;
use super::*;

const ENCODINGS: [Encoding; 2] = [Encoding::Protobuf, Encoding::Json];

fn verdict(came: &Came) -> Result<Answer, Failure> {
    let [protobuf, json] = ENCODINGS.map(|encoding| http(&came.received(), encoding));
    assert_eq!(protobuf, json, "what was sent does not matter");
    protobuf
}

fn failure(came: &Came) -> Failure {
    verdict(came).unwrap_err()
}

fn typed(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Came {
    Came::http(status)
        .with("content-type", media_type)
        .body(body)
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

/// The table as it is written.
fn expected(status: u16) -> Option<Kind> {
    match status {
        200..=299 => None,
        429 | 502 | 503 | 504 => Some(Kind::Busy),
        413 => Some(Kind::TooLarge),
        301 | 302 | 303 | 307 | 308 | 401 | 403 | 404 | 407 | 300..=399 => {
            Some(Kind::Misconfigured)
        }
        100..=199 => Some(Kind::Unanswered { ambiguous: true }),
        _ => Some(Kind::Refused),
    }
}

#[test]
fn spec_2_23_f_11_every_status_with_and_without_retry_after() {
    for status in 100..600 {
        for retry_after in [None, Some("42")] {
            let mut came = typed(status, "application/x-protobuf", "");
            if let Some(value) = retry_after {
                came = came.with("retry-after", value);
            }
            let verdict = verdict(&came);
            let Some(kind) = expected(status) else {
                assert_eq!(verdict, Ok(Answer::delivered()), "{status}");
                continue;
            };
            let failure = verdict.unwrap_err();
            let asked = retry_after.map(|_| Duration::from_secs(42));
            let after = asked.filter(|_| kind == Kind::Busy);
            assert_eq!((failure.kind, failure.after), (kind, after), "{status}");
            assert_eq!(failure.code, Some(Code::Http(status)));
            assert!(failure.message.contains(&status.to_string()));
        }
    }
}

#[test]
fn f_14_a_400_is_too_large_if_its_text_says_so() {
    let status = rpc_status("http: request body too large", &[]);
    for (media_type, body, kind) in [
        // net/http's MaxBytesReader, and so the Collector's receiver.
        ("application/x-protobuf", status, Kind::TooLarge),
        (
            "text/plain",
            b"http: request body too large\n".to_vec(),
            Kind::TooLarge,
        ),
        (
            "text/plain",
            b"Body exceeds maximum size of 65536".to_vec(),
            Kind::TooLarge,
        ),
        ("", b"REQUEST SIZE LIMIT EXCEEDED".to_vec(), Kind::TooLarge),
        (
            "text/plain",
            b"rate limit: too large a burst".to_vec(),
            Kind::Refused,
        ),
        (
            "text/plain",
            b"the span id is too short".to_vec(),
            Kind::Refused,
        ),
        ("text/html", b"<p>too large".to_vec(), Kind::Refused),
        ("text/plain", Vec::new(), Kind::Refused),
    ] {
        let failure = failure(&typed(400, media_type, body.clone()));
        assert_eq!(
            failure.kind,
            kind,
            "{media_type} {:?}",
            String::from_utf8_lossy(&body)
        );
        assert_eq!(failure.code, Some(Code::Http(400)));
    }
    // Its length alone does not: 400 is what most mistakes are answered with.
    for status in [401, 403, 404, 422, 500] {
        let other = failure(&typed(status, "text/plain", "too large"));
        assert_eq!(Some(other.kind), expected(status), "{status}");
    }
}

#[test]
fn f_12_a_delay_that_cannot_be_read_is_none() {
    let came = Came::http(503).with("retry-after", "soon");
    assert_eq!(failure(&came).after, None);
    let came = Came::http(429).with("retry-after", "1000000");
    assert_eq!(failure(&came).after, Some(Duration::from_secs(3600)));
}

#[test]
fn each_mistake_has_a_diagnosis_that_names_the_fix() {
    for (status, words) in [
        (401, ["credentials", "OTEL_EXPORTER_OTLP_HEADERS"]),
        (403, ["rights", "403 Forbidden"]),
        (404, ["/v1/traces", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]),
        (405, ["POST", "4318"]),
        (407, ["proxy", "credentials"]),
        (415, ["encoding", "compression"]),
    ] {
        let message = failure(&Came::http(status)).message;
        for word in words {
            assert!(message.contains(word), "{message}");
        }
    }
}

#[test]
fn f_18_a_redirect_is_named_by_scheme_and_host_alone() {
    let message = |location| failure(&Came::http(302).with("location", location)).message;
    let shown = message("https://user:secret@login.example:8443/secret?token=secret#secret");
    assert!(shown.contains("https://login.example:8443;"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    for odd in [
        "/secret",
        "//secret",
        "secret",
        "",
        "http://[secret",
        "?secret",
    ] {
        let shown = message(odd);
        assert!(
            shown.contains("not followed") && !shown.contains("secret"),
            "{shown}"
        );
    }
    assert!(
        failure(&Came::http(304))
            .message
            .contains("redirects are not followed")
    );
}

#[test]
fn f_15_a_page_is_no_collector() {
    for came in [
        typed(200, "text/html", ""),
        typed(204, "Text/HTML; charset=utf-8", "x"),
        Came::http(200).body("\n<!DOCTYPE html><title>Log in"),
        typed(200, "text/plain", "<html>"),
    ] {
        let failure = failure(&came);
        assert_eq!(failure.kind, Kind::Misconfigured);
        assert!(failure.message.contains("captive portal"));
    }
}

#[test]
fn f_20_a_grpc_server_is_recognized() {
    for status in [200, 400, 404, 405, 415, 500] {
        let failure = failure(&typed(status, "application/grpc", ""));
        let config = status != 404;
        assert_eq!(failure.kind, Kind::Misconfigured, "{status}");
        assert_eq!(failure.message.contains("OTLP/gRPC"), config, "{status}");
    }
    let busy = failure(&typed(503, "application/grpc", ""));
    assert_eq!(busy.kind, Kind::Busy);
}

#[test]
fn the_servers_message_is_read_from_status_and_text() {
    let message = |media_type: &str, body: Vec<u8>| failure(&typed(400, media_type, body)).message;
    let status = rpc_status("span id is short", &[]);
    assert!(message("application/x-protobuf", status).contains("span id is short"));
    assert!(message("text/plain; charset=utf-8", b"  bad\n".to_vec()).contains("says: bad)"));
    assert!(message("application/x-protobuf", b"plain".to_vec()).contains("plain"));
    assert!(message("text/html", b"<p>x".to_vec()).contains("web page"));
    assert_eq!(message("text/plain", vec![0xFF]), "HTTP 400 Bad Request");
    let long = message("text/plain", vec![7; 60_000]);
    assert!(long.contains(r"\u{7}") && long.len() < 300 * 6 + 100);
}

#[cfg(feature = "http-json")]
#[test]
fn the_servers_message_is_read_from_json() {
    let body = r#"{"code":3,"message":"no such tenant"}"#;
    let message = failure(&typed(400, "application/json", body)).message;
    assert_eq!(
        message,
        "HTTP 400 Bad Request (the server says: no such tenant)"
    );
    let message = failure(&typed(400, "application/json", "oops")).message;
    assert!(message.contains("oops"), "{message}");
}

#[test]
fn f_13_a_partial_success_is_read_as_protobuf() {
    let answer = |rejected, text: &str| {
        verdict(&typed(
            200,
            "application/x-protobuf",
            partial(rejected, text),
        ))
        .unwrap()
    };
    assert_eq!(answer(3, "bad"), Answer::partial(3, "bad"));
    assert_eq!(answer(0, "hm"), Answer::partial(0, "hm"));
    assert_eq!(answer(-3, ""), Answer::delivered());
    let huge = answer(1, &"\u{1b}[2J".repeat(10_000));
    assert!(huge.message.len() < 4_000 && !huge.message.contains('\u{1b}'));
}

#[cfg(feature = "http-json")]
#[test]
fn spec_1_22_f_13_a_partial_success_is_read_as_json() {
    let answer =
        |body: &str| verdict(&typed(200, "application/json; charset=utf-8", body)).unwrap();
    assert_eq!(answer("{}"), Answer::delivered());
    for count in ["3", "\"3\""] {
        let body = format!(
            r#"{{"partialSuccess":{{"rejectedSpans":{count},"errorMessage":"bad"}},"new":1}}"#
        );
        assert_eq!(answer(&body), Answer::partial(3, "bad"));
    }
    let negative = r#"{"partialSuccess":{"rejectedSpans":"-3"}}"#;
    assert_eq!(answer(negative), Answer::delivered());
}

#[test]
fn f_15_what_cannot_be_read_is_delivered_and_odd() {
    let whole = partial(3, "bad");
    for came in [
        typed(200, "application/x-protobuf", &whole[..whole.len() - 1]),
        typed(200, "application/x-protobuf", "{}"),
        typed(200, "application/json", ""),
        typed(200, "application/json", whole.clone()),
        typed(200, "text/plain", "OK"),
        typed(200, "text/plain", ""),
        typed(200, "image/png", whole.clone()),
        Came::http(204),
        Came::http(200),
        Came::http(200).body([0xFF; 9]),
    ] {
        let answer = verdict(&came).unwrap();
        assert!(answer.odd && answer.rejected == 0, "{came:?}");
    }
}

#[test]
fn f_15_an_empty_protobuf_body_is_the_empty_message_and_plain_success() {
    let came = typed(200, "application/x-protobuf", "");
    assert_eq!(verdict(&came), Ok(Answer::delivered()));
}

#[test]
fn without_a_type_the_body_is_read_as_the_request_was_encoded() {
    let came = Came::http(200).body(partial(3, "bad"));
    let expected = Answer {
        odd: true,
        ..Answer::partial(3, "bad")
    };
    assert_eq!(http(&came.received(), Encoding::Protobuf), Ok(expected));
    assert_eq!(http(&came.received(), Encoding::Json), Ok(odd()));
}

proptest! {
    #[test]
    fn any_body_of_a_success_is_delivered_or_a_page(body: Vec<u8>, media_type in "(application/(x-protobuf|json)|text/plain)?") {
        let mut came = Came::http(200).body(body);
        if !media_type.is_empty() {
            came = came.with("content-type", &media_type);
        }
        for encoding in ENCODINGS {
            is_harmless(http(&came.received(), encoding));
        }
    }

    #[test]
    fn no_location_shows_more_than_a_host(path in "[a-z]{1,9}", secret in "[A-Z]{8}") {
        let location = format!("https://{secret}:{secret}@host/{path}/{secret}?{secret}");
        let message = failure(&Came::http(307).with("location", &location)).message;
        prop_assert!(!message.contains(&secret) && message.contains("https://host;"), "{}", message);
    }
}
