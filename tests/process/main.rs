//! What needs a process of its own: ends and stops of processes (faults F28 and F41), and memory under overload and over many threads (faults
//! F35, F36, F42).
//!
//! The children are this same program, with a `main` of their own; so there is no harness.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a child prints its ledger"
)]

mod allocator;
mod cgroup;
mod child;
mod children;
#[path = "../it/support/collector/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod collector;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Duration;

use cgroup::Cgroup;
use child::{Child, NAME};
use children::{BALLAST, BEFORE, LATE, MEMORY, PANIC, SHORT, SHUTDOWN, SPANS, THREADS};
use collector::{Collector, Manner};

/// For a process to start and to end, on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

const TESTS: [(&str, fn()); 15] = [
    (
        "f38_a_thread_that_cannot_be_started_is_an_error",
        f38_a_thread_that_cannot_be_started_is_an_error,
    ),
    (
        "f41_a_guard_that_is_kept_delivers_everything",
        f41_a_guard_that_is_kept_delivers_everything,
    ),
    (
        "f41_a_black_hole_holds_a_process_up_for_the_guards_time",
        f41_a_black_hole_holds_a_process_up_for_the_guards_time,
    ),
    (
        "f41_a_stderr_that_is_locked_holds_up_nothing",
        f41_a_stderr_that_is_locked_holds_up_nothing,
    ),
    (
        "f41_a_guard_that_is_not_kept_leaves_the_books_right",
        f41_a_guard_that_is_not_kept_leaves_the_books_right,
    ),
    (
        "f41_a_guard_that_is_leaked_holds_up_nothing",
        f41_a_guard_that_is_leaked_holds_up_nothing,
    ),
    ("f41_exit_never_waits", f41_exit_never_waits),
    (
        "the_memory_limit_follows_a_cgroup_of_the_kernels",
        the_memory_limit_follows_a_cgroup_of_the_kernels,
    ),
    (
        "r19_what_ended_before_a_panic_is_sent_before_the_process_aborts",
        r19_what_ended_before_a_panic_is_sent_before_the_process_aborts,
    ),
    (
        "r19_a_panic_waits_so_long_at_most_and_not_where_it_is_caught_by_us",
        r19_a_panic_waits_so_long_at_most_and_not_where_it_is_caught_by_us,
    ),
    (
        "f28_a_process_that_was_stopped_sends_its_batch_once_more",
        f28_a_process_that_was_stopped_sends_its_batch_once_more,
    ),
    (
        "f35_overload_blocks_no_thread_and_keeps_to_the_memory",
        f35_overload_blocks_no_thread_and_keeps_to_the_memory,
    ),
    (
        "p5_what_is_encoded_for_sending_keeps_to_the_memory_too",
        p5_what_is_encoded_for_sending_keeps_to_the_memory_too,
    ),
    (
        "p5_several_requests_in_flight_keep_to_the_memory",
        p5_several_requests_in_flight_keep_to_the_memory,
    ),
    (
        "f42_ten_thousand_threads_leave_no_memory_behind",
        f42_ten_thousand_threads_leave_no_memory_behind,
    ),
];

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(NAME) {
        children::run(&name);
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let chosen = TESTS
        .iter()
        .filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter)));
    let mut failed = false;
    for (name, test) in chosen {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed |= !passed;
    }
    ExitCode::from(u8::from(failed))
}

fn taken(collector: &Collector) -> u64 {
    let numbers = collector.look(collector::Log::numbers);
    assert!(
        numbers.values().all(|times| *times == 1),
        "nothing arrives twice: {numbers:?}"
    );
    numbers.len() as u64
}

fn f41_a_guard_that_is_kept_delivers_everything() {
    let ends = [
        ("guard_kept", 0),
        ("panic_in_main", 101),
        ("panic_in_thread", 0),
        ("current_thread", 0),
        ("one_worker", 0),
        ("four_workers", 0),
        ("local_set", 0),
    ];
    for (name, code) in ends {
        let collector = Collector::start();
        let child = Child::start(name, &collector);
        let ended = child.end(SHUTDOWN + SLACK);
        assert_eq!(ended.code, Some(code), "{name}: {}", ended.errors);
        assert_eq!(taken(&collector), 10, "{name}: {}", ended.errors);
    }
}

fn r19_what_ended_before_a_panic_is_sent_before_the_process_aborts() {
    let collector = Collector::start();
    let child = Child::start("abort_in_a_panic", &collector);
    let ended = child.end(Duration::from_secs(30));
    assert_eq!(ended.code, None, "a signal ends it: {}", ended.errors);
    assert_eq!(taken(&collector), 10, "{}", ended.errors);
}

fn r19_a_panic_waits_so_long_at_most_and_not_where_it_is_caught_by_us() {
    let collector = Collector::start();
    collector.answers(|_| Manner::Hang);
    let child = Child::start("panics_that_wait_for_nothing", &collector);
    let ended = child.end(PANIC + SHUTDOWN + 5 * SLACK);
    let wait = PANIC.as_millis() as u64;
    let within = |name: &str| ended.number(name) < wait;
    assert!(within("inside") && within("afterwards"), "{}", ended.errors);
    let outside = ended.number("outside");
    let most = wait + SLACK.as_millis() as u64;
    assert!((wait..most).contains(&outside), "{outside} ms");
}

fn f41_a_black_hole_holds_a_process_up_for_the_guards_time() {
    for name in [
        "guard_kept",
        "panic_in_main",
        "current_thread",
        "one_worker",
        "four_workers",
        "local_set",
    ] {
        let collector = Collector::start();
        collector.answers(|_| Manner::Hang);
        let child = Child::start(name, &collector);
        let ended = child.end(SHUTDOWN + SLACK);
        // On a machine so busy that the exporter is late, its caller speaks for it.
        let said = ["unfinished 10", "did not answer"];
        let says = said.iter().any(|words| ended.errors.contains(words));
        assert!(says, "{name} says what is lost: {}", ended.errors);
        let names = ended.errors.contains("no answer yet from http://");
        let is_late = ended.errors.contains("did not answer");
        assert!(
            names || is_late,
            "{name} says whose answer: {}",
            ended.errors
        );
        // Its parent saw its start a moment later than itself.
        let took = ended.took + Duration::from_millis(50);
        assert!(took >= SHUTDOWN, "{name} waited {took:?} for an answer");
    }
}

fn f41_a_stderr_that_is_locked_holds_up_nothing() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let collector = Collector::start();
    collector.answers(|_| Manner::Hang);
    let child = Child::start("guard_kept_while_stderr_is_locked", &collector);
    let ended = child.end(SHUTDOWN + SLACK);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
}

fn f41_a_guard_that_is_not_kept_leaves_the_books_right() {
    let collector = Collector::start();
    let ended = Child::start("guard_not_kept", &collector).end(SLACK);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert_eq!(ended.number("balanced"), 1);
    assert_eq!(
        (ended.number("accepted"), ended.number("dropped")),
        (10, 10)
    );
    assert_eq!(taken(&collector), 0);
}

fn f41_a_guard_that_is_leaked_holds_up_nothing() {
    for manner in [Manner::Take, Manner::Hang] {
        let collector = Collector::start();
        collector.always(manner);
        let ended = Child::start("guard_leaked", &collector).end(SLACK);
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
    }
}

fn f41_exit_never_waits() {
    for name in ["exit", "exit_amid_everything"] {
        for manner in [Manner::Take, Manner::Hang] {
            let collector = Collector::start();
            collector.always(manner);
            let ended = Child::start(name, &collector).end(SLACK);
            assert_eq!(ended.code, Some(7), "{name}: {}", ended.errors);
        }
    }
}

fn f38_a_thread_that_cannot_be_started_is_an_error() {
    let ended = Child::start("no_thread", &Collector::start()).end(SLACK);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    if ended.number("skipped") == 1 {
        println!("skipped: there is no prlimit here");
        return;
    }
    assert_eq!(ended.number("refused"), 1);
}

fn f28_a_process_that_was_stopped_sends_its_batch_once_more() {
    let collector = Collector::start();
    collector.answers(|_| Manner::Hang);
    let mut child = Child::start("stopped", &collector);
    child.read(Duration::from_secs(10));
    collector.wait("a request on its way", |log| log.in_flight > 0);
    child.signal("STOP");
    // As a lid that is closed: longer than the attempt had.
    std::thread::sleep(Duration::from_millis(700));
    let before = collector.look(|log| log.requests.len());
    collector.answers(|_| Manner::Take);
    child.signal("CONT");
    child.say("go");
    let ended = child.end(Duration::from_secs(15));
    assert_eq!(
        ["accepted", "delivered", "held", "balanced"].map(|name| ended.number(name)),
        [2 * BEFORE, 2 * BEFORE, 0, 1]
    );
    collector.look(|log| {
        let numbers = log.numbers();
        assert_eq!(numbers.len() as u64, 2 * BEFORE);
        assert!(
            numbers.values().all(|times| *times == 1),
            "none was taken before"
        );
        assert!(log.requests.len() - before <= 10, "no burst: {log:?}");
    });
}

fn f35_overload_blocks_no_thread_and_keeps_to_the_memory() {
    overload("overload", 1);
}

fn p5_what_is_encoded_for_sending_keeps_to_the_memory_too() {
    overload("overload_encoded", 1);
}

fn p5_several_requests_in_flight_keep_to_the_memory() {
    overload("overload_several", 4);
    overload("overload_several_encoded", 4);
}

/// So many requests are in flight at most.
fn overload(child: &str, in_flight: usize) {
    let collector = Collector::start();
    collector.answers(|_| Manner::Hang);
    let mut child = Child::start(child, &collector);
    child.read(Duration::from_secs(60));
    let recorded = THREADS * SPANS;
    assert_eq!(
        (child.number("accepted"), child.number("balanced")),
        (recorded, 1)
    );
    assert!(child.number("dropped") > 0 && child.number("held") > 0);
    // P5: the limit and 2 MiB, in which the Registry and 64 threads have some too.
    let most = (MEMORY + (2 << 20)) as u64;
    assert!(
        child.number("peak") <= most,
        "peak {} of {most}",
        child.number("peak")
    );
    let waits = child.number("waits");
    assert!(waits <= 10 * THREADS, "threads waited {waits} times");
    let held = child.number("held");

    collector.wait_for_silence();
    collector.answers(|_| Manner::Take);
    child.say("go");
    let ended = child.end(Duration::from_secs(15));
    assert_eq!(
        (ended.number("accepted"), ended.number("balanced")),
        (recorded + LATE, 1)
    );
    assert_eq!(ended.number("held"), 0);
    assert!(
        ended.number("delivered") > held / 2,
        "{} of {held}",
        ended.number("delivered")
    );
    assert_eq!(taken(&collector), ended.number("delivered"));
    let most = collector.look(|log| log.most_in_flight);
    assert!(most <= in_flight, "{most} requests at a time");
}

/// A container of 96 MiB, of which something else takes most, and gives it back.
fn the_memory_limit_follows_a_cgroup_of_the_kernels() {
    let Some(cgroup) = Cgroup::with_limit(BALLAST + (16 << 20)) else {
        println!("skipped: no cgroup with a memory limit can be made here");
        return;
    };
    let collector = Collector::start();
    collector.answers(|_| Manner::Hang);
    let mut child = Child::start("in_a_cgroup", &collector);
    cgroup.takes(child.id());
    child.say("go");
    let ended = child.end(Duration::from_secs(60));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let mib = ["begun", "short", "later"].map(|name| ended.number(name) >> 20);
    assert_eq!(mib, [12, 4, 6], "{}", ended.errors);
    assert!(ended.number("before") > 8 << 20, "it was in use");
    assert!(ended.number("after") <= 4 << 20, "the oldest have gone");
    assert_eq!(ended.number("balanced"), 1);
    assert!(ended.number("dropped") > 0 && ended.number("changes") >= 3);
    let says = "the memory limit is lowered to";
    assert!(ended.errors.contains(says), "{}", ended.errors);
}

fn f42_ten_thousand_threads_leave_no_memory_behind() {
    let collector = Collector::start();
    let ended = Child::start("short_threads", &collector).end(Duration::from_secs(60));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert_eq!(
        (ended.number("delivered"), ended.number("balanced")),
        (SHORT + SHORT / 4, 1)
    );
    assert!(
        ended.number("grown") < 256 << 10,
        "{} bytes more than before",
        ended.number("grown")
    );
}
