//! The one place that knows all parts: from a builder to a layer and the guard of its exporter.

mod builder;
mod guard;
#[cfg(feature = "init")]
mod init;
mod resolve;

pub use self::builder::{Builder, Events, layer};
pub use self::guard::{Guard, Handle};
#[cfg(feature = "init")]
pub use self::init::init;
