//! What the benches of `tracing-otlp` share, so that every stack is measured by the same rule.
//!
//! A *stack* is a way to trace (no-op layer, ours, tracing-opentelemetry, fastrace); a *workload*
//! is the application's work; a *sink* or the *receiver* takes what the stack exports. Each stack
//! runs in a process of its own with its subscriber as the global default, as in a real program:
//! a scoped subscriber would switch off tracing's fast path for all of them.
//!
//! | Program | Answers |
//! |---|---|
//! | `cargo bench -p peers --bench hot_path` | time on the application's threads, exporter a sink |
//! | `cargo bench -p peers --bench encode_now` | encode at once, or copy and encode later |
//! | `cargo run --release -p peers --bin instructions` | instructions a request, by callgrind |
//! | `cargo run --release -p peers --bin semantics` | instructions of sampling, contexts, links, errors and limits |
//! | `cargo run --release -p peers --bin bridges` | instructions and CPU of OpenTelemetry's API and of tracing-opentelemetry's trait, unused and used |
//! | `cargo run --release -p peers --bin logs` | instructions, allocations and CPU of a log, beside opentelemetry-appender-tracing |
//! | `cargo run --release -p peers --bin end_to_end` | CPU, allocations, losses, memory, over gRPC; ours by transport, and without a collector |
//! | `cargo run --release -p peers --bin scale` | cost by open spans, attributes and threads |
//! | `cargo run --release -p peers --bin latency` | how long closing a span takes at worst |
//! | `cargo run --release -p peers --bin connections` | whether several connections to one address help |
//! | `cargo run --release -p peers --bin endpoints` | how late records are where one of three endpoints has trouble |

pub mod allocations;
pub mod arguments;
pub mod callgrind;
pub mod chart;
pub mod collector;
pub mod machine;
pub mod pace;
pub mod process;
pub mod receiver;
pub mod sink;
pub mod stack;
pub mod table;
pub mod transport;
pub mod unit;
pub mod wire;
pub mod workload;
