//! What the code of users does inside a field, under a scoped subscriber.

use tracing_otlp::Handle;
use tracing_subscriber::prelude::*;

use crate::support::layer::Pipeline;
use crate::support::layer::user_code::{self, Played, Stage, user_code_tests};

struct Scoped;

const STAGE: Scoped = Scoped;

impl Stage for Scoped {
    const IS_GLOBAL: bool = false;

    fn play(&self, work: impl FnOnce(&Handle)) -> Played {
        let (layer, pipeline) = Pipeline::new();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            Played::on(&pipeline, work)
        })
    }
}

user_code_tests!();
