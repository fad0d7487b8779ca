//! How much is sent a second.

use std::time::Duration;

use super::within;
use crate::clock::nanos;
use crate::error::Error;
use crate::rate::Limiter;

/// So much a second, at most. It may stand in two places, which do not know of each other:
///
/// | | What exceeds it | |
/// |---|---|---|
/// | [`Builder::with_rate_limit`](crate::Builder::with_rate_limit) | waits in the exporter, within the memory limit; nothing is dropped for the rate alone | of each signal to each destination. What is sent again counts again. A request may exceed it by one chunk (32 KiB); the next one waits as much longer |
/// | [`Builder::with_drop_above`](crate::Builder::with_drop_above), [`Logs::with_drop_above`](crate::Logs::with_drop_above) | is not recorded: new traces, log records; it is counted as [`DropReason::RateLimited`](crate::DropReason::RateLimited) | of each signal, whatever becomes of it later |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[must_use = "settings do nothing until a builder has them"]
pub struct RateLimit {
    pub(crate) records: Option<f64>,
    pub(crate) bytes: Option<f64>,
    pub(crate) window: Option<Duration>,
}

impl RateLimit {
    #[cfg(test)]
    pub(crate) const NONE: Self = Self {
        records: None,
        bytes: None,
        window: None,
    };

    /// Records a second, at least 1. Default: not limited.
    pub fn with_records(mut self, per_second: f64) -> Self {
        self.records = Some(per_second);
        self
    }

    /// Bytes a second, encoded and before compression, at least 1,024; counted in KiB. Default: not limited.
    pub fn with_bytes(mut self, per_second: f64) -> Self {
        self.bytes = Some(per_second);
        self
    }

    /// No window of this length, from 100 ms to an hour, has more than the rate allows for it: for a destination that counts like
    /// that, as per minute. By default the rate holds in the mean, and what was not used of it in a second may be used later, at once: a token
    /// bucket with room for one second.
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// For who drops what exceeds it; `None` where nothing is limited.
    pub(crate) fn limiter(&self) -> Option<Limiter> {
        Limiter::new(self.records, self.bytes, self.window.map(nanos))
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let check = |name: &str, rate: Option<f64>, least: f64| match rate {
            Some(rate) if !(rate.is_finite() && rate >= least) => Err(Error::config(format!(
                "RateLimit::{name}: {rate} is not a finite number from {least} on"
            ))),
            _ => Ok(()),
        };
        check("with_records", self.records, 1.0)?;
        check("with_bytes", self.bytes, 1_024.0)?;
        let millis = self.window.map(|window| window.as_millis());
        let millis = millis.map(|millis| usize::try_from(millis).unwrap_or(usize::MAX));
        millis.map_or(Ok(()), |millis| {
            within("RateLimit::with_window (ms)", millis, 100, 3_600_000)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_finite_number_and_a_window_is_bounded() {
        let limit = RateLimit::default();
        let hour = Duration::from_secs(3_600);
        let good = limit
            .with_records(1.0)
            .with_bytes(1_024.0)
            .with_window(hour);
        assert!(limit.validate().is_ok() && good.validate().is_ok());
        for wrong in [
            limit.with_records(0.5),
            limit.with_records(f64::NAN),
            limit.with_bytes(f64::INFINITY),
            limit.with_bytes(-1.0),
            limit.with_window(Duration::ZERO),
            limit.with_window(2 * hour),
        ] {
            assert!(
                wrong.validate().is_err_and(|error| error.is_config()),
                "{wrong:?}"
            );
        }
    }
}
