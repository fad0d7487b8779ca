//! From decided values to the running parts.

use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::filter::Targets;

use super::builder::Hooks;
use super::explain::Explanation;
use super::guard::{Guard, Outlet, Shared};
use super::panic;
use super::resolve::{self, Carried, Carrier};
use crate::cgroup::Follower;
use crate::clock::Clock;
use crate::config::{self, Config, RateLimit};
use crate::context::Propagators;
use crate::error::Error;
use crate::export::{self, Chore, Mailbox, Outgoing, Pressed, Settings, Size, Tuning, Way};
use crate::id_generator::IdGenerator;
use crate::layer::{Filter, Holder, Limiters, OpenSpans, OtlpLayer, Parts, Processors, Routing};
use crate::pattern::Pattern;
use crate::problem::Hook;
use crate::queue::{Budget, Pool, Queue, Stream};
use crate::resource::World;
use crate::sampler::Sampler;
#[cfg(feature = "tail")]
use crate::sampler::Tail;
use crate::say::{Level, tell};
use crate::signal::Signal;

/// What was decided before the pipeline starts.
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) record: config::Record,
    pub(super) routing: Routing,
    pub(super) filter: Option<Targets>,
    pub(super) sampler: Sampler,
    pub(super) propagators: Propagators,
    pub(super) disabled_targets: Vec<Pattern>,
    pub(super) id_generator: Option<Arc<dyn IdGenerator>>,
    #[cfg(feature = "tail")]
    pub(super) tail: Option<Tail>,
    /// None: nothing is recorded, and no exporter is started.
    pub(super) carriers: Vec<Carrier>,
    pub(super) hooks: Hooks,
    pub(super) on_error: Option<Hook>,
    pub(super) explanation: Explanation,
}

/// Makes the parts and joins them.
pub(super) fn assemble(plan: Plan) -> Result<(OtlpLayer, Guard), Error> {
    let Plan {
        config,
        record,
        routing,
        filter,
        sampler,
        propagators,
        disabled_targets,
        id_generator,
        #[cfg(feature = "tail")]
        tail,
        carriers,
        hooks,
        on_error,
        explanation,
    } = plan;
    let carries = |signal| carriers.iter().any(|carrier| carrier.carries(signal));
    let parts = parts(&config, carries);
    let parts = Parts {
        sampler,
        propagators,
        id_generator,
        processors: Processors::new(hooks.processors, &parts.traces.ledger),
        ..parts
    };
    reserve(&config, &carriers, &parts.budget);
    #[cfg(feature = "tail")]
    let parts = Parts {
        holder: Holder::new(tail.as_ref(), config.limits.record_bytes, &parts),
        ..parts
    };
    // Where nothing is exported, nothing passes: a filter that names nothing.
    let filter = carriers.is_empty().then(Targets::new).or(filter);
    if let Some(filter) = filter {
        parts.filter.set(filter);
    }
    if !disabled_targets.is_empty() {
        parts.filter.disable(disabled_targets);
    }
    let (ways, outlets) = ways(&config, carriers);
    let layer = OtlpLayer::new(parts.clone(), record, config.limits, routing, &config.logs);
    let on_sweep = on_sweep(&parts, &layer, hooks.long_running);
    let on_swept = follow_cgroup(&config, &parts, &layer);
    let mailbox = (!ways.is_empty())
        .then(|| start(&parts, ways, on_error, (on_sweep, on_swept)))
        .transpose()?;
    let shared = Arc::new(Shared {
        open_spans: layer.open_spans(),
        parts,
        mailbox,
        outlets,
        explanation,
        #[cfg(feature = "opentelemetry-0_33")]
        rules: (record, [config.limits, config.logs.limits]),
    });
    panic::flush_before(&shared, hooks.flush_on_panic);
    let guard = Guard::new(shared, config.shutdown_timeout);
    Ok((layer, guard))
}

/// Sets aside what encoding and connections take beside the records.
fn reserve(config: &Config, carriers: &[Carrier], budget: &Budget) {
    let footprint: usize = carriers.iter().map(|carrier| carrier.footprint).sum();
    let outlets: usize = carriers.iter().map(|carrier| carrier.carried.len()).sum();
    // What the limit leaves out is 2 MiB in all; the connection's buffers and an answer have a quarter of that, and so have
    // those of each further connection.
    let encoded = footprint.saturating_sub(3 << 19);
    let connections = (config.concurrency.most() * outlets).saturating_sub(1) << 19;
    budget.reserve((encoded + connections).min(config.memory / 2));
}

/// The parts, with the defaults of what the user chooses.
fn parts(config: &Config, carries: impl Fn(Signal) -> bool) -> Parts {
    let (has_traces, has_logs) = (carries(Signal::Traces), carries(Signal::Logs));
    let limiter = |limit: RateLimit| limit.limiter().map(Arc::new);
    let budget = Arc::new(Budget::new(config.memory));
    Parts {
        traces: stream(Signal::Traces, config, &budget),
        exports_spans: has_traces,
        logs: has_logs.then(|| stream(Signal::Logs, config, &budget)),
        budget,
        clock: Arc::new(Clock::new()),
        filter: Arc::new(Filter::default()),
        restraint: config.restraint,
        limiters: Limiters {
            traces: limiter(config.restraint.drop_above).filter(|_| has_traces),
            logs: limiter(config.logs.drop_above),
        },
        sampler: Sampler::default(),
        propagators: Propagators::default(),
        id_generator: None,
        processors: None,
        holder: Holder::default(),
    }
}

fn stream(signal: Signal, config: &Config, budget: &Arc<Budget>) -> Stream {
    let sizes = resolve::sizes(signal, config);
    let pool = Pool::new(Arc::clone(budget), sizes.chunk_bytes);
    Stream {
        signal,
        queue: Arc::new(Queue::new(sizes, pool)),
        ledger: Arc::default(),
    }
}

/// What goes out, and how it is known to a handle.
fn ways(config: &Config, carriers: Vec<Carrier>) -> (Vec<Way>, Vec<Outlet>) {
    let all: usize = carriers.iter().map(|carrier| carrier.carried.len()).sum();
    let mut names = carriers.iter().flat_map(|carrier| &carrier.carried);
    let first = names.next().map(|carried| Arc::clone(&carried.destination));
    let are_several = names.any(|carried| Some(&carried.destination) != first.as_ref());
    let (mut ways, mut outlets) = (Vec::new(), Vec::new());
    for Carrier {
        transport, carried, ..
    } in carriers
    {
        let mut outgoing = Vec::new();
        for carried in carried {
            outgoing.push(Outgoing {
                tuning: tuning(&carried, config, all),
                resource: config.resource.encode(),
                ledger: Arc::clone(&carried.ledger),
                destination: Arc::clone(&carried.destination),
                label: label(&carried, all, are_several),
            });
            outlets.push(Outlet {
                signal: carried.signal,
                destination: carried.destination,
                ledger: carried.ledger,
            });
        }
        ways.push(Way {
            transport,
            outgoing,
        });
    }
    (ways, outlets)
}

/// What one of so many outlets is called in lines for people.
fn label(carried: &Carried, outlets: usize, are_several: bool) -> Option<String> {
    let Carried {
        signal,
        destination,
        ..
    } = carried;
    match (are_several, outlets > 1) {
        (true, _) => Some(format!("{destination}, {signal}")),
        (false, true) => Some(signal.to_string()),
        (false, false) => None,
    }
}

/// How one of so many outlets works.
fn tuning(carried: &Carried, config: &Config, outlets: usize) -> Tuning {
    let Carried {
        signal, timeout, ..
    } = *carried;
    let batch = config.batch_of(signal);
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
        rate: config.restraint.rate,
        bytes_in_flight: config.memory / 2 / outlets,
        timeout,
        interval: batch.interval,
        record_bytes: config.limits_of(signal).record_bytes,
        hold_on_config_error: config.hold_on_config_error,
    }
}

/// What the layer has to do from time to time.
fn on_sweep(parts: &Parts, layer: &OtlpLayer, long_running: Option<Duration>) -> Vec<Chore> {
    let mut chores = Vec::new();
    if parts.holder.is_on() {
        let (holder, clock) = (parts.holder.clone(), Arc::clone(&parts.clock));
        chores.push(Chore::new(move |close| holder.sweep(clock.at(0), close)));
    }
    if let Some(bound) = long_running {
        let (open_spans, traces) = (layer.open_spans(), parts.traces.clone());
        chores.push(Chore::new(move |_| open_spans.tell_of_long(bound, &traces)));
    }
    chores
}

/// Where the memory limit follows the cgroup, it does so from here on.
fn follow_cgroup(config: &Config, parts: &Parts, layer: &OtlpLayer) -> Option<Chore> {
    if !config.restraint.follows_cgroup {
        return None;
    }
    let largest = Signal::ALL.iter();
    let largest = largest.map(|signal| config.limits_of(*signal).record_bytes);
    let smallest = (4 * largest.max().unwrap_or_default()).max(config::LEAST_MEMORY);
    let (budget, ledger) = (&parts.budget, &parts.traces.ledger);
    let Some(follower) = Follower::new(World::of_files(), budget, smallest, ledger) else {
        tell(
            Level::Info,
            "Builder::with_memory_following_cgroup: this process is in no cgroup, and the memory limit stays as it is",
        );
        return None;
    };
    follower.look();
    let slack = Slack::new(parts, layer);
    Some(Chore::new(move |_| {
        if follower.look() {
            slack.give_up();
        }
    }))
}

/// What is kept for later, and holds memory meanwhile.
pub(super) struct Slack {
    streams: Vec<Stream>,
    open_spans: OpenSpans,
}

impl Slack {
    pub(super) fn new(parts: &Parts, layer: &OtlpLayer) -> Self {
        let streams = std::iter::once(&parts.traces).chain(&parts.logs);
        Self {
            streams: streams.cloned().collect(),
            open_spans: layer.open_spans(),
        }
    }

    /// The memory limit was lowered.
    pub(super) fn give_up(&self) {
        self.streams.iter().for_each(|stream| stream.queue.trim());
        self.open_spans.trim();
    }
}

/// Starts the exporter, which is reached by the mailbox.
fn start(
    parts: &Parts,
    ways: Vec<Way>,
    on_error: Option<Hook>,
    (on_sweep, on_swept): (Vec<Chore>, Option<Chore>),
) -> Result<Arc<Mailbox>, Error> {
    let mailbox = Arc::new(Mailbox::default());
    let streams = std::iter::once(&parts.traces).chain(&parts.logs);
    let settings = Settings {
        budget: Arc::clone(&parts.budget),
        clock: Arc::clone(&parts.clock),
        mailbox: Arc::clone(&mailbox),
        streams: streams.cloned().collect(),
        pressed: pressed(parts),
        spares_the_oldest: parts.restraint.waits.is_some(),
        on_error,
        on_sweep,
        on_swept,
    };
    export::start(settings, ways)?;
    Ok(mailbox)
}

/// Where anybody wants to know, the layer is told how short memory is.
fn pressed(parts: &Parts) -> Option<Pressed> {
    let (filter, restraint) = (Arc::clone(&parts.filter), parts.restraint);
    let Limiters { traces, logs } = &parts.limiters;
    let are_limited = traces.is_some() || logs.is_some();
    if restraint.waits.is_some() || are_limited {
        filter.look_each_time();
    }
    let tell = move |pressure| match pressure {
        Some(pressure) => filter.press(pressure),
        None => filter.relax(),
    };
    (restraint.minds_memory() || are_limited).then(|| Pressed {
        is_told: restraint.sheds,
        tell: Box::new(tell),
    })
}
