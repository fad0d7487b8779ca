//! From a `tracing::Span` to the layer that records it.
//!
//! As a rule its dispatcher knows the layer by type. `reload` hides it: a reference into it could not outlive its lock. But it
//! passes callbacks on, and so does everything else that layers are made of. So a question lies down in a cell of the thread,
//! the dispatcher is told that the span follows from one that no layer knows, and ours, when it is called for that, finds the
//! question and answers.
//!
//! That one is an id that the Registry never gives out, [`NOBODY`]: other layers look it up, find nothing, and leave it at that,
//! as they must with any span that a filter hides from them. A per-layer filter does not pass it on, since it did not enable such
//! a span; then a real one is asked by ([`super::stray`]).
//!
//! A question takes an allocation; the way by type takes none.

use std::cell::Cell;
use std::rc::Rc;

use tracing::Span;
use tracing_core::Dispatch;
use tracing_core::dispatcher;
use tracing_core::span::Id;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;
#[cfg(feature = "fmt")]
use tracing_subscriber::registry::SpanRef;

use super::stray;
#[cfg(feature = "fmt")]
use crate::context::Context;
use crate::layer::OtlpLayer;

/// The Registry's ids are indices of a slab, plus one. Some bits of an index hold the number of a thread, and they are one more than
/// the 4,096 threads of a slab take (128 where words have 32 bits), so that this one names a thread that there is not.
const NOBODY: u64 = u64::MAX;

/// The way to a span's layer: by the span's dispatcher, or straight.
#[derive(Clone, Copy)]
pub(in crate::layer) enum At<'a> {
    Dispatch(&'a Dispatch, &'a Id),
    #[cfg_attr(
        not(feature = "opentelemetry-0_33"),
        allow(dead_code, reason = "only a bridge has a layer at hand")
    )]
    Layer(&'a OtlpLayer, u64),
}

impl At<'_> {
    /// The layer, where its dispatcher knows it by type, and the span's id. Whether it has the span is not looked at.
    #[inline]
    pub(super) fn straight(&self) -> Option<(&OtlpLayer, u64)> {
        match self {
            Self::Dispatch(dispatch, id) => Some((dispatch.downcast_ref()?, id.into_u64())),
            Self::Layer(layer, id) => Some((layer, *id)),
        }
    }

    /// Works with the layer and the span's id in it.
    pub(in crate::layer) fn with<T: 'static>(
        self,
        work: impl FnOnce(&OtlpLayer, u64) -> T + 'static,
    ) -> Option<T> {
        match self {
            Self::Dispatch(dispatch, id) => {
                let number = id.into_u64();
                layer_of(dispatch, id, move |layer| work(layer, number))
            }
            Self::Layer(layer, id) => Some(work(layer, id)),
        }
    }
}

/// Tells a span something, if it is enabled.
pub(super) fn tell(span: &Span, work: impl FnOnce(At<'_>)) {
    span.with_subscriber(|(id, dispatch)| work(At::Dispatch(dispatch, id)));
}

/// Works with the layer that records this span. Of several the outermost one that its dispatcher knows by type, then the
/// innermost of the others. `None` where none of them knows the span.
pub(super) fn layer_of<T: 'static>(
    dispatch: &Dispatch,
    span: &Id,
    work: impl FnOnce(&OtlpLayer) -> T + 'static,
) -> Option<T> {
    let knows = |layer: &&OtlpLayer| layer.store.knows(span.into_u64());
    match dispatch.downcast_ref::<OtlpLayer>().filter(knows) {
        Some(layer) => Some(work(layer)),
        None => hidden_layer_of(dispatch, span, work),
    }
}

#[cold]
fn hidden_layer_of<T: 'static>(
    dispatch: &Dispatch,
    span: &Id,
    work: impl FnOnce(&OtlpLayer) -> T + 'static,
) -> Option<T> {
    // A subscriber that is none of tracing-subscriber's is not bothered.
    if !dispatch.is::<Registry>() {
        return None;
    }
    let question = Question::new(work);
    ask(dispatch, span, &Id::from_u64(NOBODY), &question);
    if question.is_open()
        && let Some(stray) = stray::of(dispatch)
    {
        ask(dispatch, span, &stray, &question);
        if !question.is_open() {
            stray::proved(dispatch);
        }
    }
    question.answer.take()
}

/// Works with any layer of a dispatcher.
pub(super) fn any_layer<T: 'static>(
    dispatch: &Dispatch,
    work: impl FnOnce(&OtlpLayer) -> T + 'static,
) -> Option<T> {
    if let Some(layer) = dispatch.downcast_ref::<OtlpLayer>() {
        return Some(work(layer));
    }
    // Of a span that it does not know a layer may well believe that this is a bug, so it is a real one.
    let stray = stray::of(dispatch)?;
    let question = Question::new(work);
    ask(dispatch, &stray, &stray, &question);
    if !question.is_open() {
        stray::proved(dispatch);
    }
    question.answer.take()
}

/// Works with the layer of this span; where that is not recorded, with the one of its nearest ancestor that is. Of a span that
/// does not exist, the current span of the default dispatcher counts.
pub(super) fn nearest<T: 'static>(
    span: &Span,
    work: fn(&OtlpLayer, u64) -> Option<T>,
) -> Option<T> {
    let found = span.with_subscriber(|(id, dispatch)| upwards(dispatch, id, work));
    found.unwrap_or_else(|| {
        let dispatch = default_dispatch();
        upwards(&dispatch, dispatch.current_span().id()?, work)
    })
}

/// The context of a span, or of its nearest ancestor that is recorded, while an event is dispatched. `span` is the same span as
/// another layer of its subscriber knows it.
///
/// A dispatcher that is a thread's own is hidden meanwhile. Then it is looked for among those of all layers of this crate: it is
/// the one whose Registry has the very same span.
#[cfg(feature = "fmt")]
pub(super) fn while_dispatched<'s, R>(
    id: &Id,
    span: impl FnOnce() -> Option<SpanRef<'s, R>>,
) -> Option<Context>
where
    R: LookupSpan<'s> + 's,
{
    /// Lies in the extensions of the span while it is looked for.
    struct Looked;
    let dispatch = default_dispatch();
    if dispatch.is::<Registry>() {
        return upwards(&dispatch, id, OtlpLayer::context_of);
    }
    let span = span()?;
    span.extensions_mut().replace(Looked);
    let is_its = |dispatch: &Dispatch| {
        let registry = dispatch.downcast_ref::<Registry>();
        let found = registry.and_then(|registry| registry.span(id));
        found.is_some_and(|found| found.extensions().get::<Looked>().is_some())
    };
    let dispatch = crate::layer::registry::homes().find(is_its);
    span.extensions_mut().remove::<Looked>();
    upwards(&dispatch?, id, OtlpLayer::context_of)
}

/// A copy, so that what is done with it may record.
pub(in crate::layer) fn default_dispatch() -> Dispatch {
    dispatcher::get_default(Dispatch::clone)
}

fn upwards<T: 'static>(
    dispatch: &Dispatch,
    id: &Id,
    work: fn(&OtlpLayer, u64) -> Option<T>,
) -> Option<T> {
    let of = |id: &Id| {
        let number = id.into_u64();
        layer_of(dispatch, id, move |layer| work(layer, number)).flatten()
    };
    of(id).or_else(|| {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        span.scope().skip(1).find_map(|span| of(&span.id()))
    })
}

/// Work for a layer that is not at hand.
struct Question<W, T> {
    work: Cell<Option<W>>,
    answer: Cell<Option<T>>,
}

trait Answer {
    fn answer(&self, layer: &OtlpLayer);
}

impl<W, T> Question<W, T> {
    fn new(work: W) -> Rc<Self> {
        Rc::new(Self {
            work: Cell::new(Some(work)),
            answer: Cell::new(None),
        })
    }

    fn is_open(&self) -> bool {
        let work = self.work.take();
        let is_open = work.is_some();
        self.work.set(work);
        is_open
    }
}

impl<W: FnOnce(&OtlpLayer) -> T, T> Answer for Question<W, T> {
    fn answer(&self, layer: &OtlpLayer) {
        if let Some(work) = self.work.take() {
            self.answer.set(Some(work(layer)));
        }
    }
}

/// A question on its way to its layer: the two spans by whose names it goes.
struct Asked {
    span: u64,
    follows: u64,
    question: Rc<dyn Answer>,
}

thread_local! {
    static ASKED: Cell<Option<Asked>> = const { Cell::new(None) };
}

/// A question is answered within this call, or by nobody.
fn ask<W, T>(dispatch: &Dispatch, span: &Id, follows: &Id, question: &Rc<Question<W, T>>)
where
    W: FnOnce(&OtlpLayer) -> T + 'static,
    T: 'static,
{
    /// Whoever is called on the way may ask in turn, and panic.
    struct Outer(Option<Asked>);
    impl Drop for Outer {
        fn drop(&mut self) {
            let _ = ASKED.try_with(|asked| asked.set(self.0.take()));
        }
    }
    let asked = Asked {
        span: span.into_u64(),
        follows: follows.into_u64(),
        question: Rc::<Question<W, T>>::clone(question),
    };
    if let Ok(outer) = ASKED.try_with(|cell| cell.replace(Some(asked))) {
        let _outer = Outer(outer);
        dispatch.record_follows_from(span, follows);
    }
}

/// Whether what a layer is told by `on_follows_from` is a question; it answers if it can.
pub(in crate::layer) fn answers(layer: &OtlpLayer, span: &Id, follows: &Id) -> bool {
    let Ok(Some(asked)) = ASKED.try_with(Cell::take) else {
        return false;
    };
    let is_question = asked.span == span.into_u64() && asked.follows == follows.into_u64();
    // One about two strays is for any layer.
    if is_question && (asked.span == asked.follows || layer.store.knows(asked.span)) {
        // The cell is empty meanwhile: what is done here may ask in turn.
        asked.question.answer(layer);
    } else {
        let _ = ASKED.try_with(|cell| cell.set(Some(asked)));
    }
    is_question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_no_span() {
        let dispatch = Dispatch::new(tracing_subscriber::registry());
        let registry = dispatch.downcast_ref::<Registry>().unwrap();
        let span = tracing::dispatcher::with_default(&dispatch, || tracing::info_span!("span"));
        assert!(registry.span(&span.id().unwrap()).is_some());
        assert!(registry.span(&Id::from_u64(NOBODY)).is_none());
    }
}
