//! So many a second.

use super::Decide;
use super::decision::{Decision, Sampling};
use super::question::Question;
use crate::clock;
use crate::rate::Bucket;

#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    burst: u32,
    bucket: Bucket,
}

impl Rate {
    pub(super) fn new(per_second: f64, burst: Option<u32>) -> Self {
        // A second's worth; the cast stops at its ends.
        let burst = burst.unwrap_or(per_second.ceil() as u32).max(1);
        Self {
            per_second,
            burst,
            bucket: Bucket::new(per_second, burst),
        }
    }
}

impl Decide for Rate {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        let yes = self.bucket.take(clock::monotonic());
        question.without_threshold(Decision::from_yes(yes))
    }

    fn description(&self) -> String {
        let Self {
            per_second, burst, ..
        } = self;
        format!("RateLimited{{{per_second}/s,burst:{burst}}}")
    }

    fn problem(&self) -> Option<String> {
        let is_rate = self.per_second.is_finite() && self.per_second >= 0.0;
        (!is_rate).then(|| {
            let rate = self.per_second;
            format!("Sampler::rate_limited({rate}): expected a finite number from 0 on")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_finite_number() {
        for (rate, is_wrong) in [
            (0.0, false),
            (0.5, false),
            (-1.0, true),
            (f64::NAN, true),
            (f64::INFINITY, true),
        ] {
            assert_eq!(
                Rate::new(rate, None).problem().is_some(),
                is_wrong,
                "{rate}"
            );
        }
    }

    #[test]
    fn nothing_a_second_is_nothing_and_else_there_is_a_second_s_worth() {
        assert!(!Rate::new(0.0, None).bucket.take(0));
        let limit = Rate::new(2.5, None);
        assert_eq!(
            [0; 4].map(|_| limit.bucket.take(7)),
            [true, true, true, false]
        );
    }
}
