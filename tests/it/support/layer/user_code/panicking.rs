//! Fields that panic.

use std::error::Error;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

use tracing::field::Empty;
use tracing::{info, info_span};

use super::super::{Attributed, int, text, texts};
use super::Stage;

/// Panics with a text that is made then, or with one that is there.
enum Panics {
    Owned,
    Static,
    /// With something that is no text.
    Other,
}

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owned => panic!("number {}", 7),
            Self::Static => panic!("static"),
            Self::Other => panic_any(7),
        }
    }
}

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

pub(crate) fn a_panic_costs_its_field_only(stage: &impl Stage) {
    let spans = stage.spans(|| {
        let span =
            info_span!("span", a = 1, b = ?Panics::Owned, c = %Panics::Static, d = 4, e = Empty);
        span.record("e", tracing::field::debug(Panics::Other));
        span.in_scope(|| info!(a = 1, b = ?Panics::Owned, c = 3, "event"));
    });
    let span = spans.only();
    assert_eq!(span.own_keys(), ["a", "b", "c", "d", "e"]);
    assert_eq!(span.value("b"), text("<panicked: number 7>"));
    assert_eq!(span.value("c"), text("<panicked: static>"));
    assert_eq!(span.value("d"), int(4));
    assert_eq!(span.value("e"), text("<panicked: no message>"));
    let event = span.event("event");
    assert_eq!(event.value("b"), text("<panicked: number 7>"));
    assert_eq!((event.value("a"), event.value("c")), (int(1), int(3)));
}

pub(crate) fn a_panic_costs_its_message_only(stage: &impl Stage) {
    let spans = stage.spans(|| {
        info_span!("span", otel.name = %Panics::Static)
            .in_scope(|| info!(a = 1, "{}", Panics::Owned));
    });
    let span = spans.named("<panicked: static>");
    assert_eq!(span.event("<panicked: number 7>").value("a"), int(1));
}

/// Writes, then panics.
struct Half(usize);

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for _ in 0..self.0 {
            let _ = f.write_str("0123456789");
        }
        panic!("half-way");
    }
}

pub(crate) fn what_was_written_before_a_panic_is_taken_back(stage: &impl Stage) {
    let spans =
        stage.spans(|| drop(info_span!("span", before = "b", half = ?Half(100), after = "a")));
    let span = spans.only();
    assert_eq!(span.value("half"), text("<panicked: half-way>"));
    assert_eq!(
        (span.value("before"), span.value("after")),
        (text("b"), text("a"))
    );
}

/// Half a megabyte is more than a record holds.
pub(crate) fn a_panic_beyond_the_limit_leaves_its_placeholder(stage: &impl Stage) {
    let spans = stage.spans(|| drop(info_span!("span", half = ?Half(50_000), after = 1)));
    assert_eq!(spans.only().value("half"), text("<panicked: half-way>"));
    assert_eq!(spans.only().value("after"), int(1));
}

/// Records a field that panics when it is dropped.
struct RecordsInDrop;

impl Drop for RecordsInDrop {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        info_span!("inside", bad = ?Panics::Static)
            .in_scope(|| info!(bad = ?Panics::Owned, "event"));
    }
}

pub(crate) fn a_panic_while_unwinding_is_caught(stage: &impl Stage) {
    let spans = stage.spans(|| {
        let outcome = catch_unwind(|| {
            let _outer = info_span!("outer").entered();
            let _guard = RecordsInDrop;
            resume_unwind(Box::new("the first panic"));
        });
        let payload = outcome.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"the first panic"));
    });
    let inside = spans.named("inside");
    inside.assert_child_of(spans.named("outer"));
    assert_eq!(inside.value("bad"), text("<panicked: static>"));
    assert_eq!(
        inside.event("event").value("bad"),
        text("<panicked: number 7>")
    );
}

/// A payload that is trouble itself: so often, dropping it panics once more.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        info!("the payload is dropped");
        if self.0 > 0 {
            panic_any(Self(self.0 - 1));
        }
    }
}

struct Throws(u32);

impl fmt::Debug for Throws {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(Bomb(self.0));
    }
}

pub(crate) fn a_panics_payload_may_panic_and_record(stage: &impl Stage) {
    let spans = stage.spans(|| {
        for depth in 0..3 {
            let work = || {
                let span = info_span!("span", bad = ?Throws(depth), late = Empty, after = 1);
                span.record("late", tracing::field::debug(Throws(depth)));
                span.in_scope(|| info!(bad = ?Throws(depth), "event"));
            };
            assert!(
                catch_unwind(AssertUnwindSafe(work)).is_ok(),
                "depth {depth}"
            );
        }
    });
    assert_eq!(spans.len(), 3);
    for span in spans.iter() {
        assert_eq!(span.value("bad"), text("<panicked: no message>"));
        assert_eq!(span.value("late"), text("<panicked: no message>"));
        assert_eq!(span.value("after"), int(1));
    }
}

#[derive(Debug)]
enum Failure {
    /// `Display` panics.
    Text,
    /// `source` panics, with a payload that panics.
    Source,
    /// Its source's `Display` panics.
    Chain,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => panic!("no text"),
            Self::Source | Self::Chain => f.write_char('x'),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Text => None,
            Self::Source => panic_any(Bomb(1)),
            Self::Chain => Some(&Self::Text),
        }
    }
}

pub(crate) fn an_error_may_panic(stage: &impl Stage) {
    let error = |failure: &'static Failure| failure as &(dyn Error + 'static);
    let spans = stage.spans(|| {
        let work = || {
            drop(info_span!("text", e = error(&Failure::Text), after = 1));
            drop(info_span!("source", e = error(&Failure::Source), after = 1));
            drop(info_span!("chain", e = error(&Failure::Chain), after = 1));
        };
        assert!(catch_unwind(work).is_ok());
    });
    let found = ["text", "source", "chain"].map(|name| {
        let span = spans.named(name);
        assert_eq!(span.value("after"), int(1));
        (span.value("e"), span.value("e.chain"))
    });
    assert_eq!(found[0], (text("<panicked: no text>"), texts(&[])));
    assert_eq!(found[1], (text("x"), texts(&[])));
    assert_eq!(found[2], (text("x"), texts(&["<panicked: no text>"])));
}
