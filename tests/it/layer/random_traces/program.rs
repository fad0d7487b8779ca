//! Random programs, and the samplers that they run under.

use proptest::collection::vec;
use proptest::prelude::*;
use tracing_otlp::{
    Candidate, Decision, Rule, Sampler, Sampling as Answer, ShouldSample, TraceState,
};

use super::run::Known;
use crate::support::layer::{Attributed, Exported, int};

pub(super) const NAMES: [&str; 3] = ["drop", "only", "keep"];

/// Between two phases all threads end and the filter may change.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    /// Which of three targets are hidden.
    pub(super) hidden: [bool; 3],
    /// The steps of each thread.
    pub(super) threads: Vec<Vec<Step>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Open(Open),
    Event(usize, Parent),
    Enter(usize),
    Exit(usize),
    Drop(usize),
    Link(usize, usize),
    Late(usize),
    Context(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) target: usize,
    pub(super) name: usize,
    pub(super) style: Style,
    pub(super) parent: Parent,
    /// Inside `with_remote_parent`, with these flags.
    pub(super) attached: Option<u8>,
    pub(super) set: Set,
}

/// How the callsite tells of name and kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Style {
    /// The callsite's name is `keep`.
    Constant,
    Named,
    Server,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Parent {
    Current,
    Root,
    Of(usize),
}

/// Whether a parent in another process is set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Set {
    Nothing,
    Remote(u8),
    Twice(u8, u8),
    Late(u8),
}

pub(super) fn phases() -> impl Strategy<Value = Vec<Phase>> {
    let hidden = prop_oneof![2 => Just([false; 3]), 3 => any::<[bool; 3]>()];
    let phase = move |threads| {
        let threads = vec(vec(step(), 1..16), threads);
        (hidden.clone(), threads).prop_map(|(hidden, threads)| Phase { hidden, threads })
    };
    (1..5_usize).prop_flat_map(move |threads| vec(phase(threads), 1..4))
}

fn step() -> impl Strategy<Value = Step> {
    let span = || 0..64_usize;
    prop_oneof![
        8 => open().prop_map(Step::Open),
        3 => (0..3_usize, parent()).prop_map(|(target, parent)| Step::Event(target, parent)),
        6 => span().prop_map(Step::Enter),
        3 => span().prop_map(Step::Exit),
        2 => span().prop_map(Step::Drop),
        1 => (span(), span()).prop_map(|(from, to)| Step::Link(from, to)),
        1 => span().prop_map(Step::Late),
        1 => span().prop_map(Step::Context),
    ]
}

fn parent() -> impl Strategy<Value = Parent> {
    prop_oneof![4 => Just(Parent::Current), 1 => Just(Parent::Root), 2 => (0..64_usize).prop_map(Parent::Of)]
}

fn open() -> impl Strategy<Value = Open> {
    let style = prop_oneof![
        Just(Style::Constant),
        Just(Style::Named),
        Just(Style::Server)
    ];
    let flags = || 0..4_u8;
    let set = prop_oneof![
        6 => Just(Set::Nothing),
        2 => flags().prop_map(Set::Remote),
        1 => (flags(), flags()).prop_map(|(first, second)| Set::Twice(first, second)),
        1 => flags().prop_map(Set::Late),
    ];
    let attached = prop_oneof![4 => Just(None), 1 => flags().prop_map(Some)];
    (0..3_usize, 0..3_usize, style, parent(), attached, set).prop_map(
        |(target, name, style, parent, attached, set)| Open {
            target,
            name,
            style,
            parent,
            attached,
            set,
        },
    )
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sampling {
    AlwaysOn,
    AlwaysOff,
    ParentAlwaysOn,
    ParentRatio,
    RecordParentRatio,
    Rules,
    ParentRules,
    Custom,
    ParentCustom,
}

pub(super) fn sampling() -> impl Strategy<Value = Sampling> {
    prop::sample::select(vec![
        Sampling::AlwaysOn,
        Sampling::AlwaysOff,
        Sampling::ParentAlwaysOn,
        Sampling::ParentRatio,
        Sampling::RecordParentRatio,
        Sampling::Rules,
        Sampling::ParentRules,
        Sampling::Custom,
        Sampling::ParentCustom,
    ])
}

impl Sampling {
    pub(super) fn sampler(self) -> Sampler {
        let rules = || {
            let drop = Rule::new().name("dr*").sampler(Sampler::always_off());
            let only = Sampler::always_record(Sampler::always_off());
            let only = Rule::new().name("only").sampler(only);
            Sampler::rules([drop, only], Sampler::always_on())
        };
        match self {
            Self::AlwaysOn => Sampler::always_on(),
            Self::AlwaysOff => Sampler::always_off(),
            Self::ParentAlwaysOn => Sampler::default(),
            Self::ParentRatio => Sampler::parent_based(Sampler::ratio(0.5)),
            Self::RecordParentRatio => Sampler::always_record(Self::ParentRatio.sampler()),
            Self::Rules => rules(),
            Self::ParentRules => Sampler::parent_based(rules()),
            Self::Custom => Sampler::custom(ByNumber),
            Self::ParentCustom => Sampler::parent_based(Sampler::custom(ByNumber)),
        }
    }

    pub(super) fn follows_parent(self) -> bool {
        matches!(
            self,
            Self::ParentAlwaysOn
                | Self::ParentRatio
                | Self::RecordParentRatio
                | Self::ParentRules
                | Self::ParentCustom
        )
    }

    pub(super) fn as_parent(self, is_sampled: bool) -> Decision {
        match (is_sampled, self) {
            (true, _) => Decision::RecordAndSample,
            (false, Self::RecordParentRatio) => Decision::RecordOnly,
            (false, _) => Decision::Drop,
        }
    }

    /// The answer without regard to a parent, where it can be foretold.
    pub(super) fn decide(self, number: usize, name: &str) -> Option<Decision> {
        match self {
            Self::AlwaysOn | Self::ParentAlwaysOn => Some(Decision::RecordAndSample),
            Self::AlwaysOff => Some(Decision::Drop),
            Self::ParentRatio | Self::RecordParentRatio => None,
            Self::Rules | Self::ParentRules => Some(match name {
                "drop" => Decision::Drop,
                "only" => Decision::RecordOnly,
                _ => Decision::RecordAndSample,
            }),
            Self::Custom | Self::ParentCustom => Some(by_number(number)),
        }
    }

    /// What the sampler left on an exported span.
    pub(super) fn check(self, number: usize, known: &Known, span: &Exported) {
        let is_asked = match self {
            Self::Custom => true,
            Self::ParentCustom => known.remote.is_none() && known.parent.is_none(),
            _ => false,
        };
        if is_asked {
            assert_eq!(span.value("sampler"), int(number as i64));
            assert_eq!(span.trace_state, format!("number={number}"));
        } else if !matches!(self, Self::Custom | Self::ParentCustom) {
            let is_remote = span.trace_state == "remote=1";
            assert!(is_remote || span.trace_state.is_empty());
        }
    }
}

fn by_number(number: usize) -> Decision {
    const ALL: [Decision; 4] = [
        Decision::Drop,
        Decision::RecordOnly,
        Decision::RecordAndSample,
        Decision::RecordAndSample,
    ];
    ALL[number.wrapping_mul(2_654_435_761) / 7 % 4]
}

#[derive(Debug)]
struct ByNumber;

impl ShouldSample for ByNumber {
    fn should_sample(&self, span: &Candidate<'_>) -> Answer {
        let number = span.attribute("number").expect("it is a field");
        let tracing_otlp::Value::Int(number) = number else {
            panic!("{number:?}");
        };
        let state = TraceState::parse(&format!("number={number}")).unwrap();
        Answer::from(by_number(number as usize))
            .with_attribute("sampler", number)
            .with_attribute("late", "the sampler's")
            .with_trace_state(state)
    }

    fn description(&self) -> String {
        "ByNumber".to_owned()
    }
}
