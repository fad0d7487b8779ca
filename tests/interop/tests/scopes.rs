//! Scopes are kept for as long as the process lives, so this has a process of its own.

#![allow(missing_docs, reason = "a test")]

use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use tracing_otlp::bridge::opentelemetry_0_33::TracerProvider;

use interop::Pipeline;

#[test]
fn a_program_that_makes_up_scopes_does_not_lose_its_memory() {
    let (_layer, pipeline) = Pipeline::new();
    let provider = TracerProvider::from(&pipeline.handle());
    for number in 0..2000 {
        provider
            .tracer(format!("made up {number}"))
            .start("span")
            .end();
    }
    let spans = pipeline.spans();
    assert_eq!(spans.len(), 2000);
    let nameless = spans.iter().filter(|span| span.scope.is_empty()).count();
    assert!((900..1100).contains(&nameless), "{nameless}");
}
