//! Version 0.33, which is for opentelemetry 0.32.

use ::opentelemetry_0_32 as opentelemetry;
use ::tracing_opentelemetry_0_33 as tracing_opentelemetry;

#[path = "every.rs"]
mod every;
