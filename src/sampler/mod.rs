//! Which spans are recorded (specification, sampling).
//!
//! A [`Sampler`] is asked once for each span: when it is created, or, of a root whose callsite declares `otel.kind`, when it starts; and
//! again when it gets another parent. What the span was given until then is all that a sampler sees.
//! First by [`Sampler::early`], which knows the trace id and whether the parent is sampled, and answers for most spans in a few
//! instructions; then, where more than that has a say, by [`Sampler::sample`].

mod always;
mod candidate;
mod composable;
mod custom;
mod decision;
mod description;
mod early;
mod named;
mod ot;
mod parent_based;
mod probability;
mod question;
mod rate;
mod ratio;
mod rules;
mod shared;
#[cfg(feature = "tail")]
mod tail;
mod voice;

use std::fmt;

pub use self::candidate::Candidate;
pub(crate) use self::candidate::Parent;
pub use self::composable::Composable;
pub use self::decision::{Decision, Sampling};
pub(crate) use self::named::Named;
pub use self::parent_based::ParentBased;
pub use self::rules::Rule;
pub use self::shared::Sampler;
#[cfg(feature = "tail")]
pub(crate) use self::tail::Judge;
#[cfg(feature = "tail")]
pub use self::tail::Tail;

/// A sampler of one's own, for [`Sampler::custom`].
///
/// It is called on the thread that creates or starts a span, once for each span that it has a say in, and again where that gets
/// another parent. It holds the thread up as long as it takes. It may trace, four levels deep. A panic counts as [`Decision::RecordAndSample`], and is said once on stderr.
///
/// ```
/// use tracing_otlp::{Candidate, Decision, Sampler, Sampling, ShouldSample};
///
/// #[derive(Debug)]
/// struct WithoutHealthChecks;
///
/// impl ShouldSample for WithoutHealthChecks {
///     fn should_sample(&self, span: &Candidate<'_>) -> Sampling {
///         let is_health = span.attribute("url.path") == Some("/health".into());
///         let decision = if is_health { Decision::Drop } else { Decision::RecordAndSample };
///         Sampling::from(decision).with_attribute("sampler", "WithoutHealthChecks")
///     }
///
///     fn description(&self) -> String {
///         "WithoutHealthChecks".to_owned()
///     }
/// }
///
/// let sampler = Sampler::parent_based(Sampler::custom(WithoutHealthChecks));
/// # drop(sampler);
/// ```
pub trait ShouldSample: fmt::Debug + Send + Sync + 'static {
    /// What becomes of this span.
    fn should_sample(&self, span: &Candidate<'_>) -> Sampling;

    /// What the sampler is called, as in `AlwaysOnSampler` or `TraceIdRatioBased{0.000100}`.
    fn description(&self) -> String;
}

/// What each kind of sampler does.
trait Decide: fmt::Debug + Send + Sync {
    fn decide(&self, question: &question::Question<'_>) -> Sampling;

    /// What can be answered early, by the kind of parent.
    fn early(&self) -> early::Table {
        early::Table::default()
    }

    fn description(&self) -> String;

    /// What is wrong with it, if its values are.
    fn problem(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests;
