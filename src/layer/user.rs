//! The user's code: `Debug`, `Display` and `Error` of a field's value, run within bounds and behind a guard.
//!
//! It may panic, also while a panic is dropped, write without end, and record spans and events of its own.

use std::error::Error;
use std::fmt::{self, Write};

use crate::proto::value::beginning;
pub(super) use crate::proto::value::fitting;
use crate::quiet::guarded;

/// An error's chain is followed so far; a chain may be a circle.
const MAX_CHAIN: usize = 32;

/// How much is written at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Until the buffer has so many bytes.
    pub(super) end: usize,
    /// So many characters; `usize::MAX` is no bound.
    pub(super) characters: usize,
}

/// Appends what the user's `Debug` writes, as much of it as is wanted; says whether it was cut. A panic costs this value
/// only, and leaves its message in the value's place.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, most: Most, value: &dyn fmt::Debug) -> bool {
    let start = out.len();
    let mut bounded = Bounded::new(out, most);
    match guarded(|| write!(bounded, "{value:?}")) {
        Ok(_) => bounded.is_cut,
        Err(why) => write_panic(out, start, most, &why),
    }
}

#[cold]
fn write_panic(out: &mut Vec<u8>, start: usize, most: Most, why: &str) -> bool {
    out.truncate(start);
    let mut bounded = Bounded::new(out, most);
    // What does not fit is cut, as of any value.
    let _ = write!(bounded, "<panicked: {why}>");
    bounded.is_cut
}

/// The texts of an error's sources, of so many bytes together and so many characters each; and whether any was cut.
pub(super) fn chain(error: &(dyn Error + 'static), mut most: Most) -> (Vec<String>, bool) {
    let (mut texts, mut cut) = (Vec::new(), false);
    let mut next = source(error);
    while let Some(error) = next
        && texts.len() < MAX_CHAIN
    {
        let mut text = Vec::new();
        cut |= write(&mut text, most, &format_args!("{error}"));
        most.end = most.end.saturating_sub(text.len());
        texts.push(String::from_utf8_lossy(&text).into_owned());
        next = source(error);
    }
    (texts, cut)
}

/// An error's sources, as far as they are followed.
pub(super) fn sources<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(source(error), |error| source(*error)).take(MAX_CHAIN)
}

fn source<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    guarded(|| error.source()).unwrap_or(None)
}

/// Stops the formatting at the bound, so that a value of 100 MB costs what the bound costs.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    /// Until `out` has so many bytes, nothing need be looked at: where characters are counted, always.
    quick: usize,
    /// What is still to come, at most.
    most: Most,
    is_cut: bool,
}

impl<'a> Bounded<'a> {
    #[inline]
    fn new(out: &'a mut Vec<u8>, most: Most) -> Self {
        let is_counted = most.characters != usize::MAX;
        Self {
            out,
            quick: if is_counted { 0 } else { most.end },
            most,
            is_cut: false,
        }
    }
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.quick.saturating_sub(self.out.len()) {
            return self.write_part(text);
        }
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Bounded<'_> {
    /// As much of a text as is still wanted.
    #[cold]
    fn write_part(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let room = self.most.end.saturating_sub(self.out.len());
        let mut kept = text;
        if self.most.characters != usize::MAX {
            kept = beginning(text, self.most.characters);
            self.most.characters -= kept.chars().count();
        }
        if kept.len() > room {
            kept = fitting(kept, room);
        }
        self.out.extend_from_slice(kept.as_bytes());
        if kept.len() == text.len() {
            return Ok(());
        }
        self.is_cut = true;
        self.quick = 0;
        Err(fmt::Error)
    }
}
