//! Local tail sampling: spans are held as bytes until it is known whether their trace is kept.
//!
//! A span knows its local root by the Registry's id. What keeps a trace is looked for in each span as it ends, so that a trace is
//! kept from the first reason on, and only what may still be dropped is held ([`traces`]).

mod room;
mod shard;
mod traces;

use std::sync::Arc;

use self::traces::{Ended, Traces};
use super::OtlpLayer;
use super::Parts;
use super::span::OpenSpan;
use crate::proto::trace::{self, Code, IS_REMOTE};
use crate::queue::{Record, Scope};
use crate::sampler::{Candidate, Judge, Tail};

pub(super) use self::traces::Decided;

/// What an open span knows of its local trace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {
    root: Root,
    /// It had an error, whatever became of its status.
    has_failed: bool,
}

impl Member {
    pub(super) fn fail(&mut self) {
        self.has_failed = true;
    }

    /// It gets another place: there it is a local root.
    pub(super) fn leave(&mut self) {
        self.root = Root::Itself;
    }
}

/// The local root of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Root {
    #[default]
    Itself,
    /// The one with this id.
    Span(u64),
    /// One whose trace is always kept.
    Kept,
}

/// The traces that are held, if tail sampling is on. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holder(Option<Arc<Traces>>);

impl Holder {
    /// `record_bytes`: the size of the largest record.
    pub(crate) fn new(tail: Option<&Tail>, record_bytes: usize, parts: &Parts) -> Self {
        Self(tail.map(|tail| Arc::new(Traces::new(tail, record_bytes, parts))))
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Spans that are held.
    pub(crate) fn held(&self) -> u64 {
        self.0.as_ref().map_or(0, |traces| traces.held())
    }

    /// Decides about what has been held too long; about all that is left, and nothing is held any more, where the pipeline is
    /// shut down.
    pub(crate) fn sweep(&self, now: u64, close: bool) {
        if let Some(traces) = &self.0 {
            traces.sweep(now, close);
        }
    }
}

impl OtlpLayer {
    /// A new span joins its parent's local trace. A parent that is not recorded has none.
    #[inline(never)]
    pub(super) fn join_trace(&self, id: u64, parent: Option<u64>) {
        let (Some(parent), Some(traces)) = (parent, &self.parts.holder.0) else {
            return;
        };
        let judge = &traces.judge;
        let joined = self.store.update(parent, |span, _| {
            let root = span.member.root;
            if judge.keeps(span.place.ids.trace) || root == Root::Itself && exempts(judge, span) {
                return Root::Kept;
            }
            if root == Root::Itself {
                return Root::Span(parent);
            }
            root
        });
        if let Some(root) = joined {
            self.store.update(id, |span, _| span.member.root = root);
        }
    }

    /// A span has ended, of which all is written, unless it is discarded (`is_there`). May be called with the shard's lock: what takes
    /// long is left for [`OtlpLayer::carry_out`].
    #[inline(never)]
    pub(super) fn end_in_trace(
        &self,
        id: u64,
        span: &OpenSpan,
        end: u64,
        is_there: bool,
    ) -> Decided {
        let Some(traces) = &self.parts.holder.0 else {
            return Decided::NOTHING;
        };
        let is_sampled = is_there && span.place.ids.flags & self.exported != 0;
        let record = is_sampled.then(|| Record {
            scope: Scope::named(span.metadata.target()),
            message: &span.record,
        });
        let (root, judge) = (span.member.root, &traces.judge);
        let is_kept = root == Root::Kept
            || judge.keeps(span.place.ids.trace)
            || root == Root::Itself && exempts(judge, span);
        if is_kept {
            record.iter().for_each(|record| traces.export(record));
            return Decided::NOTHING;
        }
        let took = end.saturating_sub(trace::start_of(&span.record));
        let is_root = root == Root::Itself;
        let is_wanted = is_root && judge.is_slow(took) || is_sampled && is_wanted(judge, span);
        traces.end(&Ended {
            root: if let Root::Span(root) = root {
                root
            } else {
                id
            },
            is_root,
            is_wanted,
            now: self.parts.clock.at(0),
            record,
        })
    }

    /// What was left to be done about a trace.
    #[inline]
    pub(super) fn carry_out(&self, decided: Decided) {
        if let Decided(Some(trace)) = decided
            && let Some(traces) = &self.parts.holder.0
        {
            traces.keep(trace);
        }
    }
}

/// Whether this local root exempts its trace.
fn exempts(judge: &Judge, root: &OpenSpan) -> bool {
    judge.keeps_remote() && root.place.ids.flags & IS_REMOTE != 0
}

/// Whether a span by itself keeps its trace.
fn is_wanted(judge: &Judge, span: &OpenSpan) -> bool {
    if span.member.has_failed || span.written.status == Code::Error {
        return true;
    }
    if !judge.has_rules() {
        return false;
    }
    let (name, kind) = trace::name_and_kind(&span.record);
    judge.has_rule_for(&Candidate {
        parent: None,
        trace_id: span.place.ids.trace,
        is_random: false,
        name: name.unwrap_or(span.metadata.name()),
        kind,
        target: span.metadata.target(),
        record: &span.record,
    })
}

#[cfg(test)]
mod tests;
