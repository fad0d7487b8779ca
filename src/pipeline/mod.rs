//! The one place that knows all parts: from a builder to a layer and the guard of its exporter.

mod assemble;
mod builder;
mod destination;
mod explain;
mod exporter;
mod guard;
#[cfg(feature = "init")]
mod init;
#[cfg(feature = "_bridge")]
mod interop;
mod panic;
mod resolve;
mod restraint;

#[cfg(test)]
#[path = "memory/tests.rs"]
mod tests_of_memory;

#[cfg(test)]
#[path = "signals/tests.rs"]
mod tests_of_signals;

pub use self::builder::{Builder, layer};
pub use self::explain::Explanation;
pub use self::exporter::Exporter;
pub use self::guard::{Guard, Handle};
#[cfg(feature = "init")]
pub use self::init::init;
