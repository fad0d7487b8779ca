//! Samplers that need no look at the span: always on, always off, and the one that records what another one drops.

use super::Decide;
use super::decision::{Decision, Sampling};
use super::early::{Leaf, Table};
use super::question::Question;
use super::shared::Sampler;

/// `AlwaysOn` and `AlwaysOff`.
#[derive(Debug)]
pub(super) struct Always(pub(super) Decision);

impl Decide for Always {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        question.without_threshold(self.0)
    }

    fn early(&self) -> Table {
        Table::all(Leaf::Fixed(self.0))
    }

    fn description(&self) -> String {
        let name = if self.0.is_sampled() {
            "AlwaysOnSampler"
        } else {
            "AlwaysOffSampler"
        };
        name.to_owned()
    }
}

/// `AlwaysRecord`: "converts DROP to RECORD_ONLY".
#[derive(Debug)]
pub(super) struct AlwaysRecord(pub(super) Sampler);

impl Decide for AlwaysRecord {
    fn decide(&self, question: &Question<'_>) -> Sampling {
        let sampling = self.0.decide(question);
        Sampling {
            decision: recorded(sampling.decision),
            ..sampling
        }
    }

    fn early(&self) -> Table {
        self.0.table().map(|leaf| match leaf {
            Leaf::Later => Leaf::Later,
            Leaf::Fixed(decision) => Leaf::Fixed(recorded(decision)),
            Leaf::Ratio { bound, otherwise } => Leaf::Ratio {
                bound,
                otherwise: recorded(otherwise),
            },
        })
    }

    fn description(&self) -> String {
        format!("AlwaysRecordSampler{{{}}}", self.0.description())
    }

    fn problem(&self) -> Option<String> {
        self.0.problem()
    }
}

fn recorded(decision: Decision) -> Decision {
    match decision {
        Decision::Drop => Decision::RecordOnly,
        other => other,
    }
}
