//! Partial success (fault F13): what a collector counts is clamped, what it says is cut and escaped.

use tracing_otlp::{ProblemKind, Protocol, Stats};

use super::{Heard, PROTOCOLS, flush_with_losses, rig};
use crate::support::collector::Manner;
use crate::support::rig::Rig;

/// Ten records, of which the collector says that it rejected so many.
fn answered(protocol: Protocol, rejected: i64, message: &str) -> (Rig, Heard) {
    let heard = Heard::default();
    let rig = rig(protocol, |builder| heard.listen(builder));
    let message = message.to_owned();
    rig.collector.answers(move |_| Manner::TakePartly {
        rejected,
        message: message.clone(),
    });
    rig.record(10);
    (rig, heard)
}

/// Nothing of it is sent again.
fn ended(rig: Rig) -> Stats {
    let (collector, stats) = rig.end();
    assert_eq!((stats.requests(), stats.retries()), (1, 0), "{stats}");
    assert_eq!(collector.look(|log| log.requests.len()), 1);
    stats
}

#[test]
fn f_13_what_is_rejected_is_counted_and_the_rest_is_delivered() {
    for protocol in PROTOCOLS {
        for (said, rejected) in [(3, 3), (10, 10), (11, 10), (i64::MAX, 10)] {
            let (rig, heard) = answered(protocol, said, "too old");
            let error = flush_with_losses(&rig);
            assert_eq!(
                error.report().map(|report| report.rejected()),
                Some(rejected)
            );
            let stats = ended(rig);
            assert_eq!(
                (stats.delivered(), stats.rejected()),
                (10 - rejected, rejected),
                "{protocol:?} {said}: {stats}"
            );
            assert_eq!(
                stats.rejections(),
                [("partial success".to_owned(), rejected)]
            );
            let [problem] = &heard.all()[..] else {
                panic!("{:?}", heard.all());
            };
            assert_eq!(
                (problem.kind(), problem.records()),
                (ProblemKind::Rejected, rejected)
            );
            assert!(problem.message().contains("too old"), "{problem}");
            assert!(problem.message().starts_with("http://127.0.0.1:"));
        }
    }
}

#[test]
fn f_13_without_a_record_rejected_a_message_is_a_warning() {
    for protocol in PROTOCOLS {
        for said in [0, -1, i64::MIN] {
            let (rig, heard) = answered(protocol, said, "use the new endpoint");
            rig.flush();
            let stats = ended(rig);
            assert_eq!((stats.delivered(), stats.rejected()), (10, 0), "{stats}");
            assert!(stats.rejections().is_empty(), "{stats}");
            let [problem] = &heard.all()[..] else {
                panic!("{:?}", heard.all());
            };
            assert_eq!(
                (problem.kind(), problem.records()),
                (ProblemKind::Warning, 0)
            );
            assert!(
                problem.message().contains("use the new endpoint"),
                "{problem}"
            );
            assert!(problem.message().starts_with("http://127.0.0.1:"));
        }
    }
}

#[test]
fn f_13_without_a_message_nothing_is_told() {
    for protocol in PROTOCOLS {
        let (rig, heard) = answered(protocol, 0, "");
        rig.flush();
        assert_eq!(ended(rig).delivered(), 10);
        assert_eq!(heard.all(), []);
    }
}

#[test]
fn f_13_a_huge_message_that_controls_terminals_is_cut_and_escaped() {
    let message = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\n\u{202e}".repeat(1_000);
    for protocol in PROTOCOLS {
        let (rig, heard) = answered(protocol, 1, &message);
        flush_with_losses(&rig);
        let stats = ended(rig);
        let [problem] = &heard.all()[..] else {
            panic!("{:?}", heard.all());
        };
        let mut texts = vec![problem.message().to_owned(), problem.to_string()];
        texts.push(stats.to_string());
        texts.extend(stats.last_error().map(ToString::to_string));
        for text in texts {
            let control = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            assert!(!text.contains(control), "{text:?}");
            assert!(text.len() < 6_000, "{} bytes", text.len());
        }
        assert!(problem.message().contains("owned"), "{problem}");
    }
}

#[test]
fn f_13_what_is_rejected_without_a_word_is_told_so() {
    for protocol in PROTOCOLS {
        let (rig, heard) = answered(protocol, 2, "");
        flush_with_losses(&rig);
        assert_eq!(ended(rig).rejected(), 2);
        let message = heard.all().remove(0).message().to_owned();
        assert!(message.ends_with("does not say why"), "{message}");
    }
}
