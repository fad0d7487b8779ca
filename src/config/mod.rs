//! Validated values, each default with its reason.

mod balance;
mod concurrency;
mod destination;
mod errors;
mod headers;
mod logs;
mod rate;
mod restraint;
mod setting;

use std::time::Duration;

pub use self::balance::Balance;
pub use self::concurrency::Concurrency;
pub(crate) use self::destination::Exporter;
#[cfg(any(feature = "grpc", feature = "http"))]
pub(crate) use self::destination::Pem;
pub use self::destination::{Compression, Protocol, Tls};
pub use self::errors::Errors;
pub(crate) use self::errors::ExceptionSignal;
pub(crate) use self::headers::{HeaderList, HeaderProvider};
pub(crate) use self::logs::LogSettings;
pub use self::logs::Logs;
pub use self::rate::RateLimit;
pub(crate) use self::restraint::Restraint;
pub(crate) use self::setting::{Origin, Setting};
use crate::error::Error;
use crate::proto::resource::Resource;
use crate::proto::value::ValueBounds;
use crate::signal::Signal;

/// How many attributes, events and links a span may have, and how large they and it may become. What exceeds the limit of a
/// number is left out and counted in the `dropped_*_count` fields of its span, event or link, and people are told of it, once a
/// minute at most; a value that exceeds a limit of size is cut, and counted by [`Stats::truncated`](crate::Stats::truncated).
///
/// Limits are about attributes: names, status descriptions and the resource are cut only where the record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until a builder has them"]
pub struct Limits {
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
    pub(crate) attributes_per_event: u32,
    pub(crate) attributes_per_link: u32,
    pub(crate) value_length: Option<u32>,
    pub(crate) value_depth: u32,
    pub(crate) record_bytes: usize,
}

impl Default for Limits {
    /// 128 of each, values of any length and 64 levels (OpenTelemetry specification, span limits and attribute limits), and
    /// 256 KiB a record.
    fn default() -> Self {
        Self {
            attributes: 128,
            events: 128,
            links: 128,
            attributes_per_event: 128,
            attributes_per_link: 128,
            value_length: None,
            value_depth: 64,
            // A record has to fit a request many times over, and costs memory while its span is open.
            record_bytes: 256 << 10,
        }
    }
}

impl Limits {
    /// Attributes of a span. Default 128.
    pub fn with_attributes(mut self, count: u32) -> Self {
        self.attributes = count;
        self
    }

    /// Events of a span. Default 128.
    pub fn with_events(mut self, count: u32) -> Self {
        self.events = count;
        self
    }

    /// Links of a span. Default 128.
    pub fn with_links(mut self, count: u32) -> Self {
        self.links = count;
        self
    }

    /// Attributes of one event. Default 128.
    pub fn with_attributes_per_event(mut self, count: u32) -> Self {
        self.attributes_per_event = count;
        self
    }

    /// Attributes of one link. Default 128.
    pub fn with_attributes_per_link(mut self, count: u32) -> Self {
        self.attributes_per_link = count;
        self
    }

    /// Characters of an attribute's text, and bytes of a byte sequence, also inside of arrays and maps. Nothing else is cut,
    /// and no character is. What a `Debug` or `Display` writes ends there too. Default: no limit of its own, but
    /// [`with_record_bytes`](Self::with_record_bytes).
    pub fn with_value_length(mut self, characters: u32) -> Self {
        self.value_length = Some(characters);
        self
    }

    /// Levels of arrays and maps in each other, 1 to 128, of which the attribute's own value is the first; what lies deeper
    /// becomes an empty value. Default 64.
    ///
    /// Decoders that take no more than 100 messages in each other, such as prost's, read 31 levels of maps. As JSON, 24 levels are
    /// written; what lies deeper is an empty value there.
    pub fn with_value_depth(mut self, levels: u32) -> Self {
        self.value_depth = levels;
        self
    }

    /// Encoded bytes of one record, 1 KiB to 4 MiB; a value that would exceed it is cut. Default 256 KiB.
    pub fn with_record_bytes(mut self, bytes: usize) -> Self {
        self.record_bytes = bytes;
        self
    }

    /// What a value is held to.
    pub(crate) fn value(&self) -> ValueBounds {
        let length = self.value_length.map(usize::try_from);
        ValueBounds {
            length: length.and_then(Result::ok).unwrap_or(usize::MAX),
            depth: self.value_depth,
            bytes: self.record_bytes,
        }
    }

    fn validate(&self) -> Result<(), Error> {
        // Values are written by recursion, which takes stack.
        let depth = usize::try_from(self.value_depth).unwrap_or(usize::MAX);
        within("Limits::with_value_depth", depth, 1, 128)?;
        within(
            "Limits::with_record_bytes",
            self.record_bytes,
            1 << 10,
            4 << 20,
        )
    }
}

/// When and in which portions records are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until a builder has them"]
pub struct Batch {
    /// `None` where it is for the pipeline to decide.
    pub(crate) max_bytes: Option<usize>,
    pub(crate) max_records: usize,
    pub(crate) max_queue_records: Option<usize>,
    pub(crate) interval: Duration,
    pub(crate) is_adaptive: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_bytes: None,
            max_records: 8192,
            // The memory budget bounds the queue; the specification's 2,048 records would be half a MiB.
            max_queue_records: None,
            // OTEL_BSP_SCHEDULE_DELAY's default.
            interval: Duration::from_secs(5),
            is_adaptive: true,
        }
    }
}

impl Batch {
    /// For a program that runs for a second: a record waits for others 10 ms at most. Default in all else.
    pub fn immediate() -> Self {
        // The exporter sweeps no more often than each 10 ms.
        Self::default().with_interval(Duration::ZERO)
    }

    /// Encoded bytes of the largest request before compression, 1 KiB to 4 MiB less 64 KiB, which is the default where the
    /// records are sent as they are and a quarter of the memory limit is that much. What is compressed or sent as JSON has
    /// 1 MiB by default, since that is encoded anew.
    ///
    /// Requests begin with 1 MiB or this, whichever is less (see [`Batch::with_adaptive_size`]). A request is larger than this
    /// only when one record or chunk (32 KiB) is. The specification's largest request is 64 MiB; what is more than this goes
    /// with the next request, so nothing is discarded for its size.
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Whether requests have the size that the destination does best with. They grow while there is more to send and answers
    /// come within an eighth of the time-out, and they shrink when answers take half of the time-out, when a request fails by
    /// it, or is refused twice. Without this, they have 1 MiB, or what [`Batch::with_max_bytes`] says. What is refused as too
    /// large makes them smaller in any case. On by default.
    pub fn with_adaptive_size(mut self, on: bool) -> Self {
        self.is_adaptive = on;
        self
    }

    /// Records of one request, at least 1. Default 8,192; the specification's is 512 (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
    pub fn with_max_records(mut self, records: usize) -> Self {
        self.max_records = records;
        self
    }

    /// Records that may wait for export, at least 8. Not limited by default, since the memory budget is; the
    /// specification's is 2,048 (`OTEL_BSP_MAX_QUEUE_SIZE`).
    pub fn with_max_queue_records(mut self, records: usize) -> Self {
        self.max_queue_records = Some(records);
        self
    }

    /// How long a record waits for others, at most; less than 10 ms is as good as 10 ms. Default 5 seconds
    /// (`OTEL_BSP_SCHEDULE_DELAY`).
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How large requests are in the beginning, in bytes.
    pub(crate) fn first_bytes(&self) -> usize {
        let most = self.max_bytes.unwrap_or(FIRST_REQUEST);
        if self.is_adaptive {
            most.min(FIRST_REQUEST)
        } else {
            most
        }
    }

    fn validate(&self) -> Result<(), Error> {
        if let Some(bytes) = self.max_bytes {
            within("Batch::with_max_bytes", bytes, 1 << 10, MAX_REQUEST)?;
        }
        within("Batch::with_max_records", self.max_records, 1, usize::MAX)?;
        if let Some(records) = self.max_queue_records {
            within("Batch::with_max_queue_records", records, 8, usize::MAX)?;
            if self.max_records > records {
                return Err(Error::config(format!(
                    "Batch: a request of {} records does not fit a queue of {records} (OTEL_BSP_MAX_EXPORT_BATCH_SIZE \
                     is at most OTEL_BSP_MAX_QUEUE_SIZE)",
                    self.max_records
                )));
            }
        }
        Ok(())
    }
}

/// A smaller memory limit is none that a pipeline works within.
pub(crate) const LEAST_MEMORY: usize = 1 << 20;

/// What a request costs by itself (0.25 ms of CPU, fitted over three batch sizes) is then a tenth of what its records cost, and
/// collectors take four times as much.
pub(crate) const FIRST_REQUEST: usize = 1 << 20;

/// Collectors take 4 MiB by default; what is not records (headers, the resource) has 64 KiB.
pub(crate) const MAX_REQUEST: usize = (4 << 20) - (64 << 10);

/// Which attributes of the callsite and the thread a record gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) location: bool,
    pub(crate) target: bool,
    pub(crate) level: bool,
    pub(crate) threads: bool,
    /// A span ends when it is left last, not when it is closed.
    pub(crate) end_at_last_exit: bool,
    /// How long a span was entered, and how long it was not.
    pub(crate) busy_and_idle: bool,
    pub(crate) errors: Errors,
}

impl Default for Record {
    /// What a user of tracing-opentelemetry finds there too, less what costs on each span and is seldom asked for.
    fn default() -> Self {
        Self {
            location: true,
            target: false,
            level: false,
            threads: false,
            end_at_last_exit: false,
            busy_and_idle: false,
            errors: Errors::default(),
        }
    }
}

/// Everything that was decided before the pipeline starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) resource: Resource,
    pub(crate) limits: Limits,
    pub(crate) batch: Batch,
    pub(crate) logs: LogSettings,
    pub(crate) concurrency: Concurrency,
    pub(crate) memory: usize,
    pub(crate) restraint: Restraint,
    pub(crate) shutdown_timeout: Duration,
    /// What a mistake in the configuration keeps from being delivered is kept, not dropped.
    pub(crate) hold_on_config_error: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resource: Resource::default(),
            limits: Limits::default(),
            batch: Batch::default(),
            logs: LogSettings::default(),
            concurrency: Concurrency::default(),
            // At 400 bytes a span some 80,000 spans: half a minute of outage at 2,500 spans a second.
            memory: 32 << 20,
            restraint: Restraint::default(),
            // Long enough for one slow answer, short enough for a container that gets 10 s to stop.
            shutdown_timeout: Duration::from_secs(5),
            // Delivery needs a person; until then the newest records matter more.
            hold_on_config_error: false,
        }
    }
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        for signal in Signal::ALL {
            self.limits_of(*signal).validate()?;
            self.batch_of(*signal).validate()?;
        }
        self.concurrency.validate()?;
        self.restraint.rate.validate()?;
        self.restraint.drop_above.validate()?;
        self.logs.drop_above.validate()?;
        within(
            "Builder::with_memory_limit",
            self.memory,
            LEAST_MEMORY,
            usize::MAX,
        )?;
        let largest = Signal::ALL.iter();
        let largest = largest.map(|signal| self.limits_of(*signal).record_bytes);
        match largest.max() {
            Some(bytes) if bytes > self.memory / 4 => Err(Error::config(format!(
                "Builder::with_memory_limit: {} bytes do not hold four records of {bytes} bytes (Limits::with_record_bytes)",
                self.memory
            ))),
            _ => Ok(()),
        }
    }

    pub(crate) fn batch_of(&self, signal: Signal) -> &Batch {
        match signal {
            Signal::Traces => &self.batch,
            Signal::Logs => &self.logs.batch,
        }
    }

    pub(crate) fn limits_of(&self, signal: Signal) -> &Limits {
        match signal {
            Signal::Traces => &self.limits,
            Signal::Logs => &self.logs.limits,
        }
    }
}

pub(crate) fn within(name: &str, value: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let bounds = if most == usize::MAX {
        format!("at least {least}")
    } else {
        format!("from {least} to {most}")
    };
    Err(Error::config(format!("{name}: {value} is not {bounds}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(Config::default().validate().is_ok());
    }

    #[test]
    fn an_error_names_the_value_and_the_bounds() {
        let config = Config {
            batch: Batch::default().with_max_bytes(7),
            ..Config::default()
        };
        let message = config.validate().map_err(|error| error.to_string());
        assert_eq!(
            message,
            Err("Batch::with_max_bytes: 7 is not from 1024 to 4128768".to_owned())
        );
    }

    #[test]
    fn spec_5_3_at_least_one_level_and_at_most_what_the_stack_holds() {
        for (levels, is_valid) in [(0, false), (1, true), (64, true), (128, true), (129, false)] {
            let limits = Limits::default().with_value_depth(levels);
            assert_eq!(limits.validate().is_ok(), is_valid, "{levels}");
        }
    }

    #[test]
    fn a_batch_fits_the_queue() {
        let batch = Batch::default().with_max_queue_records(100);
        assert!(
            batch
                .validate()
                .is_err_and(|error| error.is_config() && error.to_string().contains("8192"))
        );
        assert!(batch.with_max_records(100).validate().is_ok());
    }
}
