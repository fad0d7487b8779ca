//! The way up in the Registry, for the rare case that the current span is not ours.
//!
//! A span that a per-layer filter hides from us is still entered, and what is recorded inside belongs to its nearest
//! ancestor that we know. For a new span the Registry tells the way (`SpanRef::parent` skips what the filter hides). For an
//! event there is no such reference, so the dispatcher is asked, which sees every span.

#[cfg(feature = "fmt")]
use std::sync::Mutex;
use std::sync::OnceLock;

use tracing_core::dispatcher::{self, Dispatch, WeakDispatch};
use tracing_core::span::{Attributes, Id};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::OtlpLayer;
use super::span::Place;
use super::stack::Current;
#[cfg(feature = "fmt")]
use crate::sync::lock;

/// The dispatcher that this layer belongs to. While a span or an event is dispatched, a scoped dispatcher is hidden, so it
/// is kept from before.
#[derive(Debug, Default)]
pub(super) struct Home(OnceLock<WeakDispatch>);

/// The dispatchers of all layers, for who writes lines for people.
#[cfg(feature = "fmt")]
static HOMES: Mutex<Vec<WeakDispatch>> = Mutex::new(Vec::new());

#[cfg(feature = "fmt")]
fn list(dispatch: &Dispatch) {
    // Whoever is the last to know a dispatcher drops it, which is not to be under the lock.
    let mut alive = Vec::new();
    let mut homes = lock(&HOMES);
    homes.retain(|home| home.upgrade().map(|home| alive.push(home)).is_some());
    homes.push(dispatch.downgrade());
    drop(homes);
}

#[cfg(feature = "fmt")]
pub(super) fn homes() -> impl Iterator<Item = Dispatch> {
    let homes = lock(&HOMES).clone();
    homes.into_iter().filter_map(|home| home.upgrade())
}

/// Lies in the extensions of one span while [`Home::look`] compares two ways to it: the address of that one's `Home`.
#[derive(Debug, PartialEq)]
struct Here(usize);

impl Home {
    /// `Option` and `Vec` do not tell their layers of the dispatcher; then [`Home::catch`] finds it.
    pub(super) fn set(&self, dispatch: &Dispatch) {
        // Whoever comes first sets the same.
        let _is_first = self.0.set(dispatch.downgrade()).is_ok();
        #[cfg(feature = "fmt")]
        if _is_first {
            list(dispatch);
        }
    }

    /// The dispatcher, as far as it is known.
    pub(super) fn dispatch(&self) -> Option<WeakDispatch> {
        self.0.get().cloned()
    }

    /// Called with a span that was just entered.
    #[inline]
    pub(super) fn catch<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if self.0.get().is_none() {
            self.look(id, context);
        }
    }

    /// The default dispatcher is ours if the span of this id is the very same one in its Registry.
    #[cold]
    fn look<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = context.span(id) else { return };
        let here = || Here(std::ptr::from_ref(self).addr());
        span.extensions_mut().replace(here());
        dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>();
            let found = registry.and_then(|registry| registry.span(id));
            if found.is_some_and(|found| found.extensions().get::<Here>() == Some(&here())) {
                self.set(dispatch);
            }
        });
        span.extensions_mut().remove::<Here>();
    }

    /// The nearest ancestor of a span that the layer knows.
    #[cold]
    fn ancestor(&self, id: &Id, layer: &OtlpLayer) -> Option<(u64, Place)> {
        let dispatch = self.0.get()?.upgrade()?;
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        span.scope().find_map(|span| known(&span.id(), layer))
    }
}

/// A new span's parent, and into `place` its place; `None` for a root.
#[inline]
pub(super) fn parent<S>(
    layer: &OtlpLayer,
    attributes: &Attributes<'_>,
    id: &Id,
    context: &Context<'_, S>,
    place: &mut Place,
) -> Option<u64>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let parent = if attributes.is_contextual() {
        match layer.mirror.current(place) {
            Current::Nothing => return None,
            Current::Ours(parent) => return Some(parent),
            Current::Span(parent) => parent,
            Current::Unknown => context.current_span().id()?.into_u64(),
        }
    } else {
        attributes.parent()?.into_u64()
    };
    let found = match layer.settle(parent) {
        Some(place) => {
            layer.learn(parent, &place);
            Some((parent, place))
        }
        // The new span itself is not in the store yet, so this finds its parent or what is above.
        None => ancestor(id, context, layer),
    };
    take(found, place)
}

#[inline]
fn take(found: Option<(u64, Place)>, place: &mut Place) -> Option<u64> {
    let (id, its_place) = found?;
    *place = its_place;
    Some(id)
}

/// The nearest ancestor that the layer knows, of a span that no per-layer filter hides.
#[cold]
fn ancestor<S>(id: &Id, context: &Context<'_, S>, layer: &OtlpLayer) -> Option<(u64, Place)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut scope = context.span(id)?.scope();
    scope.find_map(|span| known(&span.id(), layer))
}

fn known(id: &Id, layer: &OtlpLayer) -> Option<(u64, Place)> {
    let id = id.into_u64();
    layer.settle(id).map(|place| (id, place))
}

/// The span that an event belongs to, and into `place` its place.
#[inline(always)]
pub(super) fn span_of<S>(
    layer: &OtlpLayer,
    event: &Event<'_>,
    context: &Context<'_, S>,
    place: &mut Place,
) -> Option<u64>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if event.is_contextual() {
        match layer.mirror.current(place) {
            Current::Nothing => return None,
            Current::Ours(id) => return Some(id),
            Current::Span(_) | Current::Unknown => {}
        }
    }
    find_span(layer, event, context, place)
}

#[inline(never)]
fn find_span<S>(
    layer: &OtlpLayer,
    event: &Event<'_>,
    context: &Context<'_, S>,
    place: &mut Place,
) -> Option<u64>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let id = if event.is_contextual() {
        match layer.mirror.current(place) {
            Current::Ours(id) | Current::Span(id) => id,
            Current::Nothing | Current::Unknown => context.current_span().id()?.into_u64(),
        }
    } else {
        event.parent()?.into_u64()
    };
    let found = match layer.settle(id) {
        Some(place) => {
            layer.learn(id, &place);
            Some((id, place))
        }
        None => {
            let id = Id::from_u64(id);
            ancestor(&id, context, layer).or_else(|| layer.home.ancestor(&id, layer))
        }
    };
    take(found, place)
}

/// Shows a span of ours and its ancestors, from the inside out.
pub(super) fn each_ancestor<S>(id: u64, context: &Context<'_, S>, mut see: impl FnMut(u64))
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(span) = context.span(&Id::from_u64(id)) else {
        return;
    };
    span.scope().for_each(|span| see(span.id().into_u64()));
}
