//! What a server answers: any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracing_otlp::fuzz::response(bytes));
