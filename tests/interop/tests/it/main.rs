//! The bridges, with the crates that they are for, unchanged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod api;
mod context;
mod convert;
mod lagging;
mod middleware;
mod processes;
mod sdk;
mod span_ext;
