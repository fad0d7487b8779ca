//! The program as maps and vectors.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Decoded;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use prost::Message;
use tracing::Level;

use super::program::{Parent, Program, Settings, Step, Values};
use super::values::Plain;
use crate::layer::callsite::Shape;
use crate::support::layer::{Attributed, Exported, int, text};

/// Attributes by key, up to a limit.
#[derive(Debug, Default)]
struct Attributes {
    limit: usize,
    /// Characters of a text, and bytes.
    length: usize,
    values: BTreeMap<String, Option<Decoded>>,
    dropped: u32,
}

/// What follows from an error, beside its text.
#[derive(Clone, Copy, Debug)]
struct Derives {
    message: bool,
    stacktrace: bool,
    chain: bool,
}

impl Derives {
    fn new(shape: &Shape, settings: &Settings) -> Self {
        Self {
            message: settings.exceptions && !declares(shape, "exception.message"),
            stacktrace: settings.exceptions && !declares(shape, "exception.stacktrace"),
            chain: settings.chains,
        }
    }

    /// Nothing but the chain.
    fn chain_only(self) -> Self {
        Self {
            message: false,
            stacktrace: false,
            ..self
        }
    }
}

fn declares(shape: &Shape, name: &str) -> bool {
    shape.fields.iter().any(|field| field == name)
}

impl Attributes {
    /// Begins with what the callsite says of itself.
    fn new(limit: u32, shape: &Shape, settings: &Settings, level: bool, target: bool) -> Self {
        let mut attributes = Self {
            limit: limit as usize,
            length: settings
                .value_length
                .map_or(usize::MAX, |length| length as usize),
            ..Self::default()
        };
        if level {
            attributes.set("level", text(shape.level.as_str()));
        }
        if target {
            attributes.set("target", text(&shape.target));
        }
        if settings.location {
            if let Some(file) = &shape.file {
                attributes.set("code.file.path", text(file));
            }
            if let Some(module) = &shape.module {
                attributes.set("code.module.name", text(module));
            }
            if let Some(line) = shape.line {
                attributes.set("code.line.number", int(line.into()));
            }
        }
        attributes
    }

    fn set(&mut self, key: &str, value: Option<Decoded>) {
        let is_new = !self.values.contains_key(key);
        if is_new && self.values.len() >= self.limit {
            self.dropped += 1;
        } else {
            let value = value.map(|value| self.cut(value));
            self.values.insert(key.to_owned(), value);
        }
    }

    fn cut(&self, value: Decoded) -> Decoded {
        match value {
            Decoded::StringValue(text) => {
                Decoded::StringValue(text.chars().take(self.length).collect())
            }
            Decoded::BytesValue(bytes) => {
                Decoded::BytesValue(bytes.into_iter().take(self.length).collect())
            }
            Decoded::ArrayValue(ArrayValue { values }) => {
                let cut = values.into_iter().map(|any| AnyValue {
                    value: any.value.map(|value| self.cut(value)),
                });
                Decoded::ArrayValue(ArrayValue {
                    values: cut.collect(),
                })
            }
            other => other,
        }
    }

    fn set_field(&mut self, key: &str, value: &Plain, derives: Derives) {
        self.set(key, value.decoded());
        if let Plain::Error(said, sources) = value {
            if derives.message {
                self.set("exception.message", text(said));
            }
            self.set_sources(key, sources, derives);
        }
    }

    fn set_sources(&mut self, key: &str, sources: &[String], derives: Derives) {
        if derives.chain {
            let values = sources.iter().map(|source| AnyValue {
                value: text(source),
            });
            let values = values.collect();
            let chain = Some(Decoded::ArrayValue(ArrayValue { values }));
            self.set(&format!("{key}.chain"), chain);
        }
        if derives.stacktrace && !sources.is_empty() {
            self.set("exception.stacktrace", text(sources.join("\n")));
        }
    }

    fn assert_is(&self, found: &impl Attributed, dropped: u32) {
        let expected: BTreeMap<_, _> = self
            .values
            .iter()
            .map(|(key, value)| {
                (
                    key.clone(),
                    AnyValue {
                        value: value.clone(),
                    }
                    .encode_to_vec(),
                )
            })
            .collect();
        let found: BTreeMap<_, _> = found.encoded().into_iter().collect();
        assert_eq!(found, expected);
        assert_eq!(dropped, self.dropped);
    }
}

#[derive(Debug)]
struct Event {
    name: String,
    attributes: Attributes,
}

/// Whose the attribute `error.type` is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ErrorType {
    Theirs,
    Ours,
    LeftOut,
}

#[derive(Debug)]
pub(super) struct Span {
    scope: String,
    fields: Vec<String>,
    name: String,
    kind: i32,
    status: (i32, String),
    error_type: ErrorType,
    derives: Derives,
    attributes: Attributes,
    events: Vec<Event>,
    dropped_events: u32,
    links: Vec<usize>,
    dropped_links: u32,
    parent: Option<usize>,
    /// A handle is one, and each child.
    references: usize,
    has_handle: bool,
    entered: usize,
}

impl Span {
    fn set(&mut self, at: usize, value: &Plain) {
        let key = self.fields[at].clone();
        match (&*key, value.text()) {
            ("otel.name", Some(text)) => self.name = text.to_owned(),
            ("otel.kind", Some(text)) => {
                let names = ["internal", "server", "client", "producer", "consumer"];
                let known = names
                    .iter()
                    .position(|name| *name == text.to_ascii_lowercase());
                self.kind = known.map_or(1, |place| place as i32 + 1);
            }
            ("otel.status_code", Some(text)) => match &*text.to_ascii_lowercase() {
                "ok" if self.status.0 != 1 => {
                    self.status = (1, String::new());
                    self.forget_error_type();
                }
                "error" => self.fail(""),
                _ => {}
            },
            ("otel.status_description", Some(text)) => self.fail(text),
            _ => {
                if key == "error.type" {
                    self.error_type = ErrorType::Theirs;
                }
                self.attributes.set_field(&key, value, self.derives);
            }
        }
    }

    fn forget_error_type(&mut self) {
        if self.error_type == ErrorType::Ours {
            self.attributes.values.remove("error.type");
        }
        self.error_type = ErrorType::Theirs;
    }

    /// By an event.
    fn fail_by(&mut self, said: &str, error_type: &str, settings: &Settings) {
        if !settings.status {
            return;
        }
        self.fail(said);
        let says_nothing = said.is_empty() && error_type.is_empty();
        let stays = match self.error_type {
            ErrorType::Ours => says_nothing,
            ErrorType::LeftOut => true,
            ErrorType::Theirs => self.attributes.values.contains_key("error.type"),
        };
        if !settings.error_type || self.status.0 != 2 || stays {
            return;
        }
        self.forget_error_type();
        let known = if error_type.is_empty() {
            "_OTHER"
        } else {
            error_type
        };
        let dropped = self.attributes.dropped;
        self.attributes.set("error.type", text(known));
        self.error_type = if self.attributes.dropped > dropped {
            ErrorType::LeftOut
        } else {
            ErrorType::Ours
        };
    }

    fn fail(&mut self, description: &str) {
        let keeps = self.status.0 == 2 && description.is_empty();
        if self.status.0 != 1 && !keeps {
            self.status = (2, description.to_owned());
        }
    }

    pub(super) fn assert_is(&self, found: &Exported, ids: &[&Vec<u8>], all: &[Self]) {
        assert_eq!(
            (&*found.name, &*found.scope, found.kind),
            (&*self.name, &*self.scope, self.kind)
        );
        assert_eq!(found.status(), (self.status.0, &*self.status.1));
        let parent = self.parent.map_or(Vec::new(), |parent| ids[parent].clone());
        assert_eq!(found.parent_span_id, parent);
        self.attributes
            .assert_is(&**found, found.dropped_attributes_count);
        assert_eq!(found.events.len(), self.events.len());
        for (found, event) in found.events.iter().zip(&self.events) {
            assert_eq!(found.name, event.name);
            event
                .attributes
                .assert_is(found, found.dropped_attributes_count);
        }
        let links: Vec<_> = found.links.iter().map(|link| &link.span_id).collect();
        assert_eq!(
            links,
            self.links.iter().map(|link| ids[*link]).collect::<Vec<_>>()
        );
        assert!(self.links.iter().all(|link| *link < all.len()));
        let dropped = (found.dropped_events_count, found.dropped_links_count);
        assert_eq!(dropped, (self.dropped_events, self.dropped_links));
    }
}

#[derive(Debug)]
pub(super) struct Model<'p> {
    program: &'p Program,
    pub(super) spans: Vec<Span>,
    /// In the order in which they closed.
    pub(super) closed: Vec<usize>,
    /// What is entered, and whether it was already: the Registry then passes it over.
    stack: Vec<(usize, bool)>,
}

pub(super) fn run(program: &Program) -> Model<'_> {
    let mut model = Model {
        program,
        spans: Vec::new(),
        closed: Vec::new(),
        stack: Vec::new(),
    };
    program.steps.iter().for_each(|step| model.step(step));
    for number in 0..model.spans.len() {
        if std::mem::replace(&mut model.spans[number].has_handle, false) {
            model.release(number);
        }
    }
    model
}

impl Model<'_> {
    /// The span of this number, if there is a handle to it.
    fn handle(&self, number: usize) -> Option<usize> {
        let number = number.checked_rem(self.spans.len())?;
        self.spans[number].has_handle.then_some(number)
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Open(callsite, values, parent) => self.open(*callsite, values, *parent),
            Step::Enter(number) => {
                if let Some(number) = self.handle(*number) {
                    let again = self.stack.iter().any(|(entered, _)| *entered == number);
                    self.stack.push((number, again));
                    self.spans[number].entered += 1;
                }
            }
            Step::Exit(number) => self.exit(*number),
            Step::Record(number, values) => {
                if let Some(number) = self.handle(*number) {
                    self.fill(number, values);
                }
            }
            Step::Event(callsite, values, parent) => self.event(*callsite, values, *parent),
            Step::Follow(from, to) => {
                if let (Some(from), Some(to)) = (self.handle(*from), self.handle(*to)) {
                    let limit = self.program.settings.links as usize;
                    let span = &mut self.spans[from];
                    if span.links.len() < limit {
                        span.links.push(to);
                    } else {
                        span.dropped_links += 1;
                    }
                }
            }
            Step::Drop(number) => {
                if let Some(number) = self
                    .handle(*number)
                    .filter(|number| self.spans[*number].entered == 0)
                {
                    self.spans[number].has_handle = false;
                    self.release(number);
                }
            }
        }
    }

    fn exit(&mut self, number: usize) {
        let entered = self.handle(number).and_then(|number| {
            let place = self
                .stack
                .iter()
                .rposition(|(entered, _)| *entered == number)?;
            Some((number, place))
        });
        if let Some((number, place)) = entered {
            self.stack.remove(place);
            self.spans[number].entered -= 1;
        }
    }

    fn release(&mut self, number: usize) {
        self.spans[number].references -= 1;
        if self.spans[number].references == 0 {
            self.closed.push(number);
            if let Some(parent) = self.spans[number].parent {
                self.release(parent);
            }
        }
    }

    fn current(&self) -> Option<usize> {
        self.stack
            .iter()
            .rev()
            .find(|(_, again)| !again)
            .map(|(number, _)| *number)
    }

    fn parent(&self, parent: Parent) -> Option<usize> {
        match parent {
            Parent::Current => self.current(),
            Parent::Root => None,
            Parent::Of(number) => self.handle(number).or_else(|| self.current()),
        }
    }

    fn fill(&mut self, number: usize, values: &Values) {
        let span = &mut self.spans[number];
        for (at, value) in values.iter().enumerate().take(span.fields.len()) {
            if let Some(value) = value {
                span.set(at, value);
            }
        }
    }

    fn open(&mut self, callsite: usize, values: &Values, parent: Parent) {
        let Program {
            settings, spans, ..
        } = self.program;
        let shape = &spans[callsite % spans.len()];
        let parent = self.parent(parent);
        if let Some(parent) = parent {
            self.spans[parent].references += 1;
        }
        self.spans.push(Span {
            scope: shape.target.clone(),
            fields: shape.fields.clone(),
            name: shape.name.clone(),
            kind: 1,
            status: (0, String::new()),
            error_type: ErrorType::Theirs,
            derives: Derives::new(shape, settings),
            attributes: Attributes::new(
                settings.attributes,
                shape,
                settings,
                settings.level,
                settings.target,
            ),
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
            parent,
            references: 1,
            has_handle: true,
            entered: 0,
        });
        self.fill(self.spans.len() - 1, values);
    }

    fn event(&mut self, callsite: usize, values: &Values, parent: Parent) {
        let Program {
            settings, events, ..
        } = self.program;
        let shape = &events[callsite % events.len()];
        let Some(number) = self.parent(parent) else {
            return;
        };
        let (event, failure) = event(shape, settings, values);
        let span = &mut self.spans[number];
        if shape.level == Level::ERROR || failure.said.is_some() {
            let said = failure.said.unwrap_or_default();
            span.fail_by(&said, &failure.error_type, settings);
        }
        if span.events.len() < settings.events as usize {
            span.events.push(event);
        } else {
            span.dropped_events += 1;
        }
    }
}

/// What an event says of its span's failure.
#[derive(Default)]
struct Failure {
    /// The text of an exception.
    said: Option<String>,
    error_type: String,
}

fn event(shape: &Shape, settings: &Settings, values: &Values) -> (Event, Failure) {
    let may_be_exception = declares(shape, "error") && !declares(shape, "message");
    let reads_errors = settings.status || settings.exceptions;
    let derives = Derives::new(shape, settings);
    let of_others = if may_be_exception {
        derives.chain_only()
    } else {
        derives
    };
    let mut event = Event {
        name: shape.name.clone(),
        attributes: Attributes::new(settings.attributes_per_event, shape, settings, true, true),
    };
    let attributes = &mut event.attributes;
    let has_own_name = !shape.name.is_empty() || declares(shape, "event.name");
    let mut is_named = false;
    let mut failure = Failure::default();
    for (field, value) in shape.fields.iter().zip(values) {
        let Some(value) = value else { continue };
        match (&**field, value.text()) {
            ("message", Some(text)) if !has_own_name => event.name = text.to_owned(),
            ("event.name", Some(text)) => {
                is_named = true;
                event.name = text.to_owned();
            }
            ("error", Some(said)) if may_be_exception && reads_errors => {
                failure.said = Some(said.to_owned());
                if derives.message {
                    attributes.set("exception.message", text(said));
                } else {
                    attributes.set("error", text(said));
                }
                if let Plain::Error(_, sources) = value {
                    attributes.set_sources("error", sources, derives);
                }
            }
            ("error.type", _) if reads_errors && let Some(known) = value.class() => {
                attributes.set(field, text(&known));
                failure.error_type = known;
            }
            ("exception.type", Some(known)) if reads_errors => {
                if failure.error_type.is_empty() {
                    failure.error_type = known.to_owned();
                }
                attributes.set(field, text(known));
            }
            _ => attributes.set_field(field, value, of_others),
        }
    }
    if failure.said.is_some() && settings.exceptions {
        if !is_named {
            event.name = "exception".to_owned();
        }
        if !declares(shape, "exception.type") && !failure.error_type.is_empty() {
            attributes.set("exception.type", text(&failure.error_type));
        }
    }
    (event, failure)
}
