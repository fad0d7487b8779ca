//! Spans of the layer as the active contexts of their threads.

use std::cell::RefCell;
use std::mem;
use std::sync::Mutex;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, ContextGuard};

use super::api::{self, Span};
use crate::context;
use crate::layer::{Ambient, Entering, Far, Surroundings, Table, Told};
use crate::quiet;
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
    /// Where the baggage lies that is current with it.
    baggage: usize,
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

/// Whether more is current than the span of the layer that was entered last.
#[inline]
fn is_of_others(entered: &[Entered], current: &Context) -> bool {
    let own = entered.last().map(|entered| entered.span);
    let span = current.span();
    let span = span.span_context();
    let is_foreign = span.is_valid() && own != Some(span.span_id());
    is_foreign || own.is_none() && !current.baggage().is_empty()
}

/// The same baggage lies at the same place, while a context has it.
#[inline]
fn baggage_at(context: &Context) -> usize {
    std::ptr::from_ref(context.baggage()).addr()
}

/// What is current, if that is more than the span of the layer that was entered last.
#[inline]
fn current_of_others() -> Option<context::Context> {
    if are_others_current() {
        current()
    } else {
        None
    }
}

#[inline]
fn are_others_current() -> bool {
    with(|entered| Context::map_current(|current| is_of_others(entered, current))) == Some(true)
}

#[cold]
fn current() -> Option<context::Context> {
    with(|_| Context::map_current(|current| current.into()))
}

impl Active {
    /// Whether the span that was entered last is current with other baggage than it carries.
    #[inline]
    fn has_other_baggage(&self, entered: &[Entered], current: &Context) -> bool {
        entered.last().is_some_and(|own| {
            own.baggage != baggage_at(current)
                && own.layer == self.number()
                && own.span == current.span().span_context().span_id()
        })
    }

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

    #[inline]
    fn attach(&self, id: u64, span: SpanId, mut active: Context) {
        let layer = self.number();
        with(|entered| {
            if Context::is_current_telemetry_suppressed() {
                active = active.with_telemetry_suppressed();
            }
            let baggage = baggage_at(&active);
            // Where the program reads what is current, and enters a span meanwhile, their cell is borrowed: they panic, and the span is not
            // current.
            let attached = quiet::guarded(|| active.attach());
            let Ok(guard) = attached else { return };
            entered.push(Entered {
                layer,
                id,
                span,
                baggage,
                guard,
            });
        });
    }

    /// A span has been entered for the first time, and has started.
    #[inline]
    fn enter_first(&self, id: u64, outer: &Context, told: Option<Told>) {
        let Some(told) = told else { return };
        let span = told.span.into();
        let active = activated(outer, told);
        self.keep(id, active.clone());
        self.attach(id, span, active);
    }

    /// A span is entered for the first time, which is below others or may be.
    #[cold]
    fn enter_below_others(
        &self,
        id: u64,
        outer: Context,
        takes_parent: bool,
        enter: &mut dyn FnMut(Entering<'_>) -> Option<Told>,
    ) {
        let parent = takes_parent.then(current).flatten();
        let told = enter(Entering::First(parent.as_ref()));
        let trace = told.as_ref().map(|told| told.trace.into());
        let found = trace
            .filter(|_| !outer.has_active_span())
            .and_then(current_in);
        self.enter_first(id, &found.unwrap_or(outer), told);
    }

    /// Keeps the context of a span, for when it is entered again.
    #[inline]
    fn keep(&self, id: u64, active: Context) {
        let replaced = self.update(id, |open| {
            let known = open.get_mut(id)?;
            known.is_active = true;
            Some(mem::replace(&mut known.context, active))
        });
        drop(replaced);
    }
}

/// The context of a span of the layer, inside of this one.
#[inline]
fn activated(outer: &Context, told: Told) -> Context {
    let Told {
        trace,
        span,
        flags,
        context,
        far,
    } = told;
    if let Some(context) = context {
        return activated_with(outer, &context, far);
    }
    let flags = TraceFlags::new(flags.bits());
    let span = SpanContext::new(trace.into(), span.into(), flags, false, TraceState::NONE);
    let span = Span::new(span, far);
    if outer.baggage().is_empty() {
        return outer.with_span(span);
    }
    // It was put below somebody who has none.
    outer.with_cleared_baggage().with_span(span)
}

/// With what it carries, whatever was current when it was created.
#[cold]
fn activated_with(outer: &Context, context: &context::Context, far: Far) -> Context {
    let span = context.span().map_or(SpanContext::NONE, Into::into);
    let mut active = outer.clone();
    if context.baggage().is_empty() && !outer.baggage().is_empty() {
        active = active.with_cleared_baggage();
    }
    api::convert::onto(&active, context).with_span(Span::new(span, far))
}

/// What is current, if its span is in this trace: that of a span which has just become its child.
#[cold]
fn current_in(trace: TraceId) -> Option<Context> {
    let is_it = |current: &Context| current.span().span_context().trace_id() == trace;
    let found = with(|_| Context::map_current(|current| is_it(current).then(|| current.clone())));
    found.flatten()
}

impl Ambient for Active {
    fn has_others(&self) -> bool {
        current_of_others().is_some()
    }

    fn is_suppressed(&self) -> bool {
        with(|_| Context::is_current_telemetry_suppressed()) == Some(true)
    }

    fn created(&self, id: u64, takes_current: bool) -> Surroundings {
        let mut context = Context::new();
        let (mut is_suppressed, mut has_others) = (false, false);
        with(|entered| {
            Context::map_current(|current| {
                is_suppressed = current.is_telemetry_suppressed();
                if takes_current && !is_suppressed {
                    has_others =
                        is_of_others(entered, current) || self.has_other_baggage(entered, current);
                    context = current.clone();
                }
            });
        });
        if is_suppressed {
            return Surroundings::Suppressed;
        }
        let others = has_others.then(|| (&context).into());
        let surrounded = Surrounded {
            context,
            is_active: false,
            takes_parent: takes_current && !has_others,
        };
        self.update(id, |open| {
            open.insert(id, surrounded);
            Some(())
        });
        others.map_or(Surroundings::Own, Surroundings::Others)
    }

    fn late_parent(&self, id: u64) -> Option<context::Context> {
        let current = current_of_others()?;
        let takes = self.update(id, |open| {
            let known = open.get(id)?;
            Some(known.takes_parent && !known.is_active)
        });
        takes?.then_some(current)
    }

    fn enter(&self, id: u64, enter: &mut dyn FnMut(Entering<'_>) -> Option<Told>) {
        let known = self.update(id, |open| {
            let known = open.get(id)?;
            Some((known.context.clone(), known.is_active, known.takes_parent))
        });
        let Some((context, is_active, takes_parent)) = known else {
            enter(Entering::Again);
            return;
        };
        if is_active {
            enter(Entering::Again);
            let span = context.span().span_context().span_id();
            return self.attach(id, span, context);
        }
        if takes_parent && !are_others_current() {
            let told = enter(Entering::First(None));
            return self.enter_first(id, &context, told);
        }
        self.enter_below_others(id, context, takes_parent, enter);
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
        // It may drop the last context of a span of the program's own, which records; and they panic as above.
        let _ = quiet::guarded(|| drop(left));
    }

    fn closed(&self, id: u64) -> Option<context::Context> {
        let gone = self.update(id, |open| open.remove(id))?;
        if gone.is_active || !gone.takes_parent {
            return None;
        }
        current_of_others()
    }
}
