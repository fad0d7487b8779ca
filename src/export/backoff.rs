//! How long to wait before a request is sent again: exponential, with equal jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A destination may ask for so much and not more.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The delay after `failures` failures in a row (at least one), with `random` from 0 to 1.
pub(super) fn own(failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    whole.mul_f64(0.5 + 0.5 * random)
}

/// What the destination asked for is a lower bound, with up to a tenth of jitter upon it.
pub(super) fn asked(delay: Duration, random: f64) -> Duration {
    delay.min(LONGEST_ASKED).mul_f64(1.0 + 0.1 * random)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_stays_between_half_and_whole(failures in 1_u32.., random in 0.0..1.0) {
            let delay = own(failures, random);
            let whole = Duration::from_secs_f64((0.5 * 2_f64.powi(failures.min(20) as i32 - 1)).min(30.0));
            prop_assert!(delay >= whole / 2 && delay <= whole, "{delay:?} of {whole:?}");
        }

        #[test]
        fn what_was_asked_is_a_lower_bound(random in 0.0..1.0, seconds in 0_u64..10_000) {
            let wanted = Duration::from_secs(seconds);
            let delay = asked(wanted, random);
            let clamped = wanted.min(LONGEST_ASKED);
            prop_assert!(delay >= clamped && delay <= clamped.mul_f64(1.1));
        }
    }

    #[test]
    fn f_12_any_delay_is_bounded() {
        assert_eq!(asked(Duration::MAX, 0.0), LONGEST_ASKED);
    }
}
