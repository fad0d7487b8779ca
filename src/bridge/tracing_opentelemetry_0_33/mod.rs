//! The crate `tracing-opentelemetry`, version 0.33, with version 0.32 of `opentelemetry`, for middlewares that lag behind.
//!
//! With the feature `tracing-opentelemetry-0_33`, its `OpenTelemetrySpanExt` and `get_otel_context` work on spans of this crate's layer, as
//! those of version 0.34 do with the feature for that (see its module). Both may be enabled: whichever middleware says something of a
//! span says it of the same one. Nothing is done for a span on which nobody calls these.
//!
//! Middlewares read and write headers by the global propagator of their version of `opentelemetry`: [`set_global`] registers the pipeline's.
//!
//! Contexts go both ways by `From`, as with the current version. That is all of 0.32: spans that are entered do not become its
//! `Context::current()`, which costs something each time and is done for the current version alone, and there is no tracer of it.
//!
//! ```
//! use tracing_otlp::bridge::tracing_opentelemetry_0_33;
//! # struct Discard;
//! # impl tracing_otlp::Transport for Discard {
//! #     fn send(&self, _: tracing_otlp::Request) -> tracing_otlp::Sending {
//! #         Box::pin(async { Ok(tracing_otlp::Answer::delivered()) })
//! #     }
//! # }
//!
//! let (_layer, guard) = tracing_otlp::layer().with_transport(Discard).build()?;
//! tracing_opentelemetry_0_33::set_global(&guard.handle());
//! # Ok::<(), tracing_otlp::Error>(())
//! ```

#[path = "../opentelemetry/mod.rs"]
mod api;
#[path = "../tracing_opentelemetry/mod.rs"]
mod embed;

use ::opentelemetry_0_32 as opentelemetry;
use ::tracing_opentelemetry_0_33 as tracing_opentelemetry;

pub use self::api::{ContextPropagator, Span, propagator, span_context, span_id, trace_id};
pub(crate) use self::embed::Embed;

const FEATURE: &str = "tracing-opentelemetry-0_33";

/// Makes a pipeline's propagators the global ones of `opentelemetry` 0.32.
///
/// Which are global is for the program to say, once: libraries do not.
///
/// Takes a [`Handle`](crate::Handle).
pub fn set_global<'h, Handle>(handle: &'h Handle)
where
    ContextPropagator: From<&'h Handle>,
{
    opentelemetry::global::set_text_map_propagator(ContextPropagator::from(handle));
}
