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
    let outcome = guarded(|| write!(bounded, "{value:?}"));
    let mut cut = bounded.cut;
    if let Err(why) = outcome {
        out.truncate(start);
        let mut bounded = Bounded::new(out, most);
        // What does not fit is cut, as of any value.
        let _ = write!(bounded, "<panicked: {why}>");
        cut = bounded.cut;
    }
    cut
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
    /// What is still to come, at most.
    most: Most,
    cut: bool,
}

impl<'a> Bounded<'a> {
    #[inline]
    fn new(out: &'a mut Vec<u8>, most: Most) -> Self {
        Self {
            out,
            most,
            cut: false,
        }
    }
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        let room = self.most.end.saturating_sub(self.out.len());
        if self.most.characters == usize::MAX && text.len() <= room {
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        self.write_part(text, room)
    }
}

impl Bounded<'_> {
    /// As much of a text as is still wanted.
    fn write_part(&mut self, text: &str, room: usize) -> fmt::Result {
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
        self.cut = true;
        Err(fmt::Error)
    }
}
