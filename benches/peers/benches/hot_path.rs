//! What a stack costs on the application's threads, with an exporter that throws everything away.
//!
//! ```text
//! cargo bench -p peers --bench hot_path
//! ```
//!
//! Names are `stack/workload/threads`; a filter of criterion's picks some of them. Times are CPU
//! time of the threads that trace, a call, so that one thread compares with eight on two cores.
//! After each slice of calls the stack is flushed off the clock: no queue fills up, and the work
//! that is timed is that of spans which reach the exporter. Each stack runs in a process of its
//! own, in which it is the global default.

use std::env;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use peers::pace::thread_cpu_time;
use peers::process::this_executable;
use peers::sink::Sink;
use peers::stack::{Destination, Running, Settings, Stack};
use peers::workload::Workload;

/// Tells a child process which stack it is.
const STACK: &str = "PEERS_STACK";
/// Tells it to put the stack behind a filter.
const FILTERED: &str = "PEERS_FILTERED";

const THREADS: [usize; 3] = [1, 2, 8];

/// Calls of all threads between two flushes; twice as many spans at most.
const SLICE: u64 = 2_000;

fn main() {
    match env::var(STACK) {
        Ok(name) => run_stack(&name, env::var_os(FILTERED).is_some()),
        Err(_) => run_all(),
    }
}

fn run_all() {
    for stack in Stack::with_floor() {
        for filtered in [false, true] {
            let mut child = this_executable();
            child.args(env::args_os().skip(1)).env(STACK, stack.name());
            if filtered {
                child.env(FILTERED, "1");
            }
            let status = child.status().expect("this executable starts again");
            assert!(status.success(), "the bench of {stack} failed");
        }
    }
}

fn run_stack(name: &str, filtered: bool) {
    let stack: Stack = name.parse().expect("the name of a stack");
    let sink = Sink::default();
    let settings = Settings {
        filtered,
        ..Settings::new(Destination::Sink(sink.clone()))
    };
    let running = stack.install(&settings);
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args();
    let mut made = 0;
    for workload in Workload::ALL {
        if workload.needs_filter() == filtered {
            made += bench(&mut criterion, stack, workload, &*running);
        }
    }
    criterion.final_summary();
    running.finish(made);
    report_losses(stack, made, sink.spans());
}

/// Benches one workload, and tells how many spans that made.
fn bench(
    criterion: &mut Criterion,
    stack: Stack,
    workload: Workload,
    running: &dyn Running,
) -> u64 {
    let call = workload.for_stack(stack);
    let mut calls = 0;
    let mut group = criterion.benchmark_group(format!("{stack}/{}", workload.name));
    for threads in THREADS {
        group.bench_function(threads.to_string(), |bencher| {
            bencher.iter_custom(|iterations| {
                calls += iterations * threads as u64;
                time(threads, iterations, call, running)
            });
        });
    }
    group.finish();
    calls * workload.spans
}

/// The CPU time of `iterations` calls, as the mean of the threads.
fn time(threads: usize, iterations: u64, call: fn(i64), running: &dyn Running) -> Duration {
    let slice = SLICE / threads as u64;
    let barrier = Barrier::new(threads + 1);
    let work = || {
        let mut time = Duration::ZERO;
        for begin in (0..iterations).step_by(slice as usize) {
            barrier.wait();
            let before = thread_cpu_time();
            for number in begin..iterations.min(begin + slice) {
                call(number as i64);
            }
            time += thread_cpu_time() - before;
            barrier.wait();
        }
        time
    };
    let total: Duration = thread::scope(|scope| {
        let spawned: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for _ in (0..iterations).step_by(slice as usize) {
            barrier.wait();
            barrier.wait();
            running.flush();
        }
        let times = spawned.into_iter().map(|thread| thread.join());
        times.map(|time| time.expect("no panic")).sum()
    });
    total / threads as u32
}

/// A stack that lost spans at a full queue did less work than its time suggests.
fn report_losses(stack: Stack, made: u64, exported: u64) {
    if made > 0 && stack.exports() {
        let percent = 100.0 * exported as f64 / made as f64;
        println!("{stack}: {percent:.1} % of the spans reached the exporter\n");
    }
}
