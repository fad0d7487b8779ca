//! Who waits for the end of a flush, or of a shutdown.

use crate::export::mailbox::{Command, Reply};
use crate::report::Report;

#[derive(Debug, Default)]
pub(super) struct Replies {
    waiting: Vec<Waiting>,
    /// Whoever shuts down finds the exporter gone: these answers wait until it is, if it goes now.
    farewells: Vec<(Reply, Report)>,
    next_id: u64,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    last: bool,
    reply: Reply,
    /// Outlets that have not resolved it yet.
    outlets: usize,
    /// What it came to with those that have.
    report: Report,
}

impl Replies {
    /// Somebody waits for so many outlets; gives the number under which these resolve it.
    pub(super) fn register(&mut self, reply: Reply, last: bool, outlets: usize) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.push(Waiting {
            id,
            last,
            reply,
            outlets,
            report: Report::default(),
        });
        id
    }

    /// Those of flushes that nobody waits for any more, sorted. What is shut down is so without its caller too.
    pub(super) fn forget_abandoned(&mut self) -> Vec<u64> {
        let is_abandoned = |waiting: &mut Waiting| !waiting.last && waiting.reply.is_abandoned();
        let abandoned = self.waiting.extract_if(.., is_abandoned);
        let mut ids: Vec<u64> = abandoned.map(|waiting| waiting.id).collect();
        ids.sort_unstable();
        ids
    }

    /// One outlet has resolved it.
    pub(super) fn resolve(&mut self, id: u64, report: Report) {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.id == id) else {
            return;
        };
        if let Some(waiting) = self.waiting.get_mut(at) {
            waiting.report.add(report);
            waiting.outlets = waiting.outlets.saturating_sub(1);
            if waiting.outlets > 0 {
                return;
            }
        }
        let Waiting {
            last,
            reply,
            report,
            ..
        } = self.waiting.swap_remove(at);
        if last {
            self.farewells.push((reply, report));
        } else {
            reply.fill(report);
        }
    }

    /// The exporter does not go now after all.
    pub(super) fn part(&mut self) {
        self.farewells
            .drain(..)
            .for_each(|(reply, report)| reply.fill(report));
    }

    /// The exporter has gone, with so many records that were not delivered. Nobody is left waiting.
    pub(super) fn leave(&mut self, late: Vec<Command>, dropped: u64) {
        let unresolved = self.waiting.drain(..).map(|waiting| {
            let mut report = waiting.report;
            report.dropped += dropped;
            (waiting.reply, report)
        });
        let report = Report {
            dropped,
            ..Report::default()
        };
        let late = late.into_iter().map(|command| (command.reply, report));
        unresolved
            .chain(late)
            .chain(self.farewells.drain(..))
            .for_each(|(reply, report)| reply.fill(report));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(delivered: u64, unfinished: u64) -> Report {
        Report {
            delivered,
            unfinished,
            ..Report::default()
        }
    }

    #[test]
    fn a_flush_is_done_when_all_outlets_are() {
        let (mut replies, reply) = (Replies::default(), Reply::default());
        let id = replies.register(reply.clone(), false, 2);
        replies.resolve(id, report(3, 0));
        assert_eq!(reply.wait(Duration::ZERO), None);
        replies.resolve(id + 1, report(9, 9));
        replies.resolve(id, report(4, 1));
        assert_eq!(reply.wait(Duration::ZERO), Some(report(7, 1)));
    }

    #[test]
    fn who_shuts_down_is_answered_when_the_exporter_goes_or_stays() {
        for goes in [false, true] {
            let (mut replies, reply) = (Replies::default(), Reply::default());
            let id = replies.register(reply.clone(), true, 1);
            replies.resolve(id, report(1, 0));
            assert_eq!(reply.wait(Duration::ZERO), None);
            if goes {
                replies.leave(Vec::new(), 0);
            } else {
                replies.part();
            }
            assert_eq!(reply.wait(Duration::ZERO), Some(report(1, 0)));
        }
    }

    #[test]
    fn a_flush_that_nobody_waits_for_is_forgotten_and_a_shutdown_is_not() {
        let (mut replies, kept) = (Replies::default(), Reply::default());
        replies.register(kept.clone(), false, 1);
        replies.register(Reply::default(), true, 1);
        let id = replies.register(Reply::default(), false, 1);
        assert_eq!(replies.forget_abandoned(), [id]);
        assert!(replies.forget_abandoned().is_empty());
        replies.resolve(id, report(1, 0));
    }

    #[test]
    fn nobody_is_left_waiting() {
        let (mut replies, reply) = (Replies::default(), Reply::default());
        let id = replies.register(reply.clone(), false, 2);
        replies.resolve(id, report(5, 0));
        replies.leave(Vec::new(), 2);
        let expected = Report {
            dropped: 2,
            ..report(5, 0)
        };
        assert_eq!(reply.wait(Duration::ZERO), Some(expected));
    }
}
