//! Any sequence of events: the books balance after each, and a flush ends where it should.

use proptest::sample::Index;

use super::super::*;

#[derive(Clone, Debug)]
enum Step {
    Record(Vec<usize>),
    Collect,
    Sleep,
    /// Answers are to any of the requests in flight.
    Deliver(Index),
    Partial(Index, u64),
    Fail(Index, Kind, Option<u64>),
    /// Any of them takes all its time.
    Late(Index),
    Panic,
    Flush(u64),
    Evict,
    Owe(usize),
    ShutDown(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop_oneof![6 => Just(0_usize), 1 => 1_usize..2000];
    let kind = prop_oneof![
        2 => any::<bool>().prop_map(|ambiguous| Kind::Unanswered { ambiguous }),
        1 => Just(Kind::Busy),
        1 => Just(Kind::OutOfRange),
        4 => Just(Kind::TooLarge),
        1 => Just(Kind::Refused),
        1 => Just(Kind::Misconfigured),
        1 => Just(Kind::NoPipeline),
    ];
    let asked = prop_oneof![4 => Just(None), 1 => (0_u64..5000).prop_map(Some)];
    let step = prop_oneof![
        12 => proptest::collection::vec(sizes, 1..25).prop_map(Step::Record),
        8 => Just(Step::Collect),
        12 => Just(Step::Sleep),
        10 => any::<Index>().prop_map(Step::Deliver),
        3 => (any::<Index>(), 0_u64..200).prop_map(|(at, count)| Step::Partial(at, count)),
        16 => (any::<Index>(), kind, asked).prop_map(|(at, kind, asked)| Step::Fail(at, kind, asked)),
        3 => any::<Index>().prop_map(Step::Late),
        1 => Just(Step::Panic),
        3 => (0_u64..20).prop_map(Step::Flush),
        2 => Just(Step::Evict),
        2 => (0_usize..3).prop_map(Step::Owe),
        1 => (0_u64..20).prop_map(Step::ShutDown),
    ];
    proptest::collection::vec(step, 0..150)
}

impl World {
    fn step(&mut self, step: Step, deadlines: &mut VecDeque<Nanos>) {
        let (flying, count) = (self.is_busy(), self.in_flight.len());
        match step {
            Step::Record(_) if self.closed => {}
            Step::Record(sizes) => self.record_sized(&sizes),
            Step::Collect => self.collect(),
            Step::Sleep => self.sleep(u64::MAX),
            Step::Owe(owing) => self.owing = owing,
            Step::Flush(_) | Step::ShutDown(_) if self.stopped => {}
            Step::Flush(seconds) => {
                deadlines.push_back(self.now + seconds * SECOND);
                self.flush(deadlines.len() as u64 - 1, seconds * SECOND);
            }
            Step::ShutDown(seconds) => {
                deadlines.push_back(self.now + seconds * SECOND);
                self.shut_down(deadlines.len() as u64 - 1, seconds * SECOND);
            }
            Step::Evict => {
                self.evict();
                self.act();
            }
            Step::Panic if flying => self.panic(),
            Step::Deliver(at) if flying => {
                self.answer_at(at.index(count), Ok(Answer::delivered()));
            }
            Step::Late(at) if flying => {
                self.pass(10 * SECOND);
                let late = Failure::unanswered(true, "late");
                self.answer_at(at.index(count), Err(late));
            }
            Step::Partial(at, rejected) if flying => {
                self.answer_at(at.index(count), Ok(Answer::partial(rejected, "")));
            }
            Step::Fail(at, kind, asked) if flying => self.answer_at(
                at.index(count),
                Err(Failure {
                    after: asked.map(Duration::from_secs),
                    ..Failure::new(kind, "")
                }),
            ),
            _ => {}
        }
    }
}

fn concurrency() -> impl Strategy<Value = Concurrency> {
    prop_oneof![
        2 => Just(Concurrency::Fixed(1)),
        2 => (2_usize..6).prop_map(Concurrency::Fixed),
        1 => (2_usize..6).prop_map(Concurrency::Adaptive),
    ]
}

proptest! {
    /// P8: the books balance after every step of any sequence, no record is sent after it was resolved, each chunk is free
    /// once and in the end, every flush is answered by its deadline, and a shutdown ends it all.
    #[test]
    fn the_ledger_balances_for_any_sequence_of_events(
        steps in steps(),
        concurrency in concurrency(),
        hold: bool,
        random in 0.0..1.0,
    ) {
        let mut world = World::with(Tuning { hold_on_config_error: hold, concurrency, ..TUNING });
        world.random = random;
        let mut deadlines = VecDeque::new();
        for step in steps {
            world.step(step, &mut deadlines);
            world.assert_balanced();
        }
        world.owing = 0;
        if !world.stopped {
            deadlines.push_back(world.now + SECOND);
            world.shut_down(deadlines.len() as u64 - 1, SECOND);
        }
        for _ in 0..1000 {
            if world.stopped {
                break;
            }
            while world.is_busy() {
                world.answer(Ok(Answer::delivered()));
            }
            world.sleep(u64::MAX);
        }
        prop_assert!(world.stopped, "a shutdown ends, at the latest with the last flush");
        prop_assert_eq!(world.reports.len(), deadlines.len());
        for (id, _, at) in &world.reports {
            prop_assert!(*at <= deadlines[*id as usize]);
        }
        world.assert_balanced();
    }

    /// Each flush is answered in the very step that resolves the last record before it, and not sooner.
    #[test]
    fn a_flush_ends_when_everything_before_it_is_resolved(
        before in steps(),
        after in steps(),
        concurrency in concurrency(),
    ) {
        let mut world = World::with(Tuning { concurrency, ..TUNING });
        let mut deadlines = VecDeque::new();
        let quiet = |step: &Step| !matches!(step, Step::Flush(_) | Step::ShutDown(_) | Step::Owe(_));
        before.into_iter().filter(quiet).for_each(|step| world.step(step, &mut deadlines));
        let last = world.chunks;
        world.flush(0, u64::MAX / 2);
        for step in after.into_iter().filter(quiet) {
            // A chunk is free when the last of it is resolved.
            let resolved = world.released.range(..last).count() as u64 == last;
            prop_assert_eq!(!world.reports.is_empty(), resolved);
            world.step(step, &mut deadlines);
        }
    }
}
