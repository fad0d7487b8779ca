//! What one signal has of its own on the way from the application's threads: its queue and its ledger.

use std::sync::Arc;

use super::chunk::Record;
use super::{Queue, Refused, local};
use crate::signal::Signal;
use crate::stats::{Counts, DropReason, Ledger, Stats};

/// The way of one signal's records to the exporter.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) signal: Signal,
    pub(crate) queue: Arc<Queue>,
    /// What the application's threads count. What becomes of records behind the queue is in the ledger of each destination.
    pub(crate) ledger: Arc<Ledger>,
}

impl Stream {
    /// Appends a record to the calling thread's chunk; one that is refused is counted.
    pub(crate) fn append(&self, record: &Record<'_>) {
        self.append_ending(record, []);
    }

    /// As [`Stream::append`], with the message's last bytes, which then need not be written where the rest is.
    #[inline(always)]
    pub(crate) fn append_ending<const N: usize>(&self, record: &Record<'_>, ending: [u8; N]) {
        if let Err(refused) = local::append(&self.queue, record, ending) {
            self.refuse(refused);
        }
    }

    #[cold]
    fn refuse(&self, refused: Refused) {
        self.ledger.refuse(match refused {
            Refused::Full => DropReason::QueueFull,
            Refused::Closed => DropReason::Shutdown,
        });
    }

    /// What is known on this side of the queue.
    pub(crate) fn stats(&self) -> Stats {
        let (appended, queued) = self.queue.counts();
        self.ledger.snapshot(Counts {
            appended,
            queued,
            lost: self.queue.lost(),
            late: self.queue.late(),
        })
    }
}
