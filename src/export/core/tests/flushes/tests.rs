//! Flushes and the shutdown: what they wait for, and when they end.

use super::super::*;

#[test]
fn a_flush_interrupts_a_back_off_and_tells_the_truth() {
    let mut world = World::new();
    world.record(3);
    world.sleep(u64::MAX);
    (0..8).for_each(|_| {
        world.answer(Err(Failure::retry("refused")));
        world.sleep_to_request();
    });
    world.answer(Err(Failure::retry("refused")));
    let now = world.now;
    world.record(4);
    world.feed(Event::Flush {
        id: 7,
        deadline: now + SECOND,
    });
    assert!(world.is_busy() && world.now == now, "at once");
    world.answer(Ok(Answer::partial(1, "one is odd")));
    assert!(world.is_busy(), "the second batch follows");
    world.answer(Ok(Answer::delivered()));
    let report = Report {
        delivered: 6,
        rejected: 1,
        dropped: 0,
        unfinished: 0,
    };
    assert_eq!(world.reports, [(7, report, now)]);
    world.assert_balanced();
}

#[test]
fn a_flush_ends_at_its_deadline_and_says_what_is_left() {
    let mut world = World::new();
    world.record(5);
    world.feed(Event::Flush {
        id: 1,
        deadline: SECOND,
    });
    assert!(world.is_busy());
    world.sleep(u64::MAX);
    let report = Report {
        unfinished: 5,
        ..Report::default()
    };
    assert_eq!(world.reports, [(1, report, SECOND)]);
    assert!(!world.stopped, "a flush stops nothing");
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.delivered, 5);
}

#[test]
fn a_flush_that_is_forgotten_sends_what_came_before_and_stays_no_longer() {
    let mut world = World::new();
    world.owing = 1;
    world.feed(Event::Flush {
        id: 1,
        deadline: u64::MAX,
    });
    world.core.forget(&[1]);
    world.record(1);
    assert!(world.reports.is_empty(), "a lane owes what came before");
    world.owing = 0;
    world.record(2);
    world.collect();
    assert!(world.is_busy(), "what came before is due");
    assert_eq!(world.reports.len(), 1, "and nobody waits for its end");
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.delivered, 3);
}

#[test]
fn a_flush_waits_for_a_lane_that_owes_a_chunk() {
    let mut world = World::new();
    world.owing = 1;
    world.feed(Event::Flush {
        id: 1,
        deadline: SECOND,
    });
    assert!(world.reports.is_empty());
    world.owing = 0;
    world.record(2);
    world.collect();
    assert!(world.is_busy() && world.reports.is_empty());
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.reports.len(), 1);
    assert_eq!(world.reports[0].1.delivered, 2);
}

#[test]
fn what_comes_out_of_the_ring_before_the_sweep_does_not_end_a_flush() {
    let mut world = World::new();
    let now = world.now;
    world.core.on(
        now,
        Event::Shutdown {
            id: 1,
            deadline: SECOND,
        },
        0.5,
    );
    world.core.on(
        now,
        Event::Chunks {
            chunks: Vec::new(),
            owing: 0,
        },
        0.5,
    );
    world.record(2);
    world.act();
    assert!(world.is_busy() && world.reports.is_empty() && !world.stopped);
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.reports[0].1.delivered, 2);
}

#[test]
fn what_comes_after_a_flush_does_not_hold_it_up() {
    let mut world = World::new();
    world.record(2);
    world.feed(Event::Flush {
        id: 1,
        deadline: SECOND,
    });
    world.record(90);
    world.record(90);
    world.collect();
    world.answer(Ok(Answer::delivered()));
    assert_eq!(
        world.reports.len(),
        1,
        "the flush is done, with records of later still held"
    );
    assert!(world.core.holds() > 0);
}

#[test]
fn a_shutdown_closes_the_lanes_sends_the_rest_and_stops() {
    let mut world = World::new();
    world.record(5);
    world.feed(Event::Shutdown {
        id: 1,
        deadline: SECOND,
    });
    assert!(world.closed && world.is_busy() && !world.stopped);
    world.answer(Ok(Answer::delivered()));
    assert!(world.stopped);
    assert_eq!(world.reports[0].1.delivered, 5);
}

#[test]
fn a_shutdown_into_a_black_hole_stops_at_its_deadline() {
    let mut world = World::new();
    world.record(5);
    world.feed(Event::Shutdown {
        id: 1,
        deadline: SECOND,
    });
    world.feed(Event::Flush {
        id: 2,
        deadline: 3 * SECOND,
    });
    while !world.stopped {
        world.sleep(u64::MAX);
    }
    let ends: Vec<_> = world
        .reports
        .iter()
        .map(|(id, report, at)| (*id, report.unfinished, *at))
        .collect();
    assert_eq!(ends.len(), 2);
    assert!(
        ends.iter()
            .all(|(_, unfinished, at)| (*unfinished, *at) == (5, SECOND)),
        "{ends:?}"
    );
}
