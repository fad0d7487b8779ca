//! A thread's scratch space: where fields are formatted before anything is locked.

use std::cell::Cell;

/// Larger ones are given up after use, so that one large value does not cost its memory for ever.
pub(super) const KEPT: usize = 4 << 10;
const START: usize = 512;

/// Buffers that are empty whenever they are taken.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) record: Vec<u8>,
    /// Where each field of a late `record` begins in `record`.
    pub(super) marks: Vec<super::visit::Mark>,
    /// What an event tells of its span.
    pub(super) noted: Noted,
    /// What a value wrote that is no attribute as it is.
    pub(super) formatted: Vec<u8>,
    /// Whether anything is in `noted` or `formatted`, which is seldom.
    pub(super) is_touched: bool,
    /// What a value wrote that the processors have not seen. Overwritten after use.
    pub(super) raw: Vec<u8>,
    /// For the processors.
    pub(super) spare: super::processor::Spare,
}

impl Scratch {
    #[cold]
    fn clean(&mut self) {
        self.is_touched = false;
        self.noted.clear();
        empty(&mut self.formatted);
    }
}

/// What an event tells of its span, beside its own bytes.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// The event is an exception.
    pub(super) is_exception: bool,
    /// The event has lost attributes to a limit.
    pub(super) is_limited: bool,
    /// The text of the exception.
    pub(super) text: Vec<u8>,
    /// The class of the error; empty where it is not known.
    pub(super) error_type: Vec<u8>,
}

impl Noted {
    pub(super) fn clear(&mut self) {
        self.is_exception = false;
        self.is_limited = false;
        empty(&mut self.text);
        empty(&mut self.error_type);
    }
}

fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    keep_small(buffer);
}

/// Gives a buffer up that has become large.
pub(super) fn keep_small(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Runs `work` with this thread's scratch space, which is taken away meanwhile: user code that records inside gets one
/// of its own.
#[inline]
pub(super) fn with<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut scratch = take();
    let result = work(&mut scratch);
    scratch.marks.clear();
    put_back(scratch);
    result
}

/// As [`with`], for work that marks nothing, where a closure is in the optimizer's way.
#[inline(always)]
pub(super) fn take() -> Box<Scratch> {
    let taken = SCRATCH.try_with(Cell::take);
    taken.ok().flatten().unwrap_or_else(fresh)
}

#[inline(always)]
pub(super) fn put_back(mut scratch: Box<Scratch>) {
    scratch.record.clear();
    if scratch.is_touched {
        scratch.clean();
    }
    if scratch.record.capacity() <= KEPT {
        let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
    }
}

#[cold]
fn fresh() -> Box<Scratch> {
    Box::new(Scratch {
        record: Vec::with_capacity(START),
        ..Scratch::default()
    })
}
