//! What a gRPC server answers: any status, message, details and body.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracing_otlp::fuzz::grpc_answer(bytes));
