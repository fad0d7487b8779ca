//! `ProbabilitySampler`: a threshold over the trace's 56 random bits (specification, probability sampling; in development).

use super::Decide;
use super::decision::{Decision, Sampling};
use super::description;
use super::ot::{ALL, DIGITS};
use super::question::Question;

#[derive(Debug)]
pub(super) struct Probability {
    ratio: f64,
    /// `None`: never, which "is not a form of probability sampling".
    threshold: Option<u64>,
}

impl Probability {
    pub(super) fn new(ratio: f64) -> Self {
        Self {
            ratio,
            threshold: threshold(ratio),
        }
    }
}

impl Decide for Probability {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        by_threshold(question, self.threshold, true)
    }

    fn description(&self) -> String {
        format!("ProbabilitySampler{{{}}}", description::ratio(self.ratio))
    }

    fn problem(&self) -> Option<String> {
        description::problem("Sampler::probability", self.ratio)
    }
}

/// Sampled where the randomness is not below the threshold, which then stands in the tracestate, if its probability is that of the
/// span.
pub(super) fn by_threshold(
    question: &Question<'_>,
    threshold: Option<u64>,
    is_reliable: bool,
) -> Sampling {
    let Some(threshold) = threshold else {
        return question.without_threshold(Decision::Drop);
    };
    if threshold > 0 && question.randomness_to_decide() < threshold {
        return question.without_threshold(Decision::Drop);
    }
    let written = is_reliable.then_some(threshold);
    question.with_threshold(Decision::RecordAndSample, written)
}

/// Significant digits of a threshold: "SDKs are recommended to use 4 digits of precision by default".
const PRECISION: u32 = 4;

/// How many of 2^56 traces are rejected; `None` below the least probability, 2^-56, and for no number. Digits that are all ones
/// are not significant, so that small probabilities keep their precision.
pub(super) fn threshold(probability: f64) -> Option<u64> {
    let kept = probability * ALL as f64;
    if kept.is_nan() || kept < 1.0 {
        return None;
    }
    if probability >= 1.0 {
        return Some(0);
    }
    let rejected = ALL - (kept.round() as u64).clamp(1, ALL);
    // The power of two that is just above the probability: 2^0 for a half and more.
    let exponent = 1022_u64.saturating_sub(probability.to_bits() >> 52);
    let digits = (PRECISION + (exponent / 4) as u32).min(DIGITS);
    let unit = 1_u64 << (4 * (DIGITS - digits));
    let rounded = (rejected + unit / 2) / unit * unit;
    Some(rounded.min(ALL - unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sampler::ot::threshold_text;

    #[test]
    fn spec_4_13_thresholds_have_four_significant_digits() {
        let vectors = [
            (1.0, "0"),
            (1.0 / 2.0, "8"),
            (1.0 / 3.0, "aaab"),
            (1.0 / 4.0, "c"),
            (1.0 / 5.0, "cccd"),
            (1.0 / 8.0, "e"),
            (1.0 / 10.0, "e666"),
            (1.0 / 16.0, "f"),
            (1.0 / 100.0, "fd70a"),
            (1.0 / 1000.0, "ffbe77"),
            (1.0 / 10_000.0, "fff9724"),
            (1.0 / 100_000.0, "ffff583a"),
            (1.0 / 1_000_000.0, "ffffef39"),
        ];
        for (probability, text) in vectors {
            let threshold = threshold(probability).unwrap();
            assert_eq!(threshold_text(threshold), text, "{probability}");
        }
    }

    #[test]
    fn spec_4_12_probabilities_are_from_2_to_the_minus_56_to_1() {
        let least = 2_f64.powi(-56);
        assert_eq!(threshold(least), Some(ALL - 1));
        assert_eq!(threshold(1.0), Some(0));
        for never in [0.0, -1.0, least / 2.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(threshold(never), None, "{never}");
        }
        for always in [1.0 + f64::EPSILON, f64::INFINITY] {
            assert_eq!(threshold(always), Some(0), "{always}");
        }
    }

    proptest! {
        /// Against the exact number, in floating point.
        #[test]
        fn a_threshold_is_as_exact_as_its_digits(exponent in -55_i32..=0, mantissa in 0.5_f64..1.0) {
            let probability = mantissa * 2_f64.powi(exponent);
            let kept = (ALL - threshold(probability).unwrap()) as f64;
            let exact = probability * ALL as f64;
            // Half of the last digit, or of one in 2^56.
            prop_assert!((kept - exact).abs() <= exact / 8192.0 + 1.0);
        }

        #[test]
        fn a_higher_probability_rejects_no_more(a in 0.0_f64..1.0, b in 0.0_f64..1.0) {
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            if let Some(low) = threshold(low) {
                prop_assert!(threshold(high).is_some_and(|high| high <= low));
            }
        }
    }
}
