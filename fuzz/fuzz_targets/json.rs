//! What is made JSON of: any bytes. What comes out is JSON, or nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracing_otlp::fuzz::json(bytes));
