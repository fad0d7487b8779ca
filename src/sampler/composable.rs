//! `CompositeSampler` and the composable samplers below it (specification, `CompositeSampler`; in development).

use std::fmt;
use std::sync::Arc;

use super::Decide;
use super::decision::Sampling;
use super::description;
use super::probability::{by_threshold, threshold};
use super::question::Question;
use super::rules::Rule;
use crate::model::Value;

/// A sampler that says with which probability a span should be sampled, and leaves the decision to [`Sampler::composite`]: so that
/// samplers can be put together and each span still tells its probability (`th` of the tracestate). Cheap to clone.
///
/// The specification has these in development, and they may change with it.
///
/// ```
/// use tracing_otlp::{Composable, Rule, Sampler};
///
/// let roots = Composable::rules([
///     Rule::new().name("GET /health*").sampler(Composable::always_off()),
///     Rule::new().target("checkout::*").sampler(Composable::always_on()),
///     Rule::new().sampler(Composable::probability(0.1)),
/// ]);
/// let sampler = Sampler::composite(Composable::parent_threshold(roots));
/// # drop(sampler);
/// ```
///
/// [`Sampler::composite`]: crate::Sampler::composite
#[derive(Clone)]
pub struct Composable(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    AlwaysOn,
    AlwaysOff,
    Probability(f64, Option<u64>),
    ParentThreshold(Composable),
    Rules(Vec<Rule<Composable>>),
    Annotating(Composable, Vec<(String, Value<'static>)>),
}

/// What a composable sampler wants (specification, `SamplingIntent`).
#[derive(Debug, Default)]
struct Intent<'a> {
    /// `None`: not sampled.
    threshold: Option<u64>,
    /// Whether the threshold is the span's probability.
    is_reliable: bool,
    /// Attributes of the span if it is sampled, those of the innermost sampler last.
    attributes: Vec<&'a [(String, Value<'static>)]>,
}

impl Composable {
    /// Every span.
    pub fn always_on() -> Self {
        Self(Arc::new(Kind::AlwaysOn))
    }

    /// No span.
    pub fn always_off() -> Self {
        Self(Arc::new(Kind::AlwaysOff))
    }

    /// This part of the traces, from 0 to 1; 0 is [`Composable::always_off`]. The probability has four significant digits.
    pub fn probability(ratio: f64) -> Self {
        Self(Arc::new(Kind::Probability(ratio, threshold(ratio))))
    }

    /// As the parent: by its threshold, or by its sampled flag where it has none. Roots by this one.
    #[must_use]
    pub fn parent_threshold(root: Self) -> Self {
        Self(Arc::new(Kind::ParentThreshold(root)))
    }

    /// By the first rule that holds. A span that none holds for is not sampled.
    pub fn rules(rules: impl IntoIterator<Item = Rule<Self>>) -> Self {
        let rules = rules.into_iter().map(|rule| rule.or(Self::always_on));
        Self(Arc::new(Kind::Rules(rules.collect())))
    }

    /// As this one, and a span that is sampled gets these attributes.
    #[must_use]
    pub fn annotating<K: Into<String>, V: Into<Value<'static>>>(
        sampler: Self,
        attributes: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let attributes = attributes.into_iter();
        let attributes = attributes.map(|(key, value)| (key.into(), value.into()));
        Self(Arc::new(Kind::Annotating(sampler, attributes.collect())))
    }

    fn intent(&self, question: &Question<'_>) -> Intent<'_> {
        let reliable = |threshold| Intent {
            threshold,
            is_reliable: true,
            ..Intent::default()
        };
        match &*self.0 {
            Kind::AlwaysOn => reliable(Some(0)),
            Kind::AlwaysOff => Intent::default(),
            Kind::Probability(_, threshold) => reliable(*threshold),
            Kind::ParentThreshold(root) => match (question.span.parent, question.ot.threshold) {
                (None, _) => root.intent(question),
                (Some(_), Some(threshold)) => reliable(Some(threshold)),
                (Some(parent), None) => Intent {
                    threshold: parent.is_sampled().then_some(0),
                    ..Intent::default()
                },
            },
            Kind::Rules(rules) => {
                let first = rules.iter().find_map(|rule| rule.holds(question.span));
                first
                    .map(|sampler| sampler.intent(question))
                    .unwrap_or_default()
            }
            Kind::Annotating(sampler, attributes) => {
                let mut intent = sampler.intent(question);
                intent.attributes.push(attributes);
                intent
            }
        }
    }

    fn description(&self) -> String {
        match &*self.0 {
            Kind::AlwaysOn => "ComposableAlwaysOn".to_owned(),
            Kind::AlwaysOff => "ComposableAlwaysOff".to_owned(),
            Kind::Probability(ratio, _) => {
                format!("ComposableProbability{{{}}}", description::ratio(*ratio))
            }
            Kind::ParentThreshold(root) => {
                format!("ComposableParentThreshold{{{}}}", root.description())
            }
            Kind::Rules(rules) => {
                let rules: Vec<_> = rules
                    .iter()
                    .map(|rule| rule.description(Self::description))
                    .collect();
                format!("ComposableRuleBased{{{}}}", rules.join(","))
            }
            Kind::Annotating(sampler, attributes) => {
                let keys: Vec<&str> = attributes.iter().map(|(key, _)| key.as_str()).collect();
                let sampler = sampler.description();
                format!("ComposableAnnotating{{{sampler},[{}]}}", keys.join(" "))
            }
        }
    }

    fn problem(&self) -> Option<String> {
        match &*self.0 {
            Kind::AlwaysOn | Kind::AlwaysOff => None,
            Kind::Probability(ratio, _) => description::problem("Composable::probability", *ratio),
            Kind::ParentThreshold(sampler) | Kind::Annotating(sampler, _) => sampler.problem(),
            Kind::Rules(rules) => rules
                .iter()
                .filter_map(Rule::delegate)
                .find_map(Self::problem),
        }
    }
}

impl fmt::Debug for Composable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}

/// `CompositeSampler`.
#[derive(Debug)]
pub(super) struct Composite(pub(super) Composable);

impl Decide for Composite {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        let intent = self.0.intent(question);
        let mut sampling = by_threshold(question, intent.threshold, intent.is_reliable);
        if sampling.decision.is_sampled() {
            let attributes = intent.attributes.into_iter().flatten();
            sampling.attributes.extend(attributes.cloned());
        }
        sampling
    }

    fn description(&self) -> String {
        format!("CompositeSampler{{{}}}", self.0.description())
    }

    fn problem(&self) -> Option<String> {
        self.0.problem()
    }
}
