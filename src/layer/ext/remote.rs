//! The parent in another process that roots have while work runs, also where no span stands for that process's call.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;

use crate::context::Context;

thread_local! {
    /// Whether a context is attached. Without a destructor: it can be read while the thread's other locals are destroyed.
    static IS_ATTACHED: Cell<bool> = const { Cell::new(false) };
    static ATTACHED: Cell<Option<Context>> = const { Cell::new(None) };
}

/// Runs `work` with `context` as the parent of the roots that are created in it on this thread.
///
/// A span is a root if it has no parent that is recorded here. So the trace goes on also where the span that should have got the
/// context by [`SpanExt::set_parent`](crate::SpanExt::set_parent) is disabled, or there is no layer at all: inside,
/// [`SpanExt::context`](crate::SpanExt::context) and [`inject`](crate::inject) answer with `context` then.
///
/// Of nested ones the innermost counts; an empty context hides the outer one. Afterwards, also when `work` panics, the
/// outer one is back. For async code there is [`with_remote_parent_async`].
///
/// ```
/// use std::collections::HashMap;
///
/// fn handle(headers: &HashMap<String, String>) {
///     let caller = tracing_otlp::extract(headers);
///     tracing_otlp::with_remote_parent(&caller, || {
///         // A child of the caller's span; where it is disabled, what is called here still continues the caller's trace.
///         let _span = tracing::debug_span!("request").entered();
///     });
/// }
/// ```
pub fn with_remote_parent<T>(context: &Context, work: impl FnOnce() -> T) -> T {
    let _outer = Outer(attach(Some(context.clone())));
    work()
}

/// As [`with_remote_parent`], for a future: the context is attached whenever it is polled, on whichever thread.
///
/// ```
/// # async fn handle() {}
/// # async fn serve(headers: &std::collections::HashMap<String, String>) {
/// let caller = tracing_otlp::extract(headers);
/// tracing_otlp::with_remote_parent_async(caller, handle()).await;
/// # }
/// ```
pub async fn with_remote_parent_async<F: Future>(context: Context, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|task| with_remote_parent(&context, || future.as_mut().poll(task))).await
}

/// Whether roots that are created now have a parent in another process: one load.
#[inline]
pub(in crate::layer) fn is_attached() -> bool {
    IS_ATTACHED.get()
}

/// The context that is attached on this thread.
pub(in crate::layer) fn current() -> Option<Context> {
    if !IS_ATTACHED.get() {
        return None;
    }
    let context = attach(None);
    attach(context.clone());
    context
}

/// Returns what was attached.
fn attach(context: Option<Context>) -> Option<Context> {
    let is_attached = context
        .as_ref()
        .is_some_and(|context| *context != Context::default());
    let outer = ATTACHED.try_with(|attached| attached.replace(context));
    // Without the thread's locals there is nothing to find.
    IS_ATTACHED.set(is_attached && outer.is_ok());
    outer.unwrap_or(None)
}

/// Attaches the outer context again.
struct Outer(Option<Context>);

impl Drop for Outer {
    fn drop(&mut self) {
        attach(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::task::{Poll, Waker};

    use super::*;
    use crate::context::{SpanContext, TraceFlags, TraceState};
    use crate::id::{SpanId, TraceId};

    fn context() -> Context {
        let flags = TraceFlags::SAMPLED;
        let state = TraceState::default();
        SpanContext::remote(TraceId::random(), SpanId::random(), flags, state).into()
    }

    #[test]
    fn the_innermost_counts_and_the_outer_one_comes_back() {
        let (outer, inner) = (context(), context());
        assert_eq!((is_attached(), current()), (false, None));
        with_remote_parent(&outer, || {
            assert_eq!(current().as_ref(), Some(&outer));
            with_remote_parent(&inner, || assert_eq!(current().as_ref(), Some(&inner)));
            with_remote_parent(&Context::default(), || assert_eq!(current(), None));
            assert!(is_attached());
            assert_eq!(current().as_ref(), Some(&outer), "asking takes nothing");
        });
        assert_eq!((is_attached(), current()), (false, None));
    }

    #[test]
    fn work_that_panics_leaves_the_outer_one() {
        let (outer, inner) = (context(), context());
        with_remote_parent(&outer, || {
            let panicked = catch_unwind(|| with_remote_parent(&inner, || panic!("as it should")));
            assert!(panicked.is_err());
            assert_eq!(current().as_ref(), Some(&outer));
        });
        assert_eq!(current(), None);
    }

    #[test]
    fn a_future_has_it_whenever_it_is_polled_and_nobody_else_has() {
        let expected = context();
        let mut polls = 0;
        let inner = poll_fn(|_| {
            assert_eq!(current().as_ref(), Some(&expected));
            polls += 1;
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(polls)
            }
        });
        let mut future = pin!(with_remote_parent_async(expected.clone(), inner));
        let mut task = std::task::Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert_eq!(future.as_mut().poll(&mut task), Poll::Pending);
            assert_eq!(current(), None);
        }
        assert_eq!(future.as_mut().poll(&mut task), Poll::Ready(3));
        assert_eq!(current(), None);
    }
}
