//! A sampler of the user's, behind a guard.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::decision::{Decision, Sampling};
use super::question::Question;
use super::{Decide, ShouldSample};
use crate::quiet;

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

/// Runs user code one level deeper; a panic becomes its message.
fn guarded<T>(user_code: impl FnOnce() -> T) -> Result<T, String> {
    quiet::nested(|| {
        let panic = match catch_unwind(AssertUnwindSafe(user_code)) {
            Ok(value) => return Ok(value),
            Err(panic) => panic,
        };
        let why = message(&*panic).to_owned();
        discard(panic);
        Err(why)
    })
}

/// Drops a panic's payload, which is user code once more and may panic in turn.
fn discard(panic: Box<dyn Any + Send>) {
    let mut panic = Some(panic);
    for _ in 0..4 {
        let Some(payload) = panic.take() else { return };
        panic = catch_unwind(AssertUnwindSafe(|| drop(payload))).err();
    }
    // It panics however often it is dropped: leaking it is the lesser harm.
    std::mem::forget(panic);
}

fn message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}
