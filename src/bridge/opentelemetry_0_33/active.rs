//! Spans of the layer as the active contexts of their threads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem;
use std::sync::Mutex;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanId, TraceContextExt};
use opentelemetry::{Context, ContextGuard};

use super::convert;
use super::span::Span;
use crate::context;
use crate::layer::{Ambient, Far};
use crate::sync::lock;

const SHARDS: usize = 64;

/// The active contexts of one layer's spans.
#[derive(Debug)]
pub(crate) struct Active {
    open: Box<[Mutex<HashMap<u64, Surrounded>>]>,
}

/// An open span of the layer.
#[derive(Debug)]
struct Surrounded {
    /// What was current when it was created, until it is entered.
    outer: Context,
    takes_parent: bool,
    /// That with the span.
    active: Option<Context>,
}

/// A span that is entered on this thread.
#[derive(Debug)]
struct Entered {
    layer: usize,
    id: u64,
    span: SpanId,
    guard: ContextGuard,
}

#[derive(Debug, Default)]
struct Thread {
    /// Their cell may be borrowed: an allocator that traces is not to find that out by a panic.
    is_busy: Cell<bool>,
    entered: RefCell<Vec<Entered>>,
}

thread_local! {
    static THREAD: Thread = {
        // Theirs is made before ours, so that it is destroyed after ours: while this one can be had, theirs can.
        Context::map_current(|_| ());
        Thread::default()
    };
}

impl Drop for Thread {
    fn drop(&mut self) {
        // A guard would look for their cell, which may be gone when threads end in another order. It holds nothing.
        for entered in self.entered.take() {
            mem::forget(entered.guard);
        }
    }
}

/// Works with their cell, unless it is in use further up or no longer there.
fn with<T>(work: impl FnOnce(&Thread) -> T) -> Option<T> {
    struct Idle<'a>(&'a Cell<bool>);
    impl Drop for Idle<'_> {
        fn drop(&mut self) {
            self.0.set(false);
        }
    }
    let worked = THREAD.try_with(|thread| {
        if thread.is_busy.replace(true) {
            return None;
        }
        let _idle = Idle(&thread.is_busy);
        Some(work(thread))
    });
    worked.ok().flatten()
}

impl Active {
    pub(crate) fn new() -> Self {
        Self {
            open: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Nothing of the program's is dropped inside.
    fn update<T>(
        &self,
        id: u64,
        work: impl FnOnce(&mut HashMap<u64, Surrounded>) -> T,
    ) -> Option<T> {
        // As in the store, the upper bits name the thread.
        let shard = self.open.get((id >> 38) as usize % SHARDS)?;
        Some(work(&mut lock(shard)))
    }

    fn known(&self, id: u64) -> Option<Context> {
        let known = self.update(id, |open| open.get(&id)?.active.clone());
        known.flatten()
    }

    /// The context of a span that is entered for the first time.
    fn activate(&self, id: u64, context: &context::Context, far: Far) -> Option<Context> {
        let span = context.span()?;
        let outer = self.update(id, |open| {
            open.get_mut(&id).map(|known| mem::take(&mut known.outer))
        });
        let mut outer = outer.flatten().unwrap_or_default();
        if !outer.has_active_span() {
            let current = with(|_| Context::current()).unwrap_or_default();
            // The one that it has just become a child of.
            if current.span().span_context().trace_id() == span.trace_id().into() {
                outer = current;
            }
        }
        if outer.baggage().is_empty() {
            outer = convert::with_baggage(outer, context.baggage());
        }
        let active = outer.with_span(Span::of_tracing(span.into(), far));
        let kept = active.clone();
        let replaced = self.update(id, |open| open.get_mut(&id)?.active.replace(kept));
        drop(replaced);
        Some(active)
    }
}

impl Ambient for Active {
    fn is_suppressed(&self) -> bool {
        with(|_| Context::is_current_telemetry_suppressed()) == Some(true)
    }

    fn parent(&self) -> Option<context::Context> {
        let found = with(|thread| {
            let entered = thread.entered.try_borrow().ok()?;
            let own = entered.last().map(|entered| entered.span);
            Context::map_current(|current| {
                let span = current.span();
                let span = span.span_context();
                let is_own = own == Some(span.span_id());
                let is_foreign = span.is_valid() && !is_own;
                let has_baggage = || own.is_none() && !current.baggage().is_empty();
                (is_foreign || has_baggage()).then(|| current.into())
            })
        });
        found.flatten()
    }

    fn created(&self, id: u64, takes_current: bool) {
        let outer = if takes_current {
            with(|_| Context::current()).unwrap_or_default()
        } else {
            Context::new()
        };
        let surrounded = Surrounded {
            outer,
            takes_parent: takes_current,
            active: None,
        };
        let replaced = self.update(id, |open| open.insert(id, surrounded));
        drop(replaced);
    }

    fn takes_parent(&self, id: u64) -> bool {
        let takes = self.update(id, |open| {
            open.get(&id).is_some_and(|known| known.takes_parent)
        });
        takes == Some(true)
    }

    fn entered(&self, id: u64, who: &dyn Fn() -> Option<(context::Context, Far)>) {
        let known = self.known(id).or_else(|| {
            let (context, far) = who()?;
            self.activate(id, &context, far)
        });
        let Some(active) = known else { return };
        let span = active.span().span_context().span_id();
        with(|thread| {
            let Ok(mut entered) = thread.entered.try_borrow_mut() else {
                return;
            };
            entered.push(Entered {
                layer: self.number(),
                id,
                span,
                guard: active.attach(),
            });
        });
    }

    fn exited(&self, id: u64) {
        let layer = self.number();
        let left = with(|thread| {
            let mut entered = thread.entered.try_borrow_mut().ok()?;
            let is_it = |known: &Entered| known.id == id && known.layer == layer;
            let at = entered.iter().rposition(is_it)?;
            Some(entered.remove(at).guard)
        });
        // It may drop the last context of a span of the program's own, which records.
        drop(left);
    }

    fn closed(&self, id: u64) {
        let gone = self.update(id, |open| open.remove(&id));
        drop(gone);
    }
}
