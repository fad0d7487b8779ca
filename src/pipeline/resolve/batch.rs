//! When and in which portions records are sent, and how their queue is sized for it.

use std::time::Duration;

use crate::config::{Batch, Config, FIRST_REQUEST, Origin, Setting};
use crate::env::OfSignal;
use crate::pipeline::explain::Explanation;
use crate::queue::{CHUNK, Sizes};
use crate::signal::Signal;

/// OTEL_EXPORTER_OTLP_TIMEOUT's default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the code says of a signal's batches.
pub(super) struct Wanted {
    batch: Option<Batch>,
    /// The method that said so.
    method: &'static str,
    default: Batch,
}

impl Wanted {
    pub(super) fn new(batch: Option<Batch>, method: &'static str, default: Batch) -> Self {
        Self {
            batch,
            method,
            default,
        }
    }
}

/// `usual_bytes` is the largest request where nobody says, and `most_bytes` what the memory has for one.
pub(super) fn resolve(
    wanted: Wanted,
    environment: &OfSignal,
    (usual_bytes, most_bytes): (usize, usize),
    explained: &mut Explanation,
) -> Batch {
    let Wanted {
        batch: code,
        method,
        default,
    } = wanted;
    let interval = Setting::resolve(
        code.map(|batch| batch.interval),
        method,
        environment.schedule_delay,
        default.interval,
    );
    let is_adaptive = code.map(|batch| batch.is_adaptive);
    let is_adaptive = Setting::of_code(is_adaptive, method, default.is_adaptive);
    let bytes = code.and_then(|batch| batch.max_bytes);
    let usual_bytes = if is_adaptive.value {
        usual_bytes
    } else {
        FIRST_REQUEST
    };
    let mut bytes = Setting::of_code(bytes, method, usual_bytes);
    if bytes.value > most_bytes {
        bytes = Setting::new(most_bytes, Origin::Code("Builder::with_memory_limit"));
    }
    let queue = Setting::resolve(
        code.map(|batch| batch.max_queue_records),
        method,
        // Below eight, chunks of an eighth of the queue would be empty.
        environment
            .max_queue_size
            .map(|set| Setting::new(Some(set.value.max(8)), set.origin)),
        default.max_queue_records,
    );
    let records = Setting::resolve(
        code.map(|batch| batch.max_records),
        method,
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

/// One attempt's deadline. A bound of the whole export is one of the attempt too, and zero is no bound.
pub(super) fn timeout(code: Option<Duration>, environment: &OfSignal) -> Setting<Duration> {
    let attempt = Setting::resolve(code, "Builder::with_timeout", environment.timeout, TIMEOUT);
    let is_shorter = |export: &Setting<Duration>| {
        !export.value.is_zero() && (attempt.value.is_zero() || export.value < attempt.value)
    };
    match environment.export_timeout {
        Some(export) if code.is_none() && is_shorter(&export) => export,
        _ => attempt,
    }
}

pub(in crate::pipeline) fn sizes(signal: Signal, config: &Config) -> Sizes {
    let batch = config.batch_of(signal);
    let Batch {
        max_records,
        max_queue_records,
        ..
    } = *batch;
    let first_bytes = batch.first_bytes();
    let chunk_bytes = CHUNK.min(config.memory / 64).min(first_bytes);
    // With the specification's queue, an eighth of it may wait in a chunk.
    let eighth = max_queue_records.map_or(usize::MAX, |records| (records / 8).max(1));
    let half = max_queue_records.map_or(usize::MAX, |records| (records / 2).max(1));
    Sizes {
        chunk_bytes,
        chunk_records: max_records.min(eighth),
        // Chunks that are pushed are full, or half full where a large record did not fit; the budget is reached first.
        ring: max_queue_records
            .unwrap_or(config.memory / chunk_bytes * 2 + 64)
            .min(1 << 16),
        max_records: max_queue_records.unwrap_or(usize::MAX),
        wake_bytes: first_bytes.min(config.memory / 4),
        wake_records: max_records.min(half),
    }
}
