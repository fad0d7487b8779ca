//! Spans of the layer as the active contexts of their threads.

use std::cell::RefCell;
use std::mem;
use std::sync::Mutex;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanId, TraceContextExt};
use opentelemetry::{Context, ContextGuard};

use super::api::{self, Span};
use crate::context;
use crate::layer::{Ambient, Entering, Far, Surroundings, Table};
use crate::sync::lock;

const SHARDS: usize = 64;

/// Open spans of a shard to begin with.
const LEAST_OPEN: usize = 8;

/// The active contexts of one layer's spans.
#[derive(Debug)]
pub(crate) struct Active {
    open: Box<[Mutex<Table<Surrounded>>]>,
}

/// An open span of the layer.
#[derive(Debug)]
struct Surrounded {
    /// What was current when it was created; once it has been entered, that with the span.
    context: Context,
    is_active: bool,
    /// What becomes current before it starts may be its parent.
    takes_parent: bool,
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
struct Thread(RefCell<Vec<Entered>>);

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
        for entered in mem::take(self.0.get_mut()) {
            mem::forget(entered.guard);
        }
    }
}

/// Works with their cell and the spans that are entered on this thread, unless these are in use further up or no longer there.
///
/// Their cell is borrowed as long as ours is: so an allocator that traces does not find it borrowed, by a panic.
#[inline]
fn with<T>(work: impl FnOnce(&mut Vec<Entered>) -> T) -> Option<T> {
    let worked = THREAD.try_with(|Thread(entered)| {
        let mut entered = entered.try_borrow_mut().ok()?;
        Some(work(&mut entered))
    });
    worked.ok().flatten()
}

/// What is current, if that is more than the span of the layer that was entered last.
#[inline]
fn of_others(entered: &[Entered], current: &Context) -> Option<context::Context> {
    let own = entered.last().map(|entered| entered.span);
    let span = current.span();
    let span = span.span_context();
    let is_foreign = span.is_valid() && own != Some(span.span_id());
    let has_baggage = || own.is_none() && !current.baggage().is_empty();
    (is_foreign || has_baggage()).then(|| current.into())
}

impl Active {
    pub(crate) fn new() -> Self {
        let shard = |_| Mutex::new(Table::new(LEAST_OPEN));
        Self {
            open: (0..SHARDS).map(shard).collect(),
        }
    }

    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Nothing of the program's is dropped inside.
    #[inline]
    fn update<T>(
        &self,
        id: u64,
        work: impl FnOnce(&mut Table<Surrounded>) -> Option<T>,
    ) -> Option<T> {
        // As in the store, the upper bits name the thread.
        let shard = self
            .open
            .get((id.wrapping_sub(1) >> 38) as usize % SHARDS)?;
        work(&mut lock(shard))
    }

    fn attach(&self, id: u64, active: Context) {
        let span = active.span().span_context().span_id();
        with(|entered| {
            entered.push(Entered {
                layer: self.number(),
                id,
                span,
                guard: active.attach(),
            });
        });
    }

    /// The context of a span that is entered for the first time.
    fn activate(&self, id: u64, context: &context::Context, far: Far) -> Option<Context> {
        let span = context.span()?;
        let mut outer = self.update(id, |open| Some(open.get(id)?.context.clone()))?;
        if !outer.has_active_span() {
            let trace = span.trace_id().into();
            // The one that it has just become a child of.
            let is_parent = |current: &Context| current.span().span_context().trace_id() == trace;
            let current = with(|_| {
                Context::map_current(|current| is_parent(current).then(|| current.clone()))
            });
            outer = current.flatten().unwrap_or(outer);
        }
        if !context.baggage().is_empty() && outer.baggage().is_empty() {
            outer = api::with_baggage(outer, context.baggage());
        }
        let active = outer.with_span(Span::new(span.into(), far));
        let kept = active.clone();
        let replaced = self.update(id, |open| {
            let known = open.get_mut(id)?;
            known.is_active = true;
            Some(mem::replace(&mut known.context, kept))
        });
        drop(replaced);
        Some(active)
    }
}

impl Ambient for Active {
    fn is_suppressed(&self) -> bool {
        with(|_| Context::is_current_telemetry_suppressed()) == Some(true)
    }

    fn created(&self, id: u64, takes_current: bool) -> Surroundings {
        let seen = with(|entered| {
            Context::map_current(|current| {
                if current.is_telemetry_suppressed() {
                    return Err(Surroundings::Suppressed);
                }
                if !takes_current {
                    return Ok((Surroundings::Own, Context::new()));
                }
                let of_others = of_others(entered, current);
                let surroundings = of_others.map_or(Surroundings::Own, Surroundings::Others);
                Ok((surroundings, current.clone()))
            })
        });
        let (surroundings, context) = match seen {
            Some(Ok(seen)) => seen,
            Some(Err(suppressed)) => return suppressed,
            None => (Surroundings::Own, Context::new()),
        };
        let surrounded = Surrounded {
            context,
            is_active: false,
            takes_parent: takes_current && matches!(surroundings, Surroundings::Own),
        };
        self.update(id, |open| {
            open.insert(id, surrounded);
            Some(())
        });
        surroundings
    }

    fn late_parent(&self, id: u64) -> Option<context::Context> {
        let current = with(|entered| Context::map_current(|current| of_others(entered, current)));
        let current = current.flatten()?;
        let takes = self.update(id, |open| {
            let known = open.get(id)?;
            Some(known.takes_parent && !known.is_active)
        });
        takes?.then_some(current)
    }

    fn entering(&self, id: u64) -> Entering {
        let known = self.update(id, |open| {
            let known = open.get(id)?;
            let active = known.is_active.then(|| known.context.clone());
            Some((active, known.takes_parent))
        });
        match known {
            None => Entering::Unknown,
            Some((Some(active), _)) => {
                self.attach(id, active);
                Entering::Again
            }
            Some((None, false)) => Entering::First(None),
            Some((None, true)) => {
                let late =
                    with(|entered| Context::map_current(|current| of_others(entered, current)));
                Entering::First(late.flatten())
            }
        }
    }

    fn entered(&self, id: u64, context: &context::Context, far: Far) {
        if let Some(active) = self.activate(id, context, far) {
            self.attach(id, active);
        }
    }

    fn exited(&self, id: u64) {
        let layer = self.number();
        let left = with(|entered| {
            let is_it = |known: &Entered| known.id == id && known.layer == layer;
            if entered.last().is_some_and(is_it) {
                return entered.pop();
            }
            let at = entered.iter().rposition(is_it)?;
            Some(entered.remove(at))
        });
        // It may drop the last context of a span of the program's own, which records.
        drop(left);
    }

    fn closed(&self, id: u64) {
        let gone = self.update(id, |open| open.remove(id));
        drop(gone);
    }
}
