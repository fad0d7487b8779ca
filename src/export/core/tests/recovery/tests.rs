//! Back-off, throttling, and what goes first after an outage.

use super::super::*;

fn refused() -> Result<Answer, Failure> {
    Err(Failure::unanswered(false, "connection refused"))
}

fn busy(seconds: u64) -> Result<Answer, Failure> {
    Err(Failure::retry_after(Duration::from_secs(seconds), "busy"))
}

/// The first number in each request.
fn firsts(world: &World) -> u64 {
    world.spans().first().map_or(u64::MAX, number)
}

/// A world whose collector was away while ten full batches came.
fn recovered() -> World {
    let mut world = World::new();
    (0..11).for_each(|_| world.record(100));
    world.collect();
    world.answer(refused());
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    world
}

#[test]
fn f_36_live_goes_first_and_old_has_half_of_the_requests() {
    let mut world = recovered();
    let mut old = 0;
    let mut live = 0;
    let mut newest = 0;
    for request in 0..16 {
        // There is always a full batch that is live.
        world.record(100);
        world.collect();
        let first = firsts(&world);
        if first < 1100 {
            old += 1;
            assert!(old <= live + 1, "request {request}");
        } else {
            live += 1;
            assert!(first > newest, "in their order");
            newest = first;
        }
        world.answer(Ok(Answer::delivered()));
    }
    assert_eq!((old, live), (8, 8));
    world.assert_balanced();
}

#[test]
fn f_36_the_first_request_after_recovery_is_live_if_there_is_any() {
    let mut world = World::new();
    (0..3).for_each(|_| world.record(100));
    world.collect();
    world.answer(refused());
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    assert_eq!(firsts(&world), 100, "nothing is live, so old flows");
    world.record(100);
    world.collect();
    world.answer(Ok(Answer::delivered()));
    assert_eq!(firsts(&world), 300, "then live");
    world.record(100);
    world.collect();
    world.answer(Ok(Answer::delivered()));
    assert_eq!(firsts(&world), 200, "and old again");
    world.answer(Ok(Answer::delivered()));
    assert_eq!(firsts(&world), 400);
}

#[test]
fn f_36_old_is_due_though_it_fills_no_request_and_live_is_not() {
    let mut world = World::new();
    world.record(100);
    world.record(3);
    world.collect();
    world.answer(refused());
    world.sleep_to_request();
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.spans().len(), 3);
    world.record(4);
    world.collect();
    world.answer(Ok(Answer::delivered()));
    assert!(!world.is_busy(), "what is live waits for others");
}

#[test]
fn p_12_the_old_are_evicted_first_and_what_waits_for_its_next_attempt_last() {
    let mut world = recovered();
    world.answer(refused());
    world.record(7);
    world.collect();
    let evicted: Vec<_> = std::iter::from_fn(|| Some(world.evict()))
        .take_while(|records| *records > 0)
        .collect();
    // Nine are old, one of which was tried.
    assert_eq!(evicted[..9], [100; 9]);
    assert_eq!(evicted[9..], [7, 100]);
    world.assert_balanced();
    assert_eq!(world.core.holds(), 0);
}

#[test]
fn spec_2_26_what_the_destination_asks_for_holds_for_all_that_is_sent() {
    let mut world = World::new();
    world.record(100);
    world.record(100);
    world.collect();
    let failure = Failure {
        after: Some(Duration::from_secs(100)),
        ..Failure::reject("that one not, and not so fast")
    };
    world.answer(Err(failure));
    assert!(!world.is_busy());
    world.sleep_to_request();
    assert!((100 * SECOND..=110 * SECOND).contains(&world.now));
}

#[test]
fn f_12_a_flush_waits_for_what_the_destination_asked_for() {
    let mut world = World::new();
    world.record(100);
    world.collect();
    world.answer(busy(50));
    let asked = Outcome::Retry {
        records: 100,
        message: "busy".to_owned(),
        delay: Duration::from_millis(52_500),
        ambiguous: false,
        asked: true,
    };
    assert_eq!(world.outcomes, [asked]);
    world.flush(0, 10 * SECOND);
    assert!(!world.is_busy());
    while world.reports.is_empty() {
        world.sleep(u64::MAX);
    }
    assert_eq!(
        (world.now, world.reports[0].1.unfinished),
        (10 * SECOND, 100)
    );
    world.sleep_to_request();
    assert_eq!(world.now, 52_500_000_000);
}

#[test]
fn a_shutdown_makes_one_attempt_at_once_and_then_backs_off() {
    let mut world = World::new();
    world.record(100);
    world.collect();
    world.answer(busy(3600));
    world.shut_down(0, 10 * SECOND);
    assert!(world.is_busy(), "at once");
    world.answer(busy(5));
    assert!(!world.is_busy());
    world.shut_down(1, 9 * SECOND);
    assert!(!world.is_busy(), "once");
    world.sleep_to_request();
    assert_eq!(world.now, 5_250_000_000);
    world.answer(refused());
    world.sleep_to_request();
    assert!(world.now < 7 * SECOND);
    world.answer(Ok(Answer::delivered()));
    assert!(world.stopped);
    world.assert_balanced();
}

#[test]
fn p_13_what_may_have_been_taken_is_said() {
    for ambiguous in [false, true] {
        let mut world = World::new();
        world.record(100);
        world.collect();
        world.answer(Err(Failure::unanswered(ambiguous, "")));
        assert!(matches!(
            world.outcomes[..],
            [Outcome::Retry { ambiguous: said, asked: false, .. }] if said == ambiguous
        ));
    }
}

/// P11: an outage of a week with a backlog that the memory holds.
#[test]
fn p_11_a_week_with_a_backlog_loses_nothing() {
    let mut world = World::new();
    let week = 7 * 86_400 * SECOND;
    let mut attempts = 0_u64;
    while world.now < week {
        if world.now / (3600 * SECOND) >= world.chunks {
            world.record(100);
            world.collect();
        }
        world.sleep(week);
        if world.is_busy() {
            attempts += 1;
            let after = attempts
                .is_multiple_of(7)
                .then(|| Duration::from_secs(attempts));
            world.answer(Err(Failure {
                after,
                ..Failure::new(Kind::Unanswered { ambiguous: true }, "")
            }));
        }
    }
    assert_eq!(world.core.holds(), world.accepted);
    let mut newest = 0;
    while world.core.holds() > 0 {
        world.sleep_to_request();
        assert!(firsts(&world) >= newest, "the old in their order");
        newest = firsts(&world);
        world.answer(Ok(Answer::delivered()));
    }
    assert_eq!(world.delivered, world.accepted);
    world.assert_balanced();
}
