//! What an HTTP server answers: any status, headers and body.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracing_otlp::fuzz::http_answer(bytes));
