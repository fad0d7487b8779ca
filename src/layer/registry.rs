//! The way up in the Registry, for the rare case that the current span is not ours.
//!
//! A span that a per-layer filter hides from us is still entered, and what is recorded inside belongs to its nearest
//! ancestor that we know. For a new span the Registry tells the way (`SpanRef::parent` skips what the filter hides). For an
//! event there is no such reference, so the dispatcher is asked, which sees every span.

use std::sync::OnceLock;

use tracing_core::dispatcher::{self, WeakDispatch};
use tracing_core::span::Id;
use tracing_core::{Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::OtlpLayer;
use super::span::Place;
use super::store::Store;

/// The dispatcher that this layer belongs to, caught at the first enter: events are dispatched under a guard that hides
/// it when it is scoped.
#[derive(Debug, Default)]
pub(super) struct Home(OnceLock<WeakDispatch>);

impl Home {
    #[inline]
    pub(super) fn catch(&self, layer: &OtlpLayer) {
        if self.0.get().is_none() {
            self.look(layer);
        }
    }

    #[cold]
    fn look(&self, layer: &OtlpLayer) {
        dispatcher::get_default(|dispatch| {
            if dispatch
                .downcast_ref::<OtlpLayer>()
                .is_some_and(|found| std::ptr::eq(found, layer))
            {
                // Whoever comes first sets the same.
                let _ = self.0.set(dispatch.downgrade());
            }
        });
    }

    /// The nearest ancestor of a span that the store knows.
    #[cold]
    fn ancestor(&self, id: &Id, store: &Store) -> Option<(Id, Place)> {
        let dispatch = self.0.get()?.upgrade()?;
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        span.scope()
            .find_map(|span| store.place(&span.id()).map(|place| (span.id(), place)))
    }
}

/// The place of a new span's parent; `None` for a root.
#[inline]
pub(super) fn parent<S>(
    attributes: &tracing_core::span::Attributes<'_>,
    id: &Id,
    context: &Context<'_, S>,
    store: &Store,
) -> Option<Place>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let place = if attributes.is_contextual() {
        let current = context.current_span();
        store.place(current.id()?)
    } else {
        store.place(attributes.parent()?)
    };
    place.or_else(|| hidden_parent(id, context, store))
}

#[cold]
fn hidden_parent<S>(id: &Id, context: &Context<'_, S>, store: &Store) -> Option<Place>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    context
        .span(id)?
        .scope()
        .skip(1)
        .find_map(|span| store.place(&span.id()))
}

/// The span that an event belongs to, and its place.
#[inline]
pub(super) fn span_of<S>(
    event: &Event<'_>,
    context: &Context<'_, S>,
    store: &Store,
    home: &Home,
) -> Option<(Id, Place)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let current;
    let id = if event.is_contextual() {
        current = context.current_span();
        current.id()?
    } else {
        event.parent()?
    };
    match store.place(id) {
        Some(place) => Some((id.clone(), place)),
        None => home.ancestor(id, store),
    }
}
