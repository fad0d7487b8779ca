//! What samplers decide, by the rows of the specification. The kinds' own arithmetic is tested beside it.

#[path = "tests/consistent/tests.rs"]
mod consistent;
#[path = "tests/support/tests.rs"]
mod support;

use proptest::prelude::*;

use self::support::*;
use super::*;
use crate::id::TraceId;
use crate::model::{SpanKind, Value};
use crate::pattern::Pattern;

#[test]
fn spec_4_1_the_default_follows_the_parent_and_samples_every_root() {
    let sampler = Sampler::default();
    assert_eq!(
        sampler.description(),
        Sampler::parent_based(Sampler::always_on()).description()
    );
    for parent in PARENTS {
        let expected = parent.is_none_or(|(_, sampled)| sampled);
        assert_eq!(
            decide(&sampler, parent),
            Decision::from_yes(expected),
            "{parent:?}"
        );
    }
}

#[test]
fn spec_4_3_and_4_4_only_what_is_recorded_is_sampled() {
    let flags = [
        Decision::Drop,
        Decision::RecordOnly,
        Decision::RecordAndSample,
    ]
    .map(Decision::is_sampled);
    assert_eq!(flags, [false, false, true]);
}

#[test]
fn spec_4_6_a_sampler_gives_attributes_and_a_tracestate() {
    let state = trace_state("a=1");
    let answer = Sampling::from(Decision::RecordAndSample)
        .with_attribute("rule", "x")
        .with_attribute("weight", 7)
        .with_trace_state(state.clone());
    let sampler = custom(move |_| answer.clone());
    let sampling = sampler.sample(&root(b""));
    let expected: [(String, Value<'_>); 2] =
        [("rule".into(), "x".into()), ("weight".into(), 7.into())];
    assert_eq!(sampling.attributes, expected);
    assert_eq!(sampling.trace_state, Some(state));
    // An empty one clears the parent's; none leaves it.
    let parent = remote(true, "a=1");
    let clears = custom(|_| {
        Sampling::from(Decision::Drop).with_trace_state(crate::context::TraceState::default())
    });
    let sampling = clears.sample(&child(&parent));
    assert!(sampling.trace_state.is_some_and(|state| state.is_empty()));
    let leaves = custom(|_| Decision::Drop.into());
    assert_eq!(leaves.sample(&child(&parent)).trace_state, None);
}

#[test]
fn spec_4_7_descriptions() {
    let cases = [
        (Sampler::always_on(), "AlwaysOnSampler"),
        (Sampler::always_off(), "AlwaysOffSampler"),
        (Sampler::ratio(0.0001), "TraceIdRatioBased{0.000100}"),
        (Sampler::ratio(1.0), "TraceIdRatioBased{1.000000}"),
        (Sampler::ratio(1e-9), "TraceIdRatioBased{0.000000001}"),
        (
            Sampler::parent_based(Sampler::ratio(0.5)),
            "ParentBased{root:TraceIdRatioBased{0.500000},remoteParentSampled:AlwaysOnSampler,\
             remoteParentNotSampled:AlwaysOffSampler,localParentSampled:AlwaysOnSampler,\
             localParentNotSampled:AlwaysOffSampler}",
        ),
        (
            Sampler::always_record(Sampler::always_off()),
            "AlwaysRecordSampler{AlwaysOffSampler}",
        ),
        (Sampler::rate_limited(0.5), "RateLimited{0.5/s,burst:1}"),
        (
            Sampler::rate_limited_with_burst(10.0, 20),
            "RateLimited{10/s,burst:20}",
        ),
        (Sampler::probability(0.25), "ProbabilitySampler{0.250000}"),
        (
            Sampler::rules(
                [Rule::new().name("a*").kind(SpanKind::Server).field("n", 1)],
                Sampler::always_off(),
            ),
            "RuleBased{[name=a* kind=Server n=Int(1)]->AlwaysOnSampler,otherwise->AlwaysOffSampler}",
        ),
        (
            Sampler::composite(Composable::parent_threshold(Composable::rules([
                Rule::new().sampler(Composable::annotating(
                    Composable::probability(0.5),
                    [("a", 1)],
                )),
            ]))),
            "CompositeSampler{ComposableParentThreshold{ComposableRuleBased{[]->\
             ComposableAnnotating{ComposableProbability{0.500000},[a]}}}}",
        ),
    ];
    for (sampler, expected) in cases {
        assert_eq!(sampler.description(), expected);
        assert_eq!(format!("{sampler:?}"), expected);
    }
}

#[test]
fn spec_4_8_always_on_and_always_off_ignore_everything() {
    for parent in PARENTS {
        assert_eq!(
            decide(&Sampler::always_on(), parent),
            Decision::RecordAndSample
        );
        assert_eq!(decide(&Sampler::always_off(), parent), Decision::Drop);
    }
}

/// A sampler that says which one it is, in every way in which a delegate may answer.
fn delegates(which: usize) -> [Sampler; 5] {
    let decision = |index| Decision::from_yes(index == which);
    std::array::from_fn(|index| match decision(index) {
        Decision::RecordAndSample => Sampler::always_on(),
        _ => Sampler::always_off(),
    })
}

#[test]
fn spec_4_9_the_parent_chooses_among_five_samplers() {
    for (index, parent) in PARENTS.into_iter().enumerate() {
        for which in 0..5 {
            let [root, remote_yes, remote_no, local_yes, local_no] = delegates(which);
            let sampler = Sampler::from(
                ParentBased::new(root)
                    .with_remote_parent_sampled(remote_yes)
                    .with_remote_parent_not_sampled(remote_no)
                    .with_local_parent_sampled(local_yes)
                    .with_local_parent_not_sampled(local_no),
            );
            let expected = Decision::from_yes(index == which);
            assert_eq!(decide(&sampler, parent), expected, "{parent:?} {which}");
            // Also where it is itself a delegate, and where its delegates have to look at the span.
            let nested = Sampler::from(
                ParentBased::new(sampler.clone())
                    .with_remote_parent_sampled(sampler.clone())
                    .with_remote_parent_not_sampled(sampler.clone())
                    .with_local_parent_sampled(sampler.clone())
                    .with_local_parent_not_sampled(sampler.clone()),
            );
            assert_eq!(decide(&nested, parent), expected, "{parent:?} {which}");
        }
    }
}

#[test]
fn spec_4_10_a_ratio_decides_by_63_bits_of_the_trace_id() {
    let id = |low: u64| {
        let high = u128::from(0xABCD_u64) << 64;
        TraceId::from_bytes((high | u128::from(low)).to_be_bytes()).unwrap()
    };
    let half = Sampler::ratio(0.5);
    let early = |sampler: &Sampler, low| sampler.early(id(low), Parent::None, false);
    let bound = 1_u64 << 63;
    assert_eq!(early(&half, bound - 1), Some(Decision::RecordAndSample));
    assert_eq!(early(&half, bound), Some(Decision::Drop));
    for low in [0, 1, bound, u64::MAX] {
        assert_eq!(
            early(&Sampler::ratio(1.0), low),
            Some(Decision::RecordAndSample)
        );
        assert_eq!(early(&Sampler::ratio(0.0), low), Some(Decision::Drop));
    }
}

proptest! {
    #[test]
    fn spec_4_10_a_higher_ratio_samples_a_superset(id in trace_ids(), a in 0.0..=1.0, b in 0.0..=1.0) {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        let sampled = |ratio: f64| Sampler::ratio(ratio).early(id, Parent::None, false);
        if sampled(low) == Some(Decision::RecordAndSample) {
            prop_assert_eq!(sampled(high), Some(Decision::RecordAndSample));
        }
    }

    /// As the SDKs for Go and Rust write it down.
    #[test]
    fn spec_4_10_a_ratio_is_what_other_sdks_make_of_it(id in trace_ids(), ratio in 0.0..1.0) {
        let [.., a, b, c, d, e, f, g, h] = id.to_bytes();
        let low = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        let expected = low < (ratio * 9_223_372_036_854_775_808.0) as u64;
        for parent in PARENTS {
            let found = decide_of(&Sampler::ratio(ratio).hushed(), parent, id);
            prop_assert_eq!(found, Decision::from_yes(expected), "whatever the parent is");
        }
    }

    /// The early answer is the whole one, and tells nothing of the tracestate: what `sample` says it is.
    #[test]
    fn an_early_answer_is_the_answer(sampler in samplers(), id in trace_ids(), which in 0..PARENTS.len()) {
        let (kind, parent) = parent_of(PARENTS[which], id);
        let span = Candidate { parent: parent.as_ref(), trace_id: id, ..root(b"") };
        let sampling = sampler.sample(&span);
        if let Some(early) = sampler.early(id, kind, true) {
            prop_assert_eq!(&sampling, &Sampling::from(early));
        }
        let has_state = parent.as_ref().is_some_and(|parent| !parent.trace_state().is_empty());
        if let (Some(early), false) = (sampler.early(id, kind, false), has_state) {
            prop_assert_eq!(sampling, Sampling::from(early));
        }
    }
}

#[test]
fn spec_4_11_a_ratio_of_a_child_is_warned_about_once() {
    let id = TraceId::random();
    let direct = Sampler::ratio(0.5);
    let based = Sampler::parent_based(Sampler::ratio(0.5));
    for sampler in [&direct, &based] {
        sampler.early(id, Parent::None, false);
        sampler.sample(&root(b""));
        assert_eq!(sampler.said(), [false; 4]);
    }
    for sampled in [true, false] {
        based.early(id, Parent::Local { sampled }, false);
        based.sample(&child(&remote(sampled, "")));
    }
    assert_eq!(based.said(), [false; 4], "the parent decides");
    let local = Parent::Local { sampled: true };
    let all = Sampler::ratio(1.0);
    assert_eq!(all.early(id, local, false), None, "nothing is said early");
    all.sample(&child(&remote(true, "")));
    assert_eq!(all.early(id, local, false), Some(Decision::RecordAndSample));
    assert_eq!(all.said(), [true, false, false, false]);
    let delegate =
        Sampler::from(ParentBased::new(based).with_remote_parent_not_sampled(direct.clone()));
    delegate.sample(&child(&remote(false, "")));
    assert_eq!(
        delegate.said(),
        [true, false, false, false],
        "each pipeline's sampler has its own voice"
    );
}

#[test]
fn spec_4_19_always_record_turns_drop_into_record_only_and_nothing_else() {
    use Decision::{Drop, RecordAndSample, RecordOnly};
    for (inner, expected) in [
        (Drop, RecordOnly),
        (RecordOnly, RecordOnly),
        (RecordAndSample, RecordAndSample),
    ] {
        let sampler = Sampler::always_record(custom(move |_| {
            Sampling::from(inner).with_attribute("a", 1)
        }));
        let sampling = sampler.sample(&root(b""));
        assert_eq!(sampling.decision, expected);
        assert_eq!(sampling.attributes.len(), 1, "others are unchanged");
    }
    let ratio = Sampler::always_record(Sampler::parent_based(Sampler::ratio(0.0)));
    assert_eq!(
        ratio.early(TraceId::random(), Parent::None, false),
        Some(RecordOnly)
    );
    for parent in PARENTS {
        let expected = if parent.is_some_and(|(_, sampled)| sampled) {
            RecordAndSample
        } else {
            RecordOnly
        };
        assert_eq!(decide(&ratio, parent), expected, "{parent:?}");
    }
}

#[test]
fn spec_4_21_a_remote_configuration_is_a_sampler_of_ones_own() {
    // What such a sampler needs: an interior that others change while it is asked.
    let share = std::sync::Arc::new(std::sync::Mutex::new(Decision::Drop));
    let current = share.clone();
    let sampler = custom(move |_| (*current.lock().unwrap()).into());
    assert_eq!(sampler.sample(&root(b"")).decision, Decision::Drop);
    *share.lock().unwrap() = Decision::RecordOnly;
    assert_eq!(sampler.sample(&root(b"")).decision, Decision::RecordOnly);
}

#[test]
fn spec_4_25_a_sampler_sees_what_the_span_has_when_it_starts() {
    let rules = Sampler::rules([Rule::new().field("user", "root")], Sampler::always_off());
    let record = attributes(&[("user", "root".into())]);
    assert_eq!(
        rules.sample(&root(&record)).decision,
        Decision::RecordAndSample
    );
    assert_eq!(rules.sample(&root(b"")).decision, Decision::Drop);
}

#[test]
fn a_sampler_that_panics_costs_its_decision() {
    for payload in [0, 1, 2] {
        let sampler = custom(move |_| match payload {
            0 => panic!("in should_sample"),
            1 => std::panic::panic_any(Bomb),
            _ => std::panic::panic_any(7_u8),
        });
        let parent = remote(false, "ot=th:8");
        for _ in 0..3 {
            let sampling = Sampler::parent_based(sampler.clone()).sample(&root(b""));
            assert_eq!(sampling.decision, Decision::RecordAndSample);
            let sampling = sampler.sample(&child(&parent));
            assert_eq!(sampling.decision, Decision::RecordAndSample);
            assert!(sampling.trace_state.is_some_and(|state| state.is_empty()));
        }
        assert_eq!(sampler.said(), [false, false, false, true]);
    }
}

#[test]
fn a_description_that_panics_is_said() {
    let sampler = Sampler::parent_based(Sampler::custom(Undescribed));
    assert!(sampler.description().contains("<panicked: no name>"));
}

#[test]
fn the_first_rule_that_holds_decides() {
    let record = attributes(&[
        ("http.route", "/a/b".into()),
        ("n", 1_i64.into()),
        ("x", 1.0_f64.into()),
    ]);
    let holds = |rule: Rule| {
        let sampler = Sampler::rules([rule], Sampler::always_off());
        sampler.sample(&root(&record)).decision.is_sampled()
    };
    assert!(holds(Rule::new()));
    assert!(holds(
        Rule::new().name("na?e").target("t*").kind(SpanKind::Client)
    ));
    for wrong in [
        Rule::new().name("nam"),
        Rule::new().name("name").target("T*"),
        Rule::new().kind(SpanKind::Server),
        Rule::new().field("http.route", "/a"),
        Rule::new().field("n", 2),
        Rule::new().field("n", "1"),
        Rule::new().field("x", 1),
        Rule::new().field("none", "*"),
        Rule::new().field("n", 1).field("x", 2.0),
    ] {
        assert!(!holds(wrong.clone()), "{wrong:?}");
    }
    for right in [
        Rule::new().field("http.route", "/a/*"),
        Rule::new().field("n", 1),
        Rule::new().field("n", "*"),
        Rule::new().field("x", 1.0).field("http.route", "*b"),
    ] {
        assert!(holds(right.clone()), "{right:?}");
    }
}

proptest! {
    #[test]
    fn rules_decide_as_a_naive_search_does(
        rules in prop::collection::vec(("[ab*]{1,2}", any::<bool>()), 0..6),
        name in "[ab]{1,2}",
        otherwise: bool,
    ) {
        let of = |yes: bool| if yes { Sampler::always_on() } else { Sampler::always_off() };
        let sampler = Sampler::rules(
            rules.iter().map(|(pattern, yes)| Rule::new().name(pattern.as_str()).sampler(of(*yes))),
            of(otherwise),
        );
        let mut expected = otherwise;
        for (pattern, yes) in rules.iter().rev() {
            if Pattern::new(pattern.as_str()).matches(&name) {
                expected = *yes;
            }
        }
        let span = Candidate { name: &name, ..root(b"") };
        prop_assert_eq!(sampler.sample(&span).decision, Decision::from_yes(expected));
    }
}

#[test]
fn a_rate_limit_below_parent_based_counts_roots() {
    let sampler = Sampler::parent_based(Sampler::rate_limited_with_burst(1e-3, 2));
    let id = TraceId::random();
    assert_eq!(
        sampler.early(id, Parent::None, false),
        None,
        "the rate has a say"
    );
    let sampled = |span: &Candidate<'_>| sampler.sample(span).decision.is_sampled();
    let parent = remote(true, "");
    let roots: Vec<bool> = (0..4)
        .map(|_| {
            assert!(
                sampled(&child(&parent)),
                "children follow and take no token"
            );
            sampled(&root(b""))
        })
        .collect();
    assert_eq!(roots, [true, true, false, false]);
}

#[test]
fn wrong_values_are_told_by_the_outermost_sampler() {
    let wrong = [
        Sampler::ratio(1.5),
        Sampler::ratio(f64::NAN),
        Sampler::probability(-0.1),
        Sampler::rate_limited(-1.0),
        Sampler::composite(Composable::probability(2.0)),
        Sampler::composite(Composable::parent_threshold(Composable::annotating(
            Composable::rules([Rule::new().sampler(Composable::probability(2.0))]),
            [("a", 1)],
        ))),
        Sampler::rules(
            [Rule::new().sampler(Sampler::ratio(-1.0))],
            Sampler::default(),
        ),
        Sampler::rules([], Sampler::ratio(-1.0)),
    ];
    for sampler in wrong {
        let problem = sampler.problem().unwrap();
        assert!(problem.contains("expected a"), "{problem}");
        let based = Sampler::parent_based(Sampler::always_record(sampler));
        assert_eq!(based.problem(), Some(problem));
    }
    assert_eq!(Sampler::default().problem(), None);
    assert_eq!(Sampler::ratio(0.0).problem(), None);
}
