//! The seam to a library that has a current context of its own on each thread, which spans of the layer become when they are
//! entered, and which roots take their parents from.
//!
//! Without a bridge all of this is one test of a flag that is known when the program is compiled.

#![cfg_attr(
    not(all(feature = "_guest", feature = "opentelemetry-0_33")),
    allow(dead_code, reason = "only a bridge makes use of it")
)]

use std::any::TypeId;
use std::fmt;

use tracing_core::Dispatch;
use tracing_core::dispatcher::WeakDispatch;
use tracing_core::span::Attributes;

use super::OtlpLayer;
use super::callsite::Template;
use super::ext;
use super::far::Far;
use super::span::Place;
use super::stack::Current;
use super::store::Settled;
use crate::context::{Context, TraceFlags};
use crate::id::{SpanId, TraceId};

/// What surrounds a span that is created.
#[derive(Debug)]
pub(crate) enum Surroundings {
    /// Nothing is to be recorded on this thread now.
    Suppressed,
    /// Nothing but spans of the layer's own.
    Own,
    /// A context of others, which the span is below.
    Others(Context),
}

/// How a span is entered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entering<'a> {
    /// It was entered before, or nothing is known of it.
    Again,
    /// It was not. What others have current is its parent, if it has none and has not started.
    First(Option<&'a Context>),
}

/// What others are told of a span of the layer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) flags: TraceFlags,
    /// With tracestate and baggage, where there is any of either.
    pub(crate) context: Option<Box<Context>>,
    /// The way to it.
    pub(crate) far: Far,
}

/// What is current on a thread by another library. Its methods run user code at most where a context of the program's own is
/// dropped, and are called with no lock held.
pub(crate) trait Ambient: fmt::Debug + Send + Sync {
    /// Whether nothing is to be recorded on this thread now.
    fn is_suppressed(&self) -> bool;

    /// Whether others have something current on this thread, which a root would be below.
    fn has_others(&self) -> bool;

    /// A span is created on this thread. `takes_current`: what is current may be its parent. A span that is suppressed is not
    /// heard of again.
    fn created(&self, id: u64, takes_current: bool) -> Surroundings;

    /// What others have current on this thread, where the span may still be below it: it has not been entered.
    fn late_parent(&self, id: u64) -> Option<Context>;

    /// A span is entered on this thread, and current from then on. `enter` does so, and is called once; for the first time it tells
    /// who the span is.
    fn enter(&self, id: u64, enter: &mut dyn FnMut(Entering<'_>) -> Option<Told>);

    /// A span is left on this thread.
    fn exited(&self, id: u64);

    /// A span is closed. Returns what others have current on this thread, where it may be below that: it was never entered.
    fn closed(&self, id: u64) -> Option<Context>;
}

/// Another layer that lives in ours and answers for our spans.
pub(crate) trait Guest: fmt::Debug + Send + Sync {
    /// The layer belongs to this dispatcher.
    fn registered(&self, dispatch: &Dispatch);

    /// A part of it by type. What is returned lives as long as the guest.
    fn answer(&self, id: TypeId) -> Option<*const ()>;

    /// A span starts that a guest has asked for ([`Far::bid`]), this one or another. Two threads may start a span at once, each from inside of a guest of
    /// its own: a guest that has given all that it knows of the span waits for nobody here.
    fn starting(&self, id: u64);

    /// A span was closed that a guest has asked for.
    fn closed(&self, id: u64);
}

impl OtlpLayer {
    /// From now on a guest answers for the layer's spans too, before any that does already.
    #[cfg(feature = "_guest")]
    pub(crate) fn hosting(mut self, guest: Box<dyn Guest>) -> Self {
        self.guests.insert(0, guest);
        self
    }

    /// From now on the layer's spans are those of another library too.
    #[cfg(feature = "opentelemetry-0_33")]
    pub(crate) fn surrounded_by(self, ambient: Box<dyn Ambient>) -> Self {
        Self {
            watches: true,
            ambient: Some(ambient),
            is_plain: false,
            ..self
        }
    }

    /// Whether there is an [`Ambient`].
    #[inline(always)]
    pub(super) fn is_surrounded(&self) -> bool {
        cfg!(feature = "opentelemetry-0_33") && self.ambient.is_some()
    }

    /// Whether nothing is to be recorded on this thread now.
    #[cold]
    pub(super) fn is_suppressed(&self) -> bool {
        let ambient = self.ambient.as_ref();
        ambient.is_some_and(|ambient| ambient.is_suppressed())
    }

    /// Whether others have something current on this thread, which a root would be below.
    #[cold]
    pub(super) fn is_below_others(&self) -> bool {
        let ambient = self.ambient.as_ref();
        ambient.is_some_and(|ambient| ambient.has_others())
    }

    /// A span is created where another library has contexts. `false`: it is not recorded, or open already.
    #[cold]
    pub(super) fn is_plainly_surrounded(
        &self,
        template: &Template,
        attributes: &Attributes<'_>,
        id: u64,
    ) -> bool {
        let Some(ambient) = &self.ambient else {
            return true;
        };
        match ambient.created(id, attributes.is_contextual()) {
            Surroundings::Own => true,
            Surroundings::Suppressed => false,
            Surroundings::Others(outer) => {
                let mut place = Place::NOWHERE;
                self.begin(&mut place);
                self.open_undecided(template, attributes, id, &place);
                // It has not started: it has just been made.
                let _ = self.set_parent(id, &outer);
                false
            }
        }
    }

    /// A span starts that somebody waits for. Where that decides about it, its place is returned.
    #[cold]
    pub(super) fn prepare(&self, id: u64) -> Option<Place> {
        for guest in &self.guests {
            guest.starting(id);
        }
        self.store.unbid(id);
        match self.settled(id)? {
            Settled::At(place) => Some(place),
            Settled::Bidden | Settled::Undecided => None,
        }
    }

    /// A span that starts looks once more for a parent, which may have become current since it was created.
    #[cold]
    pub(super) fn adopt(&self, id: u64) {
        let Some(ambient) = &self.ambient else { return };
        if let Some(parent) = ambient.late_parent(id) {
            self.put_below_late(id, &parent);
        }
    }

    fn put_below_late(&self, id: u64, parent: &Context) {
        if self.store.lacks_parent(id) {
            // It may have started.
            let _ = self.set_parent(id, parent);
        }
    }

    /// Has a span entered by `enter` and makes it current.
    #[inline]
    pub(super) fn surround(&self, id: u64, mut enter: impl FnMut()) {
        let Some(ambient) = &self.ambient else {
            return enter();
        };
        ambient.enter(id, &mut |entering| {
            let Entering::First(parent) = entering else {
                enter();
                return None;
            };
            if let Some(parent) = parent {
                self.put_below_late(id, parent);
            }
            enter();
            self.told_of_entered(id)
        });
    }

    /// What others are told of the span that this thread entered last; as a rule it stands in the mirror.
    fn told_of_entered(&self, id: u64) -> Option<Told> {
        let mut place = Place::NOWHERE;
        match self.mirror.current(&mut place) {
            Current::Ours(current) if current == id && !place.has_extra => Some(Told {
                trace: place.ids.trace,
                span: place.ids.span,
                flags: place.flags(),
                context: None,
                far: Far::new(self.way()?, id, place.ids.span),
            }),
            _ => self.told_of(id),
        }
    }

    #[cold]
    fn told_of(&self, id: u64) -> Option<Told> {
        let context = self.context_of(id)?;
        let span = context.span()?;
        Some(Told {
            trace: span.trace_id(),
            span: span.span_id(),
            flags: span.flags(),
            far: Far::new(self.way()?, id, span.span_id()),
            context: Some(Box::new(context)),
        })
    }

    #[inline]
    pub(super) fn leave(&self, id: u64) {
        if let Some(ambient) = &self.ambient {
            ambient.exited(id);
        }
    }

    /// A span is about to be closed.
    #[cold]
    pub(super) fn forget(&self, id: u64) {
        let Some(ambient) = &self.ambient else { return };
        if let Some(parent) = ambient.closed(id) {
            self.put_below_late(id, &parent);
        }
    }

    /// A span was closed that a guest has asked for.
    pub(super) fn part_with(&self, id: u64) {
        for guest in &self.guests {
            guest.closed(id);
        }
    }

    /// The dispatcher that leads back to this layer.
    #[inline]
    fn way(&self) -> Option<WeakDispatch> {
        self.home.dispatch().or_else(|| self.default_way())
    }

    #[cold]
    fn default_way(&self) -> Option<WeakDispatch> {
        let default = ext::default_dispatch();
        let is_there = default.is::<Self>() || default.is::<tracing_subscriber::Registry>();
        is_there.then(|| default.downgrade())
    }
}
