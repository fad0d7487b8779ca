//! What is the same for each version of the crate `opentelemetry`: ids, contexts, values, propagators, and spans behind contexts.
//!
//! Each version's folder compiles these files for itself, and names its crate `opentelemetry` beforehand.

pub(in crate::bridge) mod convert;
mod describe;
mod propagator;
mod span;

use super::opentelemetry;

pub use self::convert::{span_context, span_id, trace_id};
pub(in crate::bridge) use self::describe::{add_events, describe};
pub use self::propagator::{ContextPropagator, propagator};
pub use self::span::Span;
