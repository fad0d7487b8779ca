//! Thresholds and randomness: probability, composite, and what parent-based samplers pass on.

use proptest::prelude::*;

use super::super::ot::{ALL, Ot, randomness_of, threshold_text};
use super::support::*;
use crate::context::{SpanContext, TraceFlags, TraceState};
use crate::id::{SpanId, TraceId};
use crate::sampler::*;

/// A trace id of this randomness.
fn id(randomness: u64) -> TraceId {
    let bits = 1_u128 << 64 | u128::from(randomness);
    TraceId::from_bytes(bits.to_be_bytes()).unwrap()
}

fn parent(randomness: u64, sampled: bool, state: &str) -> SpanContext {
    let flags = TraceFlags::new(0x02 | u8::from(sampled));
    SpanContext::remote(id(randomness), SpanId::random(), flags, trace_state(state))
}

/// The tracestate that a span gets.
fn state_of(sampling: &Sampling, parent: Option<&SpanContext>) -> TraceState {
    let inherited = parent.map(|parent| parent.trace_state().clone());
    let changed = sampling.trace_state.clone();
    changed.or(inherited).unwrap_or_default()
}

fn ask(sampler: &Sampler, parent: &SpanContext) -> (Decision, String) {
    let sampling = sampler.sample(&child(parent));
    let state = state_of(&sampling, Some(parent)).as_str().to_owned();
    (sampling.decision, state)
}

const YES: Decision = Decision::RecordAndSample;
const NO: Decision = Decision::Drop;

#[test]
fn spec_4_12_what_is_not_below_the_threshold_is_sampled() {
    let sampler = Sampler::probability(0.25);
    let threshold = ALL / 4 * 3;
    for (randomness, expected) in [
        (0, NO),
        (threshold - 1, NO),
        (threshold, YES),
        (ALL - 1, YES),
    ] {
        let span = Candidate {
            trace_id: id(randomness),
            ..root(b"")
        };
        assert_eq!(sampler.sample(&span).decision, expected);
        // The parent's flag has no say.
        for sampled in [true, false] {
            assert_eq!(ask(&sampler, &parent(randomness, sampled, "")).0, expected);
        }
        // `rv` goes before the trace id.
        let state = format!("ot=rv:{randomness:014x}");
        for other in [0, ALL - 1] {
            assert_eq!(ask(&sampler, &parent(other, true, &state)).0, expected);
        }
    }
    assert_eq!(sampler.early(id(ALL - 1), Parent::None, false), None);
}

#[test]
fn spec_4_13_what_is_kept_tells_its_threshold() {
    let sampler = Sampler::probability(0.01);
    let kept = parent(ALL - 1, false, "a=1,ot=k:v;th:8");
    assert_eq!(
        ask(&sampler, &kept),
        (YES, "ot=th:fd70a;k:v,a=1".to_owned())
    );
    let dropped = parent(0, true, "a=1,ot=k:v;th:8");
    assert_eq!(ask(&sampler, &dropped), (NO, "ot=k:v,a=1".to_owned()));
    let span = Candidate {
        trace_id: id(ALL - 1),
        ..root(b"")
    };
    let state = state_of(&sampler.sample(&span), None);
    assert_eq!(state.as_str(), "ot=th:fd70a");
    let all = Sampler::probability(1.0).sample(&root(b""));
    assert_eq!(state_of(&all, None).as_str(), "ot=th:0");
}

#[test]
fn spec_4_14_without_room_the_threshold_is_left_out_and_that_is_said() {
    let sampler = Sampler::probability(1.0);
    let long = format!("ot=k:{}", "x".repeat(254));
    assert_eq!(ask(&sampler, &parent(0, true, &long)), (YES, long));
    assert_eq!(sampler.said(), [false, false, true, false]);
}

#[test]
fn spec_4_15_only_a_root_without_random_id_gets_randomness() {
    for sampler in [
        Sampler::probability(0.5),
        Sampler::always_on(),
        Sampler::default(),
        Sampler::composite(Composable::probability(0.5)),
    ] {
        let mut decisions = [0; 2];
        for _ in 0..200 {
            let span = Candidate {
                trace_id: id(0),
                is_random: false,
                ..root(b"")
            };
            let sampling = sampler.sample(&span);
            let ot = Ot::of(&state_of(&sampling, None));
            let randomness = ot.randomness.unwrap();
            decisions[usize::from(sampling.decision.is_sampled())] += 1;
            // What it was decided by is what is passed on.
            if let Some(threshold) = ot.threshold {
                assert!(randomness >= threshold);
            }
        }
        let is_half = sampler.description().contains("0.5");
        assert_eq!(decisions[0] > 0, is_half, "{sampler:?} {decisions:?}");
        assert!(decisions[1] > 0);
        // A random root and a child have none.
        assert_eq!(
            Ot::of(&state_of(&sampler.sample(&root(b"")), None)).randomness,
            None
        );
        let parent = parent(ALL - 1, true, "");
        let span = Candidate {
            is_random: false,
            ..child(&parent)
        };
        let state = state_of(&sampler.sample(&span), Some(&parent));
        assert_eq!(Ot::of(&state).randomness, None);
    }
}

#[test]
fn spec_4_15_a_samplers_own_randomness_stays() {
    let sampler =
        custom(|_| Sampling::from(YES).with_trace_state(trace_state("ot=rv:00000000000001")));
    let span = Candidate {
        is_random: false,
        ..root(b"")
    };
    let state = state_of(&sampler.sample(&span), None);
    assert_eq!(state.as_str(), "ot=rv:00000000000001");
}

#[test]
fn spec_4_16_a_threshold_is_passed_on_or_erased_where_it_is_inconsistent() {
    let sampler = Sampler::default();
    let cases = [
        // Sampled, and the randomness reaches the threshold: it holds.
        (ALL - 1, true, "ot=th:8,a=1", "ot=th:8,a=1"),
        (ALL / 2, true, "ot=th:8", "ot=th:8"),
        (
            0,
            true,
            "ot=rv:ffffffffffffff;th:8",
            "ot=rv:ffffffffffffff;th:8",
        ),
        // Sampled, and it does not.
        (0, true, "ot=th:8,a=1", "a=1"),
        (
            ALL - 1,
            true,
            "ot=rv:00000000000000;th:8",
            "ot=rv:00000000000000",
        ),
        // Not sampled.
        (0, false, "ot=th:8", "ot=th:8"),
        (ALL - 1, false, "ot=th:8,a=1", "a=1"),
        // Not to be understood.
        (ALL - 1, true, "ot=th:zz;k:1", "ot=k:1"),
        // None: "ensure there is no outgoing threshold".
        (ALL - 1, true, "ot=k:1,a=1", "ot=k:1,a=1"),
        (ALL - 1, true, "a=1", "a=1"),
    ];
    for (randomness, sampled, before, after) in cases {
        let parent = parent(randomness, sampled, before);
        let expected = (Decision::from_yes(sampled), after.to_owned());
        assert_eq!(ask(&sampler, &parent), expected, "{before}");
        let nested = Sampler::parent_based(sampler.clone());
        assert_eq!(ask(&nested, &parent), expected, "{before}");
    }
}

#[test]
fn spec_4_16_a_sampler_whose_probability_is_not_known_erases_the_threshold() {
    let parent = parent(ALL - 1, true, "ot=th:8,a=1");
    for sampler in [
        Sampler::always_on(),
        Sampler::always_off(),
        Sampler::ratio(1.0),
        Sampler::rate_limited(1.0),
        Sampler::rules([Rule::new()], Sampler::always_off()),
        ParentBased::new(Sampler::always_on())
            .with_remote_parent_sampled(Sampler::always_off())
            .into(),
    ] {
        assert_eq!(ask(&sampler, &parent).1, "a=1", "{sampler:?}");
    }
    // Also where it says by chance what the threshold would say.
    let sampler =
        ParentBased::new(Sampler::always_on()).with_remote_parent_sampled(Sampler::always_off());
    let inconsistent = self::parent(0, true, "ot=th:8,a=1");
    assert_eq!(ask(&sampler.into(), &inconsistent), (NO, "a=1".to_owned()));
}

/// So that nothing early passes a threshold on that was not checked.
#[test]
fn spec_4_16_nobody_decides_early_about_a_sampled_remote_parent() {
    for sampler in [
        Sampler::always_on(),
        Sampler::always_off(),
        Sampler::ratio(1.0),
        Sampler::default(),
    ] {
        let parent = Parent::Remote { sampled: true };
        assert_eq!(sampler.early(id(1), parent, true), None, "{sampler:?}");
    }
    let early = Sampler::default().early(id(1), Parent::Remote { sampled: false }, true);
    assert_eq!(early, Some(NO));
}

#[test]
fn spec_4_17_presumed_randomness_is_warned_about_once_a_pipeline() {
    let kinds = [
        Sampler::probability(0.5),
        Sampler::composite(Composable::probability(0.5)),
    ];
    for sampler in kinds {
        sampler.sample(&root(b""));
        sampler.sample(&Candidate {
            is_random: false,
            ..root(b"")
        });
        sampler.sample(&child(&parent(1, true, "")));
        let known = parent(1, true, "ot=rv:00000000000001");
        sampler.sample(&Candidate {
            is_random: false,
            ..child(&known)
        });
        assert_eq!(sampler.said(), [false; 4]);
        let parent = parent(1, true, "");
        let presumed = Candidate {
            is_random: false,
            ..child(&parent)
        };
        Sampler::default().sample(&presumed);
        let always = Sampler::composite(Composable::always_on());
        always.sample(&presumed);
        assert_eq!(always.said(), [false; 4], "nothing random has a say");
        sampler.sample(&presumed);
        assert_eq!(sampler.said(), [false, true, false, false]);
    }
}

#[test]
fn spec_4_18_a_root_is_random_by_its_last_7_bytes() {
    let bytes = std::array::from_fn(|index| index as u8 + 0xF0);
    let id = TraceId::from_bytes(bytes).unwrap();
    assert_eq!(randomness_of(id), 0xF9_FAFB_FCFD_FEFF);
    // Of 1,000 new ids, each of the 56 bits is set in some and not in others.
    let all = (0..1000).map(|_| randomness_of(TraceId::random()));
    let (or, and) = all.fold((0, ALL - 1), |(or, and), bits| (or | bits, and & bits));
    assert_eq!((or, and), (ALL - 1, 0));
}

#[test]
fn spec_4_20_composables_want_and_the_composite_decides() {
    let half = || Composable::probability(0.5);
    let based = |root| Sampler::composite(Composable::parent_threshold(root));
    let high = ALL - 1;
    let cases = [
        (
            Sampler::composite(Composable::always_on()),
            0,
            "",
            YES,
            "ot=th:0",
        ),
        (
            Sampler::composite(Composable::always_off()),
            high,
            "ot=th:8;k:1",
            NO,
            "ot=k:1",
        ),
        (Sampler::composite(half()), high, "a=1", YES, "ot=th:8,a=1"),
        (Sampler::composite(half()), 0, "ot=th:0,a=1", NO, "a=1"),
        (
            Sampler::composite(Composable::probability(0.0)),
            high,
            "",
            NO,
            "",
        ),
        // The parent's threshold.
        (based(half()), high, "ot=th:c", YES, "ot=th:c"),
        (based(half()), ALL / 2, "ot=th:c,a=1", NO, "a=1"),
        // None: by the flag, without a threshold.
        (based(half()), 0, "a=1", YES, "a=1"),
        (based(half()), 0, "ot=th:zz;k:1", YES, "ot=k:1"),
    ];
    for (sampler, randomness, before, decision, after) in cases {
        let found = ask(&sampler, &parent(randomness, true, before));
        assert_eq!(found, (decision, after.to_owned()), "{sampler:?} {before}");
    }
    let not_sampled = parent(high, false, "a=1");
    assert_eq!(ask(&based(half()), &not_sampled), (NO, "a=1".to_owned()));
    let span = Candidate {
        trace_id: id(high),
        ..root(b"")
    };
    let sampling = based(half()).sample(&span);
    assert_eq!(state_of(&sampling, None).as_str(), "ot=th:8");
}

#[test]
fn spec_4_20_composable_rules_and_annotations() {
    let off = Composable::annotating(Composable::always_off(), [("off", true)]);
    let on = Composable::annotating(
        Composable::annotating(Composable::always_on(), [("inner", 1)]),
        [("outer", 2)],
    );
    let sampler = Sampler::composite(Composable::rules([
        Rule::new().name("health").sampler(off),
        Rule::new().name("h*").sampler(on),
    ]));
    let ask = |name| {
        let sampling = sampler.sample(&Candidate { name, ..root(b"") });
        let keys: Vec<_> = sampling
            .attributes
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        (sampling.decision, keys.join(" "))
    };
    assert_eq!(ask("health"), (NO, String::new()));
    assert_eq!(ask("home"), (YES, "inner outer".to_owned()));
    assert_eq!(ask("other"), (NO, String::new()), "no rule holds");
}

proptest! {
    /// The whole against the sentence "R >= T decides".
    #[test]
    fn spec_4_12_decisions_and_thresholds_agree(
        randomness in 0..ALL,
        explicit in prop::option::of(0..ALL),
        probability in 0.0_f64..=1.0,
        sampled: bool,
    ) {
        let state = explicit.map(|rv| format!("ot=rv:{rv:014x}")).unwrap_or_default();
        let parent = parent(randomness, sampled, &state);
        let expected = probability::threshold(probability)
            .filter(|threshold| explicit.unwrap_or(randomness) >= *threshold);
        let composite = Sampler::composite(Composable::probability(probability));
        for sampler in [Sampler::probability(probability), composite] {
            let sampling = sampler.sample(&child(&parent));
            prop_assert_eq!(sampling.decision.is_sampled(), expected.is_some());
            let ot = Ot::of(&state_of(&sampling, Some(&parent)));
            prop_assert_eq!(ot.threshold, expected, "{:?}", expected.map(threshold_text));
            prop_assert_eq!(ot.randomness, explicit);
        }
    }

    /// "A positive decision with probability p1 implies one with p2 >= p1."
    #[test]
    fn spec_4_12_a_higher_probability_samples_a_superset(id in trace_ids(), a in 0.0..=1.0, b in 0.0..=1.0) {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        let span = Candidate { trace_id: id, ..root(b"") };
        let sampled = |ratio: f64| Sampler::probability(ratio).sample(&span).decision.is_sampled();
        prop_assert!(!sampled(low) || sampled(high));
    }
}
