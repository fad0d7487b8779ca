//! The resource: who the records are about, as it is found and put together before anything is recorded.
//!
//! Detectors look at the process and its surroundings through a [`World`]; what they find, what the environment says and what
//! the code says is merged, the later over the earlier.

mod detect;
mod entity;
mod instance;
mod merge;
mod world;

pub use self::detect::Detector;
pub(crate) use self::entity::{Entity, consistent};
pub(crate) use self::merge::{Attribute, Merged, SchemaUrl, is_schema_url};
pub(crate) use self::world::World;

/// The semantic conventions that the detectors' attributes follow.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

#[cfg(test)]
pub(crate) mod tests;
