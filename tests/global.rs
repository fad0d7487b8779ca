//! The layer under the global subscriber, in a process of its own: here nothing hides what is recorded while something
//! else is being recorded.

#![allow(clippy::panic, reason = "a helper of tests fails its test")]

#[path = "it/support/layer/mod.rs"]
mod support;

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use tracing_otlp::{Handle, SpanExt};
use tracing_subscriber::prelude::*;

use self::support::user_code::{self, Played, Stage, user_code_tests};
use self::support::{Attributed, Exported, Pipeline, int};

struct Global;

const STAGE: Global = Global;

/// The pipeline behind the global subscriber; its tests run one after the other.
fn pipeline() -> MutexGuard<'static, Pipeline> {
    static PIPELINE: OnceLock<Mutex<Pipeline>> = OnceLock::new();
    let pipeline = PIPELINE.get_or_init(|| {
        let (layer, pipeline) = Pipeline::new();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .unwrap_or_else(|error| panic!("nobody else sets it: {error}"));
        Mutex::new(pipeline)
    });
    // A test that fails does not fail the others.
    pipeline.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage for Global {
    const IS_GLOBAL: bool = true;

    fn play(&self, work: impl FnOnce(&Handle)) -> Played {
        Played::on(&pipeline(), work)
    }
}

user_code_tests!();

/// Lives until the thread's locals are destroyed, and records then. Under the global subscriber, the last child closes its
/// parent also there. (A Registry whose own locals are gone panics when a span is opened, so none is.)
struct Late {
    span: tracing::Span,
    child: Option<tracing::Span>,
}

impl Drop for Late {
    fn drop(&mut self) {
        self.span.record("late", 1);
        tracing::info!(parent: &self.span, "late event");
        self.span.set_attribute("said", 2);
        self.span.add_event("said event", [("k", 3.into())]);
        let context = self.span.context();
        tracing_otlp::with_remote_parent(&context, || tracing::Span::none().context());
        self.child = None;
    }
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

/// Before and after the layer's own locals: whichever was used first goes last, or the other way about.
#[test]
fn spans_are_closed_while_a_threads_locals_are_destroyed() {
    for is_first in [true, false] {
        let Played { spans, .. } = STAGE.play(|_| {
            for _ in 0..10 {
                let thread = thread::spawn(move || {
                    if is_first {
                        LATE.set(None);
                    }
                    drop(tracing::info_span!("usual"));
                    let span = tracing::info_span!("held", late = tracing::field::Empty);
                    let child = Some(tracing::info_span!(parent: &span, "child"));
                    LATE.set(Some(Late { span, child }));
                });
                assert!(thread.join().is_ok());
            }
        });
        for name in ["usual", "held", "child"] {
            assert_eq!(spans.all_named(name).len(), 10, "{name}, first: {is_first}");
        }
        for held in spans.all_named("held") {
            assert_eq!(held.value("late"), int(1));
            assert_eq!(held.value("said"), int(2));
            assert_eq!(held.event_names(), ["late event", "said event"]);
            assert_eq!(held.event("said event").value("k"), int(3));
            let child = |child: &&&Exported| child.parent_span_id == held.span_id;
            assert_eq!(spans.all_named("child").iter().filter(child).count(), 1);
        }
    }
}

/// Threads that take the one subscriber as it is, without a scope of their own.
#[test]
fn spans_go_from_thread_to_thread() {
    let spans = STAGE.spans(|| {
        let root = tracing::info_span!("root");
        thread::scope(|threads| {
            for thread in 0..4 {
                let root = &root;
                threads.spawn(move || {
                    for _ in 0..50 {
                        let _root = root.enter();
                        tracing::info_span!("child", thread)
                            .in_scope(|| tracing::info!(thread, "event"));
                    }
                });
            }
        });
    });
    assert_eq!(spans.len(), 201);
    for child in spans.all_named("child") {
        child.assert_child_of(spans.named("root"));
        assert_eq!(child.event("event").value("thread"), child.value("thread"));
    }
}

#[test]
fn what_is_said_to_a_span_reaches_it_from_any_thread() {
    let spans = STAGE.spans(|| {
        let span = tracing::info_span!("span");
        let to = span.context();
        thread::scope(|threads| {
            for number in 0..4 {
                let (span, to) = (&span, &to);
                threads.spawn(move || {
                    assert_eq!(span.context(), *to);
                    span.set_attribute(["a", "b", "c", "d"][number], number);
                    if let Some(to) = to.span() {
                        span.add_link(to, []);
                    }
                    let _entered = span.enter();
                    assert_eq!(tracing::Span::none().context(), *to);
                });
            }
        });
    });
    let span = spans.named("span");
    assert_eq!((span.value("d"), span.links.len()), (int(3), 4));
}
