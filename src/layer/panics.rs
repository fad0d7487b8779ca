//! A panic that leaves a span marks it.
//!
//! A span that is left while its thread panics was unwound, unless it was entered while the panic was on already, by a
//! destructor.

use std::cell::Cell;
use std::thread;

/// Spans that destructors enter at a time, as far as they are remembered.
const REMEMBERED: usize = 4;

thread_local! {
    // Without a destructor: it works also while the thread's other locals are destroyed.
    static INSIDE: Cell<[u64; REMEMBERED]> = const { Cell::new([0; REMEMBERED]) };
}

/// A span is entered.
#[inline]
pub(super) fn entered(id: u64) {
    if thread::panicking() {
        remember(id);
    }
}

#[cold]
fn remember(id: u64) {
    let mut inside = INSIDE.get();
    inside.rotate_right(1);
    inside[0] = id;
    INSIDE.set(inside);
}

/// Whether a span that is left is unwound by a panic.
#[inline]
pub(super) fn unwinds(id: u64) -> bool {
    thread::panicking() && !forget(id)
}

/// Says whether the span was entered inside the panic.
#[cold]
fn forget(id: u64) -> bool {
    let mut inside = INSIDE.get();
    let Some(found) = inside.iter_mut().find(|known| **known == id) else {
        return false;
    };
    *found = 0;
    INSIDE.set(inside);
    true
}
