//! Heap allocations in steady state: none for a span, an event or a record, at most two for a chunk. A process of its own,
//! since it changes the allocator.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it counted"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::field::Empty;
use tracing::{Span, debug, error, info, info_span};
use tracing_otlp::{Answer, Guard, Request, Sending, SpanExt, Status, Transport};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator as it is; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Takes everything, and counts chunks.
#[derive(Clone, Default)]
struct Discard(Arc<AtomicU64>);

impl Transport for Discard {
    fn send(&self, request: Request) -> Sending {
        // The first part is the header.
        self.0
            .fetch_add(request.parts().len() as u64 - 1, Ordering::Relaxed);
        Box::pin(async { Ok(Answer::delivered()) })
    }
}

const WARM: u64 = 3_000;
const ROUNDS: u64 = 10_000;

/// Runs `work` until nothing is new any more, then counts this thread's allocations; asserts them against the chunks.
fn assert_steady(name: &str, spans: u64, work: impl Fn()) {
    let discard = Discard::default();
    let (otlp, guard) = tracing_otlp::layer()
        .with_threads(true)
        .with_transport(discard.clone())
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(otlp.with_filter(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || {
        (0..WARM).for_each(|_| work());
        guard.handle().flush(Duration::from_secs(5)).unwrap();
        let chunks = discard.0.load(Ordering::Relaxed);
        let before = ALLOCATIONS.get();
        (0..ROUNDS).for_each(|_| work());
        let allocations = ALLOCATIONS.get() - before;
        guard.handle().flush(Duration::from_secs(5)).unwrap();
        let chunks = discard.0.load(Ordering::Relaxed) - chunks;
        println!(
            "{name}: {allocations} allocations in {chunks} chunks, {} spans",
            ROUNDS * spans
        );
        assert!(
            allocations <= 2 * chunks,
            "{name}: {allocations} allocations in {chunks} chunks"
        );
    });
    finish(&guard, (WARM + ROUNDS) * spans);
}

fn finish(guard: &Guard, spans: u64) {
    let stats = guard.handle().stats();
    assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
    assert_eq!(stats.delivered(), spans, "{stats}");
}

fn request() {
    let outer = info_span!(
        "request",
        method = "GET",
        path = "/users",
        status = 200,
        bytes = 1024_u64
    );
    let _outer = outer.enter();
    let inner = info_span!(
        "query",
        table = "users",
        rows = 3_usize,
        cached = false,
        cost = 0.5
    );
    let _inner = inner.enter();
    info!(rows = 3, "found");
}

#[test]
fn spans_events_and_records_allocate_nothing() {
    assert_steady("empty", 1, || drop(info_span!("empty").entered()));
    assert_steady("request", 2, request);
    assert_steady("late record", 1, || {
        let span = info_span!("late", first = Empty, second = Empty, otel.name = Empty);
        span.record("first", 1);
        span.record("second", "two");
        span.record("first", 3);
        span.record("otel.name", "renamed");
    });
    assert_steady("display and debug", 1, || {
        let value = 5;
        let span = info_span!("formatted", shown = %value, told = ?value, wide = 7_u128);
        span.in_scope(|| info!("value {value}"));
    });
    assert_steady("special fields", 1, || {
        drop(info_span!(
            "x",
            otel.kind = "server",
            otel.name = "GET /",
            otel.status_code = "error"
        ));
    });
    assert_steady("error event", 1, || {
        info_span!("failing").in_scope(|| error!("it failed"))
    });
    assert_steady("exception", 1, || {
        let span = info_span!("failing", late = Empty);
        span.in_scope(|| error!(error = %"it failed", error.type = ?7));
    });
    assert_steady("link", 2, || {
        let cause = info_span!("cause");
        info_span!("effect").follows_from(&cause);
    });
    assert_steady("filtered in between", 2, || {
        let _outer = info_span!("outer").entered();
        let _hidden = tracing::debug_span!("hidden").entered();
        debug!("hidden");
        drop(info_span!(parent: &Span::current(), "inner"));
    });
    assert_steady("large", 1, || {
        drop(info_span!(
            "large",
            text = include_str!("alloc.rs").get(..1500)
        ))
    });
}

#[test]
fn what_is_said_to_a_span_allocates_nothing() {
    assert_steady("attributes", 1, || {
        let span = info_span!("span", field = Empty);
        span.set_attribute("first", 1);
        span.set_attribute("first", "again");
        span.set_attribute("field", true);
        span.record("field", 2);
    });
    assert_steady("events", 1, || {
        let span = info_span!("span");
        span.add_event("empty", []);
        span.add_event("event", [("text", "a".into()), ("number", 1.into())]);
    });
    assert_steady("links", 2, || {
        let cause = info_span!("cause");
        let context = cause.context();
        if let Some(to) = context.span() {
            info_span!("effect").add_link(to, [("place", 1.into())]);
        }
    });
    assert_steady("status and name", 1, || {
        let span = info_span!("span");
        span.set_status(Status::error("it failed"));
        span.update_name("another");
        span.set_status(Status::Ok);
    });
    assert_steady("ids", 1, || {
        let span = info_span!("span").entered();
        assert!(span.trace_id().is_some() && span.span_id().is_some());
        assert!(Span::none().context().span().is_some());
        let context = span.context();
        tracing_otlp::with_remote_parent(&context, || ());
    });
}

#[test]
fn a_traceparent_is_one_allocation() {
    let (otlp, _guard) = tracing_otlp::layer()
        .with_transport(Discard::default())
        .build()
        .unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(otlp), || {
        let span = info_span!("span");
        assert!(span.traceparent().is_some());
        let before = ALLOCATIONS.get();
        let traceparent = span.traceparent();
        assert_eq!(ALLOCATIONS.get() - before, 1);
        drop(traceparent);
    });
}
