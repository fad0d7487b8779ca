//! What stands in the environment: any text.

#![no_main]

libfuzzer_sys::fuzz_target!(|value: &str| tracing_otlp::fuzz::environment(value));
