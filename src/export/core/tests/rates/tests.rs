//! A limit of what is sent a second, with the core's own clock.

use super::super::*;
use crate::rate::Limiter;

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

/// What a limit of 1,000 records a second comes to, in steps of 10 ms for five minutes: at the exporter, where records wait for it
/// within 32 MiB of memory, and at the layer.
struct Limited {
    exporter: Rate,
    layer: Option<Limiter>,
    /// The level and the step of what waits, each 4 KiB.
    waiting: VecDeque<(usize, usize)>,
    /// By level: ERROR, INFO, DEBUG.
    recorded: [u64; 3],
    lost: [u64; 3],
    /// How many were sent in each step.
    sent: Vec<u64>,
    waits: Vec<usize>,
}

const STEP: Nanos = SECOND / 100;
const STEPS: usize = 30_000;
/// One ERROR to four INFO and five DEBUG.
const MIX: [usize; 10] = [0, 1, 2, 2, 1, 2, 1, 2, 1, 2];

impl Limited {
    fn run(recorded: fn(usize) -> usize, exporter: RateLimit, layer: RateLimit) -> Self {
        let mut simulation = Self {
            exporter: Rate::new(&exporter),
            layer: layer.limiter(),
            waiting: VecDeque::new(),
            recorded: [0; 3],
            lost: [0; 3],
            sent: Vec::new(),
            waits: Vec::new(),
        };
        for step in 0..STEPS {
            (0..recorded(step)).for_each(|number| simulation.record(MIX[number % 10], step));
            // 7/8 of the memory are full; then the oldest go until 3/4 are.
            while simulation.waiting.len() > 7_168 {
                let given_up = simulation.waiting.drain(..1_024);
                given_up.for_each(|(level, _)| simulation.lost[level] += 1);
            }
            simulation.send(step);
        }
        simulation.waits.sort_unstable();
        simulation
    }

    fn record(&mut self, level: usize, step: usize) {
        self.recorded[level] += 1;
        let (now, quarters) = (step as Nanos * STEP, [0, 1, 2][level]);
        match &self.layer {
            Some(limiter) if !limiter.has_room(now, quarters) => self.lost[level] += 1,
            limiter => {
                limiter
                    .iter()
                    .for_each(|limiter| limiter.charge(now, 4_096));
                self.waiting.push_back((level, step));
            }
        }
    }

    /// The destination takes whatever the limit lets through.
    fn send(&mut self, step: usize) {
        let now = step as Nanos * STEP;
        let size = Size {
            bytes: usize::MAX,
            records: 8_192,
        };
        let mut sent = 0;
        if self.exporter.ready_at() <= now {
            let most = self.exporter.bound(now, size).records as usize;
            for (_, at) in self.waiting.drain(..most.min(self.waiting.len())) {
                self.waits.push(step - at);
                sent += 1;
            }
        }
        self.exporter.charge(now, sent, 4_096 * sent);
        self.sent.push(sent);
    }

    fn most_in_a_second(&self) -> u64 {
        let seconds = self.sent.windows(100);
        seconds.map(|steps| steps.iter().sum()).max().unwrap_or(0)
    }

    fn cell(&self) -> String {
        let lost = |level: usize| self.lost[level] * 100 / self.recorded[level].max(1);
        let [error, info, debug] = [0, 1, 2].map(lost);
        let wait = self.waits[self.waits.len() * 99 / 100] as f64 / 100.0;
        let most = self.most_in_a_second();
        format!("{most}; {error} %, {info} %, {debug} %; {wait:.1} s")
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "the table is what this is for")]
fn the_table_of_rate_limits_in_the_docs_is_what_it_comes_to() {
    type Recorded = fn(usize) -> usize;
    let cases: [(&str, Recorded); 4] = [
        ("500 a second", |_| 5),
        ("1,500 a second", |_| 15),
        ("5,000 a second", |_| 50),
        ("100 a second, and 5,000 at once each half minute", |step| {
            if step % 3_000 == 0 { 5_000 } else { 1 }
        }),
    ];
    let (none, limit) = (RateLimit::NONE, RateLimit::default().with_records(1_000.0));
    let mut table = String::from(
        "| Recorded | no limit | at the exporter | at the layer |\n|---|---|---|---|\n",
    );
    for (name, recorded) in cases {
        let runs = [(none, none), (limit, none), (none, limit)];
        let runs = runs.map(|(exporter, layer)| Limited::run(recorded, exporter, layer));
        assert!(runs[1..].iter().all(|run| run.most_in_a_second() <= 2_000));
        let [off, exporter, layer] = runs.map(|run| run.cell());
        table += &format!("| {name} | {off} | {exporter} | {layer} |\n");
    }
    println!("{table}");
    let docs = include_str!("../../../../../docs/flow.md");
    assert!(docs.contains(&table), "docs/flow.md has another table");
}
