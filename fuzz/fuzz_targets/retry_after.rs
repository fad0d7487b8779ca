//! When a server says to come back: any text, a header a line.

#![no_main]

libfuzzer_sys::fuzz_target!(|value: &str| tracing_otlp::fuzz::retry_after(value));
