//! The kinds of spans, for what makes spans of theirs and ours.

use opentelemetry::trace as otel;

use crate::model::SpanKind;

pub(in crate::bridge) fn kind(theirs: Option<&otel::SpanKind>) -> SpanKind {
    match theirs {
        None | Some(otel::SpanKind::Internal) => SpanKind::Internal,
        Some(otel::SpanKind::Client) => SpanKind::Client,
        Some(otel::SpanKind::Server) => SpanKind::Server,
        Some(otel::SpanKind::Producer) => SpanKind::Producer,
        Some(otel::SpanKind::Consumer) => SpanKind::Consumer,
    }
}

#[cfg(feature = "opentelemetry-sdk-0_33")]
pub(in crate::bridge) fn kind_of(ours: SpanKind) -> otel::SpanKind {
    match ours {
        SpanKind::Internal => otel::SpanKind::Internal,
        SpanKind::Client => otel::SpanKind::Client,
        SpanKind::Server => otel::SpanKind::Server,
        SpanKind::Producer => otel::SpanKind::Producer,
        SpanKind::Consumer => otel::SpanKind::Consumer,
    }
}
