//! tracing-opentelemetry's trait on spans of ours.

#![allow(
    clippy::duplicate_mod,
    reason = "the same tests, with each version's types"
)]

mod both;
mod of_0_33;
mod of_0_34;
