//! A span as someone knows it who may keep it for longer than it lives, and on another thread.

#![cfg_attr(
    not(feature = "_bridge"),
    allow(dead_code, reason = "only a bridge makes use of it")
)]

use std::time::SystemTime;

use tracing_core::dispatcher::WeakDispatch;
use tracing_core::span::Id;

use super::ext::{At, write};
use crate::id::SpanId;
use crate::model::{Status, Value};

#[cfg(feature = "_bridge")]
use super::manual::Manual;
#[cfg(feature = "_bridge")]
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
    #[cfg(feature = "_bridge")]
    Manual(Arc<Manual>),
}

impl Far {
    pub(super) fn new(dispatch: WeakDispatch, id: u64, span: SpanId) -> Self {
        Self {
            way: Way::Dispatch(dispatch),
            id,
            span,
        }
    }

    #[cfg(feature = "_bridge")]
    pub(super) fn by_hand(manual: Arc<Manual>, id: u64, span: SpanId) -> Self {
        Self {
            way: Way::Manual(manual),
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
            #[cfg(feature = "_bridge")]
            Way::Manual(manual) => work(At::Layer(manual.layer(), self.id)),
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

    #[cfg(feature = "_bridge")]
    pub(super) fn id(&self) -> u64 {
        self.id
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
        to: &crate::context::SpanContext,
        attributes: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    ) {
        self.with(|at| write::add_link(at, to, attributes));
    }
}
