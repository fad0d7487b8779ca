//! The early answer: by the trace id and the kind of parent alone.

use super::candidate::Parent;
use super::decision::Decision;

/// What a sampler answers early.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Leaf {
    /// More than trace id and parent have a say.
    #[default]
    Later,
    Fixed(Decision),
    /// Sampled where the trace id is below the bound.
    Ratio {
        bound: u64,
        otherwise: Decision,
    },
}

/// One leaf for each kind of parent. Samplers of samplers are flattened into it when they are made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) root: Leaf,
    pub(super) remote_sampled: Leaf,
    pub(super) remote_not_sampled: Leaf,
    pub(super) local_sampled: Leaf,
    pub(super) local_not_sampled: Leaf,
}

impl Table {
    /// The same whatever the parent is.
    pub(super) fn all(leaf: Leaf) -> Self {
        Self {
            root: leaf,
            remote_sampled: leaf,
            remote_not_sampled: leaf,
            local_sampled: leaf,
            local_not_sampled: leaf,
        }
    }

    #[inline]
    pub(super) fn leaf(&self, parent: Parent) -> Leaf {
        match parent {
            Parent::None => self.root,
            Parent::Remote { sampled: true } => self.remote_sampled,
            Parent::Remote { sampled: false } => self.remote_not_sampled,
            Parent::Local { sampled: true } => self.local_sampled,
            Parent::Local { sampled: false } => self.local_not_sampled,
        }
    }

    pub(super) fn map(self, change: impl Fn(Leaf) -> Leaf) -> Self {
        Self {
            root: change(self.root),
            remote_sampled: change(self.remote_sampled),
            remote_not_sampled: change(self.remote_not_sampled),
            local_sampled: change(self.local_sampled),
            local_not_sampled: change(self.local_not_sampled),
        }
    }
}

impl Parent {
    /// Whether this decision leaves the parent's tracestate as it is, so that nobody need look at it.
    ///
    /// A threshold (`th`) says with which probability the trace is sampled. It no longer holds where a child decides otherwise
    /// than its parent. One that came from another process is checked when a sampled trace goes on from it; where
    /// neither parent nor child is sampled it is passed on as it came, since the specification asks for the check of sampled
    /// contexts.
    #[inline]
    pub(super) fn keeps_state(self, decision: Decision) -> bool {
        match self {
            Self::None => true,
            Self::Local { sampled } => decision.is_sampled() == sampled,
            Self::Remote { sampled } => !sampled && !decision.is_sampled(),
        }
    }
}
