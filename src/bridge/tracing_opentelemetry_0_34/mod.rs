//! The crate `tracing-opentelemetry`, version 0.34.
//!
//! With the feature `tracing-opentelemetry-0_34`, its `OpenTelemetrySpanExt` and `get_otel_context` work on spans of this crate's layer, so that
//! middlewares that set parents and read contexts by it go on working, unchanged. There is nothing to call: the feature is enough.
//!
//! Nothing is done for a span on which nobody calls these. On one where somebody does, the first call takes about two microseconds.
//!
//! - `set_parent` works until the span starts, as [`SpanExt::set_parent`](crate::SpanExt::set_parent) does, and answers `AlreadyStarted` afterwards. An
//!   empty context changes nothing.
//! - Attributes, links, events and status are those of our span.
//! - Of several layers in one subscriber that answer, theirs or ours, the outermost does. Behind `reload` none is found, as with theirs.
//!
//! It rests on how their crate finds its layer. That is tried when the layer joins its subscriber (inside of `Option` or `Vec`, when somebody first asks): should a patch release
//! have changed it, stderr says so once and their traits find no layer.

#[path = "../tracing_opentelemetry/mod.rs"]
mod embed;

use ::{opentelemetry, tracing_opentelemetry};

pub(crate) use self::embed::Embed;
use super::opentelemetry_0_33::api;

const FEATURE: &str = "tracing-opentelemetry-0_34";
