//! Fields that wait, and errors that never end.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tracing::field::{Empty, debug};
use tracing::info_span;
use tracing_otlp::Handle;

use super::super::{Attributed, text, texts};
use super::Stage;

struct Flushes<'h>(&'h Handle);

impl fmt::Debug for Flushes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0.flush(Duration::from_secs(60)).unwrap();
        write!(f, "{}", report.delivered())
    }
}

/// No lock is held, and nothing that a flush waits for.
pub(crate) fn a_field_may_flush(stage: &impl Stage) {
    let played = stage.play(|handle| {
        drop(info_span!("before"));
        drop(info_span!("span", flushed = ?Flushes(handle)));
        info_span!("late", flushed = Empty).record("flushed", debug(Flushes(handle)));
    });
    assert_eq!(played.spans.named("span").value("flushed"), text("1"));
    assert_eq!(played.spans.named("late").value("flushed"), text("1"));
}

/// An error that is its own source.
#[derive(Debug)]
struct Circular;

impl fmt::Display for Circular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("again")
    }
}

impl Error for Circular {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

pub(crate) fn a_circular_chain_ends(stage: &impl Stage) {
    let spans = stage.spans(|| {
        drop(info_span!(
            "span",
            error = &Circular as &(dyn Error + 'static)
        ));
    });
    assert_eq!(spans.only().value("error.chain"), texts(&["again"; 32]));
}
