//! A span as someone knows it who may keep it for longer than it lives, and on another thread.

#![cfg_attr(
    not(all(feature = "_guest", feature = "opentelemetry-0_33")),
    allow(dead_code, reason = "only a bridge makes use of all of it")
)]

use std::time::SystemTime;

use tracing_core::dispatcher::{Dispatch, WeakDispatch};
use tracing_core::span::Id;

use super::ext::{At, write};
use crate::context::{Baggage, Context, SpanContext};
use crate::id::SpanId;
use crate::model::{Status, Value};

#[cfg(feature = "opentelemetry-0_33")]
use super::manual::{Manual, Scope};
#[cfg(feature = "opentelemetry-0_33")]
use std::sync::Arc;

/// The way to a span from afar. It does not keep the span open.
#[derive(Clone, Debug)]
pub(crate) struct Far {
    way: Way,
    id: u64,
    /// Another span may have got the id since.
    span: SpanId,
}

#[derive(Clone, Debug)]
enum Way {
    Dispatch(WeakDispatch),
    /// A span that is begun and ended by hand, and who records it.
    #[cfg(feature = "opentelemetry-0_33")]
    Manual(Arc<Manual>, &'static Scope),
}

impl Far {
    pub(super) fn new(dispatch: WeakDispatch, id: u64, span: SpanId) -> Self {
        Self {
            way: Way::Dispatch(dispatch),
            id,
            span,
        }
    }

    #[cfg(feature = "opentelemetry-0_33")]
    pub(super) fn by_hand(
        manual: Arc<Manual>,
        scope: &'static Scope,
        id: u64,
        span: SpanId,
    ) -> Self {
        Self {
            way: Way::Manual(manual, scope),
            id,
            span,
        }
    }

    /// Works with the span if it is still open.
    fn with(&self, work: impl FnOnce(At<'_>)) {
        match &self.way {
            Way::Dispatch(dispatch) => {
                let Some(dispatch) = dispatch.upgrade() else {
                    return;
                };
                let id = Id::from_u64(self.id);
                let at = At::Dispatch(&dispatch, &id);
                if self.is_at(at) {
                    work(at);
                }
            }
            #[cfg(feature = "opentelemetry-0_33")]
            Way::Manual(manual, _) => work(At::Layer(manual.layer(), self.id)),
        }
    }

    fn is_at(&self, at: At<'_>) -> bool {
        let expected = self.span;
        let is_same = at.with(move |layer, id| {
            let place = layer.store.place(id);
            place.is_some_and(|place| place.ids.span == expected)
        });
        is_same == Some(true)
    }

    /// The way to a span that a layer of the dispatcher has.
    pub(crate) fn find(dispatch: &Dispatch, id: u64) -> Option<Self> {
        let at = Id::from_u64(id);
        let place = At::Dispatch(dispatch, &at).with(|layer, id| layer.store.place(id))?;
        Some(Self::new(dispatch.downgrade(), id, place?.ids.span))
    }

    /// The dispatcher that leads to the span, while there is one.
    pub(crate) fn dispatch(&self) -> Option<Dispatch> {
        match &self.way {
            Way::Dispatch(dispatch) => dispatch.upgrade(),
            #[cfg(feature = "opentelemetry-0_33")]
            Way::Manual(..) => None,
        }
    }

    /// Has the guests of the layer told when the span is closed, and before it starts if it has not. Says whether it has; `None` where it is
    /// closed.
    pub(crate) fn bid(&self) -> Option<bool> {
        let mut has_started = None;
        self.with(|at| has_started = at.with(|layer, id| layer.store.bid(id)).flatten());
        has_started
    }

    /// Whether the span is begun and ended by hand. Any other ends when `tracing` closes it.
    pub(crate) fn is_by_hand(&self) -> bool {
        match self.way {
            Way::Dispatch(_) => false,
            #[cfg(feature = "opentelemetry-0_33")]
            Way::Manual(..) => true,
        }
    }

    /// Ends a span that is ended by hand, in UNIX nanoseconds. A second call finds nothing to do.
    #[cfg_attr(
        not(feature = "opentelemetry-0_33"),
        allow(unused_variables, reason = "no span is ended by hand")
    )]
    pub(crate) fn end(&self, end: u64) {
        match &self.way {
            Way::Dispatch(_) => {}
            #[cfg(feature = "opentelemetry-0_33")]
            Way::Manual(manual, scope) => manual.end(self.id, scope, end),
        }
    }

    /// What the span carries along, as far as that is known. It does not start by this.
    pub(crate) fn baggage(&self) -> Baggage {
        let mut baggage = None;
        self.with(|at| baggage = at.with(|layer, id| layer.store.extra(id).baggage));
        baggage.unwrap_or_default()
    }

    /// Puts the span below another one, if it has not started.
    pub(crate) fn set_parent(&self, parent: &Context) {
        let parent = parent.clone();
        self.with(|at| {
            at.with(move |layer, id| layer.set_parent(id, &parent));
        });
    }

    /// Starts the span, and tells what others are told of it.
    pub(crate) fn start(&self) -> Option<Context> {
        let mut context = None;
        self.with(|at| context = at.with(|layer, id| layer.context_of(id)).flatten());
        context
    }

    /// Whether the span is open, and recorded.
    pub(crate) fn is_recording(&self) -> bool {
        let mut is_recording = false;
        self.with(|at| {
            let found = at.with(|layer, id| layer.store.place(id));
            is_recording = found.flatten().is_some_and(|place| place.is_recorded);
        });
        is_recording
    }

    pub(crate) fn set_attribute(&self, key: &str, value: Value<'_>) {
        self.with(|at| write::set_attribute(at, key, value));
    }

    pub(crate) fn set_status(&self, status: Status) {
        self.with(|at| write::set_status(at, status));
    }

    pub(crate) fn update_name(&self, name: &str) {
        self.with(|at| write::update_name(at, name));
    }

    pub(crate) fn add_event<'a>(
        &self,
        name: &str,
        time: SystemTime,
        attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    ) {
        self.with(|at| write::add_event(at, name, Some(time), attributes));
    }

    pub(crate) fn add_link<'a>(
        &self,
        to: &SpanContext,
        attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    ) {
        self.with(|at| write::add_link(at, to, attributes));
    }
}
