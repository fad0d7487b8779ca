//! What the layer makes of spans and events, against the decoded bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails its test"
)]

mod activity;
mod bad_luck;
mod callsite;
mod compat;
mod current;
mod disabled;
mod event_parents;
mod exceptions;
mod ext;
mod golden;
mod isolation;
mod keys;
mod limits;
mod logs;
mod open_spans;
mod options;
mod oracle;
mod parents;
mod processors;
mod propagation;
mod random_filters;
mod random_traces;
mod rate_limits;
mod reach;
mod redaction;
mod resource;
mod sampling;
mod shown;
mod spec;
mod special;
mod starting;
mod tail;
mod threads;
mod time;
mod user_code;
mod values;
mod wrappers;
