//! How long to wait before a request is sent again: exponential, with equal jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A destination may ask for so much and not more.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The delay after `failures` failures in a row (at least one), with `random` from 0 to 1. What the destination asked for
/// is a lower bound, with up to a tenth of jitter upon it.
pub(super) fn delay(failures: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let own = whole.mul_f64(0.5 + 0.5 * random);
    match asked {
        Some(asked) => own.max(asked.min(LONGEST_ASKED).mul_f64(1.0 + 0.1 * random)),
        None => own,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_stays_between_half_and_whole(failures in 1_u32.., random in 0.0..1.0) {
            let delay = delay(failures, None, random);
            let whole = Duration::from_secs_f64((0.5 * 2_f64.powi(failures.min(20) as i32 - 1)).min(30.0));
            prop_assert!(delay >= whole / 2 && delay <= whole, "{delay:?} of {whole:?}");
        }

        #[test]
        fn what_was_asked_is_a_lower_bound(failures in 1_u32.., random in 0.0..1.0, asked in 0_u64..10_000) {
            let asked = Duration::from_secs(asked);
            let delay = delay(failures, Some(asked), random);
            prop_assert!(delay >= asked.min(LONGEST_ASKED));
            prop_assert!(delay <= LONGEST.max(LONGEST_ASKED.mul_f64(1.1)));
        }
    }
}
