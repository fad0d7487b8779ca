//! An allocator that counts, and a pipeline whose allocations are held against it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing_otlp::{Answer, Builder, Guard, Request, Sending, Transport};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

struct Counting;

thread_local! {
    pub(crate) static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has asked for, less those that it has given back.
    pub(crate) static HELD: Cell<isize> = const { Cell::new(0) };
    /// The next allocation is looked at.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    /// Where it was.
    static SEEN: Cell<Option<Backtrace>> = const { Cell::new(None) };
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
    // What looking at it allocates is not looked at.
    if IS_WATCHED.replace(false) {
        let _ = SEEN.try_with(|seen| seen.set(Some(Backtrace::force_capture())));
    }
}

fn hold(asked: usize, given_back: usize) {
    HELD.with(|held| held.set(held.get() + asked as isize - given_back as isize));
}

// SAFETY: every call goes on to the system's allocator as it is; counting allocates only where it was asked to watch, once.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size(), 0);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: `pointer` came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        hold(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Takes everything, and counts chunks.
#[derive(Clone, Default)]
pub(crate) struct Discard(Arc<AtomicU64>);

impl Transport for Discard {
    fn send(&self, request: Request) -> Sending {
        // The first part is the header.
        self.0
            .fetch_add(request.parts().len() as u64 - 1, Ordering::Relaxed);
        Box::pin(async { Ok(Answer::delivered()) })
    }
}

const WARM: u64 = 1_500;
const ROUNDS: u64 = 4_000;

/// A pipeline whose allocations are counted.
pub(crate) struct Steady {
    pub(crate) name: &'static str,
    /// The spans that a round exports; `None` where chance decides.
    pub(crate) spans: Option<u64>,
    /// What the program itself allocates in a round.
    pub(crate) theirs: u64,
    pub(crate) builder: Builder,
}

/// By the defaults, with a `name` for messages, and so many spans a round.
pub(crate) fn steady(name: &'static str, spans: u64) -> Steady {
    Steady {
        name,
        spans: Some(spans),
        theirs: 0,
        builder: tracing_otlp::layer().with_threads(true),
    }
}

pub(crate) fn assert_steady(name: &'static str, spans: u64, work: impl Fn()) {
    steady(name, spans).assert(work);
}

impl Steady {
    pub(crate) fn with(self, set: impl FnOnce(Builder) -> Builder) -> Self {
        Self {
            builder: set(self.builder),
            ..self
        }
    }

    /// Runs `work` until nothing is new any more, then counts this thread's allocations; asserts them against the chunks.
    pub(crate) fn assert(self, work: impl Fn()) {
        let discard = Discard::default();
        let builder = self.builder.with_transport(discard.clone());
        let (otlp, guard) = builder.build().unwrap();
        let subscriber = tracing_subscriber::registry().with(otlp.with_filter(LevelFilter::INFO));
        let flushed = || {
            guard.handle().flush(Duration::from_secs(5)).unwrap();
            discard.0.load(Ordering::Relaxed)
        };
        tracing::subscriber::with_default(subscriber, || {
            (0..WARM).for_each(|_| work());
            let chunks = flushed();
            let before = ALLOCATIONS.get();
            (0..ROUNDS).for_each(|_| work());
            let allocations = ALLOCATIONS.get() - before - ROUNDS * self.theirs;
            let chunks = flushed() - chunks;
            let found = format!(
                "{}: {allocations} allocations in {chunks} chunks",
                self.name
            );
            println!("{found}");
            let place = || (self.theirs == 0).then(|| place_of_an_allocation(&work));
            assert!(
                allocations <= 2 * chunks,
                "{found}{}",
                place().unwrap_or_default()
            );
        });
        finish(&guard, self.spans.map(|spans| (WARM + ROUNDS) * spans));
    }
}

/// Where `work` allocates, for whoever has to mend it.
fn place_of_an_allocation(work: impl Fn()) -> String {
    IS_WATCHED.set(true);
    (0..WARM).for_each(|_| work());
    IS_WATCHED.set(false);
    let seen = SEEN.take().map(|seen| seen.to_string());
    let ours = |line: &&str| !line.contains("tracing_otlp::");
    let frames = seen.iter().flat_map(|seen| seen.lines().skip_while(ours));
    let frames: Vec<&str> = frames.take(14).collect();
    format!(", one of them here:\n{}", frames.join("\n"))
}

fn finish(guard: &Guard, spans: Option<u64>) {
    let stats = guard.handle().stats();
    assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
    assert!(
        spans.is_none_or(|spans| stats.delivered() == spans),
        "{stats}"
    );
}
