//! Which exporter it is: one of the user's own, OTLP, lines on stdout, or none.

use std::sync::Arc;

use crate::config::{Exporter, Origin, Setting};
use crate::env::Environment;
use crate::error::Error;
use crate::export::Transport;
use crate::pipeline::destination::Wanted;
use crate::pipeline::explain::Explanation;
use crate::stats::Ledger;

/// What the code says about the way out.
pub(super) struct Way {
    pub(super) disabled: Option<bool>,
    pub(super) transport: Option<Box<dyn Transport>>,
    pub(super) destination: Wanted,
    #[cfg_attr(
        not(any(feature = "grpc", feature = "http")),
        allow(dead_code, reason = "only the network counts there itself")
    )]
    pub(super) ledger: Arc<Ledger>,
    /// How large the requests in flight become together.
    pub(super) bytes_in_flight: usize,
}

/// A way out, and the bytes that it takes to encode a request for it.
pub(super) type Chosen = (Box<dyn Transport>, usize);

/// `None` where nothing is exported.
pub(super) fn transport(
    way: Way,
    environment: &Environment,
    explained: &mut Explanation,
) -> Result<Option<Chosen>, Error> {
    let disabled = Setting::resolve(
        way.disabled,
        "Builder::with_disabled",
        environment.disabled,
        false,
    );
    if explained.settle("disabled", disabled) {
        return Ok(None);
    }
    if let Some(transport) = way.transport {
        let origin = Origin::Code("Builder::with_transport");
        explained.state("exporter", "a transport of the program's own", origin);
        return Ok(Some((transport, 0)));
    }
    let exporter = chosen(&way.destination, environment);
    if exporter.value == Exporter::Stdout {
        match stdout(way.bytes_in_flight) {
            Ok(transport) => {
                explained.state("exporter", Exporter::Stdout.name(), exporter.origin);
                return Ok(Some(transport));
            }
            Err(error) => explained.warn(format!(
                "{}={:?} is ignored: {error}",
                exporter.origin,
                Exporter::Stdout.name()
            )),
        }
    }
    if exporter.value == Exporter::None {
        explained.state("exporter", Exporter::None.name(), exporter.origin);
        return Ok(None);
    }
    let origin = match exporter.value {
        Exporter::Otlp => exporter.origin,
        _ => Origin::Default,
    };
    explained.state("exporter", Exporter::Otlp.name(), origin);
    otlp(way, environment, explained).map(Some)
}

/// Code that names a destination has chosen.
fn chosen(code: &Wanted, environment: &Environment) -> Setting<Exporter> {
    let method = match (&code.traces_endpoint, &code.endpoint) {
        (Some(_), _) => Some("Builder::with_traces_endpoint"),
        (None, Some(_)) => Some("Builder::with_endpoint"),
        (None, None) => None,
    };
    Setting::resolve(
        method.map(|_| Exporter::Otlp),
        method.unwrap_or_default(),
        environment.exporter,
        Exporter::Otlp,
    )
}

/// The transport that writes lines of JSON on stdout.
#[cfg(feature = "file")]
fn stdout(bytes: usize) -> Result<Chosen, Error> {
    let file = crate::export::File::stdout();
    Ok((Box::new(file), crate::export::json_footprint(bytes)))
}

#[cfg(not(feature = "file"))]
fn stdout(_: usize) -> Result<Chosen, Error> {
    Err(Error::config(
        "lines of JSON on stdout are not built in (feature `file`)",
    ))
}

/// The transport that sends OTLP over the network.
#[cfg(any(feature = "grpc", feature = "http"))]
fn otlp(way: Way, environment: &Environment, explained: &mut Explanation) -> Result<Chosen, Error> {
    let destination = super::destination::resolve(way.destination, environment, explained)?;
    let footprint = destination.footprint(way.bytes_in_flight);
    let otlp = crate::export::Otlp::new(destination, way.ledger)?;
    Ok((Box::new(otlp), footprint))
}

#[cfg(not(any(feature = "grpc", feature = "http")))]
fn otlp(_: Way, _: &Environment, _: &mut Explanation) -> Result<Chosen, Error> {
    Err(Error::config(
        "no transport is built in: enable the feature `grpc` or `http`, or use Builder::with_transport",
    ))
}
