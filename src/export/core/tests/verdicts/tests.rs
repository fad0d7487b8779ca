//! What is too large, what is refused, and a destination without a pipeline.

use super::super::*;

fn too_large() -> Result<Answer, Failure> {
    Err(Failure::too_large("it exceeds the limit"))
}

fn failure(kind: Kind) -> Result<Answer, Failure> {
    Err(Failure::new(kind, "as scripted").with_code(Code::Grpc(12)))
}

/// Answers every request by what is in it, until nothing is held.
fn deliver(world: &mut World, verdict: impl Fn(&[Span]) -> Result<Answer, Failure>) {
    while world.resolved() < world.accepted {
        world.sleep_to_request();
        let answer = verdict(world.spans());
        world.answer(answer);
        world.assert_balanced();
    }
}

/// ⌈log₂ n⌉.
fn log2(n: u64) -> u32 {
    n.next_power_of_two().trailing_zeros()
}

proptest! {
    /// F14, P16: all but the poison arrive, and none is sent more often than a search by halves takes.
    #[test]
    fn f_14_a_poison_record_costs_itself_and_no_other(
        chunks in proptest::collection::vec(1_u32..60, 1..8),
        poison: proptest::sample::Index,
    ) {
        let size = Size { bytes: 100_000, records: 1000 };
        let mut world = World::with(Tuning { size, ..TUNING });
        chunks.iter().for_each(|records| world.record(*records));
        let all = world.accepted;
        let poison = poison.index(all as usize) as u64;
        deliver(&mut world, |spans| {
            if spans.iter().any(|span| number(span) == poison) { too_large() } else { Ok(Answer::delivered()) }
        });
        prop_assert_eq!(world.delivered, all - 1);
        prop_assert_eq!(&world.dropped_for, &[(DropReason::TooLarge, 1)]);
        let most = world.sent.values().max().copied().unwrap_or_default();
        prop_assert!(most <= log2(all) + 1, "{} times of {} records", most, all);
    }

    /// F14: whatever the destination's limit is, what fits by itself arrives, and what does not is shortened.
    #[test]
    fn f_14_a_destination_with_a_limit_gets_what_fits(
        chunks in proptest::collection::vec(proptest::collection::vec(0_usize..300, 1..30), 1..6),
        limit in 100_usize..2000,
    ) {
        let mut world = World::new();
        chunks.iter().for_each(|sizes| world.record_sized(sizes));
        let length = |spans: &[Span]| spans.iter().map(Message::encoded_len).sum::<usize>();
        deliver(&mut world, |spans| if length(spans) > limit { too_large() } else { Ok(Answer::delivered()) });
        // Without its event, any of them fits.
        prop_assert_eq!(world.delivered, world.accepted);
        for sent in world.sent.values() {
            prop_assert!(*sent <= log2(100) + 2);
        }
    }
}

#[test]
fn f_14_a_single_record_is_shortened_once_and_then_dropped() {
    let mut world = World::new();
    world.record_sized(&[1000]);
    world.flush(0, SECOND);
    world.answer(too_large());
    let spans = world.spans();
    assert_eq!(spans[0].dropped_events_count, 1);
    assert!(spans[0].encoded_len() <= RECORD_BYTES / 4);
    assert!(matches!(world.outcomes[..], [Outcome::Shortened { .. }]));
    world.answer(too_large());
    assert_eq!(world.dropped_for, [(DropReason::TooLarge, 1)]);
    assert_eq!(world.reports[0].1.dropped, 1);
    world.assert_balanced();
}

#[test]
fn f_14_a_destination_that_takes_nothing_is_asked_ever_more_slowly() {
    let mut world = World::new();
    (0..40).for_each(|_| world.record(100));
    world.collect();
    let (mut requests, hour) = (0, 3600 * SECOND);
    while world.now < hour && world.resolved() < world.accepted {
        world.sleep_to_request();
        world.answer(too_large());
        requests += 1;
    }
    // 16 at once, then by the back-off: at most one in 15 seconds in the end.
    assert!((100..300).contains(&requests), "{requests}");
    world.assert_balanced();
}

/// What a destination gets that takes at most so many records.
fn order(world: &mut World, most: usize) -> Vec<u64> {
    let mut arrived = Vec::new();
    while world.resolved() < world.accepted {
        world.sleep_to_request();
        let numbers: Vec<_> = world.spans().iter().map(number).collect();
        if numbers.len() > most {
            world.answer(too_large());
        } else {
            arrived.extend(numbers);
            world.answer(Ok(Answer::delivered()));
        }
    }
    arrived
}

#[test]
fn p_14_halves_arrive_in_their_order_also_through_outages() {
    let mut world = World::new();
    (0..5).for_each(|_| world.record(20));
    world.collect();
    let all: Vec<u64> = (0..120).collect();
    // Cut twice, then an outage: the halves are old, and what comes during it is behind them.
    world.answer(too_large());
    world.answer(too_large());
    world.answer(failure(Kind::Busy));
    world.record(20);
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    world.answer(failure(Kind::Busy));
    world.sleep_to_request();
    assert_eq!(order(&mut world, 7), all[25..]);
    world.assert_balanced();
}

#[test]
fn p_14_the_halves_of_what_is_live_are_behind_those_of_what_is_old() {
    let mut world = World::new();
    world.record(100);
    world.record(40);
    world.collect();
    world.answer(failure(Kind::Busy));
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    // 40 are old and in flight, then 100 are live.
    world.record(100);
    world.collect();
    world.answer(too_large());
    assert_eq!(world.spans().len(), 100, "live");
    world.answer(too_large());
    assert_eq!(world.spans().len(), 20, "old");
    world.answer(failure(Kind::Busy));
    world.sleep_to_request();
    let all: Vec<u64> = (0..240).collect();
    assert_eq!(order(&mut world, 50), all[100..]);
}

#[test]
fn f_14_the_halves_of_what_is_old_are_old() {
    let mut world = World::new();
    world.record(100);
    world.record(64);
    world.collect();
    world.answer(failure(Kind::Busy));
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    // The first 64 are old and in flight.
    for _ in 0..6 {
        let spans = world.spans();
        let is_old = spans.iter().all(|span| number(span) < 164);
        world.record(100);
        world.collect();
        world.answer(if is_old {
            too_large()
        } else {
            Ok(Answer::delivered())
        });
        let next = world.spans();
        let next_is_old = next.iter().all(|span| number(span) < 164);
        assert_ne!(is_old, next_is_old, "in turns");
    }
}

#[test]
fn f_14_later_batches_are_smaller() {
    let bytes = 200_000;
    let size = Size {
        bytes,
        records: 100_000,
    };
    let mut world = World::with(Tuning { size, ..TUNING });
    let chunk = [1000; 10];
    (0..20).for_each(|_| world.record_sized(&chunk));
    world.collect();
    let first = world.spans().len();
    world.answer(too_large());
    let limit = world.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Split { limit, .. } => Some(*limit),
        _ => None,
    });
    assert!(
        limit.is_some_and(|limit| limit <= first * 1100 / 5 * 4),
        "{limit:?}"
    );
    (0..40).for_each(|_| world.record_sized(&chunk));
    world.collect();
    world.answer(Ok(Answer::delivered()));
    world.answer(Ok(Answer::delivered()));
    let later = world.spans().len();
    assert!(later < first && later > first / 2, "{later} after {first}");
}

#[test]
fn f_10_out_of_range_is_sent_again_five_times_and_then_split() {
    let mut world = World::new();
    world.record(100);
    world.collect();
    for _ in 0..5 {
        world.answer(failure(Kind::OutOfRange));
        world.sleep_to_request();
        assert_eq!(world.spans().len(), 100);
    }
    assert!(
        world
            .outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Retry { .. }))
    );
    world.answer(failure(Kind::OutOfRange));
    assert_eq!(world.spans().len(), 50, "at once");
    world.answer(failure(Kind::OutOfRange));
    assert_eq!(world.spans().len(), 25, "it was in doubt before");
    deliver(&mut world, |_| failure(Kind::OutOfRange));
    assert_eq!(world.dropped, 100);
}

#[test]
fn f_17_without_a_pipeline_nothing_is_sent_for_ten_minutes() {
    let mut world = World::new();
    world.record(100);
    world.collect();
    world.answer(failure(Kind::NoPipeline));
    let opened = |world: &World| {
        let opened = |outcome: &&Outcome| matches!(outcome, Outcome::BreakerOpened { .. });
        world.outcomes.iter().filter(opened).count()
    };
    assert_eq!((world.rejected, opened(&world)), (100, 1));
    let rejected = Outcome::Rejected {
        records: 100,
        code: Some(Code::Grpc(12)),
        kind: Kind::NoPipeline,
        message: "as scripted".to_owned(),
    };
    assert_eq!(world.outcomes[0], rejected);
    // What falls due is dropped, by the interval as by a flush.
    world.record(7);
    while world.dropped == 0 {
        world.sleep(u64::MAX);
    }
    assert_eq!(world.now, 5 * SECOND);
    world.record(8);
    world.flush(0, SECOND);
    assert_eq!(
        world.dropped_for,
        [(DropReason::NoPipeline, 7), (DropReason::NoPipeline, 8)]
    );
    assert_eq!(
        world.reports[0].1,
        Report {
            dropped: 8,
            ..Report::default()
        }
    );
    assert!(world.requests.len() == 1 && world.core.holds() == 0);
    // Then one batch finds out, and again ten minutes later.
    for (at, answer) in [
        (600, failure(Kind::NoPipeline)),
        (1200, Ok(Answer::delivered())),
    ] {
        while !world.is_busy() {
            world.record(1);
            world.sleep(u64::MAX);
        }
        assert!(
            (at * SECOND..(at + 6) * SECOND).contains(&world.now),
            "{}",
            world.now
        );
        world.answer(answer);
    }
    assert_eq!(opened(&world), 1, "said once");
    assert_eq!(world.outcomes.last(), Some(&Outcome::BreakerClosed));
    world.record(100);
    world.collect();
    assert!(world.is_busy());
    world.assert_balanced();
}

#[test]
fn f_17_a_probe_that_nobody_answers_is_sent_again_and_decides_later() {
    let mut world = World::new();
    world.record(100);
    world.collect();
    world.answer(failure(Kind::NoPipeline));
    world.now = 600 * SECOND;
    world.record(100);
    world.collect();
    world.answer(failure(Kind::Busy));
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.outcomes.last(), Some(&Outcome::BreakerClosed));
    assert_eq!(world.delivered, 100);
}

#[test]
fn f_10_a_mistake_in_the_configuration_rejects_or_holds() {
    for kind in [Kind::Misconfigured, Kind::NoPipeline, Kind::Refused] {
        let hold = Tuning {
            hold_on_config_error: true,
            ..TUNING
        };
        let mut world = World::with(hold);
        world.record(100);
        world.collect();
        world.answer(failure(kind));
        if kind == Kind::Refused {
            assert_eq!(world.rejected, 100, "that is no mistake of ours");
            continue;
        }
        for minute in 1..100 {
            assert!(matches!(world.outcomes.last(), Some(Outcome::Held { .. })));
            world.sleep_to_request();
            assert_eq!(world.now, minute * 60 * SECOND);
            world.answer(failure(kind));
        }
        world.sleep_to_request();
        world.answer(Ok(Answer::delivered()));
        assert_eq!((world.delivered, world.outcomes.len()), (100, 101));
    }
    let mut world = World::new();
    world.record(100);
    world.collect();
    world.answer(failure(Kind::Misconfigured));
    assert_eq!(world.rejected, 100);
    assert!(matches!(
        &world.outcomes[..],
        [Outcome::Rejected { kind: Kind::Misconfigured, message, .. }] if message == "as scripted"
    ));
}

#[test]
fn what_was_sent_and_how_it_was_answered_is_told() {
    let mut world = World::new();
    world.record(100);
    world.collect();
    world.answer(Ok(Answer {
        odd: true,
        ..Answer::partial(500, "too many")
    }));
    let [
        Outcome::Delivered {
            records: 0,
            rejected: 100,
            message,
            odd: true,
            sent,
        },
    ] = &world.outcomes[..]
    else {
        panic!("{:?}", world.outcomes);
    };
    assert_eq!(message, "too many");
    assert!(*sent > 1000);
    world.record(100);
    world.collect();
    world.answer(Ok(Answer {
        sent: Some(77),
        ..Answer::delivered()
    }));
    assert!(matches!(
        world.outcomes[1],
        Outcome::Delivered {
            sent: 77,
            odd: false,
            ..
        }
    ));
}
