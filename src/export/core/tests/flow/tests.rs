//! How requests grow and shrink, and how many are in flight, against destinations of many kinds.

use super::super::simulation::tests::{Destination, KIB, MIB, MS, Sent, Simulation, tuning};
use super::super::*;

const ALONE: Concurrency = Concurrency::Fixed(1);

/// A name, how a destination behaves for so many seconds each, and how many bytes a second are recorded for it.
type Case = (&'static str, Vec<(u64, Destination)>, u64);

fn cases() -> Vec<Case> {
    let near = Destination::NEAR;
    let away = Destination {
        is_away: true,
        ..near
    };
    let server = |servers, request: u64| Destination {
        servers,
        request: request * MS,
        ..near
    };
    let for_long = |destination| vec![(120, destination)];
    let after_outage = |destination| vec![(60, away), (120, destination)];
    vec![
        ("near", for_long(near), 2 * MIB),
        (
            "300 ms away",
            for_long(Destination {
                way: 300 * MS,
                ..near
            }),
            8 * MIB,
        ),
        (
            "100 ms away, 4 MiB/s",
            for_long(Destination {
                link: 4 * MIB,
                way: 100 * MS,
                ..near
            }),
            5 * MIB,
        ),
        (
            "100 KiB/s, after a minute away",
            after_outage(Destination {
                link: 100 * KIB,
                ..near
            }),
            60 * KIB,
        ),
        ("6 s a request", for_long(server(64, 6_000)), 160 * KIB),
        (
            "1 server, 100 ms a request",
            for_long(server(1, 100)),
            16 * MIB,
        ),
        ("4 servers, 400 ms", for_long(server(4, 400)), 8 * MIB),
        (
            "16 servers, 400 ms ±20 %",
            for_long(Destination {
                jitter: 20,
                ..server(16, 400)
            }),
            16 * MIB,
        ),
        (
            "4 servers, 400 ms, more are refused",
            for_long(Destination {
                queue: 0,
                ..server(4, 400)
            }),
            8 * MIB,
        ),
        (
            "takes 0.75 MiB, then 1 MiB/s",
            for_long(Destination {
                room: Some((3 * MIB / 4, MIB)),
                ..near
            }),
            MIB / 2,
        ),
        (
            "takes 2 MiB, then 1 MiB/s",
            for_long(Destination {
                room: Some((2 * MIB, MIB)),
                ..near
            }),
            MIB * 9 / 10,
        ),
        (
            "takes one request a second",
            for_long(Destination {
                every: SECOND,
                ..near
            }),
            3 * MIB / 2,
        ),
        (
            "takes at most 300 KiB a request",
            for_long(Destination {
                largest: 300 * KIB,
                ..near
            }),
            2 * MIB,
        ),
        ("a minute away, then near", after_outage(near), MIB / 4),
    ]
}

const CONTROLS: [(&str, bool, Concurrency); 5] = [
    ("1 MiB × 1", false, ALONE),
    ("adaptive × 1", true, ALONE),
    ("1 MiB × 8", false, Concurrency::Fixed(8)),
    ("1 MiB × adaptive", false, Concurrency::Adaptive(8)),
    ("adaptive × adaptive", true, Concurrency::Adaptive(8)),
];

/// What was delivered a second, the wait that 99 of 100 chunks do not exceed, and what was lost or sent twice, if anything.
fn run(phases: &[(u64, Destination)], load: u64, tuning: Tuning) -> String {
    let mut simulation = Simulation::new(tuning, phases[0].1, load);
    for (seconds, destination) in phases {
        simulation.destination = *destination;
        simulation.run(*seconds);
    }
    let seconds = simulation.now / SECOND;
    let delivered = simulation.bytes(simulation.delivered) / seconds / KIB;
    let wait = simulation.wait(99) as f64 / SECOND as f64;
    let lost = simulation.bytes(simulation.lost()) * 100 / (load * seconds);
    let mut text = format!("{delivered}, {wait:.1} s");
    if lost > 0 {
        text += &format!(", lost {lost} %");
    }
    if simulation.doubled > 0 {
        let doubled = simulation.doubled as f64 / MIB as f64;
        text += &format!(", twice {doubled:.1} MiB");
    }
    text
}

fn table() -> String {
    let mut table = "| Destination | recorded |".to_owned();
    CONTROLS
        .iter()
        .for_each(|(control, ..)| table += &format!(" {control} |"));
    table += "\n|---|---|---|---|---|---|---|\n";
    for (name, phases, load) in cases() {
        table += &format!("| {name} | {} |", load / KIB);
        for (_, is_adaptive, concurrency) in CONTROLS {
            let cell = run(&phases, load, tuning(is_adaptive, concurrency));
            table += &format!(" {cell} |");
        }
        table += "\n";
    }
    table
}

#[test]
#[allow(clippy::print_stdout, reason = "the table is what this is for")]
fn the_table_in_the_docs_is_what_the_controls_come_to() {
    let table = table();
    println!("{table}");
    let docs = include_str!("../../../../../docs/flow.md");
    assert!(docs.contains(&table), "docs/flow.md has another table");
}

/// What `of` has come to when 20 requests were answered that were begun after a change, over the next 40, none of which is
/// more than a fifth away from it, or one where it is a small number.
#[track_caller]
fn settled(simulation: &Simulation, from: usize, of: impl Fn(&Sent) -> u64) -> u64 {
    let sent = &simulation.sent[from..];
    let all: Vec<_> = sent.iter().map(&of).collect();
    let answered = |(number, sent): (usize, &Sent)| number >= 20 + sent.in_flight;
    let first = sent.iter().enumerate().position(answered).unwrap();
    let later = &all[first..first + 40];
    let mean = (later.iter().sum::<u64>() + 20) / 40;
    let is_close = |value: &u64| value.abs_diff(mean) <= (mean / 5).max(1);
    assert!(later.iter().all(is_close), "around {mean}: {all:?}");
    mean
}

#[test]
fn the_size_settles_within_20_requests_of_any_change() {
    let near = Destination::NEAR;
    let size = |sent: &Sent| sent.size;
    let mut simulation = Simulation::new(tuning(true, ALONE), near, 40 * MIB);
    let changes = [
        // As large as it may be, since there is more to send than is sent.
        (
            Destination {
                way: 100 * MS,
                ..near
            },
            3800..4100,
        ),
        // 10 s for 4 MiB, and 2.5 to 5 s for what is sent then.
        (
            Destination {
                link: 400 * KIB,
                ..near
            },
            1000..2002,
        ),
        (
            Destination {
                link: 100 * KIB,
                ..near
            },
            250..502,
        ),
        (
            Destination {
                link: 40 * KIB,
                ..near
            },
            100..202,
        ),
        (
            Destination {
                largest: 700 * KIB,
                way: 100 * MS,
                ..near
            },
            560..700,
        ),
        (
            Destination {
                way: 100 * MS,
                ..near
            },
            3800..4100,
        ),
        // The time is not in the bytes.
        (
            Destination {
                request: 4 * SECOND,
                ..near
            },
            3800..4100,
        ),
        (
            Destination {
                request: 100 * MS,
                jitter: 20,
                ..near
            },
            3800..4100,
        ),
    ];
    for (destination, expected) in changes {
        simulation.destination = destination;
        let from = simulation.sent.len();
        while simulation.sent.len() < from + 80 {
            simulation.run(10);
        }
        let settled = settled(&simulation, from, size) / KIB;
        assert!(
            expected.contains(&settled),
            "{settled} KiB for {destination:?}"
        );
    }
}

#[test]
fn the_number_in_flight_settles_within_20_requests_of_any_change() {
    let of = |servers, request| Destination {
        servers,
        request: request * MS,
        ..Destination::NEAR
    };
    let limit = |sent: &Sent| sent.limit as u64;
    let adaptive = tuning(false, Concurrency::Adaptive(8));
    let mut simulation = Simulation::new(adaptive, of(8, 100), 300 * MIB);
    let changes = [
        (of(8, 100), 8..9),
        (of(2, 100), 2..4),
        (of(8, 100), 8..9),
        // Farther away, or slower for all: that is not ours to mend.
        (of(8, 400), 7..9),
        (of(1, 400), 1..3),
        (
            Destination {
                jitter: 20,
                ..of(6, 100)
            },
            6..9,
        ),
        (
            Destination {
                queue: 0,
                ..of(3, 100)
            },
            2..4,
        ),
    ];
    for (destination, expected) in changes {
        simulation.destination = destination;
        let from = simulation.sent.len();
        while simulation.sent.len() < from + 80 {
            simulation.run(1);
        }
        let settled = settled(&simulation, from, limit);
        assert!(expected.contains(&settled), "{settled} for {destination:?}");
    }
}

#[test]
fn p_8_and_14_nothing_starves_and_nothing_is_lost_where_every_tenth_is_refused_and_some_hang() {
    let destination = Destination {
        way: 20 * MS,
        request: 50 * MS,
        jitter: 50,
        refuses: 10,
        hangs: 1,
        ..Destination::NEAR
    };
    for concurrency in [ALONE, Concurrency::Fixed(4), Concurrency::Adaptive(8)] {
        let tuning = tuning(true, concurrency);
        let mut simulation = Simulation::new(tuning, destination, MIB / 2);
        simulation.run(600);
        simulation.drain();
        assert_eq!(simulation.lost(), 0);
        assert_eq!(simulation.delivered, simulation.accepted);
        assert!(simulation.refused > 30, "{}", simulation.refused);
        // Three attempts that hang, their back-off, and the interval.
        let longest = simulation.wait(100) / SECOND;
        assert!(longest < 45, "{longest} s with {concurrency:?}");
    }
}

#[test]
fn p_8_all_is_counted_through_any_of_it() {
    for (name, phases, load) in cases() {
        for (_, is_adaptive, concurrency) in CONTROLS {
            let tuning = tuning(is_adaptive, concurrency);
            let mut simulation = Simulation::new(tuning, Destination::NEAR, load);
            for (_, destination) in &phases {
                simulation.destination = *destination;
                simulation.run(30);
            }
            let lost = simulation.lost();
            simulation.destination = Destination::NEAR;
            simulation.drain();
            assert_eq!(simulation.lost(), lost, "{name}");
            let resolved = simulation.delivered + simulation.evicted;
            assert_eq!(simulation.accepted, resolved, "{name}");
        }
    }
}
