//! The program under a real subscriber.

use tracing::field::Value;
use tracing::subscriber::with_default;
use tracing::{Event, Metadata, Span};
use tracing_otlp::{Builder, Errors, Events, Limits, OtlpLayer};
use tracing_subscriber::prelude::*;

use super::program::{Parent, Program, Settings, Step, Values};
use crate::layer::callsite;
use crate::support::layer::{Logs, Pipeline, Signals, Spans};

pub(super) fn run(program: &Program) -> Spans {
    let (layer, pipeline) = Pipeline::with(|builder| configure(builder, program.settings));
    drive(program, layer);
    pipeline.spans()
}

/// The same with each event as a log too.
pub(super) fn run_with_logs(program: &Program) -> (Spans, Logs) {
    let settings = |builder| configure(builder, program.settings).with_events(Events::Both);
    let (layer, signals) = Signals::with(settings);
    drive(program, layer);
    signals.exported()
}

fn drive(program: &Program, layer: OtlpLayer) {
    with_default(tracing_subscriber::registry().with(layer), || {
        let mut machine = Machine {
            span_callsites: program.spans.iter().map(|shape| shape.span()).collect(),
            event_callsites: program.events.iter().map(|shape| shape.event()).collect(),
            handles: Vec::new(),
        };
        program.steps.iter().for_each(|step| machine.step(step));
        machine.end();
    });
}

fn configure(builder: Builder, settings: Settings) -> Builder {
    let mut limits = Limits::default()
        .with_attributes(settings.attributes)
        .with_events(settings.events)
        .with_links(settings.links)
        .with_attributes_per_event(settings.attributes_per_event)
        // No program reaches this.
        .with_record_bytes(4 << 20);
    if let Some(characters) = settings.value_length {
        limits = limits.with_value_length(characters);
    }
    let errors = Errors::default()
        .with_status(settings.status)
        .with_exceptions(settings.exceptions)
        .with_chains(settings.chains)
        .with_error_type(settings.error_type);
    builder
        .with_limits(limits)
        .with_errors(errors)
        .with_location(settings.location)
        .with_level(settings.level)
        .with_target(settings.target)
}

/// A handle, and how often it is entered.
type Handle = Option<(Span, usize)>;

struct Machine {
    span_callsites: Vec<&'static Metadata<'static>>,
    event_callsites: Vec<&'static Metadata<'static>>,
    handles: Vec<Handle>,
}

impl Machine {
    fn handle(&mut self, number: usize) -> Option<&mut (Span, usize)> {
        let many = self.handles.len().max(1);
        self.handles.get_mut(number % many)?.as_mut()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Open(callsite, values, parent) => self.open(*callsite, values, *parent),
            Step::Enter(number) => {
                if let Some((span, entered)) = self.handle(*number) {
                    *entered += 1;
                    span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
                }
            }
            Step::Exit(number) => {
                if let Some((span, entered @ 1..)) = self.handle(*number) {
                    *entered -= 1;
                    span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
                }
            }
            Step::Record(number, values) => {
                if let Some((span, _)) = self.handle(*number) {
                    let metadata = span.metadata().unwrap();
                    with_values(metadata, values, |values| callsite::record(span, values));
                }
            }
            Step::Event(callsite, values, parent) => self.event(*callsite, values, *parent),
            Step::Follow(from, to) => {
                let to = self.handle(*to).and_then(|(span, _)| span.id());
                if let Some((from, _)) = self.handle(*from) {
                    from.follows_from(to);
                }
            }
            Step::Drop(number) => {
                if let Some((_, 0)) = self.handle(*number) {
                    let many = self.handles.len();
                    self.handles[number % many] = None;
                }
            }
        }
    }

    fn open(&mut self, callsite: usize, values: &Values, parent: Parent) {
        let metadata = self.span_callsites[callsite % self.span_callsites.len()];
        let parent = self.parent(parent);
        let span = with_values(metadata, values, |values| {
            let values = metadata.fields().value_set_all(values);
            match parent {
                None => Span::new(metadata, &values),
                Some(parent) => Span::child_of(parent, metadata, &values),
            }
        });
        self.handles.push(Some((span, 0)));
    }

    fn event(&mut self, callsite: usize, values: &Values, parent: Parent) {
        let metadata = self.event_callsites[callsite % self.event_callsites.len()];
        let parent = self.parent(parent);
        with_values(metadata, values, |values| {
            let values = metadata.fields().value_set_all(values);
            match parent {
                None => Event::dispatch(metadata, &values),
                Some(parent) => Event::child_of(parent, metadata, &values),
            }
        });
    }

    /// `None` is contextual; an explicit parent that is gone is a contextual one.
    fn parent(&mut self, parent: Parent) -> Option<Option<tracing::Id>> {
        match parent {
            Parent::Current => None,
            Parent::Root => Some(None),
            Parent::Of(number) => self.handle(number).map(|(span, _)| span.id()),
        }
    }

    fn end(mut self) {
        for handle in self.handles.iter_mut().flatten() {
            while handle.1 > 0 {
                handle.1 -= 1;
                handle.0.with_subscriber(|(id, dispatch)| dispatch.exit(id));
            }
        }
        self.handles.iter_mut().for_each(|handle| *handle = None);
    }
}

fn with_values<T>(
    metadata: &'static Metadata<'static>,
    values: &Values,
    work: impl FnOnce(&callsite::Values<'_>) -> T,
) -> T {
    let boxed: Vec<Option<Box<dyn Value>>> = values
        .iter()
        .take(metadata.fields().len())
        .map(|value| value.as_ref().map(|value| value.value()))
        .collect();
    work(&boxed.iter().map(Option::as_deref).collect())
}
