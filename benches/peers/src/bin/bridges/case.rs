//! What is measured: stacks with bridges built in or not, and units of work.

use std::str::FromStr;
use std::sync::OnceLock;

use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{Span, Tracer};
use opentelemetry::{KeyValue, trace};
use peers::stack::Stack;
use peers::unit::{SPAN, TRACE, Unit};
use tracing::info_span;

/// Which bridges are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    Without,
    /// That to the API.
    Contexts,
    /// And that to the trait.
    Both,
}

impl Build {
    pub(crate) const ALL: [Self; 3] = [Self::Without, Self::Contexts, Self::Both];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Without => "without",
            Self::Contexts => "contexts",
            Self::Both => "both",
        }
    }

    pub(crate) fn features(self) -> &'static str {
        match self {
            Self::Without => "",
            Self::Contexts => "contexts",
            Self::Both => "bridges",
        }
    }
}

/// A stack in a process of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) build: Build,
    pub(crate) stack: Stack,
    /// Whether spans are active contexts.
    pub(crate) activation: bool,
    /// Whether it runs what calls the bridges.
    calls: bool,
}

impl Case {
    pub(crate) const NO_OP: Self = Self::new("no_op", Build::Without, Stack::NoOp);
    pub(crate) const WITHOUT: Self = Self::new("without", Build::Without, Stack::Ours);
    pub(crate) const CONTEXTS: Self = Self::new("contexts", Build::Contexts, Stack::Ours);
    pub(crate) const BOTH: Self = Self::new("both", Build::Both, Stack::Ours).calling();
    pub(crate) const ACTIVE: Self = Self::new("active", Build::Both, Stack::Ours).activating();
    pub(crate) const THEIRS: Self =
        Self::new("theirs", Build::Without, Stack::OpenTelemetry).calling();
    pub(crate) const THEIRS_ACTIVE: Self =
        Self::new("theirs_active", Build::Without, Stack::OpenTelemetry).activating();

    pub(crate) const ALL: &'static [Self] = &[
        Self::NO_OP,
        Self::WITHOUT,
        Self::CONTEXTS,
        Self::BOTH,
        Self::ACTIVE,
        Self::THEIRS,
        Self::THEIRS_ACTIVE,
    ];

    const fn new(name: &'static str, build: Build, stack: Stack) -> Self {
        Self {
            name,
            build,
            stack,
            activation: false,
            calls: false,
        }
    }

    const fn calling(mut self) -> Self {
        self.calls = true;
        self
    }

    const fn activating(mut self) -> Self {
        self.activation = true;
        self
    }

    /// What it runs, in this order.
    pub(crate) fn works(&self) -> impl Iterator<Item = &'static Work> {
        let (is_no_op, calls) = (self.stack == Stack::NoOp, self.calls);
        Work::ALL.iter().filter(move |work| match work.call {
            Call::Tracing(_) => true,
            Call::Trait(_) => is_no_op || calls,
            Call::Api(_) => calls,
        })
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|case| case.name == name);
        found.copied().ok_or_else(|| format!("no case is {name}"))
    }
}

/// A unit of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// What does the same without that which it is named after.
    pub(crate) beside: Option<&'static str>,
    pub(crate) call: Call,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Tracing(fn(i64)),
    /// A [`Unit`] whose calls are those of tracing-opentelemetry's trait.
    Trait(&'static str),
    /// OpenTelemetry's API alone.
    Api(fn(i64)),
}

impl Work {
    pub(crate) const EMPTY: Self = Self::tracing("an empty span", |_| {
        let _span = info_span!("empty").entered();
    });
    pub(crate) const AGAIN: Self = Self::tracing("a span that is entered ten times", |_| {
        let span = info_span!("empty");
        (0..10).for_each(|_| span.in_scope(|| {}));
    });
    pub(crate) const TWO: Self = Self::tracing(SPAN, |number| call_of(SPAN, Stack::NoOp)(number));
    pub(crate) const FIVE: Self =
        Self::tracing(TRACE, |number| call_of(TRACE, Stack::NoOp)(number));

    pub(crate) const ALL: &'static [Self] = &[
        Self::EMPTY,
        Self::AGAIN,
        Self::TWO,
        Self::FIVE,
        Self::of_trait("`set_attribute`"),
        Self::of_trait("2 links, `add_link`"),
        Self::of_trait("`set_parent`, caller sampled"),
        Self::of_trait("`context`"),
        Self::of_trait("`inject`"),
        Self::of_api("a span of two attributes, by a `Tracer`", by_tracer),
        Self::of_api("the same with a child, by `in_span`", in_span),
    ];

    const fn tracing(name: &'static str, call: fn(i64)) -> Self {
        Self {
            name,
            beside: None,
            call: Call::Tracing(call),
        }
    }

    const fn of_trait(name: &'static str) -> Self {
        Self {
            name,
            beside: Some(SPAN),
            call: Call::Trait(name),
        }
    }

    const fn of_api(name: &'static str, call: fn(i64)) -> Self {
        Self {
            name,
            beside: None,
            call: Call::Api(call),
        }
    }

    /// The function to call.
    pub(crate) fn for_stack(&self, stack: Stack) -> fn(i64) {
        match self.call {
            Call::Tracing(call) | Call::Api(call) => call,
            // Also on a span of ours.
            Call::Trait(name) if stack == Stack::Ours => call_of(name, Stack::OpenTelemetry),
            Call::Trait(name) => call_of(name, stack),
        }
    }
}

fn call_of(unit: &str, stack: Stack) -> fn(i64) {
    let call = Unit::named(unit).for_stack(stack);
    call.expect("the stack has this unit")
}

/// The global one, as libraries have it.
fn tracer() -> &'static BoxedTracer {
    static TRACER: OnceLock<BoxedTracer> = OnceLock::new();
    TRACER.get_or_init(|| global::tracer("bench"))
}

fn builder(number: i64) -> trace::SpanBuilder {
    let builder = tracer().span_builder("GET /orders/{id}");
    builder.with_attributes([
        KeyValue::new("http.request.method", "GET"),
        KeyValue::new("order.id", number),
    ])
}

fn by_tracer(number: i64) {
    builder(number).start(tracer()).end();
}

fn in_span(number: i64) {
    tracer().in_span("request", |_| by_tracer(number));
}
