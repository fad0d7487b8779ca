//! What became of records: into the ledger, and told to whoever wants to know.

use std::sync::Arc;
use std::time::Duration;

use super::core::Outcome;
use super::text::printable;
use super::transport::{Answer, Code, Failure, Kind};
use super::voice::Voice;
use crate::stats::{DropReason, Ledger};

#[derive(Debug)]
pub(super) struct Books {
    ledger: Arc<Ledger>,
    voice: Voice,
}

impl Books {
    pub(super) fn new(ledger: Arc<Ledger>, voice: Voice) -> Self {
        Self { ledger, voice }
    }

    /// Records that the exporter has in its hands, and those of them that are on their way.
    pub(super) fn holds(&self, records: u64, in_flight: u64) {
        self.ledger.exporter_holds(records, in_flight);
    }

    /// The exporter panicked, or a transport outside of a request.
    pub(super) fn panicked(&self) {
        self.ledger.panicked();
    }

    /// The exporter goes, and these were not delivered.
    pub(super) fn left_behind(&self, records: u64) {
        self.ledger.dropped(DropReason::Shutdown, records);
        self.voice.left_behind(records);
        self.holds(0, 0);
    }

    /// A request was answered, or failed, after so long.
    pub(super) fn answered(&self, took: Duration, answer: &Result<Answer, Failure>) {
        self.ledger.request(took);
        match answer {
            Ok(answer) if answer.odd => self.ledger.odd_answer(),
            Ok(_) => {}
            Err(failure) => self
                .ledger
                .failed(&printable(&failure.message, LONGEST_MESSAGE)),
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
            } => self.delivered(records, rejected, &message, sent),
            Outcome::Rejected {
                records,
                code,
                kind,
                message,
            } => {
                ledger.rejected(records, &name_of(code, kind));
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
            Outcome::Shortened { .. } | Outcome::BreakerOpened { .. } | Outcome::BreakerClosed => {}
            Outcome::Panicked { records } => {
                ledger.panicked();
                ledger.dropped(DropReason::ExporterPanic, records);
                voice.dropped(records, "the transport panicked");
            }
        }
    }

    fn delivered(&mut self, records: u64, rejected: u64, message: &str, sent: u64) {
        self.ledger.delivered(records, sent);
        self.ledger.rejected(rejected, "partial success");
        self.voice.delivered();
        match (rejected, message.is_empty()) {
            (0, true) => {}
            (0, false) => self.voice.warned(message),
            (_, true) => self.voice.rejected(rejected, "no reason was given"),
            (_, false) => self.voice.rejected(rejected, message),
        }
    }

    pub(super) fn evicted(&mut self, records: u64) {
        self.ledger.dropped(DropReason::Evicted, records);
        let why =
            "the memory limit is reached and the collector does not keep up; the oldest go first";
        self.voice.dropped(records, why);
    }
}

/// Of each text so much is kept, in characters.
const LONGEST_MESSAGE: usize = 1_000;

/// What rejected them, for a table of rejections.
fn name_of(code: Option<Code>, kind: Kind) -> String {
    match (code, kind) {
        (Some(code), _) => code.to_string(),
        (None, Kind::Misconfigured) => "misconfigured".to_owned(),
        (None, _) => "rejected".to_owned(),
    }
}
