//! Programs that use the crate as an application does; each is a process of its own.

use std::io::{BufRead, Write};
use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

use tokio::task::LocalSet;
use tracing_otlp::{Batch, Builder, Compression, Concurrency, Guard, Handle, Protocol};
use tracing_subscriber::prelude::*;

use crate::allocator;

/// What a child's guard waits for at its drop.
pub(crate) const SHUTDOWN: Duration = Duration::from_millis(400);
/// What the overloaded child may hold, and what it records.
pub(crate) const MEMORY: usize = 4 << 20;
pub(crate) const THREADS: u64 = 64;
pub(crate) const SPANS: u64 = 2_000;
pub(crate) const LATE: u64 = 100;
/// What the stopped child records before it is stopped, and once more afterwards.
pub(crate) const BEFORE: u64 = 100;
/// What something else in the process takes of a cgroup's memory, beside 16 MiB.
pub(crate) const BALLAST: usize = 80 << 20;
/// How long a panic waits for its flush.
pub(crate) const PANIC: Duration = Duration::from_millis(1_500);
/// Threads that end as soon as they have recorded.
pub(crate) const SHORT: u64 = 10_000;

pub(crate) const ENDPOINT: &str = "PROCESS_TEST_ENDPOINT";

/// Runs the child of this name, on the main thread and as the last thing that `main` does.
pub(crate) fn run(name: &str) {
    match name {
        "guard_kept" => guard_kept(),
        "guard_kept_while_stderr_is_locked" => guard_kept_while_stderr_is_locked(),
        "guard_not_kept" => guard_not_kept(),
        "guard_leaked" => guard_leaked(),
        "panic_in_main" => panic_in_main(),
        "panic_in_thread" => panic_in_thread(),
        "abort_in_a_panic" => abort_in_a_panic(),
        "panics_that_wait_for_nothing" => panics_that_wait_for_nothing(),
        "exit" => exit(),
        "exit_amid_everything" => exit_amid_everything(),
        "current_thread" => in_runtime(&mut tokio::runtime::Builder::new_current_thread()),
        "one_worker" => {
            in_runtime(tokio::runtime::Builder::new_multi_thread().worker_threads(1));
        }
        "four_workers" => {
            in_runtime(tokio::runtime::Builder::new_multi_thread().worker_threads(4));
        }
        "local_set" => in_local_set(),
        "stopped" => stopped(),
        "overload" => overload(|builder| builder),
        "overload_encoded" => overload(encoded),
        "overload_several" => overload(several),
        "overload_several_encoded" => overload(|builder| encoded(several(builder))),
        "short_threads" => short_threads(),
        "no_thread" => no_thread(),
        "in_a_cgroup" => in_a_cgroup(),
        _ => panic!("there is no child {name}"),
    }
}

fn start(configure: impl FnOnce(Builder) -> Builder) -> Guard {
    let builder = tracing_otlp::layer()
        .with_endpoint(std::env::var(ENDPOINT).expect("an endpoint"))
        .with_batch(Batch::default().with_interval(Duration::from_secs(60)))
        .with_shutdown_timeout(SHUTDOWN);
    let (layer, guard) = configure(builder).build().expect("a pipeline");
    tracing_subscriber::registry().with(layer).init();
    guard
}

fn record(numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| drop(tracing::info_span!("work", number)));
}

fn guard_kept() {
    let _guard = start(|builder| builder);
    record(0..10);
}

/// As a thread that writes to a pipe which nobody reads.
fn guard_kept_while_stderr_is_locked() {
    let (locked, is_locked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _stderr = std::io::stderr().lock();
        let _ = locked.send(());
        std::thread::park();
    });
    is_locked.recv().expect("a lock");
    guard_kept();
}

fn guard_not_kept() {
    let handle = start(|builder| builder).handle();
    record(0..10);
    tell(&handle);
}

fn guard_leaked() {
    std::mem::forget(start(|builder| builder));
    record(0..10);
    std::thread::spawn(|| record(10..20))
        .join()
        .expect("it records");
}

fn panic_in_main() {
    let _guard = start(|builder| builder);
    record(0..9);
    let _open = tracing::info_span!("work", number = 9).entered();
    panic!("as scripted");
}

fn panic_in_thread() {
    let _guard = start(|builder| builder);
    record(0..5);
    let panicking = std::thread::spawn(|| {
        record(5..9);
        let _open = tracing::info_span!("work", number = 9).entered();
        panic!("as scripted");
    });
    assert!(panicking.join().is_err());
}

fn exit() {
    let _guard = start(|builder| builder);
    record(0..10);
    std::process::exit(7);
}

/// While threads record, flush and shut down.
fn exit_amid_everything() {
    let guard = start(|builder| builder);
    record(0..10);
    let begun = Barrier::new(5);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                begun.wait();
                loop {
                    record(0..10);
                }
            });
        }
        let (flushing, stopping) = (guard.handle(), guard.handle());
        let begun = &begun;
        scope.spawn(move || {
            begun.wait();
            flushing.flush(Duration::from_secs(60))
        });
        scope.spawn(move || {
            begun.wait();
            stopping.shutdown(Duration::from_secs(60))
        });
        begun.wait();
        tracing::info_span!("open").in_scope(|| std::process::exit(7));
    });
}

fn in_runtime(builder: &mut tokio::runtime::Builder) {
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(application());
}

fn in_local_set() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, application());
}

/// The guard lives in a task, as it does in an asynchronous `main`.
async fn application() {
    let _guard = start(|builder| builder);
    let task = tokio::spawn(async {
        record(0..5);
        tokio::task::yield_now().await;
        record(5..10);
    });
    task.await.expect("it records");
}

/// Its parent stops it while a request is on its way, and lets it go on.
fn stopped() {
    let guard = start(|builder| {
        builder
            .with_timeout(Duration::from_millis(300))
            .with_batch(Batch::default().with_interval(Duration::from_millis(20)))
    });
    let handle = guard.handle();
    record(0..BEFORE);
    tell(&handle);
    hear();
    record(BEFORE..2 * BEFORE);
    let _ = handle.shutdown(Duration::from_secs(10));
    tell(&handle);
}

/// Waits for the parent's word.
fn hear() {
    let mut word = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut word)
        .expect("the parent's word");
}

/// Each request is encoded as JSON and compressed.
fn encoded(builder: Builder) -> Builder {
    builder
        .with_protocol(Protocol::HttpJson)
        .with_compression(Compression::Zstd)
}

/// Four requests at a time.
fn several(builder: Builder) -> Builder {
    builder.with_concurrency(Concurrency::Fixed(4))
}

/// 64 threads against a collector that does not answer; after a word from the parent it does.
fn overload(configure: impl FnOnce(Builder) -> Builder) {
    let guard = start(|builder| {
        configure(builder)
            .with_memory_limit(MEMORY)
            // What is taken is answered in time also on a busy machine: nothing arrives twice.
            .with_timeout(Duration::from_secs(2))
    });
    let handle = guard.handle();
    let (begun, base) = (Barrier::new(THREADS as usize), allocator::live());
    allocator::reset_peak();
    let mut waits: Vec<u64> = std::thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| {
            let begun = &begun;
            scope.spawn(move || {
                begun.wait();
                let before = voluntary_switches();
                record(thread * SPANS..(thread + 1) * SPANS);
                voluntary_switches() - before
            })
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it records"))
            .collect()
    });
    let peak = allocator::peak() - base;
    waits.sort_unstable();
    // Long enough that the exporter has taken over, or given up, what was recorded.
    let _ = handle.flush(Duration::from_secs(1));
    println!("peak {peak}");
    println!("waits {}", waits.iter().sum::<u64>());
    println!("most_waits {}", waits[waits.len() - 1]);
    tell(&handle);

    hear();
    record(THREADS * SPANS..THREADS * SPANS + LATE);
    let _ = handle.flush(Duration::from_secs(10));
    let _ = handle.shutdown(Duration::from_secs(2));
    tell(&handle);
}

/// How often this thread has waited for anything: a lock, a wake-up, a page of a file.
fn voluntary_switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|number| number.trim().parse().ok())
        .expect("a number")
}

/// Many threads, four at a time, that record and end; and as many as warm up before.
fn short_threads() {
    let guard = start(|builder| builder.with_memory_limit(MEMORY));
    let handle = guard.handle();
    let run = |threads: u64| {
        for first in (0..threads).step_by(4) {
            std::thread::scope(|scope| {
                for number in first..first + 4 {
                    scope.spawn(move || record(number..number + 1));
                }
            });
            if first % 1_000 == 0 {
                handle
                    .flush(Duration::from_secs(10))
                    .expect("it is delivered");
            }
        }
        handle
            .flush(Duration::from_secs(10))
            .expect("it is delivered");
    };
    run(SHORT / 4);
    let before = allocator::live();
    run(SHORT);
    println!("grown {}", allocator::live().saturating_sub(before));
    tell(&handle);
}

/// A process that may not take the memory of one more thread's stack.
fn no_thread() {
    const LESS_THAN_A_STACK: u64 = 1 << 20;
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let size = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let size: u64 = size.and_then(|size| size.parse().ok()).expect("a number");
    let limited = Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string()])
        .arg(format!("--as={}", size * 1024 + LESS_THAN_A_STACK))
        .status();
    if !limited.is_ok_and(|status| status.success()) {
        println!("skipped 1");
        return;
    }
    let built = tracing_otlp::layer().build();
    println!("skipped 0");
    let refused = built.is_err_and(|error| error.is_thread());
    println!("refused {}", u64::from(refused));
}

/// Records more than fits, takes nearly all memory that there is for something else, and gives it back.
fn in_a_cgroup() {
    hear();
    let guard = start(|builder| {
        builder
            .with_memory_limit(32 << 20)
            .with_memory_following_cgroup(true)
            .with_batch(Batch::default().with_interval(Duration::from_millis(50)))
    });
    let handle = guard.handle();
    println!("begun {}", handle.memory_limit());
    let (payload, base) = ("x".repeat(1_000), allocator::live());
    let held = || (allocator::live() - base) as u64;
    (0..20_000).for_each(|number| drop(tracing::info_span!("work", number, payload)));
    println!("before {}", held());

    let ballast = std::hint::black_box(vec![1_u8; BALLAST]);
    let limit = |is_so: &dyn Fn(usize) -> bool| {
        let begun = std::time::Instant::now();
        while !is_so(handle.memory_limit()) && begun.elapsed() < Duration::from_secs(20) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        handle.memory_limit()
    };
    println!("short {}", limit(&|limit| limit <= 4 << 20));
    drop(ballast);
    let _ = handle.flush(Duration::from_millis(300));
    println!("after {}", held());
    println!("later {}", limit(&|limit| limit > 4 << 20));
    println!("changes {}", handle.stats().memory_limit_changes());
    tell(&handle);
}

/// The ledger, for the parent to read.
fn tell(handle: &Handle) {
    let stats = handle.stats();
    println!("accepted {}", stats.accepted());
    println!("delivered {}", stats.delivered());
    println!("dropped {}", stats.dropped());
    println!("held {}", stats.held());
    println!("balanced {}", u64::from(stats.is_balanced()));
    println!("end");
    std::io::stdout().flush().expect("a parent that listens");
}

/// As with `panic = "abort"`: the hook that was there before ends the process.
fn abort_in_a_panic() {
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    let _guard = start(|builder| builder.with_flush_on_panic(Duration::from_secs(30)));
    record(0..10);
    std::thread::spawn(|| panic!("on purpose"))
        .join()
        .unwrap_err();
}

struct Panics;

impl std::fmt::Debug for Panics {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("on purpose")
    }
}

/// Panics in front of a collector that never answers: which of them wait for it, in milliseconds.
fn panics_that_wait_for_nothing() {
    let guard = start(|builder| builder.with_flush_on_panic(PANIC));
    record(0..10);
    let timed = |name: &str, work: &dyn Fn()| {
        let begun = std::time::Instant::now();
        work();
        println!("{name} {}", begun.elapsed().as_millis());
    };
    timed("inside", &|| {
        drop(tracing::info_span!("span", value = ?Panics))
    });
    let in_a_thread = || {
        std::thread::spawn(|| panic!("on purpose"))
            .join()
            .unwrap_err()
    };
    timed("outside", &|| drop(in_a_thread()));
    drop(guard);
    timed("afterwards", &|| drop(in_a_thread()));
}
