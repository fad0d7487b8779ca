//! As much of `src/proto` as chunks are made with.

#[path = "../../../src/proto/request.rs"]
pub(crate) mod request;
#[path = "../../../src/proto/wire.rs"]
pub(crate) mod wire;
