//! One signal in the exporter: its queue, and the outlets that get what is in it.

use std::rc::Rc;
use std::task::Waker;

use super::Watch;
use super::chore::Chore;
use super::outlet::{self, Outlet};
use crate::export::Outgoing;
use crate::export::transport::Transport;
use crate::export::voice::Voice;
use crate::problem::{Hook, Origin};
use crate::queue;
use crate::report::Report;
use crate::signal::Signal;
use crate::stats::DropReason;

pub(super) struct Stream {
    source: queue::Stream,
    outlets: Vec<Outlet>,
    chores: Vec<Chore>,
    /// Chunks that were taken over since buffers were last made for others.
    taken: usize,
    voice: Voice,
    /// Records that the layer had dropped when people were last told.
    told: u64,
    /// Records of which a limit had left something out then.
    told_limited: u64,
}

/// What a stream wants of the others, or has done.
pub(super) enum Errand {
    /// It has taken over what was in lanes and ring.
    Swept,
    /// An outlet has resolved a flush or a shutdown.
    Resolve { id: u64, report: Report },
}

impl Stream {
    pub(super) fn new(source: queue::Stream, on_error: Option<Hook>, chores: Vec<Chore>) -> Self {
        let origin = Origin {
            signal: source.signal,
            destination: None,
        };
        Self {
            source,
            outlets: Vec::new(),
            chores,
            taken: 0,
            voice: Voice::new(origin, on_error, None),
            told: 0,
            told_limited: 0,
        }
    }

    /// A further outlet for its records.
    pub(super) fn add(
        &mut self,
        transport: &Rc<dyn Transport>,
        outgoing: Outgoing,
        on_error: Option<Hook>,
        watch: Watch,
    ) {
        let (transport, queue) = (Rc::clone(transport), &self.source.queue);
        let outlet = Outlet::new(transport, outgoing, queue, on_error, watch);
        self.outlets.push(outlet);
    }

    pub(super) fn signal(&self) -> Signal {
        self.source.signal
    }

    pub(super) fn outlets(&mut self) -> impl Iterator<Item = &mut Outlet> {
        self.outlets.iter_mut()
    }

    /// Does what there is to do, up to what concerns the others.
    pub(super) fn act(&mut self) -> Option<Errand> {
        for at in 0..self.outlets.len() {
            match self.outlets.get_mut(at)?.act() {
                None => {}
                Some(outlet::Errand::Resolve { id, report }) => {
                    return Some(Errand::Resolve { id, report });
                }
                Some(outlet::Errand::Sweep { close }) => {
                    self.do_chores(close);
                    self.collect(Some(close));
                    self.outlets.get_mut(at)?.swept();
                    self.look_at_the_layer();
                    return Some(Errand::Swept);
                }
            }
        }
        None
    }

    fn do_chores(&self, close: bool) {
        for chore in &self.chores {
            if !chore.run(close) {
                self.panicked();
            }
        }
    }

    /// Takes over what is in the ring, and in the lanes when they are swept, for every outlet.
    pub(super) fn collect(&mut self, sweep: Option<bool>) {
        let queue = &self.source.queue;
        let mut chunks = Vec::new();
        if let Some(close) = sweep {
            queue.sweep(close, &mut chunks);
        }
        // In this order: a lane that no longer owes a chunk has pushed it to the ring, and what its thread pushed before the
        // sweep is there too.
        let owing = queue.owing();
        chunks.extend(std::iter::from_fn(|| queue.pop()));
        self.taken += chunks.len();
        // A thread's records stay in their order.
        chunks.sort_by_key(|chunk| chunk.number);
        let chunks: Vec<_> = chunks.into_iter().map(Rc::new).collect();
        if let Some((last, others)) = self.outlets.split_last_mut() {
            for outlet in others {
                outlet.take_over(chunks.clone(), owing);
            }
            last.take_over(chunks, owing);
        }
    }

    /// Whether a record was refused for want of memory.
    pub(super) fn is_short(&self) -> bool {
        self.source.queue.is_short()
    }

    /// Takes what lies in the lanes: buffers that are nearly empty are of use to others.
    pub(super) fn empty_lanes(&mut self) {
        self.source.queue.takes_notice();
        self.collect(Some(false));
    }

    /// Makes buffers for what the application's threads will record until the exporter comes again: as many as they have filled since
    /// it was last here.
    pub(super) fn stock(&mut self) {
        let chunks = std::mem::take(&mut self.taken);
        self.source.queue.stock(chunks);
    }

    /// Where the queue is limited by records, each of several outlets holds its share of them, so that one that is dead does not
    /// fill the queue for all.
    pub(super) fn keep_shares(&mut self) {
        let outlets = self.outlets.len();
        if outlets > 1 {
            let share = self.source.queue.max_records() / outlets;
            let all = self.outlets.iter_mut();
            all.for_each(|outlet| outlet.keep_to(share));
        }
    }

    pub(super) fn take_in(&mut self) {
        self.outlets.iter_mut().for_each(Outlet::take_in);
    }

    /// Whoever has work for the exporter wakes it from now on.
    pub(super) fn go_to_sleep(&self, waker: &Waker) {
        self.source.queue.wake.prepare(waker);
    }

    pub(super) fn stay_awake(&self) {
        self.source.queue.wake.cancel();
    }

    /// Whether there is enough in the ring, or a lane has handed over the chunk that it owed.
    pub(super) fn has_work(&self, knows_of_shortage: bool) -> bool {
        let queue = &self.source.queue;
        if queue.is_short() && !knows_of_shortage {
            return true;
        }
        let owed = self.outlets.iter().map(Outlet::owing).max().unwrap_or(0);
        queue.is_ripe() || owed > 0 && queue.owing() != owed
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.outlets.iter().all(Outlet::has_stopped)
    }

    pub(super) fn panicked(&self) {
        self.source.ledger.panicked();
    }

    /// The end; gives the number of records that were not delivered.
    pub(super) fn leave(&mut self) -> u64 {
        self.do_chores(true);
        let queued = self.source.queue.abandon();
        self.source.ledger.dropped(DropReason::Shutdown, queued);
        let outlets = self.outlets.iter_mut();
        outlets.map(|outlet| outlet.leave() + queued).sum()
    }

    /// Says what the application's threads dropped since this was last called.
    fn look_at_the_layer(&mut self) {
        let queue::Stream { queue, ledger, .. } = &self.source;
        let dropped = ledger.refused() + queue.lost();
        let records = dropped - self.told;
        if records > 0 {
            self.told = dropped;
            let why = "the queue or a limit was full when they began or ended; Handle::stats tells the reasons";
            self.voice.dropped(records, why);
        }
        let limited = ledger.limited_records();
        if limited > self.told_limited {
            self.voice.limited(limited - self.told_limited);
            self.told_limited = limited;
        }
    }
}
