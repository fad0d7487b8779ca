//! The marks, and what comes of them when more is recorded than a destination takes.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[test]
fn p_12_it_rises_at_the_high_marks_and_ends_below_the_low_one() {
    use Pressure::{High, Higher, None};
    let mut pressure = None;
    let mut after = |used| {
        pressure = pressure.next(used, 1_000);
        pressure
    };
    assert_eq!([0, 600, 809].map(&mut after), [None; 3]);
    assert_eq!([810, 700, 909].map(&mut after), [High; 3]);
    assert_eq!([910, 899, 810].map(&mut after), [Higher; 3]);
    assert_eq!([809, 610].map(&mut after), [High; 2]);
    assert_eq!([609, 700].map(&mut after), [None; 2]);
    assert_eq!(after(usize::MAX), Higher, "at once, where it must");
    assert_eq!(after(0), None);
}

proptest! {
    /// Between the marks nothing changes, so what wavers there does not make it waver.
    #[test]
    fn between_the_marks_it_stays(used in prop::collection::vec(610_usize..=809, 1..50), high: bool) {
        let mut pressure = if high { Pressure::High } else { Pressure::None };
        let before = pressure;
        for used in used {
            pressure = pressure.next(used, 1_000);
            prop_assert_eq!(pressure, before);
        }
    }
}

/// A destination that takes less than is recorded, for ten minutes, in steps of a tenth of a second.
#[derive(Debug, Default)]
struct Simulation {
    /// The level and the time of what waits, each 4 KiB.
    waiting: VecDeque<(usize, u32)>,
    pressure: Pressure,
    changes: u32,
    /// By level: ERROR, INFO, DEBUG.
    recorded: [u64; 3],
    delivered: [u64; 3],
    waits: Vec<u32>,
}

/// 32 MiB of records of 4 KiB, of which 7/8 may be used, and 3/4 after the oldest were given up.
const FULL: usize = 7_168;
const AFTER: usize = 6_144;

/// How many of ten are of each level.
const MIX: [usize; 10] = [0, 1, 2, 2, 1, 2, 1, 2, 1, 2];

impl Simulation {
    fn run(sheds: bool, recorded: &dyn Fn(u32) -> usize, taken: &dyn Fn(u32) -> usize) -> Self {
        let mut simulation = Self::default();
        for step in 0..6_000 {
            (0..recorded(step)).for_each(|number| simulation.record(sheds, MIX[number % 10], step));
            for _ in 0..taken(step) {
                if let Some((level, at)) = simulation.waiting.pop_front() {
                    simulation.delivered[level] += 1;
                    simulation.waits.push(step - at);
                }
            }
            if simulation.waiting.len() > FULL {
                simulation.waiting.drain(..simulation.waiting.len() - AFTER);
            }
            let next = simulation.pressure.next(simulation.waiting.len(), FULL);
            simulation.changes += u32::from(next != simulation.pressure);
            simulation.pressure = next;
            assert!(
                simulation.waiting.len() <= FULL + recorded(step),
                "within the budget"
            );
        }
        simulation.waits.sort_unstable();
        simulation
    }

    fn record(&mut self, sheds: bool, level: usize, step: u32) {
        self.recorded[level] += 1;
        let most = match self.pressure {
            _ if !sheds => 2,
            Pressure::None => 2,
            Pressure::High => 1,
            Pressure::Higher => 0,
        };
        if level <= most {
            self.waiting.push_back((level, step));
        }
    }

    fn cell(&self) -> String {
        let left = |level: &(usize, u32), of| u64::from(level.0 == of);
        let lost = [0, 1, 2].map(|of| {
            let waiting: u64 = self.waiting.iter().map(|it| left(it, of)).sum();
            let lost = self.recorded[of] - self.delivered[of] - waiting;
            lost * 100 / self.recorded[of].max(1)
        });
        let wait = self
            .waits
            .get(self.waits.len() * 99 / 100)
            .copied()
            .unwrap_or_default();
        let [error, info, debug] = lost;
        format!(
            "{error} %, {info} %, {debug} %, {}.{} s",
            wait / 10,
            wait % 10
        )
    }
}

type Flow = fn(u32) -> usize;

/// What is recorded and taken in a tenth of a second, in pieces of 4 KiB.
const CASES: [(&str, Flow, Flow); 4] = [
    ("the destination keeps up", |_| 50, |_| 60),
    ("it takes half of what is recorded", |_| 100, |_| 50),
    ("it takes a quarter", |_| 100, |_| 25),
    (
        "it is away for two minutes",
        |_| 100,
        |step| if (600..1_800).contains(&step) { 0 } else { 150 },
    ),
];

fn table() -> String {
    let mut table = String::from(
        "| Destination | the oldest go | with shedding | changes |\n|---|---|---|---|\n",
    );
    for (name, recorded, taken) in CASES {
        let [off, on] = [false, true].map(|sheds| Simulation::run(sheds, &recorded, &taken));
        table += &format!(
            "| {name} | {} | {} | {} |\n",
            off.cell(),
            on.cell(),
            on.changes
        );
    }
    table
}

#[test]
#[allow(clippy::print_stdout, reason = "the table is what this is for")]
fn the_table_of_shedding_in_the_docs_is_what_it_comes_to() {
    let table = table();
    println!("{table}");
    let docs = include_str!("../../../docs/flow.md");
    assert!(docs.contains(&table), "docs/flow.md has another table");
}

/// A thread that works, and waits where its next record has no room.
#[derive(Clone, Copy, Default)]
struct Thread {
    /// Until then it waits, where it does.
    waits: Option<u32>,
}

/// Eight threads that record together a thousand of 4 KiB a second while they need not wait, for ten minutes, in steps of 10 ms. What they
/// cannot do while they wait is not done later.
#[derive(Default)]
struct Blocking {
    threads: [Thread; 8],
    waiting: VecDeque<u32>,
    recorded: u64,
    delivered: u64,
    lost: u64,
    waits: Vec<u32>,
}

impl Blocking {
    /// `most`: how long a thread waits at most, in steps; none is not at all.
    fn run(most: Option<u32>, taken: Flow) -> Self {
        let mut simulation = Self::default();
        for step in 0..60_000 {
            for _ in 0..taken(step) {
                if let Some(at) = simulation.waiting.pop_front() {
                    simulation.delivered += 1;
                    simulation.waits.push(step - at);
                }
            }
            simulation.wake(step);
            (0..10).for_each(|number| simulation.work(number % 8, most, step));
            // Who records waits for room, so the oldest go later.
            let (high, low) = match most {
                None => (FULL, AFTER),
                Some(_) => (7_680, 7_168),
            };
            if simulation.waiting.len() > high {
                let given_up = simulation.waiting.drain(..simulation.waiting.len() - low);
                simulation.lost += given_up.count() as u64;
            }
        }
        simulation.waits.sort_unstable();
        simulation
    }

    fn is_full(&self) -> bool {
        self.waiting.len() > FULL
    }

    /// Who has waited long enough records all the same.
    fn wake(&mut self, step: u32) {
        for at in 0..self.threads.len() {
            let is_over = |until| until <= step || !self.is_full();
            if self.threads[at].waits.is_some_and(is_over) {
                self.threads[at].waits = None;
                self.record(step);
            }
        }
    }

    fn work(&mut self, thread: usize, most: Option<u32>, step: u32) {
        if self.threads[thread].waits.is_some() {
            return;
        }
        match most {
            Some(most) if self.is_full() => self.threads[thread].waits = Some(step + most),
            _ => self.record(step),
        }
    }

    fn record(&mut self, step: u32) {
        self.recorded += 1;
        self.waiting.push_back(step);
    }

    fn cell(&self) -> String {
        let wait = self.waits.get(self.waits.len() * 99 / 100);
        format!(
            "{}, {} %, {:.1} s",
            self.recorded / 600,
            (self.lost * 100).div_ceil(self.recorded),
            f64::from(wait.copied().unwrap_or_default()) / 100.0
        )
    }
}

/// What is taken in 10 ms.
const TAKEN: [(&str, Flow); 4] = [
    ("the destination keeps up", |_| 12),
    ("it takes half of what is recorded", |_| 5),
    ("it takes a quarter", |step| 2 + (step % 2) as usize),
    ("it is away for two minutes", |step| {
        if (6_000..18_000).contains(&step) {
            0
        } else {
            12
        }
    }),
];

#[test]
#[allow(clippy::print_stdout, reason = "the table is what this is for")]
fn the_table_of_blocking_in_the_docs_is_what_it_comes_to() {
    let mut table = String::from(
        "| Destination | nobody waits | 10 ms at most | 1 s at most |\n|---|---|---|---|\n",
    );
    for (name, taken) in TAKEN {
        let [off, short, long] = [None, Some(1), Some(100)].map(|most| Blocking::run(most, taken));
        assert!(long.lost <= short.lost && short.lost <= off.lost);
        table += &format!(
            "| {name} | {} | {} | {} |\n",
            off.cell(),
            short.cell(),
            long.cell()
        );
    }
    println!("{table}");
    let docs = include_str!("../../../docs/flow.md");
    assert!(docs.contains(&table), "docs/flow.md has another table");
}
