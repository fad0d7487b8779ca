//! A sampler of the user's, behind a guard.

use super::decision::{Decision, Sampling};
use super::question::Question;
use super::{Decide, ShouldSample};
use crate::quiet::guarded;

#[derive(Debug)]
pub(super) struct Custom<S>(pub(super) S);

impl<S: ShouldSample> Decide for Custom<S> {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        match guarded(|| self.0.should_sample(question.span)) {
            Ok(sampling) => sampling,
            Err(why) => {
                question.voice.panic(&self.description(), &why);
                question.without_threshold(Decision::RecordAndSample)
            }
        }
    }

    fn description(&self) -> String {
        let why = match guarded(|| self.0.description()) {
            Ok(description) => return description,
            Err(why) => why,
        };
        format!("<panicked: {why}>")
    }
}
