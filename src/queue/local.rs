//! Which lane is the calling thread's.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use super::chunk::Record;
use super::{Lane, Queue, Refused};

/// The lanes of one thread: as a rule one, more where several pipelines live in one process.
struct Joined(Vec<Membership>);

struct Membership {
    /// Where the queue is; nothing else will be there as long as `queue` is kept. Cheaper to compare than a `Weak`.
    address: usize,
    queue: Weak<Queue>,
    lane: Arc<Lane>,
}

thread_local! {
    static JOINED: RefCell<Joined> = const { RefCell::new(Joined(Vec::new())) };
}

impl Drop for Joined {
    fn drop(&mut self) {
        for membership in self.0.drain(..) {
            if let Some(queue) = membership.queue.upgrade() {
                queue.leave(membership.lane);
            }
        }
    }
}

impl Joined {
    #[inline]
    fn lane(&mut self, queue: &Arc<Queue>) -> &Lane {
        let address = Arc::as_ptr(queue).addr();
        if let Some(first) = self.0.first()
            && first.address == address
        {
            return &self.0[0].lane;
        }
        // Spans and logs have a queue each, so the second one is as common.
        if let Some(second) = self.0.get(1)
            && second.address == address
        {
            return &self.0[1].lane;
        }
        self.other_lane(queue, address)
    }

    #[inline(never)]
    fn other_lane(&mut self, queue: &Arc<Queue>, address: usize) -> &Lane {
        let known = self.0.iter().position(|known| known.address == address);
        let at = known.unwrap_or_else(|| self.join(queue));
        &self.0[at].lane
    }

    #[cold]
    fn join(&mut self, queue: &Arc<Queue>) -> usize {
        self.0.retain(|known| known.queue.strong_count() > 0);
        self.0.push(Membership {
            address: Arc::as_ptr(queue).addr(),
            queue: Arc::downgrade(queue),
            lane: queue.join(),
        });
        self.0.len() - 1
    }
}

/// Appends a record to the calling thread's chunk.
#[inline(always)]
pub(crate) fn append<const N: usize>(
    queue: &Arc<Queue>,
    record: &Record<'_>,
    ending: [u8; N],
) -> Result<(), Refused> {
    let joined = JOINED.try_with(|joined| {
        let mut joined = joined.try_borrow_mut().ok()?;
        Some(joined.lane(queue).append(record, ending, queue))
    });
    match joined {
        Ok(Some(result)) => result,
        // The thread is being torn down, or an allocator records while it serves us.
        Ok(None) | Err(_) => append_once(queue, record, ending),
    }
}

/// Appends through a lane that is borrowed for this record only.
#[cold]
fn append_once<const N: usize>(
    queue: &Queue,
    record: &Record<'_>,
    ending: [u8; N],
) -> Result<(), Refused> {
    let lane = queue.join();
    let result = lane.append(record, ending, queue);
    queue.leave(lane);
    result
}
