//! Transports that panic or hang in the exporter's hands (fault F38).

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tracing::Dispatch;
use tracing_otlp::testing::InMemory;
use tracing_otlp::{Batch, DropReason, Guard, Request, Sending, Transport};
use tracing_subscriber::prelude::*;

use crate::support::patience::{timed, until};
use crate::support::rig::SLACK;

const PLENTY: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum Conduct {
    Deliver,
    PanicInSend,
    PanicInPoll,
    PanicInSecondPoll,
    PanicInDrop,
}

/// Keeps what it is given, unless its script says otherwise for the request of this number.
struct Scripted<F> {
    memory: InMemory,
    requests: AtomicUsize,
    script: F,
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic();
    }
}

/// Without the message and the backtrace that the hook prints.
fn panic() -> ! {
    resume_unwind(Box::new("as scripted"))
}

impl<F: Fn(usize) -> Conduct + Send + 'static> Transport for Scripted<F> {
    fn send(&self, request: Request) -> Sending {
        match (self.script)(self.requests.fetch_add(1, Ordering::Relaxed)) {
            Conduct::Deliver => self.memory.send(request),
            Conduct::PanicInSend => panic(),
            Conduct::PanicInPoll => Box::pin(async { panic() }),
            Conduct::PanicInSecondPoll => Box::pin(async {
                yield_once().await;
                panic()
            }),
            Conduct::PanicInDrop => {
                let mut answer = self.memory.send(request);
                let bomb = PanicsInDrop;
                Box::pin(poll_fn(move |context| {
                    let _held = &bomb;
                    answer.as_mut().poll(context)
                }))
            }
        }
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn pipeline(
    timeout: Duration,
    script: impl Fn(usize) -> Conduct + Send + 'static,
) -> (InMemory, Dispatch, Guard) {
    let memory = InMemory::new();
    let transport = Scripted {
        memory: memory.clone(),
        requests: AtomicUsize::new(0),
        script,
    };
    let batch = Batch::default()
        .with_max_records(16)
        .with_interval(Duration::from_secs(60));
    let builder = tracing_otlp::layer()
        .with_transport(transport)
        .with_batch(batch)
        .with_timeout(timeout);
    let (layer, guard) = builder.build().expect("a pipeline");
    (
        memory,
        Dispatch::new(tracing_subscriber::registry().with(layer)),
        guard,
    )
}

fn record(dispatch: &Dispatch, spans: u64) {
    tracing::dispatcher::with_default(dispatch, || {
        (0..spans).for_each(|_| drop(tracing::info_span!("work")));
    });
}

#[test]
fn f38_a_panic_costs_one_batch_is_counted_and_the_exporter_goes_on() {
    for conduct in [
        Conduct::PanicInSend,
        Conduct::PanicInPoll,
        Conduct::PanicInSecondPoll,
    ] {
        let (memory, dispatch, guard) = pipeline(PLENTY, move |request| match request {
            1 => conduct,
            _ => Conduct::Deliver,
        });
        let handle = guard.handle();
        record(&dispatch, 40);
        // Two batches are full and go by themselves, so the flush sees the panic or comes after it.
        let _ = handle.flush(PLENTY);
        record(&dispatch, 10);
        handle.flush(PLENTY).expect("it goes on");
        handle.shutdown(PLENTY).expect("nothing is left");
        let stats = handle.stats();
        assert!(
            stats.is_balanced() && stats.held() == 0,
            "{conduct:?}: {stats}"
        );
        assert_eq!(
            (stats.panics(), stats.dropped_for(DropReason::ExporterPanic)),
            (1, 16),
            "{stats}"
        );
        assert_eq!(
            (stats.delivered(), memory.spans().len()),
            (34, 34),
            "{conduct:?}: {stats}"
        );
    }
}

#[test]
fn f38_a_panic_at_every_third_request_loses_those_and_no_more() {
    let (memory, dispatch, guard) = pipeline(PLENTY, |request| match request % 9 {
        2 => Conduct::PanicInSend,
        5 => Conduct::PanicInPoll,
        8 => Conduct::PanicInSecondPoll,
        _ => Conduct::Deliver,
    });
    let handle = guard.handle();
    for _ in 0..30 {
        record(&dispatch, 16);
        let _ = handle.flush(PLENTY);
    }
    handle.shutdown(PLENTY).expect("nothing is left");
    let stats = handle.stats();
    assert!(stats.is_balanced() && stats.held() == 0, "{stats}");
    assert_eq!(
        (stats.panics(), stats.dropped_for(DropReason::ExporterPanic)),
        (10, 160),
        "{stats}"
    );
    assert_eq!(
        (stats.delivered(), memory.spans().len()),
        (320, 320),
        "{stats}"
    );
}

#[test]
fn f38_a_future_that_panics_when_it_is_dropped_does_not_end_the_exporter() {
    // With a time-out, the future is dropped elsewhere than without.
    for timeout in [PLENTY, Duration::ZERO] {
        let (_, dispatch, guard) = pipeline(timeout, |request| match request {
            0 => Conduct::PanicInDrop,
            _ => Conduct::Deliver,
        });
        let handle = guard.handle();
        record(&dispatch, 5);
        // It was answered before, so either outcome is true enough.
        let _ = handle.flush(Duration::from_secs(1));
        record(&dispatch, 5);
        let flushed = handle.flush(Duration::from_secs(1));
        let stats = handle.stats();
        assert!(flushed.is_ok(), "{timeout:?}: {flushed:?}, {stats}");
        assert!(
            stats.is_balanced() && stats.held() == 0,
            "{timeout:?}: {stats}"
        );
        assert_eq!(stats.panics(), 1, "{timeout:?}: {stats}");
    }
}

#[test]
fn p24_a_transport_that_blocks_the_exporters_thread_holds_up_nobody_else() {
    struct Blocks;
    impl Transport for Blocks {
        fn send(&self, _: Request) -> Sending {
            loop {
                std::thread::park();
            }
        }
    }
    let time = Duration::from_millis(200);
    let builder = tracing_otlp::layer()
        .with_transport(Blocks)
        .with_shutdown_timeout(time);
    let (layer, guard) = builder.build().expect("a pipeline");
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let handle = guard.handle();
    for _ in 0..2 {
        record(&dispatch, 5);
        let (flushed, took) = timed(|| handle.flush(time));
        assert!(
            flushed.is_err_and(|error| error.is_timeout()) && took <= time + SLACK,
            "{took:?}"
        );
    }
    let (_, took) = timed(|| drop(guard));
    assert!(took <= time + SLACK, "{took:?}");
    until(
        "the books",
        || handle.stats().is_balanced(),
        || handle.stats().to_string(),
    );
}
