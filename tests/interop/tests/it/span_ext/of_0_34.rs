//! Version 0.34, which is for opentelemetry 0.33.

use ::{opentelemetry, tracing_opentelemetry};

#[path = "every.rs"]
mod every;
