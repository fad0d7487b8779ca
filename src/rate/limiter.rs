//! What is recorded a second, of records and of bytes: whoever begins something asks, and what was recorded is charged.

use super::{Bucket, Window};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Bytes are counted in KiB, so that a token takes long enough to be told in nanoseconds.
const KIB: u64 = 1 << 10;

/// Shared by all threads. What was asked for and what is charged need not be the same: who asks does not know how much it will be, so
/// more may be charged than there is, and whoever asks next waits for it to come back.
#[derive(Debug)]
pub(crate) struct Limiter {
    records: Option<Meter>,
    kib: Option<Meter>,
    /// Bytes that were charged in all, so that none are lost by counting in KiB. Written by any thread; Relaxed, a number that is moved by
    /// additions alone.
    bytes: AtomicU64,
}

#[derive(Debug)]
enum Meter {
    Bucket { bucket: Bucket, most: u64 },
    Window(Mutex<Window>),
}

impl Limiter {
    /// So much a second; in each window of so many nanoseconds, or else in the mean, with room for a second's worth. `None`: nothing is limited.
    pub(crate) fn new(
        records: Option<f64>,
        bytes: Option<f64>,
        window: Option<u64>,
    ) -> Option<Self> {
        let meter = |per_second| Meter::new(per_second, window);
        let kib = bytes.map(|bytes| bytes / KIB as f64);
        (records.is_some() || bytes.is_some()).then(|| Self {
            records: records.map(meter),
            kib: kib.map(meter),
            bytes: AtomicU64::new(0),
        })
    }

    /// Whether anything is left, beside so many quarters for others.
    pub(crate) fn has_room(&self, now: u64, quarters: u64) -> bool {
        let meters = self.records.iter().chain(&self.kib);
        meters.into_iter().all(|meter| {
            let (left, most) = meter.left(now);
            left > most / 4 * quarters
        })
    }

    /// A record of so many bytes was made.
    pub(crate) fn charge(&self, now: u64, bytes: usize) {
        if let Some(meter) = &self.records {
            meter.charge(now, 1);
        }
        if let Some(meter) = &self.kib {
            let bytes = bytes as u64;
            let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
            // Where the sum wraps, which nobody lives to see, nothing is charged rather than all there is.
            let kib = (before.wrapping_add(bytes) / KIB).saturating_sub(before / KIB);
            if kib > 0 {
                meter.charge(now, kib);
            }
        }
    }
}

impl Meter {
    fn new(per_second: f64, window: Option<u64>) -> Self {
        match window {
            Some(length) => Self::Window(Mutex::new(Window::new(per_second, length))),
            None => {
                // A second's worth; the cast stops at its ends.
                let most = (per_second.ceil() as u32).max(1);
                Self::Bucket {
                    bucket: Bucket::new(per_second, most),
                    most: most.into(),
                }
            }
        }
    }

    /// What is left, and of how much.
    fn left(&self, now: u64) -> (u64, u64) {
        match self {
            Self::Bucket { bucket, most } => (bucket.left(now), *most),
            Self::Window(window) => {
                let window = lock(window);
                (window.left(now), window.most())
            }
        }
    }

    fn charge(&self, now: u64, count: u64) {
        match self {
            Self::Bucket { bucket, .. } => bucket.charge(now, count),
            Self::Window(window) => lock(window).charge(now, count),
        }
    }
}

#[cfg(test)]
mod tests;
