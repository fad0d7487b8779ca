//! The seam to a library that has a current context of its own on each thread, which spans of the layer become when they are
//! entered, and which roots take their parents from.
//!
//! Without a bridge all of this is one test of a flag that is known when the program is compiled.

#![cfg_attr(
    not(feature = "tracing-opentelemetry-0_34"),
    allow(dead_code, reason = "only a bridge makes use of it")
)]

use std::any::TypeId;
use std::fmt;

use tracing_core::dispatcher::WeakDispatch;
use tracing_core::span::{Attributes, Id};
use tracing_core::{Dispatch, Subscriber};
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;

use super::OtlpLayer;
use super::callsite::Template;
use super::ext;
use super::far::Far;
use super::registry;
use super::span::Place;
use super::store::Settled;
use crate::context::Context;
use crate::proto::trace;

/// What is current on a thread by another library. Its methods run user code at most where a context of the program's own is
/// dropped, and are called with no lock held.
pub(crate) trait Ambient: fmt::Debug + Send + Sync {
    /// Whether nothing is to be recorded on this thread now.
    fn is_suppressed(&self) -> bool;

    /// The context that is current and not that of the layer's span that was entered last: what a span that is created now is
    /// below. `None` where there is none.
    fn parent(&self) -> Option<Context>;

    /// A span was created. `takes_current`: what is current now surrounds it, and may be its parent.
    fn created(&self, id: u64, takes_current: bool);

    /// Whether the span still takes a parent from what is current.
    fn takes_parent(&self, id: u64) -> bool;

    /// A span is entered on this thread. `who` tells what others are told of it, and the way to it.
    fn entered(&self, id: u64, who: &dyn Fn() -> Option<(Context, Far)>);

    /// A span is left on this thread.
    fn exited(&self, id: u64);

    /// A span was closed.
    fn closed(&self, id: u64);
}

/// Another layer that lives in ours and answers for our spans.
pub(crate) trait Guest: fmt::Debug + Send + Sync {
    /// The layer belongs to this dispatcher.
    fn registered(&self, dispatch: &Dispatch);

    /// A part of it by type. What is returned lives as long as the guest.
    fn answer(&self, id: TypeId) -> Option<*const ()>;

    /// A span starts that a guest has asked for ([`Far::bid`]).
    fn starting(&self, id: u64);

    /// A span was closed.
    fn closed(&self, id: u64);
}

impl OtlpLayer {
    /// From now on a guest answers for the layer's spans too.
    #[cfg(feature = "tracing-opentelemetry-0_34")]
    pub(crate) fn hosting(self, guest: Box<dyn Guest>) -> Self {
        Self {
            guest: Some(guest),
            ..self
        }
    }

    /// Whether there is an [`Ambient`] or a [`Guest`].
    #[inline(always)]
    pub(super) fn is_bridged(&self) -> bool {
        cfg!(feature = "_bridge") && (self.ambient.is_some() || self.guest.is_some())
    }

    /// From now on the layer's spans are those of another library too.
    #[cfg(feature = "_bridge")]
    pub(crate) fn surrounded_by(self, ambient: Box<dyn Ambient>) -> Self {
        Self {
            watches: true,
            ambient: Some(ambient),
            ..self
        }
    }

    /// Whether there is an [`Ambient`].
    #[inline(always)]
    pub(super) fn is_surrounded(&self) -> bool {
        cfg!(feature = "_bridge") && self.ambient.is_some()
    }

    /// Whether nothing is to be recorded on this thread now.
    #[cold]
    pub(super) fn is_suppressed(&self) -> bool {
        let ambient = self.ambient.as_ref();
        ambient.is_some_and(|ambient| ambient.is_suppressed())
    }

    /// A new span, where what is current by another library may be its parent.
    #[cold]
    pub(super) fn open_surrounded<S>(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &layer::Context<'_, S>,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(ambient) = &self.ambient else { return };
        if ambient.is_suppressed() {
            return;
        }
        let number = id.into_u64();
        let takes_current = attributes.is_contextual();
        ambient.created(number, takes_current);
        let mut place = Place::NOWHERE;
        if takes_current && let Some(outer) = ambient.parent() {
            self.begin(&mut place);
            self.open_undecided(template, attributes, number, &place);
            // It has not started: it has just been made.
            let _ = self.set_parent(number, &outer);
            return;
        }
        let parent = registry::parent(self, attributes, id, context, &mut place);
        if parent.is_none() && takes_current && !ext::is_remote_parent_attached() {
            self.begin(&mut place);
            // It may find a parent when it starts.
            return self.open_undecided(template, attributes, number, &place);
        }
        self.open(template, attributes, number, parent, &mut place);
    }

    /// A span starts that somebody waits for. Where that decides about it, its place is returned.
    #[cold]
    pub(super) fn prepare(&self, id: u64) -> Option<Place> {
        if let Some(guest) = &self.guest {
            guest.starting(id);
            self.store.unbid(id);
        }
        self.adopt(id);
        match self.store.settle(id)? {
            Settled::At(place) => Some(place),
            Settled::Undecided => None,
        }
    }

    /// A root that starts looks once more for a parent, which may have become current since it was created.
    fn adopt(&self, id: u64) {
        let Some(ambient) = &self.ambient else { return };
        let has_parent = self
            .store
            .update(id, |span, _| trace::parent_of(&span.record).is_some());
        if has_parent == Some(true) || !ambient.takes_parent(id) {
            return;
        }
        if let Some(parent) = ambient.parent() {
            // Another thread may have started it.
            let _ = self.set_parent(id, &parent);
        }
    }

    /// A span is entered, which has started.
    #[cold]
    pub(super) fn surround(&self, id: u64) {
        if let Some(ambient) = &self.ambient {
            ambient.entered(id, &|| {
                let context = self.context_of(id)?;
                let span = context.span()?.span_id();
                Some((context, Far::new(self.way()?, id, span)))
            });
        }
    }

    #[cold]
    pub(super) fn leave(&self, id: u64) {
        if let Some(ambient) = &self.ambient {
            ambient.exited(id);
        }
    }

    #[cold]
    pub(super) fn forget(&self, id: u64) {
        if let Some(guest) = &self.guest {
            guest.closed(id);
        }
        if let Some(ambient) = &self.ambient {
            ambient.closed(id);
        }
    }

    /// The dispatcher that leads back to this layer.
    fn way(&self) -> Option<WeakDispatch> {
        self.home.dispatch().or_else(|| {
            let default = ext::default_dispatch();
            let is_there = default.is::<Self>() || default.is::<tracing_subscriber::Registry>();
            is_there.then(|| default.downgrade())
        })
    }
}
