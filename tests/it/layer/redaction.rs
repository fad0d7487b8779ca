//! Redaction: no byte of a secret is in what leaves the layer, wherever it was recorded.

use std::fmt;
use std::time::Duration;

use proptest::prelude::*;
use tracing::field::Empty;
use tracing::{Span, error, info, info_span, warn};
use tracing_otlp::testing::InMemory;
use tracing_otlp::{
    Events, Limits, Redaction, SpanContext, SpanExt, SpanId, Status, TraceFlags, TraceId,
    TraceState,
};
use tracing_subscriber::prelude::*;

use crate::support::layer::{Attributed, Pipeline, record_with, text};

/// What is secret in all of them, found nowhere else.
const SECRETS: [&str; 6] = [
    "Bearer 5ecr3t.t0ken~abcdefgh",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI1ZWNyM3QifQ.c2lnbmF0dXJlLTVlY3IzdA",
    "5ecr3t.person@mail.example.com",
    "5454 5454 5454 5454",
    "378282246310005",
    "Basic NWVjcjN0OnBhc3N3b3Jk",
];

/// Pieces of them, of which none may be left: long enough to tell nothing else.
const PIECES: [&str; 9] = [
    "5ecr3t", "t0ken", "eyJzdWIi", "c2lnbmF0", "5454 5", "54 54", "37828", "10005", "NWVjcjN0",
];

struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In two pieces, as formatting writes.
        let (head, tail) = self.0.split_at(self.0.len() / 2);
        f.write_str(head)?;
        f.write_str(tail)
    }
}

#[derive(Debug)]
struct Failed(String, Option<Box<Self>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

/// Places where a program may put a secret.
#[derive(Clone, Copy, Debug)]
enum Step {
    Field,
    Display,
    Debug,
    Late,
    Set,
    List,
    Bytes,
    Name,
    Status,
    Message,
    EventField,
    Error,
    Added,
    Link,
    Key,
    Child,
}

const STEPS: [Step; 16] = [
    Step::Field,
    Step::Display,
    Step::Debug,
    Step::Late,
    Step::Set,
    Step::List,
    Step::Bytes,
    Step::Name,
    Step::Status,
    Step::Message,
    Step::EventField,
    Step::Error,
    Step::Added,
    Step::Link,
    Step::Key,
    Step::Child,
];

fn run(step: Step, secret: &str, before: usize) {
    let text = &*format!("{}{secret} and so on", "x".repeat(before) + " ");
    let span = Span::current();
    match step {
        Step::Field => drop(info_span!(
            "inner",
            value = text,
            otel.status_description = text
        )),
        Step::Display => drop(info_span!("inner", value = %Shown(text), otel.name = %Shown(text))),
        Step::Debug => drop(info_span!("inner", value = ?Some(text))),
        Step::Late => {
            span.record("late", text);
            span.record("shown", tracing::field::display(Shown(text)));
        }
        Step::Set => span.set_attribute("set", text),
        Step::List => span.set_attribute("list", ["a", text].as_slice()),
        Step::Bytes => span.set_attribute("bytes", text.as_bytes()),
        Step::Name => span.update_name(text),
        Step::Status => span.set_status(Status::error(text.to_owned())),
        Step::Message => info!("said {text}"),
        Step::EventField => warn!(value = text, shown = %Shown(text)),
        Step::Error => {
            let inner = Failed(text.to_owned(), None);
            let failed = Failed(format!("outer {text}"), Some(Box::new(inner)));
            error!(error = &failed as &(dyn std::error::Error + 'static));
            error!(error = %failed);
        }
        Step::Added => span.add_event(text, [("value", text.into())]),
        Step::Link => {
            let ids = TraceId::from_bytes([1; 16]).zip(SpanId::from_bytes([2; 8]));
            let (trace, id) = ids.unwrap();
            let to = SpanContext::remote(trace, id, TraceFlags::SAMPLED, TraceState::default());
            span.add_link(&to, [("value", text.into())]);
        }
        Step::Key => {
            span.set_attribute("http.request.header.authorization", "5ecr3t");
            span.set_attribute("my.password", 5_i64);
            info!(authorization = "5ecr3t", "event");
        }
        Step::Child => {
            drop(info_span!("child", value = text, card = 5_454_545_454_545_454_i64).entered())
        }
    }
}

fn redaction() -> Redaction {
    Redaction::new()
        .with_keys(["*password"])
        .with_span_names(true)
}

fn holds(bytes: &[u8], piece: &str) -> bool {
    bytes
        .windows(piece.len())
        .any(|part| part == piece.as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_of_a_secret_leaves(
        steps in proptest::collection::vec((0..STEPS.len(), 0..SECRETS.len(), 0_usize..80), 1..12),
        length in proptest::option::of(0_u32..120),
        bytes in prop_oneof![Just(256_usize << 10), 1_024_usize..2_048],
    ) {
        let (layer, pipeline) = Pipeline::with(|builder| {
            let mut limits = Limits::default().with_record_bytes(bytes);
            if let Some(length) = length {
                limits = limits.with_value_length(length);
            }
            builder.with_limits(limits).with_processor(redaction())
        });
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let _span = info_span!("span", late = Empty, shown = Empty).entered();
            for (step, secret, before) in &steps {
                run(STEPS[*step], SECRETS[*secret], *before);
            }
        });
        pipeline.spans_and_stats();
        for request in pipeline.requests() {
            for piece in PIECES {
                prop_assert!(!holds(&request, piece), "{piece} is left of {steps:?}");
            }
        }
    }
}

/// Without a redaction, each of the steps lets its secret through: the test above looks where there is something.
#[test]
fn each_of_the_steps_has_a_secret_to_hide() {
    for step in STEPS {
        for secret in SECRETS {
            let (layer, pipeline) = Pipeline::new();
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::with_default(subscriber, || {
                let _span = info_span!("span", late = Empty, shown = Empty).entered();
                run(step, secret, 3);
            });
            pipeline.spans_and_stats();
            let found = |piece: &&str| {
                pipeline
                    .requests()
                    .iter()
                    .any(|request| holds(request, piece))
            };
            assert!(PIECES.iter().any(found), "{step:?} with {secret}");
        }
    }
}

#[test]
fn no_byte_of_a_secret_leaves_in_a_log_record() {
    let memory = InMemory::new();
    let builder = tracing_otlp::layer()
        .with_transport(memory.clone())
        .with_events(Events::Both)
        .with_processor(redaction());
    let (layer, guard) = builder.build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        for (step, secret) in STEPS
            .iter()
            .flat_map(|step| SECRETS.map(|secret| (step, secret)))
        {
            let _span = info_span!("span", late = Empty, shown = Empty).entered();
            run(*step, secret, 3);
        }
        info!(value = SECRETS[0], "outside of any span: {}", SECRETS[2]);
    });
    guard.handle().flush(Duration::from_secs(60)).unwrap();
    assert!(memory.logs().len() > STEPS.len());
    let requests = memory.requests().into_iter().chain(memory.log_requests());
    for request in requests {
        for piece in PIECES {
            assert!(!holds(&request, piece), "{piece}");
        }
    }
}

#[test]
fn a_secret_across_the_largest_record_is_seen_as_a_whole() {
    let secret = "5ecr3t.person@mail.example.com";
    // The text is cut at the record's end, which may be anywhere in the secret.
    for before in (700..1_100).step_by(7) {
        let text = "x".repeat(before) + " " + secret;
        let spans = record_with(
            |builder| {
                let limits = Limits::default().with_record_bytes(1_024);
                builder.with_limits(limits).with_processor(redaction())
            },
            || drop(info_span!("span", shown = %text)),
        );
        let shown = format!("{:?}", spans.only().value("shown"));
        assert!(!shown.contains("5ecr"), "{before}: {shown}");
    }
}

/// What is replaced makes room, into which what was cut behind must not move.
#[test]
fn a_secret_that_is_cut_behind_many_others_does_not_come_through() {
    for before in (0..80).step_by(3) {
        let text = "x".repeat(before) + &format!("{} ", SECRETS[1]).repeat(300);
        let spans = record_with(
            |builder| {
                let limits = Limits::default().with_record_bytes(8_192);
                builder.with_limits(limits).with_processor(redaction())
            },
            || {
                let span = info_span!("span", shown = %text, plain = &*text);
                span.set_attribute("set", &*text);
                span.set_attribute("bytes", text.as_bytes());
                drop(info_span!("long", otel.name = &*text));
            },
        );
        for span in spans.iter() {
            let shown = format!("{:?}", span.span());
            assert!(!shown.contains("eyJ"), "{before}: {shown}");
            assert!(!shown.contains(&format!("{:?}", b"eyJ").replace(['[', ']'], "")));
        }
    }
}

#[test]
fn what_is_no_secret_stays() {
    let spans = record_with(
        |builder| builder.with_processor(Redaction::new()),
        || {
            drop(info_span!(
                "span",
                mail = "to a@b.com, c",
                plain = "plain",
                n = 7
            ))
        },
    );
    let span = spans.only();
    assert_eq!(span.value("mail"), text("to [redacted], c"));
    assert_eq!(span.value("plain"), text("plain"));
}

/// Texts of which the complement of each byte is in the program, so that they are nowhere in its memory until they are written.
#[cfg(target_os = "linux")]
mod memory {
    use std::fmt::{self, Write};
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom};

    use tracing::field::Empty;
    use tracing::{info, info_span};
    use tracing_otlp::SpanExt;
    use tracing_subscriber::prelude::*;

    use super::redaction;
    use crate::support::layer::Pipeline;

    const LENGTH: usize = 36;

    struct Hidden([u8; LENGTH]);

    const fn hidden(text: &[u8; LENGTH]) -> Hidden {
        let mut complement = [0; LENGTH];
        let mut at = 0;
        while at < LENGTH {
            complement[at] = !text[at];
            at += 1;
        }
        Hidden(complement)
    }

    const REDACTED: Hidden = hidden(b"5ecr3t.one.person@memory.example.com");
    const SHOWN: Hidden = hidden(b"5ecr3t.two.person@memory.example.com");

    impl fmt::Display for Hidden {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0
                .iter()
                .try_for_each(|byte| f.write_char(char::from(!byte)))
        }
    }

    impl fmt::Debug for Hidden {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self, f)
        }
    }

    impl std::error::Error for Hidden {}

    impl Hidden {
        /// Whether so much of it is anywhere in what this process can write to: stacks, and the heap with what was freed.
        fn is_in_memory(&self, length: usize) -> bool {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let mut memory = File::open("/proc/self/mem").unwrap();
            let mut bytes = vec![0; 1 << 20];
            let writable = maps.lines().filter(|line| line.contains(" rw"));
            for line in writable {
                let (from, rest) = line.split_once('-').unwrap();
                let (to, _) = rest.split_once(' ').unwrap();
                let number = |text| u64::from_str_radix(text, 16).unwrap();
                let (mut at, end) = (number(from), number(to));
                while at < end {
                    let wanted = bytes.len().min((end - at) as usize);
                    let read = memory
                        .seek(SeekFrom::Start(at))
                        .and_then(|_| memory.read(&mut bytes[..wanted]));
                    // What another thread has unmapped meanwhile is gone.
                    let Ok(read @ 1..) = read else { break };
                    let piece = &self.0[..length];
                    let found = |part: &[u8]| {
                        part.iter()
                            .zip(piece)
                            .all(|(byte, hidden)| *byte == !hidden)
                    };
                    if bytes[..read].windows(length).any(found) {
                        return true;
                    }
                    at += (read as u64).saturating_sub(length as u64).max(1);
                    if read < wanted || read <= length {
                        break;
                    }
                }
            }
            false
        }
    }

    fn say(hidden: &'static Hidden) {
        let span = info_span!("span", shown = %hidden, told = ?hidden, late = Empty).entered();
        span.record("late", tracing::field::display(hidden));
        info!(value = %hidden, "says {hidden}");
        tracing::error!(error = hidden as &(dyn std::error::Error + 'static));
        span.add_event("event", []);
    }

    #[test]
    fn a_secret_that_was_formatted_is_nowhere_in_memory() {
        let run = |hidden, settings: fn(tracing_otlp::Builder) -> tracing_otlp::Builder| {
            let (layer, pipeline) = Pipeline::with(settings);
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::with_default(subscriber, || say(hidden));
            pipeline.spans_and_stats();
            pipeline
        };
        let _kept = run(&REDACTED, |builder| builder.with_processor(redaction()));
        // Half of it would be too much.
        assert!(!REDACTED.is_in_memory(LENGTH / 2));
        let _kept = run(&SHOWN, |builder| builder);
        assert!(SHOWN.is_in_memory(LENGTH), "the search finds what is there");
    }
}
