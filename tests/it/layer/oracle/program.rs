//! What is done, as plain data.

use proptest::collection::vec;
use proptest::prelude::*;
use tracing::Level;

use super::values::{Plain, any_text, plain};
use crate::layer::callsite::Shape;

/// Fields of one callsite, at most.
const FIELDS: usize = 7;

/// Everything that is decided before anything runs. Numbers of spans, callsites and fields are taken modulo how many
/// there are.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) settings: Settings,
    pub(super) spans: Vec<Shape>,
    pub(super) events: Vec<Shape>,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) attributes: u32,
    pub(super) events: u32,
    pub(super) links: u32,
    pub(super) attributes_per_event: u32,
    pub(super) value_length: Option<u32>,
    pub(super) status: bool,
    pub(super) exceptions: bool,
    pub(super) chains: bool,
    pub(super) error_type: bool,
    pub(super) location: bool,
    pub(super) level: bool,
    pub(super) target: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Open(usize, Values, Parent),
    Enter(usize),
    Exit(usize),
    Record(usize, Values),
    Event(usize, Values, Parent),
    Follow(usize, usize),
    /// Drops the handle, unless the span is entered.
    Drop(usize),
}

/// A value for each field that gets one.
pub(super) type Values = Vec<Option<Plain>>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Parent {
    Current,
    Root,
    Of(usize),
}

pub(super) fn program() -> impl Strategy<Value = Program> {
    let callsites = || vec(shape(), 1..4);
    (settings(), callsites(), callsites(), vec(step(), 1..50)).prop_map(
        |(settings, spans, events, steps)| Program {
            settings,
            spans,
            events,
            steps,
        },
    )
}

/// Small limits, that are reached, as often as large ones.
fn settings() -> impl Strategy<Value = Settings> {
    let limit = || prop_oneof![0..8_u32, Just(128)];
    let length = prop_oneof![4 => Just(None), 1 => (0..3_u32).prop_map(Some), 1 => (0..200_u32).prop_map(Some)];
    let errors = prop_oneof![Just([true; 4]), any::<[bool; 4]>()];
    let counts = (limit(), limit(), limit(), limit());
    (counts, length, errors, any::<[bool; 3]>()).prop_map(
        |(counts, value_length, errors, [location, level, target])| {
            let (attributes, events, links, attributes_per_event) = counts;
            let [status, exceptions, chains, error_type] = errors;
            Settings {
                value_length,
                status,
                exceptions,
                chains,
                error_type,
                attributes,
                events,
                links,
                attributes_per_event,
                location,
                level,
                target,
            }
        },
    )
}

fn shape() -> impl Strategy<Value = Shape> {
    let location = (
        prop::option::of("[a-z/]{0,9}"),
        prop::option::of("[a-z:]{0,9}"),
        prop::option::of(any::<u32>()),
    );
    // Without a name of its own, an event is named by its place.
    let name = prop_oneof![any_text(), Just(String::new())];
    (name, any_text(), level(), location, vec(key(), 0..=FIELDS)).prop_map(
        |(name, target, level, (file, module, line), fields)| Shape {
            name,
            target,
            level,
            file,
            module,
            line,
            fields,
        },
    )
}

fn level() -> impl Strategy<Value = Level> {
    prop::sample::select(vec![Level::ERROR, Level::INFO, Level::TRACE])
}

/// Names that mean something, names that collide with derived ones, and any others.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "a",
        "ab",
        "a.chain",
        "otel.name",
        "otel.kind",
        "otel.status_code",
        "otel.status_description",
        "message",
        "event.name",
        "error",
        "error.chain",
        "exception.message",
        "exception.stacktrace",
        "exception.type",
        "error.type",
        "level",
        "target",
        "code.file.path",
        "code.module.name",
        "code.line.number",
        "log.line",
        "A",
    ];
    prop_oneof![
        6 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{1,9}",
        1 => (100..140_usize).prop_map(|length| "k".repeat(length)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let values = || vec(prop::option::weighted(0.7, plain()), FIELDS);
    let span = || 0..64_usize;
    let parent = || prop_oneof![6 => Just(Parent::Current), 1 => Just(Parent::Root), 2 => span().prop_map(Parent::Of)];
    prop_oneof![
        4 => (span(), values(), parent()).prop_map(|(span, values, parent)| Step::Open(span, values, parent)),
        4 => span().prop_map(Step::Enter),
        3 => span().prop_map(Step::Exit),
        4 => (span(), values()).prop_map(|(span, values)| Step::Record(span, values)),
        5 => (span(), values(), parent()).prop_map(|(event, values, parent)| Step::Event(event, values, parent)),
        2 => (span(), span()).prop_map(|(from, to)| Step::Follow(from, to)),
        2 => span().prop_map(Step::Drop),
    ]
}
