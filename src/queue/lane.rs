//! A lane: the place where one thread's chunk lies between two records.
//!
//! The owner takes its chunk out, appends and puts it back. The exporter only ever exchanges: it puts an empty chunk in,
//! the mark. If it gets a chunk, that is the content. If it gets nothing, the owner is inside, perhaps descheduled; then
//! the owner finds the mark when it puts its chunk back, and hands its chunk to the ring itself. So neither waits.

use super::chunk::{Chunk, Record, Sealed};
use super::{Queue, Refused};
use crate::sync::{AtomicU64, Ordering, Slot};

#[derive(Debug)]
pub(crate) struct Lane {
    slot: Slot<Chunk>,
    /// Records that were put into chunks here. Written by the owner alone, so a load and a store make an increment.
    appended: AtomicU64,
    /// How often the exporter found the owner inside: written by the exporter alone.
    asked: AtomicU64,
    /// How often the owner found a mark and handed its chunk over: written by the owner alone, with Release after its
    /// push, and read with Acquire, so that whoever sees the number finds the chunk in the ring.
    handed: AtomicU64,
}

impl Lane {
    pub(crate) fn new(closed: bool) -> Self {
        Self {
            slot: Slot::new(Some(mark(closed))),
            appended: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            handed: AtomicU64::new(0),
        }
    }

    /// Appends a record, of which the last bytes stand by themselves. Only the thread that joined the queue with this lane calls it.
    #[inline(always)]
    pub(crate) fn append<const N: usize>(
        &self,
        record: &Record<'_>,
        ending: [u8; N],
        queue: &Queue,
    ) -> Result<(), Refused> {
        // Nothing is here only if an allocator or the like records while it serves us: then start anew.
        let mut chunk = self.slot.swap(None).unwrap_or_default();
        let result = self.fill(&mut chunk, record, ending, queue);
        self.put(chunk, queue);
        result
    }

    #[inline(always)]
    fn fill<const N: usize>(
        &self,
        chunk: &mut Chunk,
        record: &Record<'_>,
        ending: [u8; N],
        queue: &Queue,
    ) -> Result<(), Refused> {
        let room = record.room() + N;
        // One that is closed has no buffer.
        if !chunk.fits(room) || chunk.records() >= queue.sizes.chunk_records {
            prepare(chunk, room, queue)?;
        }
        chunk.append(record, ending);
        self.appended
            .store(self.appended.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(())
    }

    #[inline]
    fn put(&self, chunk: Box<Chunk>, queue: &Queue) {
        if let Some(mark) = self.slot.swap(Some(chunk)) {
            self.hand_over(mark, queue);
        }
    }

    /// The exporter came by while the owner was inside, and left its mark: put that back, and hand the chunk over.
    #[cold]
    fn hand_over(&self, mut mark: Box<Chunk>, queue: &Queue) {
        loop {
            let closed = mark.is_closed();
            let Some(mut chunk) = self.slot.swap(Some(mark)) else {
                break;
            };
            if let Some(sealed) = chunk.take_sealed() {
                queue.push(sealed);
            }
            // It came by once more, this time to close: that mark must stay.
            if !chunk.is_closed() || closed {
                break;
            }
            mark = chunk;
        }
        self.handed
            .store(self.handed.load(Ordering::Relaxed) + 1, Ordering::Release);
        queue.wake.notify();
    }

    /// The exporter's visit: what lay here. Afterwards, [`Lane::owes`] says whether the owner was inside.
    pub(crate) fn visit(&self, close: bool) -> Option<Sealed> {
        match self.slot.swap(Some(mark(close))) {
            Some(mut chunk) => chunk.take_sealed(),
            None => {
                self.asked
                    .store(self.asked.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Whether the owner was inside at a visit and has not handed its chunk over yet.
    pub(crate) fn owes(&self) -> bool {
        self.handed.load(Ordering::Acquire) != self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }
}

/// Makes room in a chunk that is full or has no buffer.
#[cold]
fn prepare(chunk: &mut Chunk, room: usize, queue: &Queue) -> Result<(), Refused> {
    if chunk.is_closed() {
        return Err(Refused::Closed);
    }
    if !queue.has_room(chunk.records()) {
        return Err(Refused::Full);
    }
    if let Some(sealed) = chunk.take_sealed() {
        queue.push(sealed);
    }
    let number = queue.begun.fetch_add(1, Ordering::Relaxed);
    if chunk.refill(room, number, &queue.pool) {
        return Ok(());
    }
    // Only the exporter can free memory, by sending or by giving up the oldest.
    queue.wake_to_drain();
    Err(Refused::Full)
}

fn mark(closed: bool) -> Box<Chunk> {
    Box::new(if closed {
        Chunk::closed()
    } else {
        Chunk::default()
    })
}
