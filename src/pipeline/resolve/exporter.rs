//! What goes out, and by what: a transport of the user's own, OTLP, lines on stdout, or nothing.

use std::sync::Arc;
use std::time::Duration;

use super::batch;
use crate::config::{Exporter, Origin, Setting};
use crate::env::Environment;
use crate::error::Error;
use crate::export::Transport;
use crate::pipeline::destination::Wanted;
use crate::pipeline::explain::Explanation;
use crate::signal::Signal;
use crate::stats::Ledger;

/// What the code says about the way out.
pub(super) struct Way {
    pub(super) disabled: Option<bool>,
    pub(super) transport: Option<Box<dyn Transport>>,
    pub(super) destination: Wanted,
    /// Those that there are records of.
    pub(super) signals: Vec<Signal>,
    /// How large the requests in flight of one signal become together.
    pub(super) bytes_in_flight: [usize; Signal::ALL.len()],
}

/// A transport that was chosen, and what goes out by it.
pub(in crate::pipeline) struct Carrier {
    pub(in crate::pipeline) transport: Box<dyn Transport>,
    /// The bytes that it takes to encode requests for it.
    pub(in crate::pipeline) footprint: usize,
    pub(in crate::pipeline) carried: Vec<Carried>,
}

impl Carrier {
    pub(in crate::pipeline) fn carries(&self, signal: Signal) -> bool {
        self.carried.iter().any(|carried| carried.signal == signal)
    }
}

/// One signal on its way to one destination.
pub(in crate::pipeline) struct Carried {
    pub(in crate::pipeline) signal: Signal,
    /// One attempt's deadline.
    pub(in crate::pipeline) timeout: Duration,
    pub(in crate::pipeline) ledger: Arc<Ledger>,
}

/// Nothing where nothing is exported.
pub(super) fn carriers(
    way: Way,
    environment: &Environment,
    explained: &mut Explanation,
) -> Result<Vec<Carrier>, Error> {
    let disabled = Setting::resolve(
        way.disabled,
        "Builder::with_disabled",
        environment.disabled,
        false,
    );
    if explained.settle("disabled", disabled) {
        return Ok(Vec::new());
    }
    if let Some(transport) = way.transport {
        let origin = Origin::Code("Builder::with_transport");
        explained.state("exporter", "a transport of the program's own", origin);
        let carried = taken(&*transport, &way.signals, explained)
            .into_iter()
            .map(|signal| carried(signal, way.destination.timeout, environment, explained));
        let carrier = Carrier {
            carried: carried.collect(),
            transport,
            footprint: 0,
        };
        explained.turn_to(Signal::Traces);
        let is_needed = !carrier.carried.is_empty();
        return Ok(is_needed.then_some(carrier).into_iter().collect());
    }
    let mut carriers = Vec::new();
    for signal in &way.signals {
        explained.turn_to(*signal);
        carriers.extend(carrier(*signal, &way, environment, explained)?);
    }
    explained.turn_to(Signal::Traces);
    Ok(carriers)
}

/// Those of the signals that a transport of the user's own takes.
fn taken(
    transport: &dyn Transport,
    signals: &[Signal],
    explained: &mut Explanation,
) -> Vec<Signal> {
    let takes = |signal: &Signal| transport.takes(*signal);
    let (taken, others): (Vec<Signal>, Vec<Signal>) = signals.iter().copied().partition(takes);
    for signal in others {
        explained.warn(format!(
            "the transport takes no {signal}, so they are not recorded"
        ));
    }
    taken
}

/// The way of one signal by what is built in.
fn carrier(
    signal: Signal,
    way: &Way,
    environment: &Environment,
    explained: &mut Explanation,
) -> Result<Option<Carrier>, Error> {
    let exporter = chosen(signal, &way.destination, environment);
    let bytes = way.bytes_in_flight[signal as usize];
    let ledger = Arc::<Ledger>::default();
    let made = match exporter.value {
        Exporter::None => {
            explained.state("exporter", Exporter::None.name(), exporter.origin);
            return Ok(None);
        }
        Exporter::Otlp => Err(exporter.origin),
        Exporter::Stdout => match stdout(bytes) {
            Ok(stdout) => {
                explained.state("exporter", Exporter::Stdout.name(), exporter.origin);
                Ok(stdout)
            }
            Err(error) => {
                let (who, name) = (exporter.origin, exporter.value.name());
                explained.warn(format!("{who}={name:?} is ignored: {error}"));
                Err(Origin::Default)
            }
        },
    };
    let (transport, footprint) = match made {
        Ok(made) => made,
        Err(origin) => {
            explained.state("exporter", Exporter::Otlp.name(), origin);
            let code = way.destination.clone();
            otlp(code, (signal, bytes), &ledger, environment, explained)?
        }
    };
    let timeout = way.destination.timeout;
    let carried = Carried {
        ledger,
        ..carried(signal, timeout, environment, explained)
    };
    Ok(Some(Carrier {
        transport,
        footprint,
        carried: vec![carried],
    }))
}

fn carried(
    signal: Signal,
    timeout: Option<Duration>,
    environment: &Environment,
    explained: &mut Explanation,
) -> Carried {
    explained.turn_to(signal);
    let timeout = batch::timeout(timeout, environment.of(signal));
    let timeout = explained.settle("timeout", timeout);
    Carried {
        signal,
        timeout,
        ledger: Arc::default(),
    }
}

/// Code that names a destination has chosen.
fn chosen(signal: Signal, code: &Wanted, environment: &Environment) -> Setting<Exporter> {
    let method = match (code.endpoint_of(signal), &code.endpoint) {
        ((Some(_), method), _) => Some(method),
        ((None, _), Some(_)) => Some("Builder::with_endpoint"),
        ((None, _), None) => None,
    };
    Setting::resolve(
        method.map(|_| Exporter::Otlp),
        method.unwrap_or_default(),
        environment.of(signal).exporter,
        Exporter::Otlp,
    )
}

/// A way out, and the bytes that it takes to encode a request for it.
type Made = (Box<dyn Transport>, usize);

/// The transport that writes lines of JSON on stdout.
#[cfg(feature = "file")]
fn stdout(bytes: usize) -> Result<Made, Error> {
    let file = crate::export::File::stdout();
    Ok((Box::new(file), crate::export::json_footprint(bytes)))
}

#[cfg(not(feature = "file"))]
fn stdout(_: usize) -> Result<Made, Error> {
    Err(Error::config(
        "lines of JSON on stdout are not built in (feature `file`)",
    ))
}

/// The transport that sends OTLP over the network.
#[cfg(any(feature = "grpc", feature = "http"))]
fn otlp(
    code: Wanted,
    (signal, bytes): (Signal, usize),
    ledger: &Arc<Ledger>,
    environment: &Environment,
    explained: &mut Explanation,
) -> Result<Made, Error> {
    let destination = super::destination::resolve(code, signal, environment, explained)?;
    let footprint = destination.footprint(bytes);
    let otlp = crate::export::Otlp::new(destination, Arc::clone(ledger))?;
    Ok((Box::new(otlp), footprint))
}

#[cfg(not(any(feature = "grpc", feature = "http")))]
fn otlp(
    _: Wanted,
    _: (Signal, usize),
    _: &Arc<Ledger>,
    _: &Environment,
    _: &mut Explanation,
) -> Result<Made, Error> {
    Err(Error::config(
        "no transport is built in: enable the feature `grpc` or `http`, or use Builder::with_transport",
    ))
}
