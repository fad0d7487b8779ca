//! What ended before a panic is sent before the panic goes on.

use std::panic;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::guard::{Handle, Shared};
use crate::quiet;
use crate::say::{Level, say, tell};
use crate::sync::{Mutex, lock};

/// Puts a hook before those that there are. There is no way to take it out again, so it keeps nothing alive, and does nothing when the
/// pipeline has ended.
pub(super) fn flush_before(shared: &Arc<Shared>, deadline: Option<Duration>) {
    /// Taking the hooks and setting them again are two steps.
    static CHANGING: Mutex<()> = Mutex::new(());
    let Some(deadline) = deadline.filter(|_| shared.mailbox.is_some()) else {
        return;
    };
    if std::thread::panicking() {
        return say("no panic hook is set, since this thread panics: a panic will not flush");
    }
    let _changing = lock(&CHANGING);
    let previous = panic::take_hook();
    let flush = Flush {
        pipeline: Arc::downgrade(shared),
        deadline,
        under_way: Mutex::new(()),
    };
    panic::set_hook(Box::new(move |panic| {
        flush.run();
        previous(panic);
    }));
}

struct Flush {
    pipeline: Weak<Shared>,
    deadline: Duration,
    under_way: Mutex<()>,
}

impl Flush {
    /// Runs in a panic hook, where a panic would end the process.
    fn run(&self) {
        // A panic inside of a value's `Debug`, a sampler or a processor is caught and has its place in the record; one on the exporter's thread
        // would wait for itself.
        if quiet::is_inside() {
            return;
        }
        // Of threads that panic at once, one flushes.
        let Ok(_under_way) = self.under_way.try_lock() else {
            return;
        };
        let Some(shared) = self.pipeline.upgrade() else {
            return;
        };
        let flushed = Handle::of(shared).flush_if_it_runs(self.deadline);
        if let Some(Err(error)) = flushed {
            tell(Level::Error, &format!("in a panic: {error}"));
        }
    }
}
