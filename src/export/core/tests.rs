//! The core against a virtual clock: years pass in a moment, and a model destination answers by script.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const SECOND: Nanos = 1_000_000_000;
const INTERVAL: Duration = Duration::from_secs(5);

/// A core, the chunks that lie in lanes and ring for it, and the books.
struct World {
    core: Core,
    now: Nanos,
    waiting: Vec<Sealed>,
    owing: usize,
    closed: bool,
    requests: Vec<(Nanos, u64)>,
    in_flight: bool,
    reports: Vec<(u64, Report, Nanos)>,
    stopped: bool,
    accepted: u64,
    delivered: u64,
    rejected: u64,
    dropped: u64,
}

impl World {
    fn new() -> Self {
        let tuning = Tuning {
            size: Size {
                bytes: 1000,
                records: 100,
            },
            interval: INTERVAL,
        };
        Self {
            core: Core::new(tuning, Vec::new(), 0),
            now: 0,
            waiting: Vec::new(),
            owing: 0,
            closed: false,
            requests: Vec::new(),
            in_flight: false,
            reports: Vec::new(),
            stopped: false,
            accepted: 0,
            delivered: 0,
            rejected: 0,
            dropped: 0,
        }
    }

    fn record(&mut self, records: u32) {
        self.accepted += u64::from(records);
        self.waiting.push(Sealed {
            bytes: Bytes::from(vec![0; 10 * records as usize]),
            records,
            number: 0,
            charge: 0,
        });
    }

    fn feed(&mut self, event: Event) {
        let outcome = self
            .core
            .on(self.now, event, 0.5)
            .map(|(outcome, _)| outcome);
        match outcome {
            Some(Outcome::Delivered {
                records, rejected, ..
            }) => {
                self.delivered += records;
                self.rejected += rejected;
            }
            Some(Outcome::Rejected { records, .. }) => self.rejected += records,
            Some(Outcome::Panicked { records }) => self.dropped += records,
            Some(Outcome::Retry { .. }) | None => {}
        }
        self.act();
    }

    fn collect(&mut self) {
        let chunks = std::mem::take(&mut self.waiting);
        self.feed(Event::Chunks {
            chunks,
            owing: self.owing,
        });
    }

    fn act(&mut self) {
        while let Some(action) = self.core.act(self.now) {
            match action {
                Action::Sweep { close } => {
                    self.closed |= close;
                    let chunks = std::mem::take(&mut self.waiting);
                    self.core.on(
                        self.now,
                        Event::Chunks {
                            chunks,
                            owing: self.owing,
                        },
                        0.5,
                    );
                    self.core.swept();
                }
                Action::Send(request) => {
                    assert!(!self.in_flight, "one request at a time");
                    self.in_flight = true;
                    self.requests.push((self.now, request.records()));
                }
                Action::Resolve { id, report } => self.reports.push((id, report, self.now)),
                Action::Stop => self.stopped = true,
            }
        }
    }

    fn answer(&mut self, answer: Result<Answer, Failure>) {
        assert!(std::mem::replace(&mut self.in_flight, false));
        self.feed(Event::Answered(answer));
    }

    /// Lets time pass up to the next thing that the core waits for, at most to `until`.
    fn sleep(&mut self, until: Nanos) {
        self.now = self.core.next_wake().clamp(self.now, until);
        self.act();
    }

    fn assert_balanced(&self) {
        let waiting: u64 = self
            .waiting
            .iter()
            .map(|chunk| u64::from(chunk.records))
            .sum();
        let held = self.core.holds() + waiting;
        assert_eq!(
            self.accepted,
            self.delivered + self.rejected + self.dropped + held
        );
    }
}

#[test]
fn spec_3_5_records_wait_for_the_interval_or_a_full_batch() {
    let mut world = World::new();
    world.record(10);
    world.collect();
    assert!(world.requests.is_empty(), "neither full nor due");
    world.sleep(u64::MAX);
    assert_eq!(world.requests, [(5 * SECOND, 10)]);
    world.answer(Ok(Answer::delivered()));
    (0..11).for_each(|_| world.record(10));
    world.collect();
    assert_eq!(
        world.requests[1..],
        [(5 * SECOND, 100)],
        "a full batch goes at once, and the rest waits"
    );
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.core.holds(), 10);
    world.assert_balanced();
}

#[test]
fn p11_an_outage_of_a_week_loses_nothing_that_memory_holds() {
    let mut world = World::new();
    let week = 7 * 86_400 * SECOND;
    world.record(50);
    let mut attempts = 0_u64;
    while world.now < week {
        world.sleep(week);
        if world.in_flight {
            attempts += 1;
            world.answer(Err(Failure::retry("connection refused")));
        }
    }
    world.assert_balanced();
    assert_eq!(world.core.holds(), 50);
    assert!(
        (15_000..50_000).contains(&attempts),
        "{attempts} attempts: one in 22 seconds on average"
    );
    while !world.in_flight {
        world.sleep(u64::MAX);
    }
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.delivered, 50);
}

#[test]
fn what_the_server_asks_for_is_waited_for() {
    let mut world = World::new();
    world.record(1);
    world.sleep(u64::MAX);
    let asked = Duration::from_secs(120);
    world.answer(Err(Failure::retry_after(asked, "busy")));
    while !world.in_flight {
        world.sleep(u64::MAX);
    }
    let waited = world.now - 5 * SECOND;
    assert!((120 * SECOND..=132 * SECOND).contains(&waited), "{waited}");
}

#[test]
fn a_flush_interrupts_a_back_off_and_tells_the_truth() {
    let mut world = World::new();
    world.record(3);
    world.sleep(u64::MAX);
    (0..8).for_each(|_| {
        world.answer(Err(Failure::retry("refused")));
        while !world.in_flight {
            world.sleep(u64::MAX);
        }
    });
    world.answer(Err(Failure::retry("refused")));
    let now = world.now;
    world.record(4);
    world.feed(Event::Flush {
        id: 7,
        deadline: now + SECOND,
    });
    assert!(world.in_flight && world.now == now, "at once");
    world.answer(Ok(Answer::partial(1, "one is odd")));
    assert!(world.in_flight, "the second batch follows");
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
    assert!(world.in_flight);
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
    assert!(world.in_flight && world.reports.is_empty());
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
    assert!(world.in_flight && world.reports.is_empty() && !world.stopped);
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
    assert!(world.closed && world.in_flight && !world.stopped);
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

#[test]
fn the_oldest_goes_first_when_memory_is_short() {
    let mut world = World::new();
    world.record(100);
    world.record(1);
    world.record(2);
    world.collect();
    assert!(world.in_flight, "the batch of 100 is on its way and stays");
    let evicted = world.core.evict().map(|chunk| chunk.records);
    assert_eq!(evicted, Some(1));
    world.dropped += 1;
    world.assert_balanced();
}

#[test]
fn a_panic_costs_one_batch() {
    let mut world = World::new();
    world.record(100);
    world.record(100);
    world.collect();
    world.in_flight = false;
    world.feed(Event::Panicked);
    assert_eq!(world.dropped, 100);
    while !world.in_flight {
        world.sleep(u64::MAX);
    }
    world.answer(Ok(Answer::delivered()));
    assert_eq!(world.delivered, 100);
    world.assert_balanced();
}

#[derive(Clone, Debug)]
enum Step {
    Record(u32),
    Collect,
    Sleep,
    Deliver,
    Partial(u64),
    Retry,
    Reject,
    Panic,
    Flush(u64),
    Evict,
    Owe(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_u32..150).prop_map(Step::Record),
        2 => Just(Step::Collect),
        3 => Just(Step::Sleep),
        3 => Just(Step::Deliver),
        1 => (0_u64..200).prop_map(Step::Partial),
        2 => Just(Step::Retry),
        1 => Just(Step::Reject),
        1 => Just(Step::Panic),
        1 => (0_u64..20).prop_map(Step::Flush),
        1 => Just(Step::Evict),
        1 => (0_usize..3).prop_map(Step::Owe),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    /// P8: the books balance after every step of any sequence, every flush is answered by its deadline, and a shutdown ends
    /// it all.
    #[test]
    fn the_ledger_balances_for_any_sequence_of_events(steps in steps()) {
        let mut world = World::new();
        let mut deadlines = VecDeque::new();
        for step in steps {
            match step {
                Step::Record(records) => world.record(records),
                Step::Collect => world.collect(),
                Step::Sleep => world.sleep(u64::MAX),
                Step::Owe(owing) => world.owing = owing,
                Step::Flush(seconds) => {
                    let deadline = world.now + seconds * SECOND;
                    let id = deadlines.len() as u64;
                    deadlines.push_back(deadline);
                    world.feed(Event::Flush { id, deadline });
                }
                Step::Evict => world.dropped += world.core.evict().map_or(0, |chunk| u64::from(chunk.records)),
                Step::Panic if world.in_flight => {
                    world.in_flight = false;
                    world.feed(Event::Panicked);
                }
                Step::Deliver if world.in_flight => world.answer(Ok(Answer::delivered())),
                Step::Partial(count) if world.in_flight => world.answer(Ok(Answer::partial(count, ""))),
                Step::Retry if world.in_flight => world.answer(Err(Failure::retry(""))),
                Step::Reject if world.in_flight => world.answer(Err(Failure::reject(""))),
                _ => {}
            }
            world.assert_balanced();
        }
        let deadline = world.now + SECOND;
        world.feed(Event::Shutdown { id: u64::MAX, deadline });
        for _ in 0..1000 {
            world.sleep(u64::MAX);
        }
        prop_assert!(world.stopped, "a shutdown ends, at the latest with the last flush");
        prop_assert_eq!(world.reports.len(), deadlines.len() + 1);
        for (id, _, at) in &world.reports {
            let promised = deadlines.get(*id as usize).copied().unwrap_or(deadline);
            prop_assert!(*at <= promised);
        }
        world.assert_balanced();
    }
}
