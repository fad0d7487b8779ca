//! One of several destinations.

use std::fmt;

use super::destination::Wanted;
use crate::export::Transport;
use crate::signal::Signal;

/// One destination, for [`Builder::with_exporter`](crate::Builder::with_exporter): where and how to send, which signals, and a name.
///
/// Its methods about the destination are those of [`Builder`](crate::Builder), which are the short form for a pipeline with a single
/// one. But where these name a variable of the environment as a default, that holds only for [`Exporter::from_environment`]: what
/// is meant for one collector, its credentials above all, must not reach another one.
///
/// ```
/// use tracing_otlp::{Exporter, Signal};
///
/// let (_layer, guard) = tracing_otlp::layer()
///     .with_exporter(Exporter::from_environment("collector"))
///     .with_exporter(
///         Exporter::new("vendor")
///             .with_endpoint("http://127.0.0.1:4317")
///             .with_header("x-api-key", "secret")
///             .with_signals([Signal::Traces]),
///     )
///     .build()?;
/// let vendor = guard.handle().stats_of_destination("vendor");
/// # drop((vendor, guard));
/// # Ok::<(), tracing_otlp::Error>(())
/// ```
#[must_use = "an exporter does nothing until a builder has it"]
pub struct Exporter {
    pub(super) name: String,
    pub(super) destination: Wanted,
    pub(super) transport: Option<Box<dyn Transport>>,
    /// `None`: all.
    pub(super) signals: Option<Vec<Signal>>,
    pub(super) from_environment: bool,
}

impl Exporter {
    /// A destination of which the environment says nothing. `build` fails for an empty name, and for one that stands twice.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            destination: Wanted::default(),
            transport: None,
            signals: None,
            from_environment: false,
        }
    }

    /// The destination that the environment describes, as far as the code does not.
    pub fn from_environment(name: impl Into<String>) -> Self {
        Self {
            from_environment: true,
            ..Self::new(name)
        }
    }

    /// The signals that it gets. Default: all that there are records of.
    pub fn with_signals(mut self, signals: impl IntoIterator<Item = Signal>) -> Self {
        self.signals = Some(signals.into_iter().collect());
        self
    }

    /// A way out of one's own, instead of OTLP to an endpoint: what else is said about the destination has no effect then, but its
    /// time-out.
    pub fn with_transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Whether it gets records of this signal.
    pub(super) fn wants(&self, signal: Signal) -> bool {
        let signals = self.signals.as_ref();
        signals.is_none_or(|signals| signals.contains(&signal))
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("name", &self.name)
            .field("destination", &self.destination)
            .field("signals", &self.signals)
            .finish_non_exhaustive()
    }
}
