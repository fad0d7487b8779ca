//! Random trees of spans under random filters that change midway (R3): every parent that is named is there, and it is the
//! nearest ancestor that the layer was to see.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use tracing::dispatcher::with_default;
use tracing::span::Id;
use tracing::{Dispatch, Level, Span};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

use crate::support::layer::{Attributed, Everything, Pipeline, Spans, int};

const TARGETS: [&str; 3] = ["alpha", "beta", "gamma"];
const LEVELS: [Level; 3] = [Level::ERROR, Level::INFO, Level::TRACE];

/// A level for each target.
type Filter = [usize; 3];

/// Lets everything pass.
const ALL: Filter = [3; 3];

/// Where a span or an event is recorded: its target and its level.
type Place = (usize, usize);

#[derive(Clone, Copy, Debug)]
enum Step {
    Open(Place, Parent),
    Event(Place, Parent),
    Enter(usize),
    Exit(usize),
    Drop(usize),
    /// Changes the filter around the layer.
    Around(Filter),
    /// Changes the layer's own filter.
    Own(Filter),
}

#[derive(Clone, Copy, Debug)]
enum Parent {
    Current,
    Root,
    Of(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..3_usize, 0..3_usize);
    let span = || 0..32_usize;
    let parent = || prop_oneof![4 => Just(Parent::Current), 1 => Just(Parent::Root), 2 => span().prop_map(Parent::Of)];
    prop_oneof![
        5 => (place(), parent()).prop_map(|(place, parent)| Step::Open(place, parent)),
        4 => (place(), parent()).prop_map(|(place, parent)| Step::Event(place, parent)),
        6 => span().prop_map(Step::Enter),
        3 => span().prop_map(Step::Exit),
        2 => span().prop_map(Step::Drop),
        1 => filter().prop_map(Step::Around),
        1 => filter().prop_map(Step::Own),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    [0..4_usize, 0..4_usize, 0..4_usize]
}

fn targets(filter: Filter) -> Targets {
    const FILTERS: [LevelFilter; 4] = [
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::INFO,
        LevelFilter::TRACE,
    ];
    Targets::new().with_targets(
        TARGETS
            .iter()
            .zip(filter.map(|level| FILTERS[level]))
            .map(|(target, level)| (*target, level)),
    )
}

/// Records with one of nine callsites, each a macro of its own, so that `tracing`'s caches of interest are at work.
macro_rules! each_place {
    ($place:expr, $at:ident) => {
        match $place {
            (0, 0) => $at!("alpha", Level::ERROR),
            (0, 1) => $at!("alpha", Level::INFO),
            (0, _) => $at!("alpha", Level::TRACE),
            (1, 0) => $at!("beta", Level::ERROR),
            (1, 1) => $at!("beta", Level::INFO),
            (1, _) => $at!("beta", Level::TRACE),
            (_, 0) => $at!("gamma", Level::ERROR),
            (_, 1) => $at!("gamma", Level::INFO),
            (_, _) => $at!("gamma", Level::TRACE),
        }
    };
}

/// No parent is contextual.
fn open(place: Place, number: usize, parent: Option<Option<Id>>) -> Span {
    macro_rules! at {
        ($target:literal, $level:expr) => {
            match parent {
                None => tracing::span!(target: $target, $level, "span", number),
                Some(parent) => tracing::span!(target: $target, parent: parent, $level, "span", number),
            }
        };
    }
    each_place!(place, at)
}

fn event(place: Place, number: usize, parent: Option<Option<Id>>) {
    macro_rules! at {
        ($target:literal, $level:expr) => {
            match parent {
                None => tracing::event!(target: $target, $level, number),
                Some(parent) => tracing::event!(target: $target, parent: parent, $level, number),
            }
        };
    }
    each_place!(place, at);
}

/// A span as the model knows it.
#[derive(Debug)]
struct Known {
    handle: Option<Span>,
    entered: usize,
    is_visible: bool,
    /// The nearest visible ancestor.
    parent: Option<usize>,
    events: Vec<usize>,
}

struct Machine {
    spans: Vec<Known>,
    stack: Vec<(usize, bool)>,
    events: usize,
    around: Filter,
    own: Filter,
}

impl Machine {
    fn is_visible(&self, (target, level): Place) -> bool {
        let passes = |filter: Filter| targets(filter).would_enable(TARGETS[target], &LEVELS[level]);
        passes(self.around) && passes(self.own)
    }

    fn handle(&self, number: usize) -> Option<usize> {
        let number = number.checked_rem(self.spans.len())?;
        self.spans[number].handle.as_ref()?;
        Some(number)
    }

    fn resolve(&self, parent: Parent) -> (Option<usize>, Option<Option<Id>>) {
        let current = self
            .stack
            .iter()
            .rev()
            .find(|(_, again)| !again)
            .map(|(number, _)| *number);
        let explicit = |number: usize| self.spans[number].handle.as_ref().map(|span| span.id());
        match parent {
            Parent::Root => (None, Some(None)),
            Parent::Current => (current, None),
            Parent::Of(number) => match self.handle(number) {
                Some(number) => (Some(number), explicit(number)),
                None => (current, None),
            },
        }
    }

    /// The span itself, or its nearest visible ancestor.
    fn visible(&self, number: Option<usize>) -> Option<usize> {
        let number = number?;
        if self.spans[number].is_visible {
            Some(number)
        } else {
            self.spans[number].parent
        }
    }

    fn open(&mut self, place: Place, parent: Parent) {
        let (parent, explicit) = self.resolve(parent);
        self.spans.push(Known {
            handle: Some(open(place, self.spans.len(), explicit)),
            entered: 0,
            is_visible: self.is_visible(place),
            parent: self.visible(parent),
            events: Vec::new(),
        });
    }

    fn event(&mut self, place: Place, parent: Parent) {
        let (parent, explicit) = self.resolve(parent);
        event(place, self.events, explicit);
        if let Some(span) = self.visible(parent).filter(|_| self.is_visible(place)) {
            self.spans[span].events.push(self.events);
        }
        self.events += 1;
    }

    fn enter(&mut self, number: usize) {
        if let Some(number) = self.handle(number) {
            let again = self.stack.iter().any(|(entered, _)| *entered == number);
            self.stack.push((number, again));
            let span = &mut self.spans[number];
            span.entered += 1;
            span.handle
                .as_ref()
                .unwrap()
                .with_subscriber(|(id, dispatch)| dispatch.enter(id));
        }
    }

    fn exit(&mut self, number: usize) {
        let Some(number) = self
            .handle(number)
            .filter(|number| self.spans[*number].entered > 0)
        else {
            return;
        };
        let place = self
            .stack
            .iter()
            .rposition(|(entered, _)| *entered == number)
            .unwrap();
        self.stack.remove(place);
        let span = &mut self.spans[number];
        span.entered -= 1;
        span.handle
            .as_ref()
            .unwrap()
            .with_subscriber(|(id, dispatch)| dispatch.exit(id));
    }

    fn drop(&mut self, number: usize) {
        if let Some(number) = self
            .handle(number)
            .filter(|number| self.spans[*number].entered == 0)
        {
            self.spans[number].handle = None;
        }
    }

    fn end(&mut self) {
        while let Some((number, _)) = self.stack.last() {
            self.exit(*number);
        }
        self.spans.iter_mut().for_each(|span| span.handle = None);
    }
}

/// Without a filter around it, the layer sees every span being entered.
fn run(around: Option<Filter>, own: Filter, steps: &[Step]) -> (Machine, Spans) {
    let (layer, pipeline) = Pipeline::with(|builder| builder.with_filter(targets(own)));
    let (filter, handle) = reload::Layer::new(targets(around.unwrap_or(ALL)));
    let registry = tracing_subscriber::registry().with(Everything);
    let dispatch = if around.is_some() {
        Dispatch::new(registry.with(layer.with_filter(filter)))
    } else {
        Dispatch::new(registry.with(layer))
    };
    let mut machine = Machine {
        spans: Vec::new(),
        stack: Vec::new(),
        events: 0,
        around: around.unwrap_or(ALL),
        own,
    };
    with_default(&dispatch, || {
        for step in steps {
            match *step {
                Step::Open(place, parent) => machine.open(place, parent),
                Step::Event(place, parent) => machine.event(place, parent),
                Step::Enter(number) => machine.enter(number),
                Step::Exit(number) => machine.exit(number),
                Step::Drop(number) => machine.drop(number),
                Step::Around(_) if around.is_none() => {}
                Step::Around(filter) => {
                    machine.around = filter;
                    handle.reload(targets(filter)).unwrap();
                }
                Step::Own(filter) => {
                    machine.own = filter;
                    pipeline.handle().set_filter(targets(filter));
                }
            }
        }
        machine.end();
    });
    (machine, pipeline.spans())
}

fn check(machine: &Machine, spans: &Spans) {
    let visible = machine.spans.iter().filter(|span| span.is_visible).count();
    assert_eq!(spans.len(), visible);
    let find = |number: usize| {
        let found = spans
            .iter()
            .find(|span| span.value("number") == int(number as i64));
        found.unwrap_or_else(|| panic!("span {number} is missing"))
    };
    for (number, known) in machine
        .spans
        .iter()
        .enumerate()
        .filter(|(_, span)| span.is_visible)
    {
        let span = find(number);
        match known.parent {
            Some(parent) => span.assert_child_of(find(parent)),
            None => span.assert_root(),
        }
        let events: Vec<_> = span
            .events
            .iter()
            .map(|event| event.value("number"))
            .collect();
        let expected: Vec<_> = known
            .events
            .iter()
            .map(|number| int(*number as i64))
            .collect();
        assert_eq!(events, expected, "events of span {number}");
    }
}

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    #[test]
    fn parents_are_the_nearest_visible_ancestors(
        around in prop::option::of(filter()),
        own in filter(),
        steps in vec(step(), 1..60),
    ) {
        let (machine, spans) = run(around, own, &steps);
        check(&machine, &spans);
    }
}
