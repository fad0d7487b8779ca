//! What holds in the end: the code's values over the environment's over the defaults.

#[cfg(any(feature = "grpc", feature = "http"))]
mod destination;
mod exporter;
#[cfg(any(feature = "grpc", feature = "http"))]
mod headers;
mod resource;
mod sampler;
#[cfg(any(feature = "grpc", feature = "http"))]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::filter::Targets;

use super::assemble::Plan;
use super::builder::{Builder, Events, Recorded};
use super::explain::Explanation;
use crate::config::{
    self, Batch, Config, Errors, ExceptionSignal, FIRST_REQUEST, Limits, MAX_REQUEST, Origin,
    Setting,
};
use crate::context::{Propagator, Propagators};
use crate::env::Environment;
use crate::error::Error;
use crate::queue::{CHUNK, Sizes};
use crate::sampler::Pattern;
use crate::stats::Ledger;

/// What is encoded anew for sending takes several times its size, four times as JSON: a request is at most this part of the
/// memory limit then, and the requests in flight together are at most twice that.
const ENCODED: usize = 16;

const CONCURRENCY: &str = "Builder::with_concurrency";

/// Decides everything, and notes in the explanation what was decided and by whom.
pub(super) fn plan(
    builder: Builder,
    environment: &Environment,
    mut explanation: Explanation,
) -> Result<Plan, Error> {
    let explained = &mut explanation;
    let default = Config::default();
    let resource = resource::of_process(builder.resource, environment, explained)?;
    let ledger = Arc::new(Ledger::default());
    let memory = Setting::of_code(builder.memory, "Builder::with_memory_limit", default.memory);
    let concurrency = builder.concurrency;
    let concurrency = Setting::of_code(concurrency, CONCURRENCY, default.concurrency);
    let requests = concurrency.value.most().max(1);
    // One request has half of what several have together.
    let encoded_bytes = memory.value / ENCODED / requests.div_ceil(2);
    let code_bytes = builder.batch.and_then(|batch| batch.max_bytes);
    let way = exporter::Way {
        disabled: builder.disabled,
        transport: builder.transport,
        destination: builder.destination,
        ledger: Arc::clone(&ledger),
        bytes_in_flight: requests * code_bytes.unwrap_or(FIRST_REQUEST).min(encoded_bytes),
    };
    let (transport, footprint) = exporter::transport(way, environment, explained)?.unzip();
    let footprint = footprint.filter(|bytes| *bytes > 0);
    let largest = match footprint {
        Some(_) => (FIRST_REQUEST, encoded_bytes),
        None => ((memory.value / 4).clamp(1 << 10, MAX_REQUEST), usize::MAX),
    };
    let timeout = timeout(builder.timeout, environment, default.timeout);
    let config = Config {
        resource,
        timeout: explained.settle("timeout", timeout),
        batch: batch(builder.batch, environment, largest, explained),
        concurrency: explained.settle("concurrency", concurrency),
        limits: limits(builder.limits, environment, explained),
        memory: explained.settle("memory_limit", memory),
        shutdown_timeout: shutdown_timeout(builder.shutdown_timeout, explained),
        hold_on_config_error: hold_on_config_error(builder.hold_on_config_error, explained),
    };
    config.validate()?;
    let record = record(&builder.record, environment, explained);
    let sampler = sampler::sampler(builder.sampler, environment, explained)?;
    let disabled_targets = builder.disabled_targets.unwrap_or_default();
    state_filter(builder.filter.as_ref(), &disabled_targets, explained);
    state_generator(builder.id_generator.is_some(), explained);
    Ok(Plan {
        config,
        record,
        filter: builder.filter,
        sampler,
        propagators: propagators(builder.propagators, environment, explained),
        disabled_targets,
        id_generator: builder.id_generator,
        transport,
        footprint: footprint.unwrap_or_default(),
        ledger,
        on_error: builder.on_error,
        explanation,
    })
}

fn state_generator(is_given: bool, explained: &mut Explanation) {
    if is_given {
        let origin = Origin::Code("Builder::with_id_generator");
        explained.state("id_generator", "one of the program's own", origin);
    }
}

fn propagators(
    code: Option<Vec<Propagator>>,
    environment: &Environment,
    explained: &mut Explanation,
) -> Propagators {
    let environment = environment.propagators.as_ref();
    let setting = Setting::resolve(
        code.map(Propagators::new),
        "Builder::with_propagators",
        environment.map(|list| Setting::new(Propagators::new(list.value.clone()), list.origin)),
        Propagators::default(),
    );
    explained.state("propagators", &setting.value, setting.origin);
    setting.value
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

fn state_filter(filter: Option<&Targets>, disabled: &[Pattern], explained: &mut Explanation) {
    match filter {
        Some(filter) => explained.state("filter", filter, Origin::Code("Builder::with_filter")),
        None => explained.state("filter", "none", Origin::Default),
    }
    if !disabled.is_empty() {
        let targets: Vec<_> = disabled.iter().map(Pattern::to_string).collect();
        let origin = Origin::Code("Builder::with_disabled_targets");
        explained.state("disabled_targets", targets.join(", "), origin);
    }
}

/// One attempt's deadline. A bound of the whole export is one of the attempt too, and zero is no bound.
fn timeout(
    code: Option<Duration>,
    environment: &Environment,
    default: Duration,
) -> Setting<Duration> {
    let attempt = Setting::resolve(code, "Builder::with_timeout", environment.timeout, default);
    let is_shorter = |export: &Setting<Duration>| {
        !export.value.is_zero() && (attempt.value.is_zero() || export.value < attempt.value)
    };
    match environment.export_timeout {
        Some(export) if code.is_none() && is_shorter(&export) => export,
        _ => attempt,
    }
}

fn limits(code: Option<Limits>, environment: &Environment, explained: &mut Explanation) -> Limits {
    const CODE: &str = "Builder::with_limits";
    let default = Limits::default();
    let mut settle = |name: &str, of: fn(&Limits) -> u32, environment: Option<Setting<u32>>| {
        let code = code.as_ref().map(of);
        let setting = Setting::resolve(code, CODE, environment, of(&default));
        explained.settle(name, setting)
    };
    let counts = Limits {
        attributes: settle(
            "limits.attributes",
            |l| l.attributes,
            environment.attributes,
        ),
        events: settle("limits.events", |l| l.events, environment.events),
        links: settle("limits.links", |l| l.links, environment.links),
        attributes_per_event: settle(
            "limits.attributes_per_event",
            |l| l.attributes_per_event,
            environment.attributes_per_event,
        ),
        attributes_per_link: settle(
            "limits.attributes_per_link",
            |l| l.attributes_per_link,
            environment.attributes_per_link,
        ),
        value_depth: settle("limits.value_depth", |l| l.value_depth, None),
        ..default
    };
    let length = Setting::resolve(
        code.map(|limits| limits.value_length),
        CODE,
        environment
            .value_length
            .map(|set| Setting::new(Some(set.value), set.origin)),
        default.value_length,
    );
    let shown = length
        .value
        .map_or("not limited".to_owned(), |most| most.to_string());
    explained.state("limits.value_length", shown, length.origin);
    let bytes = code.map(|limits| limits.record_bytes);
    let bytes = Setting::of_code(bytes, CODE, default.record_bytes);
    Limits {
        value_length: length.value,
        record_bytes: explained.settle("limits.record_bytes", bytes),
        ..counts
    }
}

/// What errors say, and by which signal: by span events, until there are log records.
fn errors(code: Option<Errors>, environment: &Environment, explained: &mut Explanation) -> Errors {
    const CODE: &str = "Builder::with_errors";
    let default = Errors::default();
    let mut settle = |name: &str, of: fn(&Errors) -> bool| {
        explained.settle(
            name,
            Setting::of_code(code.as_ref().map(of), CODE, of(&default)),
        )
    };
    let errors = Errors {
        status: settle("errors.status", |e| e.status),
        exceptions: settle("errors.exceptions", |e| e.exceptions),
        chains: settle("errors.chains", |e| e.chains),
        error_type: settle("errors.error_type", |e| e.error_type),
        panics: settle("errors.panics", |e| e.panics),
    };
    let signal = Setting::resolve(
        None,
        CODE,
        environment.exception_signal,
        ExceptionSignal::default(),
    );
    explained.state("errors.signal", signal.value.name(), signal.origin);
    if signal.value != ExceptionSignal::SpanEvents {
        explained.warn(format!(
            "{}={} has no effect yet: log records are not sent, so exceptions stay span events",
            signal.origin,
            signal.value.name()
        ));
    }
    errors
}

fn batch(
    code: Option<Batch>,
    environment: &Environment,
    (usual_bytes, most_bytes): (usize, usize),
    explained: &mut Explanation,
) -> Batch {
    const CODE: &str = "Builder::with_batch";
    let default = Batch::default();
    let interval = Setting::resolve(
        code.map(|batch| batch.interval),
        CODE,
        environment.schedule_delay,
        default.interval,
    );
    let is_adaptive = code.map(|batch| batch.is_adaptive);
    let is_adaptive = Setting::of_code(is_adaptive, CODE, default.is_adaptive);
    let bytes = code.and_then(|batch| batch.max_bytes);
    let usual_bytes = if is_adaptive.value {
        usual_bytes
    } else {
        FIRST_REQUEST
    };
    let mut bytes = Setting::of_code(bytes, CODE, usual_bytes);
    if bytes.value > most_bytes {
        bytes = Setting::new(most_bytes, Origin::Code("Builder::with_memory_limit"));
    }
    let queue = Setting::resolve(
        code.map(|batch| batch.max_queue_records),
        CODE,
        // Below eight, chunks of an eighth of the queue would be empty.
        environment
            .max_queue_size
            .map(|set| Setting::new(Some(set.value.max(8)), set.origin)),
        default.max_queue_records,
    );
    let records = Setting::resolve(
        code.map(|batch| batch.max_records),
        CODE,
        environment.max_export_batch_size,
        default.max_records,
    );
    let batch = Batch {
        interval: explained.settle("batch.interval", interval),
        max_bytes: Some(explained.settle("batch.max_bytes", bytes)),
        is_adaptive: explained.settle("batch.adaptive_size", is_adaptive),
        max_records: {
            let records = fitting(records, queue, explained);
            explained.settle("batch.max_records", records)
        },
        max_queue_records: queue.value,
    };
    let shown = queue
        .value
        .map_or("not limited".to_owned(), |most| most.to_string());
    explained.state("batch.max_queue_records", shown, queue.origin);
    batch
}

/// A request of the environment's or the default's size fits the queue. The code's is validated.
fn fitting(
    records: Setting<usize>,
    queue: Setting<Option<usize>>,
    explained: &mut Explanation,
) -> Setting<usize> {
    let most = queue.value.unwrap_or(usize::MAX);
    match records.origin {
        Origin::Code(_) => return records,
        _ if records.value <= most => return records,
        Origin::Environment(name) => explained.warn(format!(
            "{name}={} exceeds {}: {most} is used",
            records.value, queue.origin
        )),
        Origin::Default | Origin::Detector(_) => {}
    }
    Setting::new(most, queue.origin)
}

fn record(
    code: &Recorded,
    environment: &Environment,
    explained: &mut Explanation,
) -> config::Record {
    let default = config::Record::default();
    let mut settle = |name: &str, code: Option<bool>, method, default| {
        explained.settle(name, Setting::of_code(code, method, default))
    };
    let events = code.events.map(|events| events == Events::SpanEvents);
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
        events: settle(
            "record.events",
            events,
            "Builder::with_events",
            default.events,
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
        errors: errors(code.errors, environment, explained),
    }
}

pub(super) fn sizes(config: &Config) -> Sizes {
    let Batch {
        max_records,
        max_queue_records,
        ..
    } = config.batch;
    let first_bytes = config.batch.first_bytes();
    let chunk_bytes = CHUNK.min(config.memory / 64).min(first_bytes);
    // With the specification's queue, an eighth of it may wait in a chunk.
    let eighth = max_queue_records.map_or(usize::MAX, |records| (records / 8).max(1));
    let half = max_queue_records.map_or(usize::MAX, |records| (records / 2).max(1));
    Sizes {
        chunk_bytes,
        chunk_records: max_records.min(eighth),
        // Chunks that are pushed are full, or half full where a large record did not fit; the budget is reached first.
        ring: max_queue_records
            .unwrap_or(2 * config.memory / chunk_bytes + 64)
            .min(1 << 16),
        max_records: max_queue_records.unwrap_or(usize::MAX),
        wake_bytes: first_bytes.min(config.memory / 4),
        wake_records: max_records.min(half),
    }
}

#[cfg(test)]
mod tests;
