//! How requests grow and shrink, and how many are in flight, against destinations of many kinds.

use super::super::simulation::tests::{Destination, KIB, MIB, MS, Sent, Simulation, tuning};
use super::super::*;

const ALONE: Concurrency = Concurrency::Fixed(1);

/// A name, a destination, and the load.
fn destinations() -> Vec<(&'static str, Destination, u64)> {
    let near = Destination::NEAR;
    vec![
        ("near", near, 2 * MIB),
        (
            "far: 300 ms",
            Destination {
                way: 300 * MS,
                ..near
            },
            8 * MIB,
        ),
        (
            "slow link: 100 KiB/s",
            Destination {
                link: 100 * KIB,
                ..near
            },
            80 * KIB,
        ),
        (
            "slow server: 150 KiB/s",
            Destination {
                rate: 150 * KIB,
                servers: 1,
                ..near
            },
            120 * KIB,
        ),
        (
            "slow by itself: 6 s a request",
            Destination {
                request: 6 * SECOND,
                ..near
            },
            160 * KIB,
        ),
        (
            "4 servers, 400 ms a request",
            Destination {
                request: 400 * MS,
                servers: 4,
                ..near
            },
            8 * MIB,
        ),
        (
            "16 servers, 400 ms, jitter",
            Destination {
                request: 400 * MS,
                servers: 16,
                jitter: 20,
                ..near
            },
            16 * MIB,
        ),
        (
            "4 servers, 400 ms a request, overloaded",
            Destination {
                request: 400 * MS,
                servers: 4,
                ..near
            },
            16 * MIB,
        ),
        (
            "1 server, 100 ms a request, overloaded",
            Destination {
                request: 100 * MS,
                servers: 1,
                ..near
            },
            16 * MIB,
        ),
        (
            "link 4 MiB/s, 100 ms, overloaded",
            Destination {
                link: 4 * MIB,
                way: 100 * MS,
                ..near
            },
            5 * MIB,
        ),
        (
            "1 server, 100 ms a request",
            Destination {
                request: 100 * MS,
                servers: 1,
                ..near
            },
            8 * MIB,
        ),
        (
            "4 servers, no queue",
            Destination {
                request: 400 * MS,
                servers: 4,
                queue: 0,
                ..near
            },
            8 * MIB,
        ),
        (
            "room for 1.5 MiB, 1 MiB/s",
            Destination {
                room: Some((3 * MIB / 2, MIB)),
                ..near
            },
            MIB * 9 / 10,
        ),
        (
            "room for 0.75 MiB, 1 MiB/s",
            Destination {
                room: Some((3 * MIB / 4, MIB)),
                ..near
            },
            MIB / 2,
        ),
        (
            "one request a second",
            Destination {
                every: SECOND,
                ..near
            },
            3 * MIB / 2,
        ),
        (
            "at most 300 KiB",
            Destination {
                largest: 300 * KIB,
                ..near
            },
            2 * MIB,
        ),
    ]
}

#[test]
#[allow(clippy::print_stdout, reason = "the table is what this is for")]
fn table() {
    let controls = [
        ("1 MiB, 1", tuning(false, ALONE)),
        ("adaptive, 1", tuning(true, ALONE)),
        ("1 MiB, 8", tuning(false, Concurrency::Fixed(8))),
        ("1 MiB, adaptive", tuning(false, Concurrency::Adaptive(8))),
        ("adaptive, adaptive", tuning(true, Concurrency::Adaptive(8))),
    ];
    for (name, destination, load) in destinations() {
        println!("{name}, load {} KiB/s", load / KIB);
        for (control, tuning) in controls {
            let mut simulation = Simulation::new(tuning, destination, load);
            simulation.run(120);
            let last = simulation.sent.last().unwrap();
            println!(
                "  {control:20} {:6} KiB/s  lost {:5} MiB  doubled {:3} MiB  p50 {:6} ms p99 {:6} ms  requests {:5} failed {:4}  last {:5} KiB  {} in flight of {}",
                simulation.delivered / 120 / KIB,
                simulation.lost / MIB,
                simulation.doubled / MIB,
                simulation.wait(50) / MS,
                simulation.wait(99) / MS,
                simulation.sent.len(),
                simulation.refused,
                last.bytes / KIB,
                last.in_flight,
                last.limit,
            );
        }
    }
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
