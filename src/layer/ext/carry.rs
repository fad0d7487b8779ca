//! Contexts on their way into and out of carriers, in the forms of the pipeline.

use tracing::Span;
use tracing_core::Dispatch;

use super::SpanExt;
use super::reach;
use crate::context::{Context, Extractor, Injector, Propagators};
use crate::layer::OtlpLayer;

/// Writes the context of a span into a carrier, such as the headers of a request that is about to be sent.
///
/// What is written is [`SpanExt::context`], so that a disabled span passes on what it stands in, and the span starts. The
/// forms are those of the span's pipeline; where that has none, those of the current one; else W3C Trace Context and Baggage.
/// (The specification's global propagators, which do nothing unless they are set, do not exist here: there is no global.)
///
/// ```
/// use std::collections::HashMap;
///
/// let span = tracing::info_span!("call", otel.kind = "client");
/// let mut headers = HashMap::<String, String>::new();
/// tracing_otlp::inject(&span, &mut headers);
/// ```
pub fn inject(span: &Span, carrier: &mut impl Injector) {
    let of_span = span.with_subscriber(|(_, dispatch)| propagators_of(dispatch));
    let propagators = of_span.flatten().unwrap_or_else(current_propagators);
    propagators.inject(&span.context(), carrier);
}

/// Reads the context that a carrier holds, such as the headers of a request that has come in. It is empty where there is none, or
/// none that is valid. It never fails.
///
/// The forms are those of the current pipeline; where there is none, W3C Trace Context and Baggage.
///
/// ```
/// use std::collections::HashMap;
/// use tracing_otlp::SpanExt;
///
/// fn handle(headers: &HashMap<String, String>) {
///     let span = tracing::info_span!("request", otel.kind = "server");
///     let _ = span.set_parent(tracing_otlp::extract(headers));
///     let _entered = span.entered();
/// }
/// ```
pub fn extract(carrier: &impl Extractor) -> Context {
    current_propagators().extract(carrier)
}

fn current_propagators() -> Propagators {
    propagators_of(&reach::default_dispatch()).unwrap_or_default()
}

fn propagators_of(dispatch: &Dispatch) -> Option<Propagators> {
    reach::any_layer(dispatch, |layer: &OtlpLayer| {
        layer.parts.propagators.clone()
    })
}
