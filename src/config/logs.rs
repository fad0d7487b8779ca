//! What is particular to log records.

use std::time::Duration;

use super::{Batch, Limits, RateLimit};
use crate::model::Severity;

/// Settings of log records. What is not set here comes from the [environment](crate::environment), else it has its default.
///
/// Where they go is said as for spans: a destination takes both signals, and
/// [`Builder::with_logs_endpoint`](crate::Builder::with_logs_endpoint) is for one that takes them elsewhere. Which events become log
/// records is up to [`Events`](crate::Events) and [`EventRule`](crate::EventRule).
///
/// ```
/// use tracing_otlp::{Events, Logs};
///
/// let logs = Logs::new()
///     .with_minimum_severity(tracing::Level::INFO)
///     .with_span_fields(["tenant", "order.id"]);
/// let builder = tracing_otlp::layer().with_events(Events::Logs).with_logs(logs);
/// # drop(builder);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until a builder has them"]
pub struct Logs {
    pub(crate) batch: Option<Batch>,
    pub(crate) limits: Option<Limits>,
    pub(crate) minimum_severity: Option<Severity>,
    pub(crate) is_trace_based: bool,
    /// The keys that are wanted; none are all.
    pub(crate) span_fields: Option<Vec<String>>,
    pub(crate) drop_above: Option<RateLimit>,
}

impl Logs {
    /// Everything as the environment says, else the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// When and in which portions log records are sent. Default: `OTEL_BLRP_SCHEDULE_DELAY`, else 1 second;
    /// `OTEL_BLRP_MAX_QUEUE_SIZE` and `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE`; else [`Batch::default`].
    pub fn with_batch(mut self, batch: Batch) -> Self {
        self.batch = Some(batch);
        self
    }

    /// How much a log record may hold: its attributes, the length and depth of their values, and its bytes; a log record has no
    /// events and links. Default: `OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT` and its like, and [`Limits::default`].
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Log records that are less severe are left out (specification, `LoggerConfig.minimum_severity`). Decided once for each
    /// callsite, so that it costs nothing; span events of the same callsite stay. By target: [`EventRule`](crate::EventRule).
    /// Default: none are left out.
    pub fn with_minimum_severity(mut self, severity: impl Into<Severity>) -> Self {
        self.minimum_severity = Some(severity.into());
        self
    }

    /// Log records that exceed so much a second are not recorded, by the rule of
    /// [`Builder::with_drop_above`](crate::Builder::with_drop_above): TRACE and DEBUG while less than half of a second's worth is left, INFO
    /// while less than a quarter is, WARN and ERROR when nothing is. Each is counted as
    /// [`DropReason::RateLimited`](crate::DropReason::RateLimited). Default: not limited.
    pub fn with_drop_above(mut self, limit: RateLimit) -> Self {
        self.drop_above = Some(limit);
        self
    }

    /// Leaves log records out that belong to a trace that is not sampled (specification, `LoggerConfig.trace_based`). Those
    /// outside of any span stay. Off by default.
    pub fn with_trace_based(mut self, on: bool) -> Self {
        self.is_trace_based = on;
        self
    }

    /// Gives each log record these attributes of the spans that it is in. Later `record`s and attributes that were set count,
    /// the log's own attributes win over a span's, an inner span's over an outer one's, and so do they where the limit has no room
    /// for all. Spans that are not recorded have none to give. Default: none, since it costs a copy of the spans' attributes for
    /// each log, and makes logs larger.
    pub fn with_span_fields<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        self.span_fields = (!keys.is_empty()).then_some(keys);
        self
    }

    /// As [`with_span_fields`](Self::with_span_fields), with all attributes of the spans but their place in the source, level,
    /// target and thread, which the layer itself adds.
    pub fn with_all_span_fields(mut self) -> Self {
        self.span_fields = Some(Vec::new());
        self
    }
}

/// What holds for log records in the end.
#[derive(Clone, Debug)]
pub(crate) struct LogSettings {
    pub(crate) batch: Batch,
    pub(crate) limits: Limits,
    pub(crate) is_trace_based: bool,
    pub(crate) span_fields: Option<Vec<String>>,
    pub(crate) drop_above: RateLimit,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            // OTEL_BLRP_SCHEDULE_DELAY's default: a log is looked at sooner than a trace.
            batch: Batch::default().with_interval(Duration::from_secs(1)),
            limits: Limits::default(),
            is_trace_based: false,
            span_fields: None,
            drop_above: RateLimit::default(),
        }
    }
}
