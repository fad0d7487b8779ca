//! An endpoint: any text.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| tracing_otlp::fuzz::endpoint(text));
