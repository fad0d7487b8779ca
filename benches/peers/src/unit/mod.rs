//! What a span says beside its fields, and whether it is recorded: one unit of work each, for ours and its peer behind `tracing`.
//!
//! A unit is the calls of `tracing` that the no-op layer sees too, and where it needs them calls of the stack's own. So what a
//! stack adds to the no-op layer is the cost of all that the unit does; what the unit adds to the one that it stands
//! [`beside`](Unit::beside) is the cost of what it is named after.

mod by_opentelemetry;
mod by_ours;
mod by_tracing;

use std::fmt;
use std::str::FromStr;

use crate::stack::{Destination, Hook, Limits, Sampler, Settings, Stack};

/// One unit of work, for some stacks.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Its name in tables.
    pub name: &'static str,
    /// How the stack is installed for it.
    pub variant: Variant,
    /// The unit that does the same without what this one is named after.
    pub beside: Option<&'static str>,
    /// Whether all of it happens below a span that stays open.
    pub is_below: bool,
    /// The least number of spans that one call exports.
    pub exported: u64,
    by_tracing: fn(i64),
    by_ours: fn(i64),
    by_opentelemetry: Option<fn(i64)>,
}

/// How a stack is installed, by what differs from its defaults. Each is a process of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Variant {
    /// By its defaults.
    Sampled,
    /// No root is sampled, by the ratio 0.
    None,
    /// One root in a hundred is sampled.
    Hundredth,
    /// By rules about names.
    Rules,
    /// Spans tell how long they were entered.
    BusyAndIdle,
    /// Texts of 32 characters, 8 attributes, 4 events.
    Limited,
    /// Spans of 1 KiB.
    Small,
    /// A processor sees spans that begin,
    StartHook,
    /// or each value,
    ValueHook,
    /// or what ends.
    EndHook,
    /// Secrets are redacted.
    Redaction,
    /// By tail sampling, traces that failed.
    Tail,
    /// By tail sampling, all traces: its ratio is 1.
    TailAll,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Sampled,
        Self::None,
        Self::Hundredth,
        Self::Rules,
        Self::BusyAndIdle,
        Self::Limited,
        Self::Small,
        Self::StartHook,
        Self::ValueHook,
        Self::EndHook,
        Self::Redaction,
        Self::Tail,
        Self::TailAll,
    ];

    /// Its name in arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::None => "none",
            Self::Hundredth => "hundredth",
            Self::Rules => "rules",
            Self::BusyAndIdle => "busy_and_idle",
            Self::Limited => "limited",
            Self::Small => "small",
            Self::StartHook => "start_hook",
            Self::ValueHook => "value_hook",
            Self::EndHook => "end_hook",
            Self::Redaction => "redaction",
            Self::Tail => "tail",
            Self::TailAll => "tail_all",
        }
    }

    /// What the stack is installed with.
    pub fn settings(self, destination: Destination) -> Settings {
        let settings = Settings::new(destination);
        let sampled_by = |sampler| Settings {
            sampler,
            ..settings.clone()
        };
        let limited_by = |limits| Settings {
            limits,
            ..settings.clone()
        };
        let hooked_by = |hook| Settings {
            hook: Some(hook),
            ..settings.clone()
        };
        match self {
            Self::StartHook => hooked_by(Hook::Start),
            Self::ValueHook => hooked_by(Hook::Value),
            Self::EndHook => hooked_by(Hook::End),
            Self::Redaction => hooked_by(Hook::Redaction),
            Self::Sampled => settings,
            Self::None => sampled_by(Sampler::Ratio(0.0)),
            Self::Hundredth => sampled_by(Sampler::Ratio(0.01)),
            Self::Rules => sampled_by(Sampler::Rules),
            Self::BusyAndIdle => Settings {
                busy_and_idle: true,
                ..settings
            },
            Self::Limited => limited_by(Limits {
                value_length: Some(32),
                attributes: Some(8),
                events: Some(4),
                record_bytes: None,
            }),
            Self::Small => limited_by(Limits {
                record_bytes: Some(1 << 10),
                ..Limits::default()
            }),
            Self::Tail => Settings {
                tail: Some(0.0),
                ..settings
            },
            Self::TailAll => Settings {
                tail: Some(1.0),
                ..settings
            },
        }
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let variant = Self::ALL.into_iter().find(|variant| variant.name() == name);
        variant.ok_or_else(|| format!("no variant is {name}"))
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A root with two attributes, beside which most others stand.
pub const SPAN: &str = "a span of two attributes, sampled";
const SERVER: &str = "the same with `otel.kind`";
const TEXT: &str = "a span with a text of 100 characters";
const ATTRIBUTES: &str = "a span with 16 attributes";
const EVENTS: &str = "a span with 8 events";
const LARGE: &str = "a span with a text of 2,000 characters";
/// Five of those spans.
pub const TRACE: &str = "a trace of 5 spans, sampled";
const FAILING: &str = "a trace of 5 spans, one of which failed";

impl Unit {
    /// All of them, in the order of the table; those of a variant stand together.
    #[rustfmt::skip]
    pub const ALL: &'static [Self] = &[
        Self::sampled("an empty span, sampled", by_tracing::empty_span),
        Self::sampled(SPAN, by_tracing::span),
        Self::sampled(SERVER, by_tracing::server_span),
        Self::told("`set_attribute`", by_tracing::span, by_ours::set_attribute, by_opentelemetry::set_attribute),
        Self::told("2 links, `add_link`", by_tracing::span, by_ours::links, by_opentelemetry::links),
        Self::sampled("2 links, `follows_from`", by_tracing::follows_from).beside(SPAN),
        Self::told("`set_parent`, caller sampled", by_tracing::span, by_ours::set_parent, by_opentelemetry::set_parent),
        Self::told("`set_parent`, caller sampled, `otel.kind`", by_tracing::server_span, by_ours::set_server_parent, by_opentelemetry::set_server_parent).beside(SERVER),
        Self::told("`context`", by_tracing::span, by_ours::context, by_opentelemetry::context),
        Self::told("`inject`", by_tracing::span, by_ours::inject, by_opentelemetry::inject),
        Self::sampled("an error event", by_tracing::error).beside(SPAN),
        Self::sampled(TEXT, by_tracing::text),
        Self::sampled(ATTRIBUTES, by_tracing::attributes),
        Self::sampled(EVENTS, by_tracing::events),
        Self::sampled(LARGE, by_tracing::large),
        Self::sampled(TRACE, by_tracing::trace).exports_all(5),
        Self::sampled(FAILING, by_tracing::failing_trace).exports_all(5),

        Self::of("not sampled, as its parent: an empty span", Variant::None, by_tracing::empty_span).below(),
        Self::of("not sampled, as its parent: two attributes", Variant::None, by_tracing::span).below(),
        Self::of("not sampled, a root: an empty span", Variant::None, by_tracing::empty_span),
        Self::of("not sampled, a root: two attributes", Variant::None, by_tracing::span),
        Self::of("not sampled, a root: the trace of 5 spans", Variant::None, by_tracing::trace).beside(TRACE),
        Self::of("not sampled, a root: two attributes and `otel.kind`", Variant::None, by_tracing::server_span),
        Self::of("not sampled, `set_parent`, caller not sampled, `otel.kind`", Variant::None, by_tracing::server_span)
            .by(by_ours::set_unsampled_parent, Some(by_opentelemetry::set_unsampled_parent)),

        Self::of("one root in a hundred sampled, mean", Variant::Hundredth, by_tracing::span),
        Self::of("rules by name: sampled", Variant::Rules, by_tracing::span).ours_alone().exports().beside(SPAN),
        Self::of("rules by name: not sampled", Variant::Rules, by_tracing::health).ours_alone(),
        Self::of("busy and idle times", Variant::BusyAndIdle, by_tracing::span).exports().beside(SPAN),
        Self::of("the text cut at 32 characters", Variant::Limited, by_tracing::text).ours_alone().exports().beside(TEXT),
        Self::of("8 of the 16 attributes", Variant::Limited, by_tracing::attributes).exports().beside(ATTRIBUTES),
        Self::of("4 of the 8 events", Variant::Limited, by_tracing::events).exports().beside(EVENTS),
        Self::of("the span cut at 1 KiB", Variant::Small, by_tracing::large).ours_alone().exports().beside(LARGE),
        Self::of("a processor that looks at spans that begin", Variant::StartHook, by_tracing::span).ours_alone().exports().beside(SPAN),
        Self::of("a processor that looks at values", Variant::ValueHook, by_tracing::span).ours_alone().exports().beside(SPAN),
        Self::of("a processor that looks at spans that end", Variant::EndHook, by_tracing::span).ours_alone().exports().beside(SPAN),
        Self::of("redaction of two attributes", Variant::Redaction, by_tracing::span).ours_alone().exports().beside(SPAN),
        Self::of("redaction of the text of 100 characters", Variant::Redaction, by_tracing::text).ours_alone().exports().beside(TEXT),
        Self::of("redaction of 8 events", Variant::Redaction, by_tracing::events).ours_alone().exports().beside(EVENTS),
        Self::of("tail sampling drops the trace", Variant::Tail, by_tracing::trace).ours_alone().beside(TRACE),
        Self::of("tail sampling keeps the trace that failed", Variant::Tail, by_tracing::failing_trace).ours_alone().exports_all(5).beside(FAILING),
        Self::of("tail sampling keeps the trace by its ratio", Variant::TailAll, by_tracing::trace).ours_alone().exports_all(5).beside(TRACE),
    ];

    /// The unit of this name.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn named(name: &str) -> &'static Self {
        let mut all = Self::ALL.iter();
        all.find(|unit| unit.name == name)
            .expect("the name of a unit")
    }

    /// The units of a variant, or those that the no-op layer runs: all of them, for it has no settings.
    pub fn of_process(stack: Stack, variant: Variant) -> impl Iterator<Item = &'static Self> {
        let runs = move |unit: &&Self| {
            stack == Stack::NoOp || unit.variant == variant && unit.for_stack(stack).is_some()
        };
        Self::ALL.iter().filter(runs)
    }

    /// The function to call, with a number that differs from call to call; `None` where a stack has no equal.
    pub fn for_stack(&self, stack: Stack) -> Option<fn(i64)> {
        match stack {
            Stack::NoOp | Stack::Floor => Some(self.by_tracing),
            Stack::Ours => Some(self.by_ours),
            Stack::OpenTelemetry | Stack::OpenTelemetryDefaults => self.by_opentelemetry,
            Stack::Fastrace => None,
        }
    }

    /// Where the settings alone make the difference.
    const fn of(name: &'static str, variant: Variant, by_tracing: fn(i64)) -> Self {
        Self {
            name,
            variant,
            beside: None,
            is_below: false,
            exported: 0,
            by_tracing,
            by_ours: by_tracing,
            by_opentelemetry: Some(by_tracing),
        }
    }

    const fn sampled(name: &'static str, by_tracing: fn(i64)) -> Self {
        Self::of(name, Variant::Sampled, by_tracing).exports()
    }

    /// A span that is told something by the stack's own calls.
    const fn told(
        name: &'static str,
        by_tracing: fn(i64),
        by_ours: fn(i64),
        by_opentelemetry: fn(i64),
    ) -> Self {
        Self::sampled(name, by_tracing)
            .by(by_ours, Some(by_opentelemetry))
            .beside(SPAN)
    }

    const fn by(mut self, ours: fn(i64), opentelemetry: Option<fn(i64)>) -> Self {
        self.by_ours = ours;
        self.by_opentelemetry = opentelemetry;
        self
    }

    const fn ours_alone(self) -> Self {
        let ours = self.by_ours;
        self.by(ours, None)
    }

    const fn beside(mut self, unit: &'static str) -> Self {
        self.beside = Some(unit);
        self
    }

    const fn below(mut self) -> Self {
        self.is_below = true;
        self
    }

    const fn exports(self) -> Self {
        self.exports_all(1)
    }

    const fn exports_all(mut self, spans: u64) -> Self {
        self.exported = spans;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_names_of_their_own_and_stand_beside_others() {
        for (at, unit) in Unit::ALL.iter().enumerate() {
            assert!(Unit::ALL[..at].iter().all(|other| other.name != unit.name));
            let beside = |name| Unit::ALL[..at].iter().any(|other| other.name == name);
            assert!(unit.beside.is_none_or(beside), "{}", unit.name);
        }
    }

    #[test]
    fn the_units_of_a_variant_stand_together() {
        let mut in_order: Vec<Variant> = Unit::ALL.iter().map(|unit| unit.variant).collect();
        in_order.dedup();
        assert_eq!(in_order, Variant::ALL);
    }
}
