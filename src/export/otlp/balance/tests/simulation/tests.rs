//! Three servers on a virtual clock, and one exporter that sends what is due, one request at a time, as `Client::send` does.

use std::fmt::Write as _;

use super::super::*;

const MINUTE: u64 = 60_000;
const ATTEMPT: u64 = 10_000;

/// What a server does with a request.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It takes it after so many milliseconds.
    Takes(u64),
    /// Nobody listens.
    Refuses,
    /// It answers: not now.
    Busy,
    /// It takes the connection, and never answers.
    Hangs,
}

use Manner::{Busy, Hangs, Refuses, Takes};

/// The server's manner at this minute and a part.
type Servers = fn(server: usize, minute: f64) -> Manner;

#[derive(Debug, Default)]
struct Run {
    /// From when a record is due until it is delivered, in milliseconds.
    delays: Vec<u64>,
    /// Requests that may have been taken twice.
    ambiguous: u64,
    /// Those that each server took.
    taken: [u64; 3],
    /// When each was, and which server took it.
    history: Vec<(u64, usize)>,
}

struct Exporter {
    balance: Balance,
    servers: Servers,
    start: Instant,
    run: Run,
}

impl Exporter {
    /// Records every 100 ms for ten minutes.
    fn run(choice: Choice, endpoints: usize, servers: Servers) -> Run {
        let mut exporter = Self {
            balance: balance(choice, endpoints),
            servers,
            start: Instant::now(),
            run: Run::default(),
        };
        let (mut now, mut next, mut failures) = (0, 0, 0);
        while next < 10 * MINUTE && now < 20 * MINUTE {
            now = now.max(next);
            match exporter.attempt(&mut now) {
                Some(server) => {
                    failures = 0;
                    exporter.run.taken[server] += 1;
                    exporter.run.history.push((now, server));
                    // All that was due when it was begun, and what became due since waits for the next one.
                    let due = (next..=now.min(10 * MINUTE - 100)).step_by(100);
                    due.for_each(|due| exporter.run.delays.push(now - due));
                    next = now - now % 100 + 100;
                }
                None => {
                    failures += 1;
                    now += backoff::own(failures, 0.5).as_millis() as u64;
                }
            }
        }
        exporter.run.delays.sort_unstable();
        exporter.run
    }

    /// One attempt, at one place after the other; gives the server that took it.
    fn attempt(&mut self, now: &mut u64) -> Option<usize> {
        let deadline = *now + ATTEMPT;
        let mut tried = Vec::new();
        loop {
            let place = self.balance.begin(self.at(*now), &tried)?;
            tried.push(place);
            let is_on_trial =
                self.balance.is_on_trial(place) && self.balance.has_healthy(self.at(*now), &tried);
            let left = deadline - *now;
            let time = if is_on_trial { left / 4 } else { left };
            let manner = (self.servers)(place.endpoint, *now as f64 / MINUTE as f64);
            let (took, is_taken) = match manner {
                Takes(millis) if millis < time => (millis, true),
                Takes(_) | Hangs => (time, false),
                Refuses | Busy => (1, false),
            };
            *now += took;
            let share = (*now + ATTEMPT - deadline) as f64 / ATTEMPT as f64;
            let outcome = if is_taken {
                Outcome::Answered { share }
            } else {
                FAILED
            };
            self.balance.end(self.at(*now), place, outcome, 0.5);
            if is_taken {
                return Some(place.endpoint);
            }
            self.run.ambiguous += u64::from(matches!(manner, Takes(_) | Hangs));
            let is_over = *now >= deadline;
            let may_go_on =
                matches!(manner, Refuses) || self.balance.has_healthy(self.at(*now), &tried);
            if is_over || !may_go_on {
                return None;
            }
        }
    }

    fn at(&self, now: u64) -> Instant {
        self.start + Duration::from_millis(now)
    }
}

impl Run {
    fn delay(&self, share: f64) -> u64 {
        let at = (self.delays.len() - 1) as f64 * share;
        self.delays[at as usize]
    }

    fn cell(&self) -> String {
        if self.delays.is_empty() {
            return "nothing arrives".to_owned();
        }
        let seconds = |millis: u64| millis as f64 / 1_000.0;
        let (most, often) = (seconds(self.delay(1.0)), seconds(self.delay(0.99)));
        let twice = match self.ambiguous {
            0 => String::new(),
            times => format!(", {times} perhaps twice"),
        };
        format!("{often:.1} s, {most:.1} s{twice}")
    }
}

/// The first server has trouble from the second to the sixth minute.
fn first(server: usize, minute: f64, trouble: Manner) -> Manner {
    let is_on = server == 0 && (2.0..6.0).contains(&minute);
    if is_on { trouble } else { Takes(20) }
}

const TROUBLES: [(&str, Servers); 8] = [
    ("none", |_, _| Takes(20)),
    ("the first is dead for 4 minutes", |server, minute| {
        first(server, minute, Refuses)
    }),
    ("the first hangs for 4 minutes", |server, minute| {
        first(server, minute, Hangs)
    }),
    (
        "the first takes 3 s a request for 4 minutes",
        |server, minute| first(server, minute, Takes(3_000)),
    ),
    (
        "the first says \"not now\" for 4 minutes",
        |server, minute| first(server, minute, Busy),
    ),
    (
        "each is replaced in turn, a minute long",
        |server, minute| {
            let is_gone = (1 + 2 * server) as f64;
            let is_gone = (is_gone..is_gone + 1.0).contains(&minute);
            if is_gone { Refuses } else { Takes(20) }
        },
    ),
    ("the last alone is there", |server, _| {
        if server == 2 { Takes(20) } else { Refuses }
    }),
    ("all are gone for a minute", |_, minute| {
        if (2.0..3.0).contains(&minute) {
            Refuses
        } else {
            Takes(20)
        }
    }),
];

fn table() -> String {
    let mut table = String::from(
        "| Trouble | the first alone | three, fewest in flight | three, failover |\n|---|---|---|---|\n",
    );
    for (name, servers) in TROUBLES {
        let cells = [
            Exporter::run(Choice::LeastOutstanding, 1, servers),
            Exporter::run(Choice::LeastOutstanding, 3, servers),
            Exporter::run(Choice::Failover, 3, servers),
        ];
        let [alone, fewest, failover] = cells.map(|run| run.cell());
        let _ = writeln!(table, "| {name} | {alone} | {fewest} | {failover} |");
    }
    table
}

#[test]
#[allow(clippy::print_stdout, reason = "the table is what this is for")]
fn the_table_of_endpoints_in_the_docs_is_what_it_comes_to() {
    let table = table();
    println!("{table}");
    let docs = include_str!("../../../../../../docs/flow.md");
    assert!(docs.contains(&table), "docs/flow.md has another table");
}

#[test]
fn one_in_flight_changes_its_place_as_often_as_it_must() {
    for (name, servers) in TROUBLES {
        let run = Exporter::run(Choice::LeastOutstanding, 3, servers);
        let changes = run
            .history
            .windows(2)
            .filter(|two| two[0].1 != two[1].1)
            .count();
        assert!(changes <= 3, "{name}: {changes} changes");
    }
}

#[test]
fn the_first_is_used_again_within_half_a_minute_and_20_requests() {
    for (name, servers) in &TROUBLES[1..5] {
        let run = Exporter::run(Choice::Failover, 3, *servers);
        let back = run
            .history
            .iter()
            .find(|(now, server)| *now > 6 * MINUTE && *server == 0);
        let (back, _) = back.expect("it comes back");
        assert!(*back <= 6 * MINUTE + 30_000, "{name}: at {back}");
        let later: Vec<_> = run
            .history
            .iter()
            .filter(|(now, _)| now > back)
            .take(20)
            .collect();
        assert!(
            later.iter().all(|(_, server)| *server == 0),
            "{name}: {later:?}"
        );
    }
}
