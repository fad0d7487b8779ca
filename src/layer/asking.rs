//! The spans of which a thread's samplers are being asked.
//!
//! A sampler of the user's may record in the very span that it is asked about, or ask for its context: where a formatter adds
//! the trace id to each line, a line of the sampler's own does. That must not ask the sampler again.

use std::cell::Cell;

use super::OtlpLayer;
use crate::quiet::MAX_DEPTH;

/// So many at a time: what is nested deeper is not recorded anyway.
const MOST: usize = MAX_DEPTH as usize;

/// The layer's address and the span; zeros are none.
type Asked = (usize, u64);

thread_local! {
    // Without a destructor: it works also while the thread's other locals are destroyed.
    static ASKED: Cell<[Asked; MOST]> = const { Cell::new([(0, 0); MOST]) };
}

/// While it lives, the sampler is asked.
#[derive(Debug)]
pub(super) struct Asking([Asked; MOST]);

/// Whether this thread's sampler is being asked of this span.
pub(super) fn is_asked(layer: &OtlpLayer, span: u64) -> bool {
    ASKED.get().contains(&asked(layer, span))
}

/// `None` where this thread's sampler is being asked of this span already, or of too many.
pub(super) fn begin(layer: &OtlpLayer, span: u64) -> Option<Asking> {
    let asked = asked(layer, span);
    let outer = ASKED.get();
    if outer.contains(&asked) {
        return None;
    }
    let mut inner = outer;
    *inner.iter_mut().find(|known| **known == (0, 0))? = asked;
    ASKED.set(inner);
    Some(Asking(outer))
}

fn asked(layer: &OtlpLayer, span: u64) -> Asked {
    (std::ptr::from_ref(layer).addr(), span)
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKED.set(self.0);
    }
}
