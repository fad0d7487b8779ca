//! The headers that a context comes in, each with its text: a line a header, in the order of the fields.

#![no_main]

libfuzzer_sys::fuzz_target!(|lines: &str| tracing_otlp::fuzz::propagators(lines));
