//! A list of headers in the environment: any text.

#![no_main]

libfuzzer_sys::fuzz_target!(|list: &str| tracing_otlp::fuzz::headers(list));
