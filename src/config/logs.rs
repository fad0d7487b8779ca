//! What is particular to log records.

use std::time::Duration;

use super::{Batch, Limits};

/// Settings of log records. What is not set here comes from the [environment](crate::environment), else it has its default.
///
/// Where they go is said as for spans: a destination takes both signals, and
/// [`Builder::with_logs_endpoint`](crate::Builder::with_logs_endpoint) is for one that takes them elsewhere.
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until a builder has them"]
pub struct Logs {
    pub(crate) batch: Option<Batch>,
    pub(crate) limits: Option<Limits>,
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
}

/// What holds for log records in the end.
#[derive(Clone, Debug)]
pub(crate) struct LogSettings {
    pub(crate) batch: Batch,
    pub(crate) limits: Limits,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            // OTEL_BLRP_SCHEDULE_DELAY's default: a log is looked at sooner than a trace.
            batch: Batch::default().with_interval(Duration::from_secs(1)),
            limits: Limits::default(),
        }
    }
}
