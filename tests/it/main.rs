//! The integration tests, in one binary. The folders mirror `src`.

mod export;
mod layer;
mod structure;
mod support;
