//! What becomes of events: span events, log records, both, or nothing. Decided once for each callsite.

use tracing_core::Level;

use super::callsite::Template;
use crate::model::Severity;
use crate::pattern::Pattern;
use crate::signal::Signal;

/// What becomes of events ([`Builder::with_events`](crate::Builder::with_events)).
///
/// An event of the level ERROR and an exception fail their span in each case but `Off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Events {
    /// Events become span events of the span they are recorded in. An event outside any span is left out.
    #[default]
    SpanEvents,
    /// Events become log records, with the ids of the span they are recorded in, if there is one. Also where that is not
    /// sampled.
    Logs,
    /// Events become log records, and those in a span that is recorded become span events too. What a field's `Debug` or
    /// `Display` writes is written twice.
    Both,
    /// Events are left out.
    Off,
}

impl Events {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SpanEvents => "span events",
            Self::Logs => "logs",
            Self::Both => "both",
            Self::Off => "off",
        }
    }

    fn has_logs(self) -> bool {
        matches!(self, Self::Logs | Self::Both)
    }

    /// The same where there are no log records.
    fn without_logs(self) -> Self {
        match self {
            Self::Both => Self::SpanEvents,
            Self::Logs => Self::Off,
            other => other,
        }
    }
}

/// What becomes of some events, by their target and level ([`Builder::with_event_rule`](crate::Builder::with_event_rule)).
///
/// ```
/// use tracing_otlp::{EventRule, Events};
///
/// let builder = tracing_otlp::layer()
///     .with_events(Events::SpanEvents)
///     .with_event_rule(EventRule::new(Events::Off).with_target("hyper*"))
///     .with_event_rule(EventRule::new(Events::Both).with_level(tracing::Level::WARN));
/// # drop(builder);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing until a builder has it"]
pub struct EventRule {
    events: Events,
    target: Option<Pattern>,
    level: Option<Level>,
}

impl EventRule {
    /// A rule for all events.
    pub fn new(events: Events) -> Self {
        Self {
            events,
            target: None,
            level: None,
        }
    }

    /// Only for events of these targets: `*` stands for any characters or none, `?` for any one.
    pub fn with_target(mut self, pattern: impl Into<String>) -> Self {
        self.target = Some(Pattern::new(pattern));
        self
    }

    /// Only for events of this level and of more severe ones.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    fn is_for(&self, target: &str, level: Level) -> bool {
        // The more severe a level, the less it is in `tracing`'s order.
        let is_severe = self.level.is_none_or(|least| level <= least);
        is_severe
            && self
                .target
                .as_ref()
                .is_none_or(|pattern| pattern.matches(target))
    }
}

impl std::fmt::Display for EventRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(target) = &self.target {
            write!(f, "{target} ")?;
        }
        if let Some(level) = self.level {
            write!(f, "{level}.. ")?;
        }
        write!(f, "{}", self.events.name())
    }
}

/// All that decides about an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routing {
    /// The first one that an event meets holds,
    pub(crate) rules: Vec<EventRule>,
    /// or this one.
    pub(crate) events: Events,
    /// What holds for exceptions that meet no rule, where that is something else.
    pub(crate) exceptions: Option<Events>,
    /// Log records below are left out.
    pub(crate) minimum_severity: Option<Severity>,
}

impl Routing {
    /// Whether there may be log records.
    pub(crate) fn has_logs(&self) -> bool {
        let mut all = self.rules.iter().map(|rule| rule.events);
        all.any(Events::has_logs)
            || self.events.has_logs()
            || self.exceptions.is_some_and(Events::has_logs)
    }

    /// The signals that there are records of.
    pub(crate) fn signals(&self) -> Vec<Signal> {
        let is_wanted = |signal: &Signal| *signal == Signal::Traces || self.has_logs();
        Signal::ALL.iter().copied().filter(is_wanted).collect()
    }

    /// Whether there may be anything.
    pub(super) fn has_any(&self) -> bool {
        let mut all = self.rules.iter().map(|rule| rule.events);
        self.events != Events::Off || all.any(|events| events != Events::Off)
    }

    /// The same for a pipeline that exports no log records: exceptions stay with their spans.
    pub(crate) fn without_logs(mut self) -> Self {
        for rule in &mut self.rules {
            rule.events = rule.events.without_logs();
        }
        self.events = self.events.without_logs();
        self.exceptions = None;
        self
    }

    /// What becomes of the events of a callsite.
    pub(super) fn of(&self, target: &str, level: &Level, is_exception: bool) -> Events {
        let rule = self.rules.iter().find(|rule| rule.is_for(target, *level));
        let general = || match self.exceptions {
            // What is off stays off.
            Some(exceptions) if is_exception && self.events != Events::Off => exceptions,
            _ => self.events,
        };
        let events = rule.map_or_else(general, |rule| rule.events);
        let is_below = |least| Severity::from(*level) < least;
        match events {
            Events::Logs | Events::Both if self.minimum_severity.is_some_and(is_below) => {
                events.without_logs()
            }
            _ => events,
        }
    }

    /// What becomes of a panic in a span of this target.
    pub(super) fn of_panics(&self, target: &str) -> Route {
        match self.of(target, &Level::ERROR, true) {
            Events::SpanEvents => Route::SpanEvent,
            Events::Logs => Route::Log,
            Events::Both => Route::Both(None),
            Events::Off => Route::Off,
        }
    }
}

/// What becomes of a callsite's events.
#[derive(Debug)]
pub(super) enum Route {
    SpanEvent,
    Log,
    /// The log record's template is the one inside.
    Both(Option<Box<Template>>),
    Off,
    /// A bridge from the crate `log`: that depends on what comes over it. The template inside is for what has too many targets.
    Foreign(Box<Template>),
}

impl Template {
    /// The common case.
    #[inline]
    pub(super) fn is_span_event_alone(&self) -> bool {
        matches!(self.route, Route::SpanEvent)
    }

    #[inline]
    pub(super) fn has_span_event(&self) -> bool {
        matches!(self.route, Route::SpanEvent | Route::Both(_))
    }

    /// The template of the log record, if there is one.
    #[inline]
    pub(super) fn log(&self) -> Option<&Self> {
        match &self.route {
            Route::Log => Some(self),
            Route::Both(log) => log.as_deref(),
            Route::SpanEvent | Route::Off | Route::Foreign(_) => None,
        }
    }
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::TRACE => Self::TRACE,
            Level::DEBUG => Self::DEBUG,
            Level::INFO => Self::INFO,
            Level::WARN => Self::WARN,
            Level::ERROR => Self::ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const LEVELS: [Level; 5] = [
        Level::TRACE,
        Level::DEBUG,
        Level::INFO,
        Level::WARN,
        Level::ERROR,
    ];
    const ALL: [Events; 4] = [Events::SpanEvents, Events::Logs, Events::Both, Events::Off];

    /// A rule as a model has it: targets that begin so, and the number of the least level.
    type Naive = (Option<&'static str>, Option<usize>, Events);

    fn rules() -> impl Strategy<Value = Vec<Naive>> {
        let target = proptest::option::of(prop::sample::select(vec!["", "a", "a::b", "c"]));
        let level = proptest::option::of(0..LEVELS.len());
        vec((target, level, prop::sample::select(ALL.to_vec())), 0..5)
    }

    fn rule((target, level, events): &Naive) -> EventRule {
        let mut rule = EventRule::new(*events);
        if let Some(target) = target {
            rule = rule.with_target(format!("{target}*"));
        }
        if let Some(level) = level {
            rule = rule.with_level(LEVELS[*level]);
        }
        rule
    }

    /// Whether there is a span event and a log record, looked at for each by itself.
    fn naive(
        rules: &[Naive],
        general: Events,
        exceptions: Option<Events>,
        minimum: Option<usize>,
        (target, level, is_exception): (&str, usize, bool),
    ) -> (bool, bool) {
        let mut events = general;
        if is_exception && general != Events::Off {
            events = exceptions.unwrap_or(general);
        }
        for (prefix, least, ruled) in rules.iter().rev() {
            if target.starts_with(prefix.unwrap_or("")) && level >= least.unwrap_or(0) {
                events = *ruled;
            }
        }
        let is_severe = minimum.is_none_or(|minimum| level >= minimum);
        (
            events == Events::SpanEvents || events == Events::Both,
            is_severe && (events == Events::Logs || events == Events::Both),
        )
    }

    proptest! {
        /// R10, 8.11, 14.11: "for each event: log, span event, both, or neither, by level and target".
        #[test]
        fn an_event_goes_where_the_first_rule_sends_it(
            known in rules(),
            general in prop::sample::select(ALL.to_vec()),
            exceptions in proptest::option::of(prop::sample::select(vec![Events::Logs, Events::Both])),
            minimum in proptest::option::of(0..LEVELS.len()),
            target in prop::sample::select(vec!["", "a", "a::b::c", "b", "c::d"]),
            level in 0..LEVELS.len(),
            is_exception: bool,
        ) {
            let routing = Routing {
                rules: known.iter().map(rule).collect(),
                events: general,
                exceptions,
                minimum_severity: minimum.map(|level| Severity::from(LEVELS[level])),
            };
            let expected = naive(&known, general, exceptions, minimum, (target, level, is_exception));
            let events = routing.of(target, &LEVELS[level], is_exception);
            let found = (matches!(events, Events::SpanEvents | Events::Both), events.has_logs());
            prop_assert_eq!(found, expected);
            prop_assert!(!expected.1 || routing.has_logs());
            prop_assert!(expected == (false, false) || routing.has_any());
            let without = routing.without_logs();
            prop_assert!(!without.has_logs());
            prop_assert!(!without.of(target, &LEVELS[level], is_exception).has_logs());
        }
    }

    #[test]
    fn spec_8_1_each_level_is_the_least_number_of_its_range() {
        let numbers = LEVELS.map(|level| Severity::from(level).number());
        assert_eq!(numbers, [1, 5, 9, 13, 17]);
    }

    /// 14.3: where no log records are sent, exceptions stay span events.
    #[test]
    fn spec_14_3_exceptions_stay_where_there_are_no_logs() {
        let routing = Routing {
            exceptions: Some(Events::Logs),
            ..Routing::default()
        };
        assert_eq!(routing.of("a", &Level::INFO, true), Events::Logs);
        assert_eq!(routing.of("a", &Level::INFO, false), Events::SpanEvents);
        let without = routing.without_logs();
        assert_eq!(without.of("a", &Level::INFO, true), Events::SpanEvents);
    }

    #[test]
    fn a_rule_says_what_it_is_for() {
        let rule = EventRule::new(Events::Both)
            .with_target("a::*")
            .with_level(Level::WARN);
        assert_eq!(rule.to_string(), "a::* WARN.. both");
        assert_eq!(EventRule::new(Events::Off).to_string(), "off");
    }
}
