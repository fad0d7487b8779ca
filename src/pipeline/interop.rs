//! What bridges to other libraries need of a pipeline.

#[cfg(feature = "opentelemetry-sdk-0_33")]
use std::sync::Arc;

#[cfg(feature = "opentelemetry-0_33")]
use super::builder::Builder;
use super::guard::Handle;
use crate::bridge;
#[cfg(feature = "opentelemetry-0_33")]
use crate::bridge::opentelemetry_0_33::{Active, TracerProvider};
#[cfg(feature = "opentelemetry-sdk-0_33")]
use crate::bridge::opentelemetry_sdk_0_33::PipelineExporter;
#[cfg(feature = "opentelemetry-0_33")]
use crate::layer::Manual;
use crate::layer::OtlpLayer;

#[cfg(feature = "opentelemetry-0_33")]
impl Builder {
    /// Whether a span that is entered is the active context of OpenTelemetry's API, as far as a feature for that is enabled, and
    /// what is active there is the parent of roots (see [`bridge`](crate::bridge)). On by default with such a feature.
    pub fn with_context_activation(mut self, on: bool) -> Self {
        self.context_activation = Some(on);
        self
    }
}

/// A layer that others have a part in, whichever are enabled.
pub(super) fn bridged(layer: OtlpLayer) -> OtlpLayer {
    #[cfg(feature = "tracing-opentelemetry-0_33")]
    let layer = layer.hosting(Box::new(bridge::tracing_opentelemetry_0_33::Embed::new()));
    #[cfg(feature = "tracing-opentelemetry-0_34")]
    let layer = layer.hosting(Box::new(bridge::tracing_opentelemetry_0_34::Embed::new()));
    layer
}

/// A layer whose spans are the active contexts of OpenTelemetry's API, unless that is switched off.
#[cfg(feature = "opentelemetry-0_33")]
pub(super) fn activating(layer: OtlpLayer, context_activation: Option<bool>) -> OtlpLayer {
    if context_activation.unwrap_or(true) {
        layer.surrounded_by(Box::new(Active::new()))
    } else {
        layer
    }
}

#[cfg(feature = "opentelemetry-0_33")]
impl From<&Handle> for TracerProvider {
    fn from(handle: &Handle) -> Self {
        let (parts, (record, [limits, _])) = handle.parts();
        Self::new(Manual::new(parts, record, limits))
    }
}

#[cfg(feature = "opentelemetry-0_33")]
impl From<&Handle> for bridge::opentelemetry_0_33::ContextPropagator {
    fn from(handle: &Handle) -> Self {
        Self::new(handle.propagators())
    }
}

#[cfg(feature = "tracing-opentelemetry-0_33")]
impl From<&Handle> for bridge::tracing_opentelemetry_0_33::ContextPropagator {
    fn from(handle: &Handle) -> Self {
        Self::new(handle.propagators())
    }
}

#[cfg(feature = "opentelemetry-sdk-0_33")]
impl From<&Handle> for PipelineExporter {
    fn from(handle: &Handle) -> Self {
        let (parts, (_, [of_spans, of_logs])) = handle.parts();
        let handle = handle.clone();
        let flush = move |timeout| handle.flush(timeout).map(drop);
        Self::new(parts, of_spans, of_logs, Arc::new(flush))
    }
}
