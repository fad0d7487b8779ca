//! Rules: which sampler decides about which spans.

use super::Decide;
use super::candidate::Candidate;
use super::decision::Sampling;
use super::question::Question;
use super::shared::Sampler;
use crate::model::{SpanKind, Value};
use crate::pattern::Pattern;

/// Which spans a sampler decides about, in [`Sampler::rules`] and [`Composable::rules`](crate::Composable::rules), or whose traces
/// tail sampling keeps (`Tail::with_rule`). All of its conditions must hold; without any, it holds for every span.
///
/// In texts, `*` stands for any characters or none, and `?` for any one.
///
/// ```
/// use tracing_otlp::{Rule, Sampler, SpanKind};
///
/// let sampler = Sampler::rules(
///     [
///         Rule::new().name("GET /health*").sampler(Sampler::always_off()),
///         Rule::new()
///             .kind(SpanKind::Server)
///             .field("http.route", "/checkout/*")
///             .sampler(Sampler::always_on()),
///     ],
///     Sampler::ratio(0.1),
/// );
/// let sampler = Sampler::parent_based(sampler);
/// # drop(sampler);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing until it is in a sampler"]
pub struct Rule<S = Sampler> {
    name: Option<Pattern>,
    target: Option<Pattern>,
    kind: Option<SpanKind>,
    fields: Vec<(String, Expected)>,
    sampler: Option<S>,
}

/// What a field should be.
#[derive(Clone, Debug)]
enum Expected {
    Text(Pattern),
    Other(Value<'static>),
}

impl<S> Rule<S> {
    /// A rule without conditions. Without [`Rule::sampler`], what it holds for is always sampled.
    #[allow(
        clippy::new_without_default,
        reason = "a rule without conditions is a beginning, not a default"
    )]
    pub fn new() -> Self {
        Self {
            name: None,
            target: None,
            kind: None,
            fields: Vec::new(),
            sampler: None,
        }
    }

    /// The span's name, which may have wildcards.
    pub fn name(mut self, pattern: impl Into<String>) -> Self {
        self.name = Some(Pattern::new(pattern));
        self
    }

    /// The span's tracing target, which may have wildcards.
    pub fn target(mut self, pattern: impl Into<String>) -> Self {
        self.target = Some(Pattern::new(pattern));
        self
    }

    /// The span's kind.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// An attribute that the span has when a sampler is asked, or for tail sampling when it ends. A text may have wildcards, and holds for texts alone; but `*` holds for
    /// any value. Any other value must be the same, and of the same type: `1` is not `1.0`.
    pub fn field(mut self, key: impl Into<String>, value: impl Into<Value<'static>>) -> Self {
        let expected = match value.into() {
            Value::Str(text) => Expected::Text(Pattern::new(text)),
            other => Expected::Other(other),
        };
        self.fields.push((key.into(), expected));
        self
    }

    /// Which sampler decides.
    pub fn sampler(mut self, sampler: impl Into<S>) -> Self {
        self.sampler = Some(sampler.into());
        self
    }

    /// Its sampler, else this one.
    pub(super) fn or(mut self, sampler: impl FnOnce() -> S) -> Self {
        self.sampler = Some(self.sampler.unwrap_or_else(sampler));
        self
    }

    /// Its sampler, if it holds for this span.
    pub(super) fn holds(&self, span: &Candidate<'_>) -> Option<&S> {
        self.sampler.as_ref().filter(|_| self.matches(span))
    }

    /// Whether its conditions hold for this span.
    pub(super) fn matches(&self, span: &Candidate<'_>) -> bool {
        let has =
            |pattern: &Option<Pattern>, text| pattern.as_ref().is_none_or(|p| p.matches(text));
        self.kind.is_none_or(|kind| kind == span.kind)
            && has(&self.target, span.target)
            && has(&self.name, span.name)
            && self
                .fields
                .iter()
                .all(|(key, expected)| expected.holds(span.attribute(key)))
    }

    pub(super) fn delegate(&self) -> Option<&S> {
        self.sampler.as_ref()
    }

    /// As in `name=a* kind=Server -> AlwaysOnSampler`.
    pub(super) fn description(&self, sampler: impl Fn(&S) -> String) -> String {
        let sampler = self.sampler.as_ref().map(sampler).unwrap_or_default();
        format!("{}->{sampler}", self.conditions())
    }

    /// As in `[name=a* kind=Server]`.
    pub(super) fn conditions(&self) -> String {
        let name = self.name.iter().map(|name| format!("name={name}"));
        let target = self.target.iter().map(|target| format!("target={target}"));
        let kind = self.kind.iter().map(|kind| format!("kind={kind:?}"));
        let fields = self.fields.iter().map(|(key, expected)| match expected {
            Expected::Text(pattern) => format!("{key}={pattern:?}"),
            Expected::Other(value) => format!("{key}={value:?}"),
        });
        let conditions: Vec<_> = name.chain(target).chain(kind).chain(fields).collect();
        format!("[{}]", conditions.join(" "))
    }
}

impl Expected {
    fn holds(&self, value: Option<Value<'_>>) -> bool {
        match (self, value) {
            (_, None) => false,
            (Self::Text(pattern), Some(Value::Str(text))) => pattern.matches(&text),
            (Self::Text(pattern), Some(_)) => pattern.is_any(),
            (Self::Other(expected), Some(value)) => *expected == value,
        }
    }
}

/// The first rule that holds decides.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    otherwise: Sampler,
}

impl Rules {
    pub(super) fn new(rules: impl IntoIterator<Item = Rule>, otherwise: Sampler) -> Self {
        let rules = rules.into_iter().map(|rule| rule.or(Sampler::always_on));
        Self {
            rules: rules.collect(),
            otherwise,
        }
    }
}

impl Decide for Rules {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        let first = self.rules.iter().find_map(|rule| rule.holds(question.span));
        first.unwrap_or(&self.otherwise).decide(question)
    }

    fn description(&self) -> String {
        let rules = self
            .rules
            .iter()
            .map(|rule| rule.description(Sampler::description));
        let rules: Vec<_> = rules.collect();
        let otherwise = self.otherwise.description();
        format!("RuleBased{{{},otherwise->{otherwise}}}", rules.join(","))
    }

    fn problem(&self) -> Option<String> {
        let delegates = self.rules.iter().filter_map(Rule::delegate);
        let mut all = delegates.chain([&self.otherwise]);
        all.find_map(Sampler::problem)
    }
}
