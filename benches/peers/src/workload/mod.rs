//! The application's work, once with `tracing` and once with fastrace.
//!
//! Values differ from call to call, so that nobody can encode them once; integers are `i64`, the
//! one integer that every stack takes without going through `Debug`.

mod attributes;
mod by_fastrace;
mod by_tracing;

pub use attributes::{ATTRIBUTES, with_attributes};

use crate::stack::Stack;

/// The target that the filter of [`DISABLED`] refuses.
pub const REFUSED_TARGET: &str = "refused";

/// One unit of work, the same for every stack.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name in arguments and tables.
    pub name: &'static str,
    /// The spans that one call makes.
    pub spans: u64,
    by_tracing: fn(i64),
    by_fastrace: fn(i64),
}

/// A root span without attributes.
pub const EMPTY_SPAN: Workload = Workload {
    name: "empty_span",
    spans: 1,
    by_tracing: by_tracing::empty_span,
    by_fastrace: by_fastrace::empty_span,
};

/// Two nested spans, eight attributes in all, one event with a field; entered, exited and closed.
pub const REQUEST: Workload = Workload {
    name: "request",
    spans: 2,
    by_tracing: by_tracing::request,
    by_fastrace: by_fastrace::request,
};

/// A root span with ten attributes.
pub const TEN_ATTRIBUTES: Workload = Workload {
    name: "ten_attributes",
    spans: 1,
    by_tracing: by_tracing::ten_attributes,
    by_fastrace: by_fastrace::ten_attributes,
};

/// An empty root span with one event that has a field; the event costs what this costs more than
/// [`EMPTY_SPAN`].
pub const EVENT: Workload = Workload {
    name: "event_in_span",
    spans: 1,
    by_tracing: by_tracing::event_in_span,
    by_fastrace: by_fastrace::event_in_span,
};

/// A span that a filter of the layer's own refuses, decided anew for each span.
///
/// fastrace has no filters; its nearest is a local span without a parent, which it ignores.
pub const DISABLED: Workload = Workload {
    name: "disabled_span",
    spans: 0,
    by_tracing: by_tracing::disabled_span,
    by_fastrace: by_fastrace::disabled_span,
};

impl Workload {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 5] = [EMPTY_SPAN, REQUEST, TEN_ATTRIBUTES, EVENT, DISABLED];

    /// The workload of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name == name)
    }

    /// The function to call, with a number that differs from call to call.
    pub fn for_stack(self, stack: Stack) -> fn(i64) {
        match stack {
            Stack::Fastrace => self.by_fastrace,
            _ => self.by_tracing,
        }
    }

    /// Whether the stack must be installed with the filter.
    pub fn needs_filter(self) -> bool {
        self.name == DISABLED.name
    }
}
