//! `ParentBased`: one sampler for each kind of parent.

use super::Decide;
use super::candidate::Parent;
use super::decision::Sampling;
use super::early::{Leaf, Table};
use super::question::Question;
use super::shared::Sampler;

/// Builds a sampler that asks another one by the kind of parent (specification, `ParentBased`): a root's own, and one each
/// for parents of this or another process, sampled or not. By default, a span with a parent is sampled if its parent is.
///
/// ```
/// use tracing_otlp::{ParentBased, Sampler};
///
/// // What others did not sample is recorded all the same, one trace in a hundred.
/// let sampler: Sampler = ParentBased::new(Sampler::always_on())
///     .with_remote_parent_not_sampled(Sampler::ratio(0.01))
///     .into();
/// # drop(sampler);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is made a Sampler"]
pub struct ParentBased {
    root: Sampler,
    remote_parent_sampled: Sampler,
    remote_parent_not_sampled: Sampler,
    local_parent_sampled: Sampler,
    local_parent_not_sampled: Sampler,
}

impl ParentBased {
    /// With this sampler for spans without a parent.
    pub fn new(root: Sampler) -> Self {
        Self {
            root,
            remote_parent_sampled: Sampler::always_on(),
            remote_parent_not_sampled: Sampler::always_off(),
            local_parent_sampled: Sampler::always_on(),
            local_parent_not_sampled: Sampler::always_off(),
        }
    }

    /// For spans whose parent is in another process and sampled. Default: always on.
    pub fn with_remote_parent_sampled(mut self, sampler: Sampler) -> Self {
        self.remote_parent_sampled = sampler;
        self
    }

    /// For spans whose parent is in another process and not sampled. Default: always off.
    pub fn with_remote_parent_not_sampled(mut self, sampler: Sampler) -> Self {
        self.remote_parent_not_sampled = sampler;
        self
    }

    /// For spans whose parent is in this process and sampled. Default: always on.
    pub fn with_local_parent_sampled(mut self, sampler: Sampler) -> Self {
        self.local_parent_sampled = sampler;
        self
    }

    /// For spans whose parent is in this process and not sampled. Default: always off.
    pub fn with_local_parent_not_sampled(mut self, sampler: Sampler) -> Self {
        self.local_parent_not_sampled = sampler;
        self
    }

    fn delegate(&self, parent: Parent) -> &Sampler {
        match parent {
            Parent::None => &self.root,
            Parent::Remote { sampled: true } => &self.remote_parent_sampled,
            Parent::Remote { sampled: false } => &self.remote_parent_not_sampled,
            Parent::Local { sampled: true } => &self.local_parent_sampled,
            Parent::Local { sampled: false } => &self.local_parent_not_sampled,
        }
    }

    fn delegates(&self) -> [(&str, &Sampler); 5] {
        [
            ("root", &self.root),
            ("remoteParentSampled", &self.remote_parent_sampled),
            ("remoteParentNotSampled", &self.remote_parent_not_sampled),
            ("localParentSampled", &self.local_parent_sampled),
            ("localParentNotSampled", &self.local_parent_not_sampled),
        ]
    }
}

impl Decide for ParentBased {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        let kind = question.span.parent_kind();
        let delegate = self.delegate(kind);
        match (delegate.table().leaf(kind), question.span.parent) {
            // One that always says what the parent was follows it.
            (Leaf::Fixed(decision), Some(parent))
                if decision.is_sampled() == parent.is_sampled() =>
            {
                question.as_parent(decision)
            }
            _ => delegate.decide(question),
        }
    }

    fn early(&self) -> Table {
        Table {
            root: self.root.table().root,
            remote_sampled: self.remote_parent_sampled.table().remote_sampled,
            remote_not_sampled: self.remote_parent_not_sampled.table().remote_not_sampled,
            local_sampled: self.local_parent_sampled.table().local_sampled,
            local_not_sampled: self.local_parent_not_sampled.table().local_not_sampled,
        }
    }

    fn description(&self) -> String {
        let all = self.delegates();
        let all = all.map(|(name, sampler)| format!("{name}:{}", sampler.description()));
        format!("ParentBased{{{}}}", all.join(","))
    }

    fn problem(&self) -> Option<String> {
        let mut all = self.delegates().into_iter();
        all.find_map(|(_, sampler)| sampler.problem())
    }
}
