//! A limit of what is sent a second, with the core's own clock.

use super::super::*;

fn world(rate: RateLimit) -> World {
    World::with(Tuning { rate, ..TUNING })
}

/// Answers whatever is sent until so many records are delivered; gives how long that took.
fn deliver(world: &mut World, records: u64) -> Nanos {
    let begun = world.now;
    while world.delivered < records {
        world.sleep_to_request();
        world.answer(Ok(Answer::delivered()));
    }
    world.now - begun
}

#[test]
fn what_exceeds_the_rate_waits_and_nothing_is_lost() {
    for (rate, seconds) in [
        (RateLimit::default().with_records(200.0), 3..=4),
        // A window of two seconds has 400.
        (
            RateLimit::default()
                .with_records(200.0)
                .with_window(Duration::from_secs(2)),
            4..=6,
        ),
    ] {
        let mut world = world(rate);
        (0..10).for_each(|_| world.record(100));
        world.collect();
        let took = deliver(&mut world, 1_000) / SECOND;
        assert!(seconds.contains(&took), "{rate:?}: {took} s");
        world.assert_balanced();
    }
}

#[test]
fn without_a_limit_all_goes_at_once() {
    let mut world = world(RateLimit::default());
    (0..10).for_each(|_| world.record(100));
    world.collect();
    assert_eq!(deliver(&mut world, 1_000), 0);
}

#[test]
fn bytes_have_a_rate_too_and_what_is_sent_again_counts_again() {
    let mut world = world(RateLimit::default().with_bytes(1_024.0));
    world.record(100);
    world.collect();
    world.answer(Err(Failure::retry("busy")));
    let sent = world.now;
    world.sleep_to_request();
    // A hundred records have some KiB, which are to be paid for first.
    assert!(world.now - sent >= SECOND, "{}", world.now - sent);
    world.answer(Ok(Answer::delivered()));
    world.assert_balanced();
}
