//! The ways to run of docs/modes.md, each as a program would.

use std::time::Duration;

use tracing::{Dispatch, Instrument};
use tracing_otlp::testing::InMemory;
use tracing_otlp::{Batch, Builder, Guard};
use tracing_subscriber::prelude::*;

use crate::support::patience::until;

const LONG: Duration = Duration::from_secs(60);

struct Program {
    memory: InMemory,
    guard: Guard,
    dispatch: Dispatch,
}

impl Program {
    fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let memory = InMemory::new();
        let builder = tracing_otlp::layer().with_transport(memory.clone());
        let (layer, guard) = configure(builder)
            .build()
            .expect("a pipeline, without a runtime");
        Self {
            memory,
            guard,
            dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
        }
    }

    /// With batches that nothing but a flush or the end sends.
    fn with_batches() -> Self {
        Self::new(|builder| builder.with_batch(Batch::default().with_interval(LONG)))
    }

    fn arrived(&self) -> usize {
        self.memory.spans().len()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

#[test]
fn set_up_without_a_runtime_working_in_one_and_ending_after_it() {
    let program = Program::with_batches();
    tracing::dispatcher::with_default(&program.dispatch, || {
        runtime()
            .block_on(async { tracing::info!("served") }.instrument(tracing::info_span!("call")));
    });
    let Program { memory, guard, .. } = program;
    drop(guard);
    assert_eq!(memory.spans().len(), 1);
}

#[test]
fn records_made_synchronously_leave_in_batches() {
    let program = Program::with_batches();
    tracing::dispatcher::with_default(&program.dispatch, || {
        (0..1_000).for_each(|number| drop(tracing::info_span!("work", number)));
    });
    assert_eq!(program.arrived(), 0, "they wait for others");
    let Program { memory, guard, .. } = program;
    drop(guard);
    assert_eq!((memory.spans().len(), memory.requests().len()), (1_000, 1));
}

#[test]
fn many_tasks_record_and_one_flushes_for_all() {
    let program = Program::with_batches();
    runtime().block_on(async {
        let handle = program.guard.handle();
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let dispatch = program.dispatch.clone();
                tokio::spawn(async move {
                    let _current = tracing::dispatcher::set_default(&dispatch);
                    drop(tracing::info_span!("task", number));
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task that ends");
        }
        let report = handle.flush_async(LONG).await.expect("in time");
        assert_eq!((report.delivered(), report.unfinished()), (100, 0));
    });
    assert_eq!(program.arrived(), 100);
}

#[test]
fn a_program_that_runs_for_a_second_waits_for_nothing() {
    let program = Program::new(|builder| builder.with_batch(Batch::immediate()));
    tracing::dispatcher::with_default(&program.dispatch, || drop(tracing::info_span!("work")));
    let state = || program.guard.handle().stats().to_string();
    until("it leaves by itself", || program.arrived() == 1, state);
}

#[test]
fn each_call_of_a_function_flushes_what_is_its_own() {
    let program = Program::with_batches();
    let runtime = runtime();
    for call in 1..=3 {
        let handle = program.guard.handle();
        let served = async {
            tracing::dispatcher::with_default(&program.dispatch, || {
                drop(tracing::info_span!("call", call));
            });
            handle.flush_async(Duration::from_secs(10)).await
        };
        let report = runtime.block_on(served).expect("in time");
        assert_eq!(report.delivered(), 1);
        assert_eq!(program.arrived(), call);
    }
}
