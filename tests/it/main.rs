//! The integration tests, in one binary. The folders mirror `src`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod export;
mod layer;
mod modes;
mod rig;
mod structure;
mod support;
