//! Version 0.32.

use ::opentelemetry_0_32 as opentelemetry;
use tracing_otlp::bridge::tracing_opentelemetry_0_33 as bridge;

#[path = "every.rs"]
mod every;
