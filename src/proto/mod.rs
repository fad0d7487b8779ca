//! The wire: primitives, and one OTLP message a file (opentelemetry-proto 1.11).
//!
//! We write these messages ourselves, since a record is written front to back as it happens and no generated type can be
//! half written. prost's types are the oracle of the tests and nothing more.

pub(crate) mod common;
#[cfg(any(feature = "http-json", feature = "file"))]
pub(crate) mod json;
pub(crate) mod logs;
pub(crate) mod request;
pub(crate) mod resource;
#[cfg(any(feature = "grpc", feature = "http", test, fuzzing))]
pub(crate) mod response;
pub(crate) mod runs;
#[cfg(feature = "opentelemetry-0_33")]
pub(crate) mod scope;
pub(crate) mod shorten;
pub(crate) mod trace;
pub(crate) mod value;
pub(crate) mod wire;
