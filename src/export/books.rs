//! What became of records: into the ledger, and told to whoever wants to know.

use std::sync::Arc;
use std::time::Instant;

use super::core::Outcome;
use super::transport::{Answer, Failure, Kind};
use super::voice::Voice;
use crate::queue::Queue;
use crate::stats::{DropReason, Ledger};

#[derive(Debug)]
pub(super) struct Books {
    ledger: Arc<Ledger>,
    voice: Voice,
    /// When the request in flight was begun.
    begun: Instant,
    /// Records that the layer had dropped when people were last told.
    told: u64,
}

impl Books {
    pub(super) fn new(ledger: Arc<Ledger>, voice: Voice) -> Self {
        Self {
            ledger,
            voice,
            begun: Instant::now(),
            told: 0,
        }
    }

    /// A request begins.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
    }

    /// A request was answered, or failed.
    pub(super) fn answered(&self, answer: &Result<Answer, Failure>) {
        self.ledger.request(self.begun.elapsed());
        match answer {
            Ok(answer) if answer.odd => self.ledger.odd_answer(),
            Ok(_) => {}
            Err(failure) => self
                .ledger
                .failed(&super::text::printable(&failure.message, LONGEST_MESSAGE)),
        }
    }

    pub(super) fn settle(&mut self, outcome: Outcome) {
        let Self { ledger, voice, .. } = self;
        match outcome {
            Outcome::Delivered {
                records,
                rejected,
                message,
                sent,
                ..
            } => {
                ledger.delivered(records, sent);
                ledger.rejected(rejected, "partial success");
                voice.delivered();
                if rejected > 0 {
                    voice.rejected(rejected, &format!("the collector says: {message}"));
                } else if !message.is_empty() {
                    voice.warned(&message);
                }
            }
            Outcome::Rejected {
                records,
                code,
                kind,
                message,
            } => {
                ledger.rejected(
                    records,
                    &answer_name(code.map(|code| code.to_string()), kind),
                );
                voice.rejected(records, &message);
            }
            Outcome::Dropped {
                records,
                reason,
                message,
            } => {
                ledger.dropped(reason, records);
                voice.dropped(records, &message);
            }
            Outcome::Retry {
                records,
                message,
                ambiguous,
                ..
            } => {
                ledger.retry();
                if ambiguous {
                    ledger.ambiguous();
                }
                voice.retrying(records, &message);
            }
            Outcome::Held { records, message } => {
                ledger.retry();
                voice.retrying(records, &message);
            }
            Outcome::Split { .. } => ledger.split(),
            // What is rejected and dropped then is told by itself.
            Outcome::Shortened { .. } | Outcome::BreakerOpened { .. } | Outcome::BreakerClosed => {}
            Outcome::Panicked { records } => {
                ledger.panicked();
                ledger.dropped(DropReason::ExporterPanic, records);
                voice.dropped(records, "the transport panicked");
            }
        }
    }

    pub(super) fn evicted(&mut self, records: u64) {
        self.ledger.dropped(DropReason::Evicted, records);
        let why =
            "the memory limit is reached and the collector does not keep up; the oldest go first";
        self.voice.dropped(records, why);
    }

    /// Says what the application's threads dropped since this was last called.
    pub(super) fn look_at_the_layer(&mut self, queue: &Queue) {
        let dropped = self.ledger.refused() + queue.lost();
        let records = dropped - self.told;
        if records > 0 {
            self.told = dropped;
            let why = "the queue or the memory limit was full when they began or ended; Handle::stats tells the reasons";
            self.voice.dropped(records, why);
        }
    }
}

/// Of each text so much is kept, in characters.
const LONGEST_MESSAGE: usize = 1_000;

fn answer_name(code: Option<String>, kind: Kind) -> String {
    code.unwrap_or_else(|| match kind {
        Kind::Misconfigured => "misconfigured".to_owned(),
        _ => "rejected".to_owned(),
    })
}
