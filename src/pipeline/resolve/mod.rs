//! What holds in the end: the code's values over the environment's over the defaults.

mod batch;
#[cfg(any(feature = "grpc", feature = "http"))]
mod destination;
mod events;
mod exporter;
#[cfg(any(feature = "grpc", feature = "http"))]
mod headers;
mod limits;
mod resource;
mod restraint;
mod sampler;
#[cfg(any(feature = "grpc", feature = "http"))]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::filter::Targets;

use super::assemble::Plan;
use super::builder::{Builder, Forms, Hooks, Recorded};
use super::explain::Explanation;
use crate::config::{
    self, Batch, Concurrency, Config, Errors, FIRST_REQUEST, LogSettings, Logs, MAX_REQUEST,
    Origin, Setting,
};
use crate::context::Propagators;
use crate::env::Environment;
use crate::error::Error;
use crate::id_generator::IdGenerator;
use crate::pattern::Pattern;
use crate::signal::Signal;

pub(super) use self::batch::sizes;
pub(super) use self::exporter::{Carried, Carrier};

/// What is encoded anew for sending takes several times its size, four times as JSON: a request is at most this part of the
/// memory limit then, and the requests in flight together are at most twice that.
const ENCODED: usize = 16;

const CONCURRENCY: &str = "Builder::with_concurrency";

/// A file that would decide about everything else is not passed over in silence.
fn warn_of_what_is_not_read(environment: &Environment, explained: &mut Explanation) {
    if let Some(Setting { value, origin }) = &environment.config_file {
        explained.warn(format!(
            "{origin}={value:?} is not read: expected settings in code, or in the variables that the documentation lists"
        ));
    }
}

/// Decides everything, and notes in the explanation what was decided and by whom.
pub(super) fn plan(
    builder: Builder,
    environment: &Environment,
    mut explanation: Explanation,
) -> Result<Plan, Error> {
    let (explained, default) = (&mut explanation, Config::default());
    warn_of_what_is_not_read(environment, explained);
    let resource = resource::of_process(builder.resource, environment, explained)?;
    let memory = Setting::of_code(builder.memory, "Builder::with_memory_limit", default.memory);
    let concurrency = Setting::of_code(builder.concurrency, CONCURRENCY, default.concurrency);
    let routing = events::routing(&builder.record, &builder.logs, environment, explained);
    let signals = routing.signals();
    // What is not within this is refused when the whole is validated.
    let requests = concurrency.value.most().clamp(1, Concurrency::MOST);
    let (own, transport) = (builder.destination, builder.transport);
    let exporters = exporter::described(own, transport, builder.exporters)?;
    let room = Room::new(memory.value, requests, signals.len() * exporters.len());
    let way = exporter::Way {
        disabled: builder.disabled,
        exporters,
        signals: signals.clone(),
        bytes_in_flight: [builder.batch, builder.logs.batch].map(|batch| room.in_flight(batch)),
    };
    let carriers = exporter::carriers(way, environment, explained)?;
    let batch = batch::Wanted::new(builder.batch, "Builder::with_batch", default.batch);
    let of_traces = room.largest(&carriers, Signal::Traces);
    let config = Config {
        resource,
        batch: batch::resolve(batch, &environment.traces, of_traces, explained),
        concurrency: explained.settle("concurrency", concurrency),
        limits: limits::of_spans(builder.limits, environment, explained),
        logs: if signals.contains(&Signal::Logs) {
            let largest = room.largest(&carriers, Signal::Logs);
            logs(builder.logs, environment, largest, explained)
        } else {
            default.logs
        },
        memory: explained.settle("memory_limit", memory),
        restraint: restraint::resolve(builder.restraint, explained)?,
        shutdown_timeout: shutdown_timeout(builder.shutdown_timeout, explained),
        hold_on_config_error: hold_on_config_error(builder.hold_on_config_error, explained),
    };
    config.validate()?;
    let disabled_targets = builder.disabled_targets.unwrap_or_default();
    Ok(Plan {
        config,
        record: record(&builder.record, explained),
        routing,
        sampler: sampler::sampler(builder.sampler, environment, explained)?,
        filter: filter(builder.filter, &disabled_targets, explained),
        propagators: propagators(builder.propagators, environment, explained),
        disabled_targets,
        id_generator: id_generator(builder.id_generator, explained),
        hooks: hooks(builder.hooks, explained),
        #[cfg(feature = "tail")]
        tail: sampler::tail(builder.tail, memory.value, explained)?,
        carriers,
        on_error: builder.on_error,
        explanation,
    })
}

/// What the memory limit has for requests.
struct Room {
    memory: usize,
    /// Requests in flight of one signal.
    requests: usize,
    /// The largest request that is encoded anew.
    encoded: usize,
}

impl Room {
    fn new(memory: usize, requests: usize, outlets: usize) -> Self {
        Self {
            memory,
            requests,
            // One request has half of what several have together.
            encoded: memory / ENCODED / (requests * outlets).div_ceil(2),
        }
    }

    /// How large the requests in flight of one signal become together, where they are encoded anew.
    fn in_flight(&self, code: Option<Batch>) -> usize {
        let bytes = code.and_then(|batch| batch.max_bytes);
        self.requests * bytes.unwrap_or(FIRST_REQUEST).min(self.encoded)
    }

    /// How large a request of this signal is, where nobody says, and at most.
    fn largest(&self, carriers: &[Carrier], signal: Signal) -> (usize, usize) {
        let carriers = carriers.iter().filter(|carrier| carrier.carries(signal));
        if carriers.map(|carrier| carrier.footprint).sum::<usize>() > 0 {
            (FIRST_REQUEST, self.encoded)
        } else {
            ((self.memory / 4).clamp(1 << 10, MAX_REQUEST), usize::MAX)
        }
    }
}

/// What is particular to log records.
fn logs(
    code: Logs,
    environment: &Environment,
    largest: (usize, usize),
    explained: &mut Explanation,
) -> LogSettings {
    let own = environment.of(Signal::Logs);
    explained.turn_to(Signal::Logs);
    let default = LogSettings::default().batch;
    let batch = batch::Wanted::new(code.batch, "Logs::with_batch", default);
    let settings = LogSettings {
        batch: batch::resolve(batch, own, largest, explained),
        limits: limits::of_logs(code.limits, own, explained),
        is_trace_based: code.is_trace_based,
        span_fields: code.span_fields,
        drop_above: code.drop_above.unwrap_or_default(),
    };
    if let Some(limit) = code.drop_above {
        let origin = Origin::Code("Logs::with_drop_above");
        explained.state("drop_above", format_args!("{limit:?}"), origin);
    }
    if let Some(severity) = code.minimum_severity {
        let origin = Origin::Code("Logs::with_minimum_severity");
        explained.state("minimum_severity", severity.number(), origin);
    }
    if settings.is_trace_based {
        explained.state("trace_based", true, Origin::Code("Logs::with_trace_based"));
    }
    if let Some(keys) = &settings.span_fields {
        let shown = if keys.is_empty() {
            "all".to_owned()
        } else {
            keys.join(", ")
        };
        explained.state("span_fields", shown, Origin::Code("Logs::with_span_fields"));
    }
    explained.turn_to(Signal::Traces);
    settings
}

fn id_generator(
    code: Option<Arc<dyn IdGenerator>>,
    explained: &mut Explanation,
) -> Option<Arc<dyn IdGenerator>> {
    if code.is_some() {
        let origin = Origin::Code("Builder::with_id_generator");
        explained.state("id_generator", "one of the program's own", origin);
    }
    code
}

fn hooks(hooks: Hooks, explained: &mut Explanation) -> Hooks {
    if !hooks.processors.is_empty() {
        let origin = Origin::Code("Builder::with_processor");
        explained.state("processors", hooks.processors.len(), origin);
    }
    if let Some(timeout) = hooks.flush_on_panic {
        let origin = Origin::Code("Builder::with_flush_on_panic");
        explained.state("flush_on_panic", format!("{timeout:?}"), origin);
    }
    if let Some(bound) = hooks.long_running {
        let origin = Origin::Code("Builder::with_long_running");
        explained.state("long_running", format!("{bound:?}"), origin);
    }
    hooks
}

fn propagators(code: Forms, environment: &Environment, explained: &mut Explanation) -> Propagators {
    let environment = environment.propagators.as_ref();
    let setting = Setting::resolve(
        code.known.map(Propagators::new),
        "Builder::with_propagators",
        environment.map(|list| Setting::new(Propagators::new(list.value.clone()), list.origin)),
        Propagators::default(),
    );
    let all = setting.value.and(code.custom);
    explained.state("propagators", &all, setting.origin);
    all
}

fn shutdown_timeout(code: Option<Duration>, explained: &mut Explanation) -> Duration {
    let default = Config::default().shutdown_timeout;
    let setting = Setting::of_code(code, "Builder::with_shutdown_timeout", default);
    explained.settle("shutdown_timeout", setting)
}

fn hold_on_config_error(code: Option<bool>, explained: &mut Explanation) -> bool {
    let default = Config::default().hold_on_config_error;
    let setting = Setting::of_code(code, "Builder::with_hold_on_config_error", default);
    explained.settle("hold_on_config_error", setting)
}

fn filter(
    filter: Option<Targets>,
    disabled: &[Pattern],
    explained: &mut Explanation,
) -> Option<Targets> {
    match &filter {
        Some(filter) => explained.state("filter", filter, Origin::Code("Builder::with_filter")),
        None => explained.state("filter", "none", Origin::Default),
    }
    if !disabled.is_empty() {
        let targets: Vec<_> = disabled.iter().map(Pattern::to_string).collect();
        let origin = Origin::Code("Builder::with_disabled_targets");
        explained.state("disabled_targets", targets.join(", "), origin);
    }
    filter
}

/// What errors say.
fn errors(code: Option<Errors>, explained: &mut Explanation) -> Errors {
    const CODE: &str = "Builder::with_errors";
    let default = Errors::default();
    let mut settle = |name: &str, of: fn(&Errors) -> bool| {
        explained.settle(
            name,
            Setting::of_code(code.as_ref().map(of), CODE, of(&default)),
        )
    };
    Errors {
        status: settle("errors.status", |e| e.status),
        exceptions: settle("errors.exceptions", |e| e.exceptions),
        chains: settle("errors.chains", |e| e.chains),
        error_type: settle("errors.error_type", |e| e.error_type),
        panics: settle("errors.panics", |e| e.panics),
    }
}

fn record(code: &Recorded, explained: &mut Explanation) -> config::Record {
    let default = config::Record::default();
    let mut settle = |name: &str, code: Option<bool>, method, default| {
        explained.settle(name, Setting::of_code(code, method, default))
    };
    config::Record {
        location: settle(
            "record.location",
            code.location,
            "Builder::with_location",
            default.location,
        ),
        target: settle(
            "record.target",
            code.target,
            "Builder::with_target",
            default.target,
        ),
        level: settle(
            "record.level",
            code.level,
            "Builder::with_level",
            default.level,
        ),
        threads: settle(
            "record.threads",
            code.threads,
            "Builder::with_threads",
            default.threads,
        ),
        end_at_last_exit: settle(
            "record.end_at_last_exit",
            code.end_at_last_exit,
            "Builder::with_end_at_last_exit",
            default.end_at_last_exit,
        ),
        busy_and_idle: settle(
            "record.busy_and_idle",
            code.busy_and_idle,
            "Builder::with_busy_and_idle",
            default.busy_and_idle,
        ),
        errors: errors(code.errors, explained),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "exporters/tests.rs"]
mod tests_of_exporters;

#[cfg(test)]
#[path = "logs/tests.rs"]
mod tests_of_logs;
