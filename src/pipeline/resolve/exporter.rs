//! What goes out, and by what: a transport of the user's own, OTLP, lines on stdout, or nothing.

use std::sync::Arc;
use std::time::Duration;

use super::batch;
use crate::config::{Exporter as Kind, Origin, Setting, within};
use crate::env::Environment;
use crate::error::Error;
use crate::export::Transport;
use crate::pipeline::destination::Wanted;
use crate::pipeline::explain::Explanation;
use crate::pipeline::exporter::Exporter;
use crate::signal::Signal;
use crate::stats::Ledger;

/// What the single destination is called.
const ONLY: &str = "default";

/// More than these are not one pipeline's.
const MOST: usize = 16;

/// What the code says about the way out.
pub(super) struct Way {
    pub(super) disabled: Option<bool>,
    pub(super) exporters: Vec<Exporter>,
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
    /// The destination's name.
    pub(in crate::pipeline) destination: Arc<str>,
    /// One attempt's deadline.
    pub(in crate::pipeline) timeout: Duration,
    pub(in crate::pipeline) ledger: Arc<Ledger>,
}

/// The destinations that the code describes: the builder's own, or several.
pub(super) fn described(
    destination: Wanted,
    transport: Option<Box<dyn Transport>>,
    several: Vec<Exporter>,
) -> Result<Vec<Exporter>, Error> {
    const METHOD: &str = "Builder::with_exporter";
    if several.is_empty() {
        return Ok(vec![Exporter {
            destination,
            transport,
            ..Exporter::from_environment(ONLY)
        }]);
    }
    within(METHOD, several.len(), 1, MOST)?;
    if transport.is_some() || !destination.is_empty() {
        return Err(Error::config(format!(
            "{METHOD}: with it, everything about a destination is said in its Exporter, and not by with_endpoint and the like"
        )));
    }
    for (number, exporter) in several.iter().enumerate() {
        let is_same = |other: &Exporter| other.name == exporter.name;
        if exporter.name.trim().is_empty() || several.iter().take(number).any(is_same) {
            return Err(Error::config(format!(
                "{METHOD}: {:?} is no name, or that of another one",
                exporter.name
            )));
        }
    }
    Ok(several)
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
    let (nothing, are_several) = (Environment::default(), way.exporters.len() > 1);
    let mut carriers = Vec::new();
    for mut exporter in way.exporters {
        let name = exporter.name.clone();
        explained.turn_to_exporter((are_several || name != ONLY).then_some(&name));
        let environment = if exporter.from_environment {
            environment
        } else {
            &nothing
        };
        let wants = |signal: &Signal| exporter.wants(*signal);
        let signals: Vec<Signal> = way.signals.iter().copied().filter(wants).collect();
        let to = To {
            name: Arc::from(name.as_str()),
            transport: exporter.transport.take(),
            code: exporter.destination,
            signals,
            bytes_in_flight: way.bytes_in_flight,
        };
        let found = to.carriers(environment, explained);
        // Which of several it is; what is wrong with it names the method.
        carriers.extend(found.map_err(|error| {
            let words = explained.in_its_words(&error.to_string());
            match are_several {
                true => Error::config(format!("exporter {name:?}: {words}")),
                false if words != error.to_string() => Error::config(words),
                false => error,
            }
        })?);
    }
    explained.turn_to_exporter(None);
    Ok(carriers)
}

/// One destination.
struct To {
    name: Arc<str>,
    transport: Option<Box<dyn Transport>>,
    code: Wanted,
    signals: Vec<Signal>,
    bytes_in_flight: [usize; Signal::ALL.len()],
}

impl To {
    fn carriers(
        mut self,
        environment: &Environment,
        explained: &mut Explanation,
    ) -> Result<Vec<Carrier>, Error> {
        if let Some(transport) = self.transport.take() {
            let carrier = self.by_transport(transport, environment, explained);
            let is_needed = !carrier.carried.is_empty();
            return Ok(is_needed.then_some(carrier).into_iter().collect());
        }
        let mut carriers = Vec::new();
        for signal in &self.signals {
            explained.turn_to(*signal);
            carriers.extend(self.by_what_is_built_in(*signal, environment, explained)?);
        }
        Ok(carriers)
    }

    /// All signals by a transport of the user's own, as far as it takes them.
    fn by_transport(
        &self,
        transport: Box<dyn Transport>,
        environment: &Environment,
        explained: &mut Explanation,
    ) -> Carrier {
        let origin = Origin::Code("Builder::with_transport");
        explained.state("exporter", "a transport of the program's own", origin);
        let mut carried = Vec::new();
        for signal in &self.signals {
            if transport.takes(*signal) {
                carried.push(self.carried(*signal, environment, explained));
            } else {
                explained.warn(format!(
                    "the transport takes no {signal}, so they are not recorded"
                ));
            }
        }
        Carrier {
            transport,
            footprint: 0,
            carried,
        }
    }

    fn by_what_is_built_in(
        &self,
        signal: Signal,
        environment: &Environment,
        explained: &mut Explanation,
    ) -> Result<Option<Carrier>, Error> {
        let exporter = chosen(signal, &self.code, environment);
        let bytes = self.bytes_in_flight[signal as usize];
        let ledger = Arc::<Ledger>::default();
        let made = match exporter.value {
            Kind::None => {
                explained.state("exporter", Kind::None.name(), exporter.origin);
                return Ok(None);
            }
            Kind::Otlp => Err(exporter.origin),
            Kind::Stdout => match stdout(bytes) {
                Ok(stdout) => {
                    explained.state("exporter", Kind::Stdout.name(), exporter.origin);
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
                explained.state("exporter", Kind::Otlp.name(), origin);
                let code = self.code.clone();
                otlp(code, (signal, bytes), &ledger, environment, explained)?
            }
        };
        let carried = Carried {
            ledger,
            ..self.carried(signal, environment, explained)
        };
        Ok(Some(Carrier {
            transport,
            footprint,
            carried: vec![carried],
        }))
    }

    fn carried(
        &self,
        signal: Signal,
        environment: &Environment,
        explained: &mut Explanation,
    ) -> Carried {
        explained.turn_to(signal);
        let timeout = batch::timeout(self.code.timeout, environment.of(signal));
        Carried {
            signal,
            destination: Arc::clone(&self.name),
            timeout: explained.settle("timeout", timeout),
            ledger: Arc::default(),
        }
    }
}

/// Code that names a destination has chosen.
fn chosen(signal: Signal, code: &Wanted, environment: &Environment) -> Setting<Kind> {
    let method = match (code.endpoint_of(signal), &code.endpoint) {
        ((Some(_), method), _) => Some(method),
        ((None, _), Some(_)) => Some("Builder::with_endpoint"),
        ((None, _), None) => None,
    };
    Setting::resolve(
        method.map(|_| Kind::Otlp),
        method.unwrap_or_default(),
        environment.of(signal).exporter,
        Kind::Otlp,
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
