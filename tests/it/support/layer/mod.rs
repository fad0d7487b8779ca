//! For tests of the layer: a pipeline of a test's own, what it exported as prost decodes it, and what holds of all of it.

#![allow(
    dead_code,
    unused_imports,
    reason = "two test binaries use this, and neither uses all of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails its test"
)]

mod exported;
mod logged;
mod pipeline;
mod same;
pub(crate) mod user_code;
mod valid;

pub(crate) use self::exported::{
    Attributed, Exported, Spans, bytes, double, int, no_value, text, texts, truth,
};
pub(crate) use self::logged::{Logged, Logs, Signals, decode_logs, exported_with, logged};
pub(crate) use self::pipeline::{Everything, Pipeline, hiding_debug, record, record_with};
