//! From handles to the exporter: flush and shutdown, each with a place for its report.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::report::Report;

/// What a handle asks for.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) shutdown: bool,
    pub(super) deadline: Instant,
    pub(super) reply: Reply,
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Commands>);

#[derive(Debug, Default)]
struct Commands {
    waiting: Vec<Command>,
    /// The exporter has stopped: commands are answered at once.
    closed: bool,
}

impl Mailbox {
    /// Leaves a command; `None` when the exporter has stopped. The caller wakes the exporter.
    pub(crate) fn post(&self, shutdown: bool, deadline: Instant) -> Option<Reply> {
        let mut commands = lock(&self.0);
        if commands.closed {
            return None;
        }
        let reply = Reply::default();
        commands.waiting.push(Command {
            shutdown,
            deadline,
            reply: reply.clone(),
        });
        Some(reply)
    }

    pub(super) fn has_mail(&self) -> bool {
        !lock(&self.0).waiting.is_empty()
    }

    pub(super) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut lock(&self.0).waiting)
    }

    /// No command is taken in any more; those that wait are returned.
    pub(super) fn close(&self) -> Vec<Command> {
        let mut commands = lock(&self.0);
        commands.closed = true;
        std::mem::take(&mut commands.waiting)
    }
}

/// A report that comes later: to wait for, or to await.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply(Arc<Promise>);

#[derive(Debug, Default)]
struct Promise {
    state: Mutex<(Option<Report>, Option<Waker>)>,
    filled: Condvar,
}

impl Reply {
    /// Nobody waits for it any more, as where a future was dropped.
    pub(super) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub(super) fn fill(&self, report: Report) {
        let waker = {
            let mut state = lock(&self.0.state);
            state.0 = Some(report);
            state.1.take()
        };
        self.0.filled.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Blocks until the report is there or the time is over.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Report> {
        let state = lock(&self.0.state);
        let waited = self
            .0
            .filled
            .wait_timeout_while(state, timeout, |state| state.0.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.0
    }
}

impl Future for Reply {
    type Output = Report;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Report> {
        let mut state = lock(&self.0.state);
        match state.0 {
            Some(report) => Poll::Ready(report),
            None => {
                state.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
