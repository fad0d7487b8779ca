//! From decided values to the running parts.

use std::sync::Arc;

use tracing_subscriber::filter::Targets;

use super::explain::Explanation;
use super::guard::{Guard, Outlet, Shared};
use super::resolve;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::context::Propagators;
use crate::error::Error;
use crate::export::{self, Mailbox, Outgoing, Settings, Size, Transport, Tuning, Way};
use crate::id_generator::IdGenerator;
use crate::layer::{Filter, OtlpLayer, Parts};
use crate::problem::Hook;
use crate::queue::{Budget, Pool, Queue, Stream};
use crate::sampler::{Pattern, Sampler};
use crate::signal::Signal;
use crate::stats::Ledger;

/// What was decided before the pipeline starts.
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) record: config::Record,
    pub(super) filter: Option<Targets>,
    pub(super) sampler: Sampler,
    pub(super) propagators: Propagators,
    pub(super) disabled_targets: Vec<Pattern>,
    pub(super) id_generator: Option<Arc<dyn IdGenerator>>,
    /// `None`: nothing is recorded, and no exporter is started.
    pub(super) transport: Option<Box<dyn Transport>>,
    /// The most that encoding a request takes beside the records.
    pub(super) footprint: usize,
    pub(super) ledger: Arc<Ledger>,
    pub(super) on_error: Option<Hook>,
    pub(super) explanation: Explanation,
}

/// Makes the parts and joins them.
pub(super) fn assemble(plan: Plan) -> Result<(OtlpLayer, Guard), Error> {
    let Plan {
        config,
        record,
        filter,
        sampler,
        propagators,
        disabled_targets,
        id_generator,
        transport,
        footprint,
        ledger,
        on_error,
        explanation,
    } = plan;
    let parts = Parts {
        sampler,
        propagators,
        id_generator,
        ..parts(&config)
    };
    // What the limit leaves out is 2 MiB in all; the connection's buffers and an answer have a quarter of that, and so have
    // those of each further connection.
    let encoded = footprint.saturating_sub(3 << 19);
    let connections = (config.concurrency.most() - 1) << 19;
    parts
        .budget
        .reserve((encoded + connections).min(config.memory / 2));
    // Where nothing is exported, nothing passes: a filter that names nothing.
    let filter = if transport.is_some() {
        filter
    } else {
        Some(Targets::new())
    };
    if let Some(filter) = filter {
        parts.filter.set(filter);
    }
    if !disabled_targets.is_empty() {
        parts.filter.disable(disabled_targets);
    }
    let outlets = transport.map(|transport| ways(&config, transport, &ledger));
    let (ways, outlets) = outlets.unwrap_or_default();
    let mailbox = (!ways.is_empty())
        .then(|| start(&parts, ways, on_error))
        .transpose()?;
    let shared = Shared {
        parts: parts.clone(),
        mailbox,
        outlets,
        explanation,
        #[cfg(feature = "_bridge")]
        rules: (record, config.limits),
    };
    let guard = Guard::new(Arc::new(shared), config.shutdown_timeout);
    Ok((OtlpLayer::new(parts, record, config.limits), guard))
}

/// The parts, with the defaults of what the user chooses.
fn parts(config: &Config) -> Parts {
    let budget = Arc::new(Budget::new(config.memory));
    Parts {
        traces: stream(Signal::Traces, config, &budget),
        logs: None,
        budget,
        clock: Arc::new(Clock::new()),
        filter: Arc::new(Filter::default()),
        sampler: Sampler::default(),
        propagators: Propagators::default(),
        id_generator: None,
    }
}

fn stream(signal: Signal, config: &Config, budget: &Arc<Budget>) -> Stream {
    let sizes = resolve::sizes(config);
    let pool = Pool::new(Arc::clone(budget), sizes.chunk_bytes);
    Stream {
        signal,
        queue: Arc::new(Queue::new(sizes, pool)),
        ledger: Arc::default(),
    }
}

/// What goes out, and how it is known to a handle.
fn ways(
    config: &Config,
    transport: Box<dyn Transport>,
    ledger: &Arc<Ledger>,
) -> (Vec<Way>, Vec<Outlet>) {
    let outgoing = Outgoing {
        tuning: tuning(Signal::Traces, config),
        resource: config.resource.encode(),
        ledger: Arc::clone(ledger),
        label: None,
    };
    let outlet = Outlet {
        signal: Signal::Traces,
        ledger: Arc::clone(ledger),
    };
    let way = Way {
        transport,
        outgoing: vec![outgoing],
    };
    (vec![way], vec![outlet])
}

fn tuning(signal: Signal, config: &Config) -> Tuning {
    let batch = config.batch;
    let first_bytes = batch.first_bytes();
    Tuning {
        signal,
        size: Size {
            bytes: batch.max_bytes.unwrap_or(first_bytes),
            records: batch.max_records as u64,
        },
        first_bytes,
        is_adaptive: batch.is_adaptive,
        concurrency: config.concurrency,
        bytes_in_flight: config.memory / 2,
        timeout: config.timeout,
        interval: batch.interval,
        record_bytes: config.limits.record_bytes,
        hold_on_config_error: config.hold_on_config_error,
    }
}

/// Starts the exporter, which is reached by the mailbox.
fn start(parts: &Parts, ways: Vec<Way>, on_error: Option<Hook>) -> Result<Arc<Mailbox>, Error> {
    let mailbox = Arc::new(Mailbox::default());
    let streams = std::iter::once(&parts.traces).chain(&parts.logs);
    let settings = Settings {
        budget: Arc::clone(&parts.budget),
        clock: Arc::clone(&parts.clock),
        mailbox: Arc::clone(&mailbox),
        streams: streams.cloned().collect(),
        on_error,
    };
    export::start(settings, ways)?;
    Ok(mailbox)
}
