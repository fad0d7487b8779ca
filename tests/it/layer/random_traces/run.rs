//! Runs a program, and keeps what a naive model knows of its spans.

use std::sync::Mutex;
use std::thread;

use tracing::dispatcher::with_default;
use tracing::field::Empty;
use tracing::span::Id;
use tracing::{Dispatch, Level, Span};
use tracing_otlp::{
    Context, Events, SpanContext, SpanExt, SpanId, TraceFlags, TraceId, TraceState,
    with_remote_parent,
};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

use super::program::{NAMES, Open, Parent, Phase, Sampling, Set, Step, Style};
use crate::support::layer::{Everything, Logs, Signals, Spans};

const TARGETS: [&str; 3] = ["alpha", "beta", "gamma"];

/// A span as the model knows it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    handle: Option<Span>,
    /// How often it is entered on all threads.
    entered: usize,
    pub(super) is_visible: bool,
    /// The nearest visible ancestor.
    pub(super) parent: Option<usize>,
    /// The flags of the parent in another process, which goes before.
    pub(super) remote: Option<u8>,
    pub(super) name: &'static str,
    pub(super) is_server: bool,
    /// Others have seen its ids.
    has_started: bool,
    /// Taken when the handle is given up, if it has started.
    pub(super) context: Option<SpanContext>,
    pub(super) events: Vec<usize>,
    pub(super) links: Vec<usize>,
    pub(super) is_late: bool,
}

pub(super) fn remote(flags: u8) -> SpanContext {
    SpanContext::remote(
        TraceId::from_bytes([flags + 1; 16]).unwrap(),
        SpanId::from_bytes([flags + 1; 8]).unwrap(),
        TraceFlags::new(flags),
        TraceState::parse("remote=1").unwrap(),
    )
}

fn targets(hidden: [bool; 3]) -> Targets {
    let hidden = TARGETS
        .iter()
        .zip(hidden)
        .filter(|(_, is_hidden)| *is_hidden);
    let hidden = hidden.map(|(target, _)| (*target, LevelFilter::OFF));
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(hidden)
}

/// `around`: the filter that hides is one around the layer, else its own.
pub(super) fn run(sampling: Sampling, around: bool, phases: &[Phase]) -> (Vec<Known>, Spans, Logs) {
    let (layer, pipeline) = Signals::with(|builder| {
        builder
            .with_sampler(sampling.sampler())
            .with_events(Events::Both)
    });
    let (filter, handle) = reload::Layer::new(targets([false; 3]));
    let registry = tracing_subscriber::registry().with(Everything);
    let dispatch = if around {
        Dispatch::new(registry.with(layer.with_filter(filter)))
    } else {
        Dispatch::new(registry.with(layer))
    };
    let shared = Mutex::new(Vec::new());
    for phase in phases {
        // Of a single subscriber `tracing` asks the one of this thread when the filter changes.
        with_default(&dispatch, || {
            if around {
                handle.reload(targets(phase.hidden)).unwrap();
            } else {
                pipeline.handle().set_filter(targets(phase.hidden));
            }
        });
        let work = |steps: &[Step]| {
            let machine = Machine {
                spans: &shared,
                hidden: phase.hidden,
                stack: Vec::new(),
            };
            with_default(&dispatch, || machine.run(steps));
        };
        thread::scope(|scope| {
            for steps in &phase.threads {
                scope.spawn(|| work(steps));
            }
        });
    }
    let mut known = shared.into_inner().unwrap();
    with_default(&dispatch, || known.iter_mut().for_each(Known::drop_handle));
    drop(dispatch);
    let (spans, logs) = pipeline.exported();
    (known, spans, logs)
}

impl Known {
    fn drop_handle(&mut self) {
        if let Some(handle) = self.handle.take()
            && self.has_started
        {
            self.context = handle.context().span().cloned();
        }
    }
}

/// One thread of a phase.
struct Machine<'a> {
    spans: &'a Mutex<Vec<Known>>,
    hidden: [bool; 3],
    /// What is entered on this thread, and whether it was already.
    stack: Vec<(usize, bool)>,
}

impl Machine<'_> {
    fn run(mut self, steps: &[Step]) {
        for (at, step) in steps.iter().enumerate() {
            match *step {
                Step::Open(open) => self.open(&open),
                Step::Event(target, parent) => self.event(target, parent, at),
                Step::Enter(number) => self.enter(number),
                Step::Exit(number) => self.exit(number),
                Step::Drop(number) => self.drop(number),
                Step::Link(from, to) => self.link(from, to),
                Step::Late(number) => self.late(number),
                Step::Context(number) => self.context(number),
            }
        }
        while let Some((number, _)) = self.stack.last() {
            self.exit(*number);
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Known>) -> T) -> T {
        work(&mut self.spans.lock().unwrap())
    }

    /// A span of this number that is still held, and a handle that keeps it open.
    fn handle(&self, number: usize) -> Option<(usize, Span)> {
        self.with(|spans| {
            let number = number.checked_rem(spans.len())?;
            Some((number, spans[number].handle.clone()?))
        })
    }

    /// The span that is the parent, a handle that keeps it open, and how it is told.
    fn resolve(&self, parent: Parent) -> (Option<(usize, Span)>, Option<Option<Id>>) {
        let current = self.stack.iter().rev().find(|(_, again)| !again);
        let current = current.and_then(|(number, _)| self.handle(*number));
        match parent {
            Parent::Root => (None, Some(None)),
            Parent::Current => (current, None),
            Parent::Of(number) => match self.handle(number) {
                Some((number, span)) => {
                    let id = span.id();
                    (Some((number, span)), Some(id))
                }
                None => (current, None),
            },
        }
    }

    /// The span itself or its nearest visible ancestor, which is about to start.
    fn visible(&self, span: &Option<(usize, Span)>) -> Option<usize> {
        let number = span.as_ref()?.0;
        self.with(|spans| {
            let visible = if spans[number].is_visible {
                number
            } else {
                spans[number].parent?
            };
            spans[visible].has_started = true;
            Some(visible)
        })
    }

    fn open(&mut self, open: &Open) {
        let (parent, told) = self.resolve(open.parent);
        let is_visible = !self.hidden[open.target];
        // A hidden span starts nobody; but whoever is below it has its parent, which starts then.
        let parent = self.nearest(&parent, is_visible);
        let name = match open.style {
            Style::Constant => "keep",
            _ => NAMES[open.name],
        };
        // The place is taken first, so that each number is one span's.
        let number = self.with(|spans| {
            spans.push(Known {
                handle: None,
                entered: 0,
                is_visible,
                parent: parent.1,
                remote: None,
                name,
                is_server: open.style == Style::Server,
                has_started: false,
                context: None,
                events: Vec::new(),
                links: Vec::new(),
                is_late: false,
            });
            spans.len() - 1
        });
        let make = || span(open.target, open.style, name, number, told.clone());
        let span = match open.attached {
            Some(flags) => with_remote_parent(&remote(flags).into(), make),
            None => make(),
        };
        let is_root = parent.1.is_none();
        let attached = open.attached.filter(|_| is_root && is_visible);
        let (set, has_started) = self.set_parent(open.set, &span, is_visible);
        if set.is_some() {
            // One that was not recorded has missed its fields.
            span.record("number", number);
            span.record("otel.name", name);
            span.record("otel.kind", "server");
        }
        self.with(|spans| {
            // The parent may have been given up meanwhile; whoever is below it knows it.
            if let (Some(held), Some(visible)) = (&parent.0, parent.1)
                && is_visible
            {
                spans[visible].context = held.context().span().cloned();
            }
            let known = &mut spans[number];
            known.handle = Some(span);
            known.remote = set.or(attached);
            known.has_started = has_started;
        });
    }

    /// The handle is given back, so that it lives until the new span is there.
    fn nearest(
        &self,
        parent: &Option<(usize, Span)>,
        starts: bool,
    ) -> (Option<Span>, Option<usize>) {
        let visible = if starts {
            self.visible(parent)
        } else {
            parent.as_ref().and_then(|(number, _)| {
                self.with(|spans| {
                    if spans[*number].is_visible {
                        Some(*number)
                    } else {
                        spans[*number].parent
                    }
                })
            })
        };
        (parent.as_ref().map(|(_, span)| span.clone()), visible)
    }

    /// Which remote parent the span has, and whether it has started.
    fn set_parent(&self, set: Set, span: &Span, is_visible: bool) -> (Option<u8>, bool) {
        let set_now = |flags| {
            let result = span.set_parent(remote(flags));
            assert_eq!(result.is_ok(), is_visible, "{result:?}");
            Some(flags).filter(|_| is_visible)
        };
        match set {
            Set::Nothing => (None, false),
            Set::Remote(flags) => {
                assert!(span.set_parent(Context::default()).is_ok() || !is_visible);
                (set_now(flags), false)
            }
            Set::Twice(first, second) => {
                set_now(first);
                (set_now(second), false)
            }
            Set::Late(flags) => {
                drop(span.enter());
                let error = span.set_parent(remote(flags)).unwrap_err();
                assert_eq!(
                    (error.is_started(), error.is_disabled()),
                    (is_visible, !is_visible)
                );
                (None, true)
            }
        }
    }

    fn event(&self, target: usize, parent: Parent, at: usize) {
        let (parent, told) = self.resolve(parent);
        let is_visible = !self.hidden[target];
        let (_held, span) = self.nearest(&parent, is_visible);
        event(target, at, told);
        if let Some(span) = span.filter(|_| is_visible) {
            self.with(|spans| spans[span].events.push(at));
        }
    }

    fn enter(&mut self, number: usize) {
        let Some((number, span)) = self.handle(number) else {
            return;
        };
        let again = self.stack.iter().any(|(entered, _)| *entered == number);
        self.with(|spans| {
            // It may have been given up meanwhile.
            let known = &mut spans[number];
            known.entered += usize::from(known.handle.is_some());
            known.has_started = true;
            known.handle.is_some()
        })
        .then(|| {
            self.stack.push((number, again));
            span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
        });
    }

    fn exit(&mut self, number: usize) {
        let Some((number, span)) = self.handle(number) else {
            return;
        };
        let place = self
            .stack
            .iter()
            .rposition(|(entered, _)| *entered == number);
        let Some(place) = place else { return };
        self.stack.remove(place);
        span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
        self.with(|spans| spans[number].entered -= 1);
    }

    fn drop(&self, number: usize) {
        let Some((number, span)) = self.handle(number) else {
            return;
        };
        // The last handle goes outside of the lock.
        let handle = self.with(|spans| {
            let known = &mut spans[number];
            let is_free = known.entered == 0;
            known.handle.take_if(|_| is_free).map(|_| known.has_started)
        });
        if let Some(has_started) = handle {
            let context = has_started.then(|| span.context().span().cloned());
            self.with(|spans| {
                let known = &mut spans[number].context;
                *known = context.flatten().or(known.take());
            });
        }
    }

    fn link(&self, from: usize, to: usize) {
        let (Some((from, span)), Some((to, other))) = (self.handle(from), self.handle(to)) else {
            return;
        };
        // Several threads would link in an order that nobody knows.
        self.with(|spans| {
            if spans[from].is_visible && spans[to].is_visible && spans[from].links.is_empty() {
                spans[to].has_started = true;
                spans[from].links.push(to);
                true
            } else {
                false
            }
        })
        .then(|| {
            span.follows_from(&other);
            let context = other.context().span().cloned();
            self.with(|spans| spans[to].context = context);
        });
    }

    fn late(&self, number: usize) {
        if let Some((number, span)) = self.handle(number) {
            span.record("late", "late");
            self.with(|spans| spans[number].is_late = true);
        }
    }

    fn context(&self, number: usize) {
        if let Some((number, span)) = self.handle(number) {
            self.with(|spans| spans[number].has_started = true);
            let context = span.context().span().cloned();
            self.with(|spans| spans[number].context = context);
        }
    }
}

/// Each with a macro of its own, so that `tracing`'s caches of interest are at work. No parent is contextual.
fn span(
    target: usize,
    style: Style,
    name: &str,
    number: usize,
    parent: Option<Option<Id>>,
) -> Span {
    macro_rules! with_parent {
        ($target:literal, $($rest:tt)*) => {
            match parent {
                None => tracing::span!(target: $target, Level::INFO, $($rest)*),
                Some(parent) => tracing::span!(target: $target, parent: parent, Level::INFO, $($rest)*),
            }
        };
    }
    macro_rules! at {
        ($target:literal) => {
            match style {
                Style::Constant => with_parent!($target, "keep", number, late = Empty),
                Style::Named => {
                    with_parent!($target, "span", number, otel.name = name, late = Empty)
                }
                Style::Server => {
                    with_parent!(
                        $target,
                        "span",
                        number,
                        otel.name = name,
                        otel.kind = "server",
                        late = Empty
                    )
                }
            }
        };
    }
    match target {
        0 => at!("alpha"),
        1 => at!("beta"),
        _ => at!("gamma"),
    }
}

fn event(target: usize, event: usize, parent: Option<Option<Id>>) {
    macro_rules! at {
        ($target:literal) => {
            match parent {
                None => tracing::event!(target: $target, Level::INFO, event),
                Some(parent) => tracing::event!(target: $target, parent: parent, Level::INFO, event),
            }
        };
    }
    match target {
        0 => at!("alpha"),
        1 => at!("beta"),
        _ => at!("gamma"),
    }
}
