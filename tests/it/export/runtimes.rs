//! Whatever runtime the application has, or none: everything works, and everything arrives (requirement R1).

use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::LocalSet;
use tracing::Instrument;

use crate::support::collector::Collector;
use crate::support::patience::block_on;
use crate::support::rig::Rig;
use crate::support::way::{WAYS, Way};

const PLENTY: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flavour {
    None,
    CurrentThread,
    OneWorker,
    FourWorkers,
    LocalSet,
    Blocking,
}

const FLAVOURS: [Flavour; 6] = [
    Flavour::None,
    Flavour::CurrentThread,
    Flavour::OneWorker,
    Flavour::FourWorkers,
    Flavour::LocalSet,
    Flavour::Blocking,
];

impl Flavour {
    fn runtime(self) -> Option<Runtime> {
        let mut builder = match self {
            Self::None => return None,
            Self::CurrentThread | Self::LocalSet => Builder::new_current_thread(),
            Self::OneWorker | Self::FourWorkers | Self::Blocking => Builder::new_multi_thread(),
        };
        builder.worker_threads(if self == Self::FourWorkers { 4 } else { 1 });
        Some(
            builder
                .enable_all()
                .build()
                .expect("the application's runtime"),
        )
    }

    /// Runs a future as a task of the application.
    fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T {
        let Some(runtime) = self.runtime() else {
            return block_on(future);
        };
        let result = match self {
            Self::LocalSet => {
                LocalSet::new().block_on(&runtime, async { tokio::task::spawn_local(future).await })
            }
            Self::Blocking => runtime.block_on(async {
                let blocking = || Handle::current().block_on(future);
                tokio::task::spawn_blocking(blocking).await
            }),
            _ => runtime.block_on(async { tokio::spawn(future).await }),
        };
        result.expect("nothing panics")
    }
}

/// The life of a pipeline, of which one step happens inside the application's runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Build,
    Flush,
    FlushAsync,
    Shutdown,
    Drop,
}

const STEPS: [Step; 5] = [
    Step::Build,
    Step::Flush,
    Step::FlushAsync,
    Step::Shutdown,
    Step::Drop,
];

fn live(way: Way, flavour: Flavour, inside: Step) {
    let mut rig = if inside == Step::Build {
        flavour.run(async move { Rig::over(way) })
    } else {
        Rig::over(way)
    };
    let (recorder, handle) = (rig.recorder.clone(), rig.handle.clone());
    rig.record(5);
    let report = match inside {
        Step::Build => rig.handle.flush(PLENTY),
        Step::Flush => flavour.run(async move {
            recorder.record(5);
            handle.flush(PLENTY)
        }),
        Step::FlushAsync => flavour.run(async move {
            recorder.record(5);
            handle.flush_async(PLENTY).await
        }),
        Step::Shutdown => flavour.run(async move {
            recorder.record(5);
            handle.shutdown(PLENTY)
        }),
        Step::Drop => {
            let guard = rig.guard.take();
            flavour.run(async move {
                recorder.record(5);
                drop(guard);
            });
            rig.handle.flush(PLENTY)
        }
    };
    assert!(report.is_ok(), "{inside:?} inside {flavour:?}: {report:?}");
    assert_eq!(
        rig.stats().delivered(),
        rig.recorded(),
        "{inside:?} inside {flavour:?}"
    );
    rig.finish(0);
}

#[test]
fn r1_each_step_works_inside_each_kind_of_runtime() {
    for flavour in FLAVOURS {
        for step in STEPS {
            WAYS.into_iter().for_each(|way| live(way, flavour, step));
        }
    }
}

#[test]
fn r1_the_applications_runtime_may_go_first() {
    for flavour in FLAVOURS {
        let Some(runtime) = flavour.runtime() else {
            continue;
        };
        let collector = Collector::start();
        // Built inside, and used by tasks that never end; they are cancelled with their runtime, and so their spans end.
        let rig = runtime.block_on(async { Rig::new(collector) });
        let (recorder, (started, starts)) = (rig.recorder.clone(), mpsc::channel());
        for _ in 0..3 {
            let (span, started) = (recorder.open(), started.clone());
            let task = async move {
                let _ = started.send(());
                std::future::pending::<()>().await;
            };
            runtime.spawn(task.instrument(span));
        }
        runtime.block_on(async {
            tokio::task::yield_now().await;
            recorder.record(5);
        });
        (0..3).for_each(|_| {
            // A current-thread runtime works only while somebody blocks on it.
            while starts.recv_timeout(Duration::from_millis(1)).is_err() {
                runtime.block_on(tokio::task::yield_now());
            }
        });
        drop(runtime);
        assert_eq!(rig.recorded(), 8);
        rig.flush();
        rig.record(1);
        rig.finish(0);
    }
}

#[test]
fn r1_the_applications_only_worker_may_be_blocked() {
    let rig = Rig::new(Collector::start());
    let runtime = Flavour::OneWorker.runtime().expect("a runtime");
    let (recorder, (blocked, is_blocked), (release, released)) =
        (rig.recorder.clone(), mpsc::channel(), mpsc::channel::<()>());
    let task = runtime.spawn(async move {
        recorder.record(5);
        blocked.send(()).expect("the test listens");
        // Without yielding.
        let _ = released.recv();
    });
    is_blocked.recv().expect("the task runs");
    rig.flush();
    assert_eq!(rig.stats().delivered(), 5);
    rig.record(5);
    // Nobody is there to run this future but the one who awaits it.
    runtime
        .block_on(rig.handle.flush_async(PLENTY))
        .expect("it is delivered");
    rig.record(5);
    rig.handle.shutdown(PLENTY).expect("it is delivered");
    drop(release);
    runtime.block_on(task).expect("nothing panics");
    rig.finish(0);
}

#[test]
fn a_flush_that_is_not_awaited_flushes_and_one_that_is_dropped_harms_nobody() {
    let rig = Rig::with(Collector::start(), |builder| {
        let batch = tracing_otlp::Batch::default();
        builder.with_batch(batch.with_interval(Duration::from_secs(60)))
    });
    rig.record(5);
    let flush = rig.handle.flush_async(PLENTY);
    rig.wait("the flush", |stats| stats.delivered() == 5);
    let report = block_on(flush).expect("it is delivered");
    assert_eq!(report.delivered(), 5);
    rig.record(5);
    drop(rig.handle.flush_async(PLENTY));
    rig.wait("the second flush", |stats| stats.delivered() == 10);
    rig.finish(0);
}

#[test]
fn a_flush_is_awaited_by_tasks_of_a_current_thread_runtime_side_by_side() {
    let rig = Rig::new(Collector::start());
    let runtime = Flavour::CurrentThread.runtime().expect("a runtime");
    runtime.block_on(async {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (recorder, handle) = (rig.recorder.clone(), rig.handle.clone());
                tokio::spawn(async move {
                    recorder.record(2);
                    handle.flush_async(PLENTY).await
                })
            })
            .collect();
        for task in tasks {
            task.await
                .expect("nothing panics")
                .expect("it is delivered");
        }
    });
    assert_eq!(rig.stats().delivered(), 40);
    rig.finish(0);
}
