//! Models of the queue's protocols, and of how a span starts: `cargo test -p loom-models --release`.
//!
//! The modules are those of the crate itself, compiled over loom's atomics and over locked models of crossbeam's cell and
//! queue (see `src/sync.rs`). Loom then runs each model under every interleaving, up to three or four preemptions.

#![allow(
    dead_code,
    unused_imports,
    reason = "the models use a part of each module"
)]
#![allow(
    clippy::all,
    clippy::unwrap_used,
    reason = "the crate itself is linted; a model fails by panicking"
)]

#[path = "../../../src/layer/fresh.rs"]
mod fresh;
#[path = "../../../src/queue/mod.rs"]
mod queue;
#[path = "../../../src/sync.rs"]
mod sync;

mod proto;

#[cfg(test)]
mod models;
#[cfg(test)]
mod starts;
