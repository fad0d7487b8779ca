//! From the threads that record to the one that exports: lanes, chunks, a bounded queue of `Bytes`, a pool, a wake-up.
//!
//! Each thread fills a chunk of its own, which lies in its [`Lane`]; full chunks go to the ring. The exporter empties the
//! ring, and the lanes when it flushes. What every protocol here promises is proved by `tests/loom`.

mod budget;
mod chunk;
mod lane;
#[cfg(not(otlp_loom))]
mod local;
mod pool;
mod pressure;
#[cfg(not(otlp_loom))]
mod stream;
mod wake;

pub(crate) use self::budget::Budget;
pub(crate) use self::chunk::{Record, Scope, Sealed};
pub(crate) use self::lane::Lane;
pub(crate) use self::pool::Pool;
pub(crate) use self::pressure::Pressure;
#[cfg(not(otlp_loom))]
pub(crate) use self::stream::Stream;
pub(crate) use self::wake::Wake;

use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, Ring, fence, lock};

/// A chunk's size: large enough that a push is rare (some hundred records), small enough to stay in the caches.
pub(crate) const CHUNK: usize = 32 << 10;

/// The sizes that a queue is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Bytes after which a chunk is full.
    pub(crate) chunk_bytes: usize,
    /// Records after which a chunk is full.
    pub(crate) chunk_records: usize,
    /// Chunks that the ring holds.
    pub(crate) ring: usize,
    /// Records that may wait: in the ring, and with the exporter.
    pub(crate) max_records: usize,
    /// Bytes and records in the ring at which the exporter is woken.
    pub(crate) wake_bytes: usize,
    pub(crate) wake_records: usize,
}

/// Why a record was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No room in the queue or in the budget.
    Full,
    /// The exporter has gone.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Queue {
    ring: Ring<Sealed>,
    lanes: Mutex<Lanes>,
    pool: Pool,
    pub(crate) wake: Wake,
    sizes: Sizes,
    /// What is in the ring. Producers add before they push, the exporter subtracts after it pops, so neither wraps.
    ring_bytes: AtomicUsize,
    ring_records: AtomicUsize,
    /// Records that were handed over and are neither delivered nor given up, wherever they are.
    held_records: AtomicUsize,
    /// Chunks that were begun.
    begun: AtomicU64,
    /// Records that the exporter has taken over. Written by the exporter alone.
    collected: AtomicU64,
    /// Records in chunks that did not fit the ring after all.
    lost: AtomicU64,
    /// The exporter has gone, and records that were handed over after that. Whoever pushes looks at it afterwards, and the
    /// exporter looks at the ring after it has set it, with a SeqCst fence on both sides, so nothing stays in the ring.
    abandoned: AtomicBool,
    late: AtomicU64,
    /// A record was refused for want of memory since the exporter last looked. Set by producers, cleared by the exporter.
    is_short: AtomicBool,
}

#[derive(Debug, Default)]
struct Lanes {
    all: Vec<Arc<Lane>>,
    /// Lanes whose threads have ended; the next thread takes one over, with whatever is in it.
    free: Vec<Arc<Lane>>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(sizes: Sizes, pool: Pool) -> Self {
        Self {
            ring: Ring::new(sizes.ring),
            lanes: Mutex::new(Lanes::default()),
            pool,
            wake: Wake::new(),
            sizes,
            ring_bytes: AtomicUsize::new(0),
            ring_records: AtomicUsize::new(0),
            held_records: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            collected: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
            late: AtomicU64::new(0),
            is_short: AtomicBool::new(false),
        }
    }

    /// A lane for the calling thread: one that another thread left behind, or a new one.
    pub(crate) fn join(&self) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.free.pop() {
            return lane;
        }
        let lane = Arc::new(Lane::new(lanes.closed));
        lanes.all.push(Arc::clone(&lane));
        self.pool.set_threads(lanes.all.len());
        lane
    }

    /// The calling thread ends or has no further use for its lane.
    pub(crate) fn leave(&self, lane: Arc<Lane>) {
        lock(&self.lanes).free.push(lane);
    }

    /// Takes a full chunk over. The caller does not wait: a chunk that does not fit is lost and counted.
    pub(crate) fn push(&self, sealed: Sealed) {
        let (bytes, records) = (sealed.bytes.len(), sealed.records as usize);
        self.ring_records.fetch_add(records, Ordering::Relaxed);
        self.held_records.fetch_add(records, Ordering::Relaxed);
        let before = self.ring_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Err(sealed) = self.ring.push(sealed) {
            self.ring_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.ring_records.fetch_sub(records, Ordering::Relaxed);
            self.lost.fetch_add(records as u64, Ordering::Relaxed);
            self.recycle(sealed);
        }
        self.check_abandoned();
        if before + bytes >= self.wake_bytes()
            || self.ring_records.load(Ordering::Relaxed) >= self.sizes.wake_records
        {
            self.wake.notify();
        }
    }

    /// The exporter goes: it takes what is left in the ring, and gives the number of records in it.
    pub(crate) fn abandon(&self) -> u64 {
        self.abandoned.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.empty()
    }

    /// A chunk was pushed; when nobody is there to take it, its records are counted as late.
    fn check_abandoned(&self) {
        fence(Ordering::SeqCst);
        if self.abandoned.load(Ordering::Relaxed) {
            self.late.fetch_add(self.empty(), Ordering::Relaxed);
        }
    }

    /// Takes whatever is in the ring and frees it.
    fn empty(&self) -> u64 {
        let records = |sealed: Sealed| {
            let records = u64::from(sealed.records);
            self.discard(sealed);
            records
        };
        std::iter::from_fn(|| self.pop()).map(records).sum()
    }

    /// Whether so many records more may wait.
    fn has_room(&self, records: usize) -> bool {
        self.held_records
            .load(Ordering::Relaxed)
            .saturating_add(records)
            <= self.sizes.max_records
    }

    /// Records that may wait, wherever they are.
    #[cfg(not(otlp_loom))]
    pub(crate) fn max_records(&self) -> usize {
        self.sizes.max_records
    }

    /// A record was refused for want of memory: the exporter empties ring and lanes. It is woken for the first of those that are
    /// refused before it comes, and for what is in the ring.
    pub(crate) fn wake_to_drain(&self) {
        let is_news =
            !self.is_short.load(Ordering::Relaxed) && !self.is_short.swap(true, Ordering::Relaxed);
        if is_news || self.ring_bytes.load(Ordering::Relaxed) > 0 {
            self.wake.notify();
        }
    }

    /// Whether a record was refused for want of memory, since the last [`Queue::takes_notice`].
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    pub(crate) fn takes_notice(&self) {
        self.is_short.store(false, Ordering::Relaxed);
    }

    /// Bytes in the ring at which the exporter is woken; less where less memory is there.
    fn wake_bytes(&self) -> usize {
        self.pool.scaled(self.sizes.wake_bytes)
    }

    /// The memory limit was lowered: what is kept for later is given up as far as it is too much.
    pub(crate) fn trim(&self) {
        self.pool.trim();
    }

    /// Whether there is enough in the ring that the exporter should be awake.
    pub(crate) fn is_ripe(&self) -> bool {
        self.ring_bytes.load(Ordering::Relaxed) >= self.wake_bytes()
            || self.ring_records.load(Ordering::Relaxed) >= self.sizes.wake_records
    }

    /// The exporter takes a chunk out of the ring.
    pub(crate) fn pop(&self) -> Option<Sealed> {
        let sealed = self.ring.pop()?;
        self.ring_bytes
            .fetch_sub(sealed.bytes.len(), Ordering::Relaxed);
        self.ring_records
            .fetch_sub(sealed.records as usize, Ordering::Relaxed);
        self.collect(&sealed);
        // What an owner handed over for a sweep may hold one record.
        Some(self.pool.shrink(sealed))
    }

    /// The exporter takes what lies in the lanes. Where an owner is inside its lane, it owes its chunk from then on (see
    /// [`Queue::owing`]). With `close`, the lanes refuse whatever comes after.
    pub(crate) fn sweep(&self, close: bool, taken: &mut Vec<Sealed>) {
        let (lanes, close) = {
            let mut lanes = lock(&self.lanes);
            lanes.closed |= close;
            (lanes.all.clone(), lanes.closed)
        };
        // A lane that was closed stays closed: every mark says so.
        for sealed in lanes.iter().filter_map(|lane| lane.visit(close)) {
            self.held_records
                .fetch_add(sealed.records as usize, Ordering::Relaxed);
            self.collect(&sealed);
            taken.push(self.pool.shrink(sealed));
        }
    }

    /// A chunk's records were delivered or given up: its memory is used again,
    pub(crate) fn recycle(&self, sealed: Sealed) {
        self.held_records
            .fetch_sub(sealed.records as usize, Ordering::Relaxed);
        self.pool.recycle(sealed);
    }

    /// or freed, where memory is short.
    pub(crate) fn discard(&self, sealed: Sealed) {
        self.held_records
            .fetch_sub(sealed.records as usize, Ordering::Relaxed);
        self.pool.discard(sealed);
    }

    /// Sees to it that buffers for so many chunks lie ready.
    pub(crate) fn stock(&self, chunks: usize) {
        self.pool.stock(chunks);
    }

    /// How many owners still owe a chunk. Each pushes it to the ring and then wakes the exporter; one that no longer owes
    /// has pushed.
    pub(crate) fn owing(&self) -> usize {
        lock(&self.lanes)
            .all
            .iter()
            .filter(|lane| lane.owes())
            .count()
    }

    fn collect(&self, sealed: &Sealed) {
        self.collected
            .fetch_add(u64::from(sealed.records), Ordering::Relaxed);
    }

    /// Records that lanes took in, and those of them that wait in lanes and ring.
    pub(crate) fn counts(&self) -> (u64, u64) {
        // What has left is read first, so that it is never more than what came.
        let left = self.collected.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed);
        let appended = lock(&self.lanes)
            .all
            .iter()
            .map(|lane| lane.appended())
            .sum::<u64>();
        (appended, appended.saturating_sub(left))
    }

    /// Records that were handed over when the exporter had gone: dropped by the shutdown.
    pub(crate) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Records whose chunks did not fit the ring: dropped because it was full.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
