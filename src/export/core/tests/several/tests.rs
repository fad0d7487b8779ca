//! Several requests in flight: what belongs to a request, and what to the destination.

use super::super::*;

const FOUR: Tuning = Tuning {
    concurrency: Concurrency::Fixed(4),
    ..TUNING
};

/// A world with so many full batches, of which four are in flight.
fn world(batches: u64) -> World {
    let mut world = World::with(FOUR);
    (0..batches).for_each(|_| world.record(100));
    world.collect();
    assert_eq!(world.in_flight.len() as u64, batches.min(4));
    world
}

fn busy() -> Result<Answer, Failure> {
    Err(Failure::retry("busy"))
}

fn taken() -> Result<Answer, Failure> {
    Ok(Answer::delivered())
}

/// The first number in each request in flight.
fn firsts(world: &World) -> Vec<u64> {
    let spans = world
        .in_flight
        .iter()
        .filter_map(|(_, spans)| spans.first());
    spans.map(number).collect()
}

#[test]
fn requests_are_begun_in_order_and_answered_in_any() {
    let mut world = world(7);
    assert_eq!(firsts(&world), [0, 100, 200, 300]);
    world.answer_at(2, taken());
    assert_eq!(firsts(&world), [0, 100, 300, 400]);
    world.answer_at(3, Err(Failure::reject("bad")));
    world.answer_at(1, Ok(Answer::partial(1, "one is odd")));
    assert_eq!(firsts(&world), [0, 300, 500, 600]);
    (0..4).rev().for_each(|at| world.answer_at(at, taken()));
    assert_eq!((world.delivered, world.rejected), (599, 101));
    world.assert_balanced();
}

#[test]
fn where_the_memory_limit_is_lowered_requests_are_smaller_one_by_one_and_together() {
    let mut world = World::with(Tuning {
        bytes_in_flight: 200_000,
        ..FOUR
    });
    let bytes = |world: &World| {
        let batches = world.in_flight.iter();
        let batches = batches.map(|(_, spans)| spans.iter().map(Message::encoded_len).sum());
        batches.collect::<Vec<usize>>()
    };
    world.core.fit(|part| part / 8);
    (0..30).for_each(|_| world.record_sized(&[5_000]));
    world.collect();
    // An eighth of 100,000 and of 200,000 bytes.
    let sent = bytes(&world);
    assert!(
        sent.len() == 2 && sent.iter().all(|bytes| *bytes < 12_500),
        "{sent:?}"
    );
    world.core.fit(|part| part);
    (0..2).for_each(|_| world.answer(taken()));
    let sent = bytes(&world);
    assert!(sent.len() == 1 && sent[0] > 90_000, "{sent:?}");
    world.answer(taken());
    world.assert_balanced();
}

#[test]
fn a_second_request_is_begun_for_a_full_batch_alone() {
    let mut world = world(1);
    world.record(99);
    world.collect();
    assert_eq!(
        world.in_flight.len(),
        1,
        "it waits for others, or for the interval"
    );
    world.record(1);
    world.collect();
    assert_eq!(world.in_flight.len(), 2);
}

#[test]
fn p_15_those_that_fail_together_back_off_once_and_one_asks() {
    let mut world = world(6);
    (0..4).for_each(|_| world.answer(busy()));
    assert!(!world.is_busy(), "nothing is begun beside them");
    for (attempt, wait) in [375, 750, 1500].into_iter().enumerate() {
        let failed = world.now;
        world.sleep_to_request();
        assert_eq!((world.now - failed) / 1_000_000, wait, "attempt {attempt}");
        assert_eq!(firsts(&world), [0], "the oldest, and no other beside it");
        world.answer(busy());
    }
    world.sleep_to_request();
    world.answer(taken());
    assert_eq!(world.in_flight.len(), 4, "and then all");
    assert_eq!(firsts(&world), [100, 200, 300, 400]);
    world.assert_balanced();
}

#[test]
fn p_15_an_answer_to_what_was_begun_before_a_failure_changes_nothing() {
    let mut world = world(6);
    world.answer_at(1, busy());
    world.answer_at(0, taken());
    world.answer_at(0, Err(Failure::reject("bad")));
    assert_eq!(firsts(&world), [300], "the destination is waited for");
    world.sleep_to_request_beside(1);
    assert_eq!(world.now / 1_000_000, 375);
    assert_eq!(firsts(&world), [300, 100]);
    // One that is late does not lengthen the wait, and ends no probe.
    world.answer_at(0, busy());
    assert_eq!(firsts(&world), [100]);
    world.answer(taken());
    assert_eq!(world.in_flight.len(), 3);
}

#[test]
fn spec_2_26_what_is_asked_for_holds_for_all() {
    for kind in [Kind::Busy, Kind::Refused, Kind::TooLarge] {
        let mut world = world(12);
        let failure = Failure {
            after: Some(Duration::from_secs(100)),
            ..Failure::new(kind, "not so fast")
        };
        world.answer_at(2, Err(failure));
        while world.is_busy() {
            world.answer(taken());
        }
        assert_eq!(world.delivered, 300);
        world.sleep_to_request();
        assert_eq!(world.now, 105 * SECOND, "{kind:?}");
        assert_eq!(world.in_flight.len(), 1, "one asks: {kind:?}");
        world.answer(taken());
        assert_eq!(world.in_flight.len(), 4, "{kind:?}");
    }
}

#[test]
fn f_17_a_destination_without_a_pipeline_is_asked_by_one() {
    let mut world = world(6);
    let missing = || Err(Failure::no_pipeline("no traces here"));
    world.answer(missing());
    assert_eq!(world.in_flight.len(), 3);
    assert_eq!(world.dropped, 200, "what was due");
    world.answer(missing());
    world.answer(taken());
    let opened = |outcome: &&Outcome| matches!(outcome, Outcome::BreakerOpened { .. });
    assert_eq!(world.outcomes.iter().filter(opened).count(), 1);
    world.answer(missing());
    world.now += 601 * SECOND;
    (0..4).for_each(|_| world.record(100));
    world.collect();
    assert_eq!(world.in_flight.len(), 1);
    world.answer(taken());
    assert_eq!(world.in_flight.len(), 3);
    world.assert_balanced();
}

#[test]
fn f_14_halves_of_several_arrive_once_each() {
    let mut world = World::with(FOUR);
    (0..12).for_each(|_| world.record(50));
    world.collect();
    let mut arrived = Vec::new();
    while world.resolved() < world.accepted {
        world.sleep_to_request();
        let last = world.in_flight.len() - 1;
        let numbers: Vec<_> = world.in_flight[last].1.iter().map(number).collect();
        if numbers.len() > 13 {
            world.answer_at(last, Err(Failure::too_large("")));
        } else {
            arrived.extend(numbers);
            world.answer_at(last, taken());
        }
        world.assert_balanced();
    }
    arrived.sort_unstable();
    assert_eq!(arrived, (0..600).collect::<Vec<_>>());
    assert!(world.sent.values().all(|times| *times <= 5));
}

#[test]
fn p_14_halves_of_the_oldest_go_first_whichever_was_refused_last() {
    let mut world = world(2);
    let asked = Failure {
        after: Some(Duration::from_secs(1)),
        ..Failure::too_large("")
    };
    world.answer_at(0, Err(asked.clone()));
    world.answer_at(0, Err(asked));
    world.sleep_to_request();
    assert_eq!(firsts(&world), [0]);
    world.answer(taken());
    assert_eq!(firsts(&world), [50, 100, 150]);
}

#[test]
fn p_13_halves_of_what_was_late_are_in_their_order() {
    let size = Size {
        bytes: 400_000,
        records: 1000,
    };
    let tuning = Tuning {
        size,
        first_bytes: size.bytes,
        ..TUNING
    };
    // As several chunks, and as one that all halves share.
    for chunks in [4, 1] {
        let mut world = World::with(tuning);
        (0..chunks).for_each(|_| world.record_sized(&vec![1000; 360 / chunks]));
        world.sleep_to_request();
        let mut lengths = vec![world.spans().len()];
        for _ in 0..2 {
            world.now += 10 * SECOND;
            world.answer(Err(Failure::unanswered(true, "late")));
            world.sleep_to_request();
            lengths.push(world.spans().len());
        }
        assert_eq!(lengths, [360, 180, 90]);
        let mut arrived = Vec::new();
        while world.resolved() < world.accepted {
            world.sleep_to_request();
            arrived.extend(world.spans().iter().map(number));
            world.answer(taken());
        }
        assert_eq!(arrived, (0..360).collect::<Vec<_>>());
        world.assert_balanced();
    }
}

#[test]
fn p_12_of_what_waits_the_oldest_is_evicted_first_and_what_is_in_flight_stays() {
    let mut world = world(6);
    world.answer_at(3, busy());
    world.answer_at(0, busy());
    let evicted: Vec<_> = std::iter::from_fn(|| Some(world.evict()))
        .take_while(|records| *records > 0)
        .collect();
    assert_eq!(evicted, [100; 4], "two that were not sent, two that wait");
    assert_eq!(firsts(&world), [100, 200]);
    world.answer(taken());
    world.answer(taken());
    assert_eq!(world.core.holds(), 0);
    world.assert_balanced();
}

#[test]
fn a_flush_waits_for_all_that_are_in_flight_and_keeps_its_deadline() {
    let mut world = world(3);
    world.record(7);
    world.flush(0, SECOND);
    assert_eq!(world.in_flight.len(), 4);
    world.record(100);
    world.collect();
    for _ in 0..3 {
        world.answer_at(1, taken());
        assert!(world.reports.is_empty());
    }
    world.answer_at(0, taken());
    assert_eq!((world.reports[0].0, world.reports[0].1.unfinished), (0, 0));
    world.flush(1, SECOND);
    while world.reports.len() < 2 {
        world.sleep(u64::MAX);
    }
    assert_eq!(world.now, SECOND);
}

#[test]
fn a_shutdown_sends_everything_and_stops_in_time() {
    let mut world = world(9);
    world.answer(busy());
    world.shut_down(0, SECOND);
    while !world.stopped {
        match world.is_busy() {
            true => world.answer(taken()),
            false => world.sleep(u64::MAX),
        }
    }
    assert_eq!((world.delivered, world.now), (900, 0));
}

#[test]
fn a_panic_costs_one_request_of_several() {
    let mut world = world(6);
    world.panic();
    assert_eq!((world.dropped, world.in_flight.len()), (100, 3));
    (0..3).for_each(|_| world.answer(taken()));
    world.sleep_to_request();
    assert_eq!(world.in_flight.len(), 1);
    world.answer(taken());
    world.answer(taken());
    assert_eq!((world.delivered, world.dropped), (500, 100));
    world.assert_balanced();
}

#[test]
fn p_5_what_is_in_flight_is_bounded_in_bytes() {
    let size = Size {
        bytes: 100_000,
        records: 1000,
    };
    let mut world = World::with(Tuning {
        size,
        bytes_in_flight: 250_000,
        ..FOUR
    });
    (0..8).for_each(|_| world.record_sized(&[900; 100]));
    world.collect();
    assert_eq!(world.in_flight.len(), 2);
    world.answer_at(1, taken());
    assert_eq!(world.in_flight.len(), 2);
}

#[test]
fn what_hangs_does_not_hold_up_the_others() {
    let mut world = world(40);
    for _ in 0..36 {
        world.answer_at(1, taken());
    }
    assert_eq!(firsts(&world)[0], 0);
    assert_eq!(world.delivered, 3600);
    // Others were taken since it was begun: it goes again at once.
    world.now += 10 * SECOND;
    (0..3).for_each(|_| world.answer_at(1, taken()));
    world.answer(Err(Failure::unanswered(true, "late")));
    world.sleep_to_request();
    world.answer(taken());
    assert_eq!(world.delivered, 4000);
}
