//! What a pipeline was built with, and who said so.

use std::fmt;

use crate::config::{Origin, Setting};
use crate::signal::Signal;

/// The settings that hold in a pipeline: one a line, with its value and who said it, which is a method, a variable or the
/// default. Values of headers and the like are masked. Made by [`Handle::explain`](crate::Handle::explain) to be read by
/// people; `OTEL_LOG_LEVEL=debug` prints it when a pipeline is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    lines: Vec<Line>,
    /// What the names of further lines begin with, and of those of one of several exporters.
    section: String,
    exporter: String,
    warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    value: String,
    origin: String,
}

/// All features, and whether they are built in.
const FEATURES: [(&str, bool); 18] = [
    ("grpc", cfg!(feature = "grpc")),
    ("http", cfg!(feature = "http")),
    ("http-json", cfg!(feature = "http-json")),
    ("file", cfg!(feature = "file")),
    ("gzip", cfg!(feature = "gzip")),
    ("zstd", cfg!(feature = "zstd")),
    ("tls", cfg!(feature = "tls")),
    ("bundled-roots", cfg!(feature = "bundled-roots")),
    ("aws-lc", cfg!(feature = "aws-lc")),
    ("init", cfg!(feature = "init")),
    ("fmt", cfg!(feature = "fmt")),
    ("log", cfg!(feature = "log")),
    ("tail", cfg!(feature = "tail")),
    ("opentelemetry-0_33", cfg!(feature = "opentelemetry-0_33")),
    (
        "opentelemetry-sdk-0_33",
        cfg!(feature = "opentelemetry-sdk-0_33"),
    ),
    (
        "tracing-opentelemetry-0_34",
        cfg!(feature = "tracing-opentelemetry-0_34"),
    ),
    (
        "tracing-opentelemetry-0_33",
        cfg!(feature = "tracing-opentelemetry-0_33"),
    ),
    ("testing", cfg!(feature = "testing")),
];

impl Explanation {
    pub(super) fn state(
        &mut self,
        name: impl Into<String>,
        value: impl fmt::Display,
        origin: Origin,
    ) {
        self.lines.push(Line {
            name: format!("{}{}", self.section, name.into()),
            value: value.to_string(),
            origin: self.in_its_words(origin.name()),
        });
    }

    /// The lines from now on are about this signal.
    pub(super) fn turn_to(&mut self, signal: Signal) {
        let of_signal = match signal {
            Signal::Traces => "",
            Signal::Logs => "logs.",
        };
        self.section = format!("{}{of_signal}", self.exporter);
    }

    /// The lines from now on are about one of several exporters, or about the pipeline.
    pub(super) fn turn_to_exporter(&mut self, name: Option<&str>) {
        self.exporter = name.map_or(String::new(), |name| format!("exporter {name}: "));
        self.turn_to(Signal::Traces);
    }

    /// States a setting, and gives its value back.
    pub(super) fn settle<T: fmt::Debug>(&mut self, name: &str, setting: Setting<T>) -> T {
        self.state(name, format_args!("{:?}", setting.value), setting.origin);
        setting.value
    }

    /// A warning is kept for the explanation; who builds the pipeline says it. What is wrong for several signals is said once.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        let warning = self.in_its_words(&warning.into());
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What is said about an exporter's methods, which the builder has too, under its own name.
    pub(super) fn in_its_words(&self, text: &str) -> String {
        match self.exporter.is_empty() {
            true => text.to_owned(),
            false => text.replace("Builder::with_", "Exporter::with_"),
        }
    }

    /// Where records go, each once.
    pub(super) fn endpoints(&self) -> Vec<&str> {
        let lines = self.lines.iter();
        let mut endpoints: Vec<&str> = lines
            .filter(|line| line.name.ends_with("endpoint"))
            .map(|line| line.value.as_str())
            .collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        endpoints
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features = FEATURES.iter().filter(|(_, is_built_in)| *is_built_in);
        let features: Vec<&str> = features.map(|(name, _)| *name).collect();
        let version = env!("CARGO_PKG_VERSION");
        writeln!(f, "tracing-otlp {version} [{}]", features.join(", "))?;
        for Line {
            name,
            value,
            origin,
        } in &self.lines
        {
            writeln!(f, "{name} = {value} ({origin})")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
