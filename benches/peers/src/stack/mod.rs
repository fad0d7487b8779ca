//! The ways to trace that are compared, each installed for a whole process.

mod by_fastrace;
mod floor;
mod no_op;
mod opentelemetry;
mod ours;

use std::fmt;
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::filter::{DynFilterFn, LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use crate::sink::Sink;
use crate::transport::Transport;
use crate::workload::REFUSED_TARGET;

/// The service name that every stack reports.
const SERVICE: &str = "bench";

/// How the names begin that [`Sampler::Rules`] refuses.
pub const HEALTH: &str = "GET /health";

/// A way to trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stack {
    /// Registry and a layer that does nothing: what `tracing` itself costs.
    NoOp,
    /// Registry and a layer that does no more than each must that makes spans, and exports nothing: a yardstick, not a peer.
    Floor,
    /// Registry and the layer of `tracing-otlp`.
    Ours,
    /// Registry, tracing-opentelemetry and the SDK, with the attributes that ours writes and a
    /// queue that is larger than the default.
    OpenTelemetry,
    /// The same with the defaults of the layer and of the SDK.
    OpenTelemetryDefaults,
    /// fastrace and its OpenTelemetry reporter, without `tracing`.
    Fastrace,
}

/// Where a stack's spans go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To nobody, but counted.
    Sink(Sink),
    /// To a collector at this endpoint, over gRPC unless the settings say more.
    Collector(String),
}

/// How a stack is installed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the spans go.
    pub destination: Destination,
    /// Whether the layer stands behind a filter of its own, which refuses one target.
    pub filtered: bool,
    /// The memory budget of ours, in bytes.
    pub memory_limit: usize,
    /// How ours sends to a collector; the peers send over gRPC, not compressed.
    pub transport: Transport,
    /// Which spans are recorded; fastrace has no samplers.
    pub sampler: Sampler,
    /// How much a span may hold; fastrace has no limits.
    pub limits: Limits,
    /// Whether spans say how long they were entered, and how long not.
    pub busy_and_idle: bool,
    /// What ours asks of each record before it leaves.
    pub hook: Option<Hook>,
    /// Whether only traces that failed are kept, and what part of the others; ours alone can do that.
    pub tail: Option<f64>,
    /// Whether spans are active contexts of OpenTelemetry's API, where a stack knows of that.
    pub context_activation: bool,
}

/// A processor of ours.
#[derive(Clone, Copy, Debug)]
pub enum Hook {
    /// Looks at spans that begin.
    Start,
    /// Looks at values.
    Value,
    /// Looks at spans that end.
    End,
    /// Redacts secrets, of which there are none.
    Redaction,
}

/// A sampler that is parent-based, as those that programs use are.
#[derive(Clone, Copy, Debug)]
pub enum Sampler {
    /// The default: roots always.
    On,
    /// This part of the roots, by the trace id.
    Ratio(f64),
    /// Roots by their names: none that begins with [`HEALTH`], all others. Only ours has rules.
    Rules,
}

/// How much a span may hold; `None` is each stack's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Characters of an attribute's text, which the SDK does not limit.
    pub value_length: Option<u32>,
    /// Attributes of a span.
    pub attributes: Option<u32>,
    /// Events of a span.
    pub events: Option<u32>,
    /// Bytes of a span, which the SDK does not limit.
    pub record_bytes: Option<usize>,
}

impl Settings {
    /// Without a filter, over gRPC, with our default budget, and what each stack samples and limits by default.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            filtered: false,
            memory_limit: 32 << 20,
            transport: Transport::GRPC,
            sampler: Sampler::On,
            limits: Limits::default(),
            busy_and_idle: false,
            hook: None,
            tail: None,
            context_activation: true,
        }
    }
}

/// A stack at work.
pub trait Running {
    /// Waits until all that was made before is exported or dropped.
    fn flush(&self);

    /// Makes the stack's tracers the global ones of OpenTelemetry's API, where it has any.
    fn make_global(&self) {}

    /// Exports what is left, and ends. `made` is how many spans the application made.
    fn finish(&self, made: u64);

    /// The records that the stack says it dropped or was refused, where it tells.
    fn dropped(&self) -> Option<u64> {
        None
    }

    /// The requests that failed and are sent again, where the stack tells.
    fn retries(&self) -> Option<u64> {
        None
    }
}

impl Stack {
    /// All that programs can use, in the order of the tables.
    pub const ALL: &'static [Self] = &[
        Self::NoOp,
        Self::Ours,
        Self::OpenTelemetry,
        Self::OpenTelemetryDefaults,
        Self::Fastrace,
    ];

    /// Those and the yardstick, which stands behind the base line.
    pub fn with_floor() -> impl Iterator<Item = Self> {
        let (base_line, others) = Self::ALL.split_at(1);
        base_line
            .iter()
            .chain(&[Self::Floor])
            .chain(others)
            .copied()
    }

    /// Whether its spans go anywhere.
    pub fn exports(self) -> bool {
        !matches!(self, Self::NoOp | Self::Floor)
    }

    /// Its name in arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoOp => "no_op",
            Self::Floor => "floor",
            Self::Ours => "tracing_otlp",
            Self::OpenTelemetry => "tracing_opentelemetry",
            Self::OpenTelemetryDefaults => "tracing_opentelemetry_defaults",
            Self::Fastrace => "fastrace",
        }
    }

    /// Its name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::NoOp => "Registry and a no-op layer",
            Self::Floor => "Registry and the least that makes spans",
            Self::Ours => "tracing-otlp",
            Self::OpenTelemetry => "tracing-opentelemetry 0.34, SDK 0.33, same attributes",
            Self::OpenTelemetryDefaults => "tracing-opentelemetry 0.34, SDK 0.33, defaults",
            Self::Fastrace => "fastrace 0.7 (without `tracing`)",
        }
    }

    /// Makes it the way to trace of this process, which can be done once.
    pub fn install(self, settings: &Settings) -> Box<dyn Running> {
        match self {
            Self::NoOp => no_op::install(settings),
            Self::Floor => floor::install(settings),
            Self::Ours => ours::install(settings),
            Self::OpenTelemetry => opentelemetry::install(settings, false),
            Self::OpenTelemetryDefaults => opentelemetry::install(settings, true),
            Self::Fastrace => by_fastrace::install(settings),
        }
    }
}

impl FromStr for Stack {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let stack = Self::with_floor().find(|stack| stack.name() == name);
        stack.ok_or_else(|| format!("no stack is {name}"))
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a layer stands on: the Registry, and the level that programs run with.
///
/// Without the level, tracing-opentelemetry would export the spans that h2 makes while it exports.
type Base = Layered<LevelFilter, Registry>;

/// Puts a layer on the base, behind the filter when the settings ask for it.
fn install_layer<L>(layer: L, settings: &Settings)
where
    L: Layer<Base> + Send + Sync + 'static,
{
    let base = tracing_subscriber::registry().with(LevelFilter::INFO);
    if settings.filtered {
        set_global(base.with(layer.with_filter(filter())));
    } else {
        set_global(base.with(layer));
    }
}

/// A filter that is asked for each span. One that is asked for each callsite would cost nothing
/// with any stack, and compare nothing.
fn filter() -> DynFilterFn<Base> {
    dynamic_filter_fn(|metadata, _| metadata.target() != REFUSED_TARGET)
}

fn set_global(subscriber: impl Subscriber + Send + Sync) {
    tracing::subscriber::set_global_default(subscriber)
        .expect("a process installs one stack, once");
}
