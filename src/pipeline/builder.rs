//! The builder: what the code says, over what the environment says, over the defaults.

use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::filter::Targets;

use super::guard::{Guard, Shared};
use super::resolve;
use crate::clock::Clock;
use crate::config::{self, Batch, Config, Limits};
use crate::env::{self, Environment};
use crate::error::Error;
use crate::export::{self, Mailbox, Settings, Size, Transport, Tuning};
use crate::layer::{Filter, OtlpLayer, Parts};
use crate::proto::resource;
use crate::queue::{Budget, Pool, Queue};
use crate::say::say;
use crate::stats::Ledger;

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

/// What becomes of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Events {
    /// Events become span events of the span they are recorded in. An event outside any span is left out.
    #[default]
    SpanEvents,
    /// Events are left out.
    Off,
}

/// Settings of a pipeline. What is not set here comes from the environment (`OTEL_*`), else it has its default.
#[derive(Default)]
#[must_use = "a builder does nothing until `build` or `init`"]
pub struct Builder {
    service_name: Option<String>,
    resource: Vec<(String, String)>,
    endpoint: Option<String>,
    timeout: Option<Duration>,
    batch: Option<Batch>,
    limits: Option<Limits>,
    memory: Option<usize>,
    shutdown_timeout: Option<Duration>,
    record: config::Record,
    filter: Option<Targets>,
    transport: Option<Box<dyn Transport>>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("service_name", &self.service_name)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// The resource attribute `service.name`. Default: `OTEL_SERVICE_NAME`, else `service.name` of
    /// `OTEL_RESOURCE_ATTRIBUTES`, else `unknown_service:` and the name of the executable.
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// A further resource attribute. It replaces one of the same key, also one of `OTEL_RESOURCE_ATTRIBUTES`.
    pub fn with_resource_attribute(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.resource.push((key.into(), value.into()));
        self
    }

    /// Where to send: `http://host:port`. Default: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, else
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://localhost:4317`.
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The deadline of one attempt: connecting, sending and the answer together. Zero is none. Default:
    /// `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, else `OTEL_EXPORTER_OTLP_TIMEOUT`, else 10 seconds.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// When and in which portions records are sent. Default: `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_MAX_QUEUE_SIZE` and
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, and [`Batch::default`].
    pub fn with_batch(mut self, batch: Batch) -> Self {
        self.batch = Some(batch);
        self
    }

    /// How much a span may hold. Default: `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT` and its like, and [`Limits::default`].
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
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

    /// Attributes `code.file.path`, `code.module.name` and `code.line.number` on spans and events. On by default.
    pub fn with_location(mut self, on: bool) -> Self {
        self.record.location = on;
        self
    }

    /// The attribute `target` on spans; events have it always. Off by default, since the target is the scope's name.
    pub fn with_target(mut self, on: bool) -> Self {
        self.record.target = on;
        self
    }

    /// The attribute `level` on spans; events have it always. Off by default.
    pub fn with_level(mut self, on: bool) -> Self {
        self.record.level = on;
        self
    }

    /// Attributes `thread.id` and `thread.name` on spans, of the thread that created the span. Off by default.
    pub fn with_threads(mut self, on: bool) -> Self {
        self.record.threads = on;
        self
    }

    /// What becomes of events. Default [`Events::SpanEvents`].
    pub fn with_events(mut self, events: Events) -> Self {
        self.record.events = events == Events::SpanEvents;
        self
    }

    /// A filter for this layer alone. [`Handle::set_filter`](crate::Handle::set_filter) changes it while the program runs. A
    /// span that it hides is skipped: its children belong to its nearest ancestor that is recorded. Default: no filter.
    pub fn with_filter(mut self, filter: impl Into<Targets>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// A way out of one's own, instead of gRPC to the endpoint.
    pub fn with_transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Starts the exporter, and makes the layer that feeds it.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] for a wrong value, and [`Error::is_thread`] when the exporter thread cannot be started. Wrong
    /// values in the environment are no errors: they are named on stderr and ignored.
    pub fn build(mut self) -> Result<(OtlpLayer, Guard), Error> {
        let environment = env::read(std::env::vars_os().filter_map(|(name, value)| {
            // What is no Unicode is no value of ours.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        let transport = self.transport.take();
        let filter = self.filter.take();
        let record = self.record;
        let mut warnings = environment.warnings.clone();
        let (config, transport) = self.resolve(environment, transport, &mut warnings)?;
        warnings.iter().for_each(|warning| say(warning));
        assemble(&config, record, filter, transport)
    }

    /// Code beats environment beats default.
    fn resolve(
        self,
        environment: Environment,
        transport: Option<Box<dyn Transport>>,
        warnings: &mut Vec<String>,
    ) -> Result<(Config, Box<dyn Transport>), Error> {
        let default = Config::default();
        let transport = match transport {
            Some(transport) => transport,
            None => resolve::default_transport(
                self.endpoint,
                environment.endpoint.as_ref(),
                config::ENDPOINT,
                warnings,
            )?,
        };
        let config = Config {
            resource: resolve::describe(self.service_name, self.resource, &environment),
            limits: self.limits.unwrap_or_else(|| resolve::limits(&environment)),
            batch: self
                .batch
                .unwrap_or_else(|| resolve::batch(&environment, warnings)),
            memory: self.memory.unwrap_or(default.memory),
            timeout: self
                .timeout
                .or(environment.timeout)
                .unwrap_or(default.timeout),
            shutdown_timeout: self.shutdown_timeout.unwrap_or(default.shutdown_timeout),
        };
        config.validate()?;
        Ok((config, transport))
    }
}

/// Makes the parts and joins them.
fn assemble(
    config: &Config,
    record: config::Record,
    filter: Option<Targets>,
    transport: Box<dyn Transport>,
) -> Result<(OtlpLayer, Guard), Error> {
    let budget = Arc::new(Budget::new(config.memory));
    let sizes = resolve::sizes(config);
    let queue = Arc::new(Queue::new(
        sizes,
        Pool::new(Arc::clone(&budget), sizes.chunk_bytes),
    ));
    let parts = Parts {
        queue,
        budget,
        ledger: Arc::new(Ledger::default()),
        clock: Arc::new(Clock::new()),
        filter: Arc::new(Filter::default()),
    };
    if let Some(filter) = filter {
        parts.filter.set(filter);
    }
    let mailbox = Arc::new(Mailbox::default());
    let Batch {
        max_bytes,
        max_records,
        interval,
        ..
    } = config.batch;
    let settings = Settings {
        queue: Arc::clone(&parts.queue),
        budget: Arc::clone(&parts.budget),
        ledger: Arc::clone(&parts.ledger),
        clock: Arc::clone(&parts.clock),
        mailbox: Arc::clone(&mailbox),
        tuning: Tuning {
            size: Size {
                bytes: max_bytes,
                records: max_records as u64,
            },
            interval,
            record_bytes: config.limits.record_bytes,
            hold_on_config_error: false,
        },
        resource: resource::encode(
            config
                .resource
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        ),
        timeout: config.timeout,
    };
    export::start(settings, transport)?;
    let shared = Shared {
        parts: parts.clone(),
        mailbox,
    };
    let guard = Guard::new(Arc::new(shared), config.shutdown_timeout);
    Ok((OtlpLayer::new(parts, record, config.limits), guard))
}
