//! What their builders say of a span that begins.

use super::convert;
use super::opentelemetry::trace::SpanBuilder;
use crate::layer::Far;

/// What a builder says beside name, kind and start, as a sampler may see it. The span does not start by it.
pub(in crate::bridge) fn describe(builder: &SpanBuilder, far: &Far) {
    for pair in builder.attributes.iter().flatten() {
        far.set_attribute(pair.key.as_str(), convert::value(&pair.value));
    }
    for link in builder.links.iter().flatten() {
        if let Some(to) = convert::span_context(&link.span_context) {
            far.add_link(&to, convert::pairs(&link.attributes));
        }
    }
}

/// What a builder says that is told when the span has started.
pub(in crate::bridge) fn add_events(builder: &SpanBuilder, far: &Far) {
    for event in builder.events.iter().flatten() {
        far.add_event(
            &event.name,
            event.timestamp,
            convert::pairs(&event.attributes),
        );
    }
}
