//! The crate `opentelemetry`, version 0.33.
//!
//! With the feature `opentelemetry-0_33`, spans of `tracing` and spans of OpenTelemetry's API are in the same traces:
//!
//! - While a span of `tracing` is entered, its context is `opentelemetry::Context::current()`, so that whoever looks there
//!   (log appenders, propagators, libraries that are instrumented by the API) finds it, and can set attributes and add events. Its
//!   `end` does nothing: such a span ends when it is closed.
//! - A span of `tracing` that is created inside of a context of theirs is below that context's span, and carries its baggage. A
//!   root looks once more when it starts, since a middleware may attach the caller's context between a span's creation and its first enter.
//! - Where telemetry is suppressed (`Context::enter_telemetry_suppressed_scope`), nothing is recorded.
//! - [`TracerProvider`] makes their tracers. What these record goes through the same sampler, limits, encoder, queue and exporter.
//! - [`ContextPropagator`] reads and writes contexts in the forms of the pipeline, and [`propagator()`] makes theirs one of those.
//!
//! [`set_global`] makes the last two known to libraries that ask for the global ones.
//!
//! [`Builder::with_context_activation`](crate::Builder::with_context_activation) switches the first three off, which the feature
//! switches on. That is the one thing that a feature of this crate changes: who builds the bridge in wants it, and a program of which a
//! dependency enables it sees it only where it uses contexts of theirs. A span then takes about a quarter of a microsecond more, and each
//! further time that it is entered a twentieth. What is kept of each open span for it, some 300 bytes and its baggage, is beside the memory
//! limit, as the Registry's own data are.
//!
//! In one subscriber with another layer that activates contexts, such as tracing-opentelemetry's, one of the two should not.
//!
//! ```
//! use opentelemetry::trace::{Span as _, Tracer as _};
//! use tracing_otlp::bridge::opentelemetry_0_33;
//! # struct Discard;
//! # impl tracing_otlp::Transport for Discard {
//! #     fn send(&self, _: tracing_otlp::Request) -> tracing_otlp::Sending {
//! #         Box::pin(async { Ok(tracing_otlp::Answer::delivered()) })
//! #     }
//! # }
//!
//! let (_layer, guard) = tracing_otlp::layer().with_transport(Discard).build()?;
//! opentelemetry_0_33::set_global(&guard.handle());
//!
//! let mut span = opentelemetry::global::tracer("shop").start("checkout");
//! span.end();
//! # Ok::<(), tracing_otlp::Error>(())
//! ```

mod active;
#[path = "../opentelemetry/mod.rs"]
pub(in crate::bridge) mod api;
mod kind;
mod tracer;

use ::opentelemetry;

pub(crate) use self::active::Active;
pub use self::api::{ContextPropagator, Span, propagator, span_context, span_id, trace_id};
#[cfg(feature = "opentelemetry-sdk-0_33")]
pub(super) use self::kind::{kind, kind_of};
pub use self::tracer::{Tracer, TracerProvider};

/// Makes a pipeline's tracers and its propagators the global ones, which libraries that are instrumented by OpenTelemetry's API use.
///
/// Which are global is for the program to say, once: libraries do not.
///
/// Takes a [`Handle`](crate::Handle).
pub fn set_global<'h, Handle>(handle: &'h Handle)
where
    ContextPropagator: From<&'h Handle>,
    TracerProvider: From<&'h Handle>,
{
    opentelemetry::global::set_text_map_propagator(ContextPropagator::from(handle));
    opentelemetry::global::set_tracer_provider(TracerProvider::from(handle));
}
