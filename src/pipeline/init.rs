//! The one line: Registry, a filter by `RUST_LOG`, a layer for people, and ours.

use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use super::builder::{Builder, layer};
use super::guard::Guard;
use crate::error::Error;
use crate::say::say;

/// Spans of the HTTP and gRPC middleware around `tracing` are at TRACE; a trace breaks where they are disabled.
const MIDDLEWARE: &str = "otel::tracing=trace";
const DEFAULT: &str = "info";

/// Sets up `tracing` for a program, by the environment alone: spans and events that `RUST_LOG` lets pass (default `info`)
/// are exported to `OTEL_EXPORTER_OTLP_ENDPOINT` (default `http://localhost:4317`) and shown on stderr.
///
/// ```no_run
/// fn main() -> Result<(), tracing_otlp::Error> {
///     let _guard = tracing_otlp::init()?;
///     tracing::info_span!("work").in_scope(|| tracing::info!("done"));
///     Ok(())
/// }
/// ```
///
/// The lines on stderr have no ids of traces. Where they should lead to their trace, the subscriber is set up by hand, and its `fmt` layer
/// has the format [`WithTraceIds`](crate::WithTraceIds).
///
/// # Errors
///
/// Those of [`Builder::build`], and [`Error::is_subscriber`] when a global subscriber is set already. A logger of the crate `log` that is
/// set already stays, and is no error.
pub fn init() -> Result<Guard, Error> {
    layer().init()
}

impl Builder {
    /// As [`init`], with the settings of this builder.
    ///
    /// # Errors
    ///
    /// Those of [`init`].
    pub fn init(self) -> Result<Guard, Error> {
        let (otlp, guard) = self.build()?;
        let in_use = Arc::new(());
        let held = Arc::clone(&in_use);
        let people = fmt::layer()
            .with_writer(move || {
                let _ = &held;
                std::io::stderr()
            })
            .with_ansi(std::io::stderr().is_terminal());
        let set = tracing_subscriber::registry()
            .with(filter(rust_log().as_deref()))
            .with(people)
            .with(otlp)
            .try_init();
        // Where `tracing-subscriber` takes over the crate `log`, it does so when the subscriber has been set, which is then there for good.
        let is_set = Arc::strong_count(&in_use) > 1;
        if set.is_err() && !is_set {
            return Err(Error::subscriber(
                "a global tracing subscriber is set already; add `layer()` to that one",
            ));
        }
        if set.is_err() && cfg!(feature = "log") {
            say("records of the crate `log` are not recorded, since it has a logger already");
        }
        Ok(guard)
    }
}

fn rust_log() -> Option<String> {
    let rust_log = std::env::var_os("RUST_LOG")?.into_string();
    rust_log
        .map_err(|text| {
            say(&format!(
                "RUST_LOG={text:?} is ignored, {DEFAULT:?} is used: it is no text"
            ))
        })
        .ok()
}

fn filter(rust_log: Option<&str>) -> EnvFilter {
    let asked = rust_log
        .filter(|directives| !directives.trim().is_empty())
        .unwrap_or(DEFAULT);
    let whole = if asked.contains("otel::tracing") {
        asked.to_owned()
    } else {
        format!("{asked},{MIDDLEWARE}")
    };
    EnvFilter::builder().parse(whole).unwrap_or_else(|error| {
        say(&format!(
            "RUST_LOG={asked:?} is ignored, {DEFAULT:?} is used: {error}"
        ));
        EnvFilter::new(format!("{DEFAULT},{MIDDLEWARE}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middlewares_spans_pass_unless_they_are_named() {
        assert_eq!(filter(None).to_string(), "otel::tracing=trace,info");
        assert_eq!(
            filter(Some("warn,a=debug")).to_string(),
            "otel::tracing=trace,a=debug,warn"
        );
        assert_eq!(
            filter(Some("otel::tracing=off")).to_string(),
            "otel::tracing=off"
        );
        assert_eq!(
            filter(Some("a=loud")).to_string(),
            "otel::tracing=trace,info"
        );
    }
}
