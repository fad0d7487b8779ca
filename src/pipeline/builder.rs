//! The builder: what the code says, over what the environment says, over the defaults.

use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::filter::Targets;

use super::assemble::{Plan, assemble};
use super::destination::Wanted;
use super::explain::Explanation;
use super::exporter::Exporter;
use super::guard::Guard;
#[cfg(feature = "_bridge")]
use super::interop;
use super::resolve;
use super::restraint;
use crate::config::{Batch, Concurrency, Errors, Limits, Logs};
use crate::context::{CustomPropagator, Propagator};
use crate::env::{self, Environment};
use crate::error::Error;
use crate::export::Transport;
use crate::id_generator::IdGenerator;
use crate::layer::{EventRule, Events, OtlpLayer, Processor};
use crate::model::Value;
use crate::pattern::Pattern;
use crate::problem::{Hook, Problem};
use crate::resource::Detector;
use crate::sampler::Sampler;
#[cfg(feature = "tail")]
use crate::sampler::Tail;
use crate::say::{self, Level, say};

/// Begins a pipeline: a layer and the exporter behind it.
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// let (otlp, _guard) = tracing_otlp::layer()
///     .with_service_name("checkout")
///     .with_endpoint("http://collector:4317")
///     .build()?;
/// tracing_subscriber::registry().with(otlp).init();
/// # Ok::<(), tracing_otlp::Error>(())
/// ```
pub fn layer() -> Builder {
    Builder::default()
}

/// Settings of a pipeline. What is not set here comes from the [environment](crate::environment) (`OTEL_*`), else it has its
/// default. [`Handle::explain`](crate::Handle::explain) tells what holds in the end.
#[derive(Default)]
#[must_use = "a builder does nothing until `build` or `init`"]
pub struct Builder {
    pub(super) resource: Described,
    pub(super) destination: Wanted,
    pub(super) batch: Option<Batch>,
    pub(super) concurrency: Option<Concurrency>,
    pub(super) limits: Option<Limits>,
    pub(super) logs: Logs,
    pub(super) memory: Option<usize>,
    pub(super) restraint: restraint::Wanted,
    pub(super) shutdown_timeout: Option<Duration>,
    pub(super) hold_on_config_error: Option<bool>,
    pub(super) disabled: Option<bool>,
    pub(super) record: Recorded,
    pub(super) filter: Option<Targets>,
    pub(super) disabled_targets: Option<Vec<Pattern>>,
    pub(super) sampler: Option<Sampler>,
    #[cfg(feature = "tail")]
    pub(super) tail: Option<Tail>,
    pub(super) propagators: Forms,
    pub(super) id_generator: Option<Arc<dyn IdGenerator>>,
    pub(super) hooks: Hooks,
    pub(super) transport: Option<Box<dyn Transport>>,
    pub(super) exporters: Vec<Exporter>,
    pub(super) on_error: Option<Hook>,
    #[cfg(feature = "opentelemetry-0_33")]
    pub(super) context_activation: Option<bool>,
}

/// What the code says about the resource.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub(super) service_name: Option<String>,
    pub(super) attributes: Vec<(String, Value<'static>)>,
    pub(super) schema_url: Option<String>,
    pub(super) detectors: Vec<Detector>,
}

/// In which forms contexts travel.
#[derive(Default)]
pub(super) struct Forms {
    pub(super) known: Option<Vec<Propagator>>,
    pub(super) custom: Vec<Arc<dyn CustomPropagator>>,
}

/// What the program wants to be asked or done, beside recording.
#[derive(Default)]
pub(super) struct Hooks {
    pub(super) processors: Vec<Box<dyn Processor>>,
    pub(super) flush_on_panic: Option<Duration>,
    pub(super) long_running: Option<Duration>,
}

/// What the code says about a record's own attributes.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) location: Option<bool>,
    pub(super) target: Option<bool>,
    pub(super) level: Option<bool>,
    pub(super) threads: Option<bool>,
    pub(super) events: Option<Events>,
    pub(super) event_rules: Vec<EventRule>,
    pub(super) end_at_last_exit: Option<bool>,
    pub(super) busy_and_idle: Option<bool>,
    pub(super) errors: Option<Errors>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("service_name", &self.resource.service_name)
            .field("destination", &self.destination)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// The resource attribute `service.name`. Default: `service.name` of `OTEL_ENTITIES`, else `OTEL_SERVICE_NAME`, else
    /// `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else `unknown_service:` and the name of the executable.
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.resource.service_name = Some(name.into());
        self
    }

    /// A further resource attribute: what is true of all that this program records. It replaces one of the same key, also one
    /// of the environment or of a detector, and also by an empty value. The limits of attributes do not apply to it. An empty
    /// key is an error of [`Builder::build`].
    ///
    /// The resource does not change once it is built. It always has `service.name`, `service.instance.id` (random for each
    /// process), and `telemetry.sdk.name`, `telemetry.sdk.language` and `telemetry.sdk.version` of this crate.
    ///
    /// ```
    /// let builder = tracing_otlp::layer()
    ///     .with_resource_attribute("service.version", env!("CARGO_PKG_VERSION"))
    ///     .with_resource_attribute("shard", 7);
    /// # drop(builder);
    /// ```
    pub fn with_resource_attribute(
        mut self,
        key: impl Into<String>,
        value: impl Into<Value<'static>>,
    ) -> Self {
        self.resource.attributes.push((key.into(), value.into()));
        self
    }

    /// Detectors that look for further resource attributes in `build`: in variables and local files, never on the network.
    /// What the environment and the code say replaces what they find; of two that find the same key, the later one holds.
    /// Default: none.
    pub fn with_detectors(mut self, detectors: impl IntoIterator<Item = Detector>) -> Self {
        self.resource.detectors.extend(detectors);
        self
    }

    /// The schema that the resource's attributes follow, as `https://opentelemetry.io/schemas/1.44.0`. That one is claimed
    /// where a detector has found something; another one together with [`Builder::with_detectors`] is an error of
    /// [`Builder::build`]. Default: what the detectors and `OTEL_ENTITIES` agree upon, else none.
    pub fn with_schema_url(mut self, url: impl Into<String>) -> Self {
        self.resource.schema_url = Some(url.into());
        self
    }

    /// When and in which portions spans are sent. Default: `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_MAX_QUEUE_SIZE` and
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, and [`Batch::default`].
    pub fn with_batch(mut self, batch: Batch) -> Self {
        self.batch = Some(batch);
        self
    }

    /// How many requests are in flight at a time. More than one helps where a request takes long and the destination can work on
    /// several. What they hold counts towards the memory limit, half of which it is at most; each one beyond the first takes
    /// another half MiB of it for its connection, and room for what is compressed or sent as JSON. Default: one.
    pub fn with_concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// How much a span may hold. Default: `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT` and its like, and [`Limits::default`].
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Settings of log records. Default: as the environment says, and [`Logs::default`].
    pub fn with_logs(mut self, logs: Logs) -> Self {
        self.logs = logs;
        self
    }

    /// What errors say of spans and events. Default [`Errors::default`].
    pub fn with_errors(mut self, errors: Errors) -> Self {
        self.record.errors = Some(errors);
        self
    }

    /// Bytes that open spans, chunks, queue, backlog and requests in flight may take together, at least 1 MiB. What does not
    /// fit is dropped and counted. Default 32 MiB.
    pub fn with_memory_limit(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// How long the [`Guard`] waits for the last records when it is dropped. Default 5 seconds.
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Whether records are kept when the destination refuses them by a mistake in the configuration, such as wrong
    /// credentials or a wrong path: one request a minute then tries whether it was mended, and the memory limit bounds what
    /// waits. By default they are dropped and counted, since the specification does not let them be sent again.
    pub fn with_hold_on_config_error(mut self, on: bool) -> Self {
        self.hold_on_config_error = Some(on);
        self
    }

    /// Switches the pipeline off: nothing is recorded, no thread is started, a [`Handle`](crate::Handle) answers at once.
    /// Default: `OTEL_SDK_DISABLED`, which `with_disabled(false)` beats, else false. `OTEL_TRACES_EXPORTER=none` (and
    /// `OTEL_LOGS_EXPORTER=none`, where there are log records) has the same effect, unless the code names a destination.
    pub fn with_disabled(mut self, disabled: bool) -> Self {
        self.disabled = Some(disabled);
        self
    }

    /// Attributes `code.file.path`, `code.module.name` and `code.line.number` on spans and events. On by default.
    ///
    /// `code.function.name` is left out: what `tracing` knows of a callsite is its module, and a span's name is often, but not
    /// always, that of its function.
    pub fn with_location(mut self, on: bool) -> Self {
        self.record.location = Some(on);
        self
    }

    /// The attribute `target` on spans; events have it always. Off by default, since the target is the scope's name.
    pub fn with_target(mut self, on: bool) -> Self {
        self.record.target = Some(on);
        self
    }

    /// The attribute `level` on spans; events have it always. Off by default.
    pub fn with_level(mut self, on: bool) -> Self {
        self.record.level = Some(on);
        self
    }

    /// Attributes `thread.id` and `thread.name` on spans, of the thread that created the span. Off by default.
    pub fn with_threads(mut self, on: bool) -> Self {
        self.record.threads = Some(on);
        self
    }

    /// Whether a span ends when it is left for the last time, and not when it is closed. One that is never entered ends when
    /// it is closed. Off by default: a span whose handle is kept, as one of a request whose body is still being sent, is not over.
    pub fn with_end_at_last_exit(mut self, on: bool) -> Self {
        self.record.end_at_last_exit = Some(on);
        self
    }

    /// Attributes `busy_ns` and `idle_ns` on spans: nanoseconds in which the span was entered (on one thread or on several), and in which
    /// it was not. Together they are the span's duration. Off by default, since each enter and exit reads the clock then.
    pub fn with_busy_and_idle(mut self, on: bool) -> Self {
        self.record.busy_and_idle = Some(on);
        self
    }

    /// What becomes of events: span events, log records, both, or nothing. Default [`Events::SpanEvents`]; of exceptions, what
    /// `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN` says.
    pub fn with_events(mut self, events: Events) -> Self {
        self.record.events = Some(events);
        self
    }

    /// What becomes of some events, by their target and level. Of several rules the first one that an event meets holds, before
    /// [`Builder::with_events`]. Decided once for each callsite, so that an event costs nothing more. Default: none.
    pub fn with_event_rule(mut self, rule: EventRule) -> Self {
        self.record.event_rules.push(rule);
        self
    }

    /// A filter for this layer alone. [`Handle::set_filter`](crate::Handle::set_filter) changes it while the program runs. A
    /// span that it hides is skipped: its children belong to its nearest ancestor that is recorded. Default: no filter.
    pub fn with_filter(mut self, filter: impl Into<Targets>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// Tracing targets of which nothing is recorded, as if there were no tracer (specification, `TracerConfig`): `*` stands for
    /// any characters or none, `?` for any one. It goes before [`Builder::with_filter`], and
    /// [`Handle::set_disabled_targets`](crate::Handle::set_disabled_targets) changes it while the program runs. A span of such a target
    /// is skipped: its children belong to its nearest ancestor that is recorded. Decided once for each callsite, so that a
    /// span costs nothing more. Default: none.
    ///
    /// Where the specification has `Tracer.Enabled`, `tracing` has `tracing::enabled!`. That asks the subscriber, which means
    /// all of its layers together; this layer alone never says no there, since that would switch the callsite off for the others. What
    /// it records is up to its filter and these targets, and to its sampler.
    ///
    /// ```
    /// let builder = tracing_otlp::layer().with_disabled_targets(["hyper*", "h2::*", "noisy::module"]);
    /// # drop(builder);
    /// ```
    pub fn with_disabled_targets<T: Into<String>>(
        mut self,
        targets: impl IntoIterator<Item = T>,
    ) -> Self {
        self.disabled_targets = Some(targets.into_iter().map(Pattern::new).collect());
        self
    }

    /// Where ids of traces and spans come from. Default: all of their bits are random.
    pub fn with_id_generator(mut self, generator: impl IdGenerator) -> Self {
        self.id_generator = Some(Arc::new(generator));
        self
    }

    /// Which spans are recorded. Default: `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`, else as the parent was sampled,
    /// and a root always.
    ///
    /// ```
    /// use tracing_otlp::Sampler;
    ///
    /// let tenth = Sampler::parent_based(Sampler::ratio(0.1));
    /// let builder = tracing_otlp::layer().with_sampler(tenth);
    /// # drop(builder);
    /// ```
    pub fn with_sampler(mut self, sampler: impl Into<Sampler>) -> Self {
        self.sampler = Some(sampler.into());
        self
    }

    /// Sends what has ended before a panic goes on, and waits for that so long at most: a panic may be the end of the process, as with
    /// `panic = "abort"`, where no [`Guard`] is dropped. Spans that the panic leaves end afterwards, when it unwinds, and are
    /// not among what is sent. Default: nothing is done when something panics.
    ///
    /// [`Builder::build`] sets a panic hook, which flushes and then calls the hook that was there before. A hook of the program's own that
    /// is set later replaces it, unless it calls the one before. There is no way to take one out of the middle, so it stays when the pipeline
    /// has ended, and does nothing then; each pipeline that asks for it adds one.
    ///
    /// The thread that panics waits, also where the panic is caught further up: keep the time short where that is common. Of threads that
    /// panic at once, one flushes. Nothing is done for a panic inside of what this crate calls (a value's `Debug`, a sampler, a
    /// [`Processor`]), which is caught, nor on the exporter's thread.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = tracing_otlp::layer().with_flush_on_panic(Duration::from_secs(2));
    /// # drop(builder);
    /// ```
    pub fn with_flush_on_panic(mut self, timeout: Duration) -> Self {
        self.hooks.flush_on_panic = Some(timeout);
        self
    }

    /// A record of each span that has been open for so long, once, while it is still open. Default: none, since a span is exported when it
    /// ends, and one that hangs, or is open when the process dies, is never seen.
    ///
    /// The record is a span of its own, `still open: <name>`, a child of the one that is open, with its attributes so far and as long as that has
    /// lasted. So a backend shows where the trace hangs, and has no span twice: the open one itself comes when it ends, under
    /// its own id. A log record would need a pipeline of logs; the span sent early would be a duplicate of what follows.
    ///
    /// The exporter looks at each flush interval ([`Batch::with_interval`]), not the application's threads. Spans that are not sampled have none. The
    /// record goes through no [`Processor`]: what is in the span has gone through it. Spans that a bridge's tracers began have none either.
    pub fn with_long_running(mut self, bound: Duration) -> Self {
        self.hooks.long_running = Some(bound);
        self
    }

    /// A say over what leaves the process: a [`Processor`] of one's own, or a [`Redaction`](crate::Redaction). Called more than once, it
    /// adds one; they are called in this order. Default: none, and nothing is paid for it.
    ///
    /// ```
    /// use tracing_otlp::Redaction;
    ///
    /// let builder = tracing_otlp::layer().with_processor(Redaction::new());
    /// # drop(builder);
    /// ```
    pub fn with_processor(mut self, processor: impl Processor) -> Self {
        self.hooks.processors.push(Box::new(processor));
        self
    }

    /// Which traces are kept when they are over, of what the sampler has let through; until then their spans are held. What
    /// [`Tail`] has to say of room and time holds. Default: all are kept, and nothing is held.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tracing_otlp::Tail;
    ///
    /// // What fails or is slow, and one in a hundred.
    /// let tail = Tail::default().with_slower_than(Duration::from_secs(1)).with_ratio(0.01);
    /// let builder = tracing_otlp::layer().with_tail_sampling(tail);
    /// # drop(builder);
    /// ```
    #[cfg(feature = "tail")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tail")))]
    pub fn with_tail_sampling(mut self, tail: Tail) -> Self {
        self.tail = Some(tail);
        self
    }

    /// The forms in which contexts are read and written, in this order, each once; of what several can read, the last one's
    /// holds. An empty list is none. They hold also where the pipeline is disabled, and for this pipeline alone: there is no
    /// propagator of the whole process. Default: `OTEL_PROPAGATORS`, else W3C Trace Context and W3C Baggage.
    ///
    /// ```
    /// use tracing_otlp::Propagator;
    ///
    /// let builder = tracing_otlp::layer().with_propagators([Propagator::TraceContext, Propagator::B3Multi]);
    /// # drop(builder);
    /// ```
    pub fn with_propagators(mut self, propagators: impl IntoIterator<Item = Propagator>) -> Self {
        self.propagators.known = Some(propagators.into_iter().collect());
        self
    }

    /// A form of one's own, behind those of [`with_propagators`](Self::with_propagators) and those that were added before.
    pub fn with_custom_propagator(mut self, propagator: impl CustomPropagator) -> Self {
        self.propagators.custom.push(Arc::new(propagator));
        self
    }

    /// What to call when records cannot be delivered, are refused or dropped: each time, on the exporter's thread, where nothing
    /// that is traced is recorded. It should not block: the exporter waits for it. Lines on stderr are written all the same
    /// (`OTEL_LOG_LEVEL`), and far more seldom. Default: nothing.
    ///
    /// ```
    /// let builder = tracing_otlp::layer().with_on_error(|problem| {
    ///     if problem.kind() == tracing_otlp::ProblemKind::Rejected {
    ///         eprintln!("{} records refused: {}", problem.records(), problem.message());
    ///     }
    /// });
    /// # drop(builder);
    /// ```
    pub fn with_on_error(mut self, hook: impl Fn(&Problem) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Hook(Arc::new(hook)));
        self
    }

    /// A way out of one's own, instead of OTLP to the endpoint: what is said about the destination has no effect then, and
    /// neither has `OTEL_TRACES_EXPORTER`.
    pub fn with_transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// One of several destinations, up to 16: each record is encoded once, and goes to every one of them. Each has its own retries, back-off
    /// and ledger, and one that is slow or dead delays no other: it holds at most its share of the memory limit, and gives up its
    /// oldest records then. Settings of batches, concurrency and limits are common to all.
    ///
    /// With this, everything about destinations is said in an [`Exporter`]: `build` fails where the builder says something about one
    /// too, as by [`Builder::with_endpoint`]. A record counts once for each destination in [`Handle::stats`](crate::Handle::stats).
    pub fn with_exporter(mut self, exporter: Exporter) -> Self {
        self.exporters.push(exporter);
        self
    }

    /// Starts the exporter, and makes the layer that feeds it.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] for a wrong value, and [`Error::is_thread`] when the exporter thread cannot be started. Wrong
    /// values in the environment are no errors: they are named on stderr and ignored.
    pub fn build(self) -> Result<(OtlpLayer, Guard), Error> {
        let variables = std::env::vars_os().map(|(name, value)| {
            // What is no Unicode is read as far as it is, so that it is missed rather than not noticed.
            let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
            (text(name), text(value))
        });
        let environment = env::read(variables);
        if let Some(level) = &environment.log_level {
            say::set_level(level.value);
        }
        #[cfg(feature = "opentelemetry-0_33")]
        let context_activation = self.context_activation;
        let plan = self.plan(environment)?;
        plan.explanation
            .warnings()
            .iter()
            .for_each(|line| say(line));
        say::tell(Level::Debug, &plan.explanation.to_string());
        let built = assemble(plan);
        #[cfg(feature = "_bridge")]
        let built = built.map(|(layer, guard)| (interop::bridged(layer), guard));
        #[cfg(feature = "opentelemetry-0_33")]
        let built =
            built.map(|(layer, guard)| (interop::activating(layer, context_activation), guard));
        built
    }

    /// Code beats environment beats default.
    pub(super) fn plan(self, mut environment: Environment) -> Result<Plan, Error> {
        let mut explanation = Explanation::default();
        let warnings = std::mem::take(&mut environment.warnings);
        warnings.into_iter().for_each(|line| explanation.warn(line));
        resolve::plan(self, &environment, explanation)
    }
}
