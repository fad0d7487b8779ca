//! Ids, contexts and headers, ours as theirs and back.

#![allow(
    clippy::duplicate_mod,
    reason = "the same tests, with each version's types"
)]

mod of_0_32;
mod of_0_33;
