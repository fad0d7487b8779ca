//! Encode a span where it happens, or copy its fields and encode them in the exporter?
//!
//! ```text
//! cargo bench -p peers --bench encode_now
//! ```
//!
//! Two minimal models of a tracing layer without `tracing`, for the spans of the request workload
//! (2 spans, 8 attributes, 1 event): *now* writes protobuf into a chunk of 32 KiB and hands full
//! chunks to a thread that drops them; *later* copies names and values into owned structs and
//! hands batches of as many spans as a chunk holds to a thread that encodes and drops them. Both
//! write the same bytes by the same encoder, over a channel of the same size that never fills.
//!
//! `application` is CPU time of the thread that traces; `process` adds the other thread's.

mod model;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use peers::pace::{process_cpu_time, thread_cpu_time};

use model::{Later, Now, OwnedSpan, encode, request};

/// Bytes that are handed over at once.
const CHUNK: usize = 32 << 10;

/// Chunks or batches that may wait; the sender blocks beyond, which costs no CPU time.
const QUEUE: usize = 64;

/// Which clock is read.
#[derive(Clone, Copy, Debug)]
enum Clock {
    Application,
    Process,
}

impl Clock {
    fn read(self) -> Duration {
        match self {
            Self::Application => thread_cpu_time(),
            Self::Process => process_cpu_time(),
        }
    }
}

fn benches(criterion: &mut Criterion) {
    assert_same_bytes();
    for (name, clock) in [
        ("application", Clock::Application),
        ("process", Clock::Process),
    ] {
        let mut group = criterion.benchmark_group(format!("request/{name}"));
        group.bench_function("now", |b| b.iter_custom(|n| now(n, clock)));
        group.bench_function("later", |b| b.iter_custom(|n| later(n, clock)));
        group.finish();
    }
}

/// Encodes at once; the other thread only frees.
fn now(requests: u64, clock: Clock) -> Duration {
    timed(clock, drop_all, |chunks| {
        let mut now = Now::with_capacity(CHUNK);
        let largest = bytes_of_a_request();
        for number in 0..requests {
            request(&mut now, number);
            if now.chunk.len() + largest > CHUNK {
                let full = std::mem::replace(&mut now.chunk, Vec::with_capacity(CHUNK));
                chunks.send(full).expect("the other thread listens");
            }
        }
        chunks.send(now.chunk).expect("the other thread listens");
    })
}

/// Copies; the other thread encodes and frees.
fn later(requests: u64, clock: Clock) -> Duration {
    timed(clock, encode_all, |batches| {
        let batch = 2 * CHUNK / bytes_of_a_request();
        let mut later = Later::with_capacity(batch);
        for number in 0..requests {
            request(&mut later, number);
            if later.batch.len() + 2 > batch {
                let full = std::mem::replace(&mut later.batch, Vec::with_capacity(batch));
                batches.send(full).expect("the other thread listens");
            }
        }
        batches.send(later.batch).expect("the other thread listens");
    })
}

/// The numbers of the largest request are varints of ten bytes.
fn bytes_of_a_request() -> usize {
    let mut now = Now::with_capacity(CHUNK);
    request(&mut now, u64::MAX);
    now.chunk.len()
}

fn drop_all(chunks: &Receiver<Vec<u8>>) {
    chunks.iter().for_each(drop);
}

fn encode_all(batches: &Receiver<Vec<OwnedSpan>>) {
    for batch in batches {
        let mut bytes = Vec::with_capacity(CHUNK);
        for span in &batch {
            encode(&mut bytes, span);
        }
        drop(std::hint::black_box(bytes));
    }
}

/// Two strategies that write different bytes would not be comparable.
fn assert_same_bytes() {
    let (mut now, mut later) = (Now::with_capacity(CHUNK), Later::with_capacity(2));
    request(&mut now, 7);
    request(&mut later, 7);
    let mut bytes = Vec::new();
    for span in &later.batch {
        encode(&mut bytes, span);
    }
    assert_eq!(now.chunk, bytes);
}

/// Runs both threads to their end, and reads the clock before and after on this one.
fn timed<T: Send>(
    clock: Clock,
    consume: impl Fn(&Receiver<T>) + Send,
    produce: impl Fn(&SyncSender<T>),
) -> Duration {
    let (sender, receiver) = sync_channel(QUEUE);
    let before = clock.read();
    thread::scope(|scope| {
        scope.spawn(move || consume(&receiver));
        produce(&sender);
        drop(sender);
    });
    clock.read() - before
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(50)
}

criterion_group! {
    name = strategies;
    config = short();
    targets = benches
}
criterion_main!(strategies);
