//! What a sampler says to people: each thing once a pipeline, on stderr.

use crate::say::say;
use crate::sync::{AtomicBool, Ordering};

/// What was said. Each is written and read by any thread; Relaxed, since a line said twice does no harm.
#[derive(Debug, Default)]
pub(super) struct Voice {
    ratio_of_child: Said,
    presumed_randomness: Said,
    no_room: Said,
    panic: Said,
}

impl Voice {
    /// `TraceIdRatioBased` decided about a span with a parent (specification, compatibility warnings).
    #[inline]
    pub(super) fn ratio_of_child(&self) {
        self.ratio_of_child.once(
            "Sampler::ratio (TraceIdRatioBased) decides about spans that have a parent, and may decide otherwise than the parent's \
             process did, so that traces have holes; Sampler::parent_based(Sampler::ratio(..)), or \
             OTEL_TRACES_SAMPLER=parentbased_traceidratio, follows the parent",
        );
    }

    #[inline]
    pub(super) fn has_said_ratio_of_child(&self) -> bool {
        self.ratio_of_child.0.load(Ordering::Relaxed)
    }

    /// A span with a parent was decided about by a trace id of which the random flag is not set.
    #[inline]
    pub(super) fn presumed_randomness(&self) {
        self.presumed_randomness.once(
            "a sampler decides by the trace id of a remote parent whose W3C random flag is not set: if such ids are not random, \
             neither is what is sampled; the SDK that begins the trace should set the flag, or `rv` in the tracestate",
        );
    }

    /// A tracestate's entry had no room for the threshold.
    #[inline]
    pub(super) fn no_room(&self) {
        self.no_room.once(
            "the entry `ot` of a tracestate has no room for the sampling threshold (256 characters), which is left out: \
             spans of that trace cannot be counted by their probability",
        );
    }

    /// A sampler of the user's panicked.
    pub(super) fn panic(&self, sampler: &str, why: &str) {
        if self.panic.is_first() {
            say(&format!(
                "the sampler {sampler} panicked: {why}; its spans are recorded and sampled whenever it does"
            ));
        }
    }
}

#[derive(Debug, Default)]
struct Said(AtomicBool);

impl Said {
    #[inline]
    fn once(&self, line: &str) {
        if !self.0.load(Ordering::Relaxed) {
            self.first(line);
        }
    }

    #[cold]
    fn first(&self, line: &str) {
        if self.is_first() {
            say(line);
        }
    }

    fn is_first(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Voice {
    /// Says nothing from now on.
    pub(super) fn hush(&self) {
        self.ratio_of_child.is_first();
        self.presumed_randomness.is_first();
        self.no_room.is_first();
        self.panic.is_first();
    }

    /// What was said: of a child's ratio, of presumed randomness, of no room, of a panic.
    pub(super) fn said(&self) -> [bool; 4] {
        [
            &self.ratio_of_child,
            &self.presumed_randomness,
            &self.no_room,
            &self.panic,
        ]
        .map(|said| said.0.load(Ordering::Relaxed))
    }
}
