//! Each mistake in a configuration has a diagnosis of its own, which names the endpoint and what to change (fault F20).

use tracing_otlp::{Builder, ProblemKind, Protocol};

use super::answers::{Heard, rig};
use crate::support::collector::manner::Answer;
use crate::support::collector::{Manner, Speaks};
use crate::support::patience::until;
use crate::support::rig::Rig;

const GRPC: Protocol = Protocol::Grpc;
const HTTP: Protocol = Protocol::HttpProtobuf;

/// What is told of a request that comes to this.
fn told(protocol: Protocol, prepare: impl FnOnce(&mut Rig)) -> (ProblemKind, String) {
    let heard = Heard::default();
    let mut rig = rig(protocol, |builder: Builder| heard.listen(builder));
    prepare(&mut rig);
    rig.record(1);
    let _ = rig.handle.flush(std::time::Duration::ZERO);
    let tells = || !heard.all().is_empty();
    until("an end of the attempt", tells, || rig.stats().to_string());
    let first = heard.all().remove(0);
    let (endpoint, port) = (rig.collector.endpoint(), rig.collector.port());
    let message = first.message().to_owned();
    assert!(message.starts_with(&endpoint), "{message}");
    let stats = rig.stats();
    let last = stats.last_error().map(|error| error.message().to_owned());
    assert!(
        last.is_some_and(|last| last.starts_with(&endpoint)),
        "{stats}"
    );
    rig.collector.always(Manner::Take);
    rig.collector.speaks(Speaks::Both);
    rig.collector.restart();
    rig.end();
    (first.kind(), message.replace(&port.to_string(), "PORT"))
}

fn says(answer: Answer) -> impl FnOnce(&mut Rig) {
    move |rig| rig.collector.always(Manner::Say(answer.with_taken(false)))
}

fn speaks(what: Speaks) -> impl FnOnce(&mut Rig) {
    move |rig| rig.collector.speaks(what)
}

#[test]
fn f_20_each_mistake_has_its_own_diagnosis_that_names_the_fix() {
    let moved = "https://user:canary@collector.test:8443/v1/traces?token=canary";
    let redirect = || Answer::http(307).with_header("location", moved);
    let page = Answer::http(200).with_body("text/html", "<html>Log in</html>");
    let absent: fn(&mut Rig) = |rig| rig.collector.stop();
    let cases = [
        (told(HTTP, absent), ["connection refused", "4318 for HTTP"]),
        (
            told(GRPC, speaks(Speaks::Http1)),
            ["OTLP/HTTP", "http/protobuf"],
        ),
        (
            told(HTTP, speaks(Speaks::Http2)),
            ["OTLP/gRPC", "port 4318"],
        ),
        (
            told(HTTP, says(Answer::http(401))),
            ["HTTP 401", "OTEL_EXPORTER_OTLP_HEADERS"],
        ),
        (
            told(HTTP, says(Answer::http(403))),
            ["HTTP 403", "token's rights"],
        ),
        (
            told(HTTP, says(Answer::http(404))),
            ["HTTP 404", "/v1/traces"],
        ),
        (told(HTTP, says(Answer::http(405))), ["HTTP 405", "no POST"]),
        (told(HTTP, says(Answer::http(407))), ["HTTP 407", "proxy"]),
        (
            told(HTTP, says(Answer::http(415))),
            ["HTTP 415", "without compression"],
        ),
        (
            told(HTTP, says(redirect())),
            ["not followed", "https://collector.test:8443;"],
        ),
        (told(HTTP, says(page)), ["web page", "captive portal"]),
        (
            told(HTTP, says(Answer::grpc("12"))),
            ["OTLP/gRPC", "use protocol grpc"],
        ),
        (
            told(GRPC, says(Answer::grpc("16"))),
            ["UNAUTHENTICATED", "OTEL_EXPORTER_OTLP_HEADERS"],
        ),
        (
            told(GRPC, says(Answer::grpc("7"))),
            ["PERMISSION_DENIED", "token's rights"],
        ),
        (
            told(GRPC, says(Answer::grpc("12"))),
            ["UNIMPLEMENTED", "service.pipelines.traces"],
        ),
        (
            told(GRPC, says(Answer::http(404))),
            ["no gRPC service", "http/protobuf"],
        ),
        (
            told(
                GRPC,
                says(Answer::http(200).with_body("application/json", "{}")),
            ),
            ["not gRPC", "http/protobuf"],
        ),
    ];
    for ((_, message), words) in &cases {
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
        assert!(!message.contains("canary"), "{message}");
    }
    let mut messages: Vec<_> = cases.iter().map(|((_, message), _)| message).collect();
    messages.sort();
    messages.dedup();
    assert_eq!(
        messages.len(),
        cases.len(),
        "each is told apart: {messages:#?}"
    );
    // What never answered may come; what answered will say the same again.
    let kinds: Vec<_> = cases.iter().map(|((kind, _), _)| *kind).collect();
    assert!(
        kinds[..3]
            .iter()
            .all(|kind| *kind == ProblemKind::Undelivered),
        "{kinds:?}"
    );
    assert!(
        kinds[3..].iter().all(|kind| *kind == ProblemKind::Rejected),
        "{kinds:?}"
    );
}

#[test]
fn f_20_a_refused_connection_names_the_ports() {
    let (kind, message) = told(GRPC, |rig| rig.collector.stop());
    assert_eq!(kind, ProblemKind::Undelivered);
    assert!(message.contains("4317 for gRPC"), "{message}");
}
