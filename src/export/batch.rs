//! A batch: records that are sent together, as the chunks in which they came, or as parts of those.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::transport::Request;
use crate::proto::runs::{self, Stretch};
use crate::proto::{request, shorten};
use crate::queue::Sealed;
use crate::signal::Signal;

/// A batch ends before it exceeds either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) records: u64,
}

impl Size {
    /// With no more than so many bytes.
    pub(super) fn at_most(self, bytes: usize) -> Self {
        Self {
            bytes: self.bytes.min(bytes),
            ..self
        }
    }
}

/// Parts that are sent together, the oldest first, until they are resolved.
#[derive(Debug, Default)]
pub(super) struct Batch {
    parts: VecDeque<Part>,
    records: u64,
    bytes: usize,
    /// What it holds of the memory.
    charge: usize,
    /// How often its size was the destination's answer in doubt (OUT_OF_RANGE).
    pub(super) doubts: u8,
}

/// A chunk, or some of its records. The chunk is shared by all its parts and all destinations, and free when the last of them is
/// resolved.
#[derive(Debug)]
pub(super) struct Part {
    /// Chunks are numbered as they come.
    pub(super) number: u64,
    pub(super) records: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Whole(Rc<Sealed>),
    Cut {
        chunk: Rc<Sealed>,
        stretches: Vec<Stretch>,
    },
}

impl Batch {
    pub(super) fn push(&mut self, part: Part) {
        self.records += part.records;
        self.bytes += part.bytes();
        self.charge += part.charge();
        self.parts.push_back(part);
    }

    /// Takes the oldest part out.
    pub(super) fn pop(&mut self) -> Option<Part> {
        let part = self.parts.pop_front()?;
        self.records -= part.records;
        self.bytes -= part.bytes();
        self.charge -= part.charge();
        Some(part)
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// The length of what is sent, less the header.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it holds of the memory: its chunks' buffers, or the records of those that were cut.
    pub(super) fn charge(&self) -> usize {
        self.charge
    }

    /// The number of its oldest chunk.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.parts.front().map(|part| part.number)
    }

    /// Whether the part can go with what is there.
    pub(super) fn fits(&self, part: &Part, size: Size) -> bool {
        self.parts.is_empty()
            || self.bytes + part.bytes() <= size.bytes
                && self.records + part.records <= size.records
    }

    /// The message: a header of known length, then the chunks, untouched.
    pub(super) fn request(&self, signal: Signal, resource: &[u8]) -> Request {
        let mut pieces = Vec::with_capacity(self.parts.len() + 1);
        pieces.push(Bytes::from(request::header(resource, self.bytes)));
        for part in &self.parts {
            match &part.content {
                Content::Whole(chunk) => pieces.push(chunk.bytes.clone()),
                Content::Cut { stretches, .. } => {
                    pieces.extend(stretches.iter().flat_map(Stretch::pieces));
                }
            }
        }
        Request::new(signal, pieces, self.records)
    }

    /// Its halves by the number of records, the older first, so that a record is in at most log2 n of them. It comes back
    /// when it cannot be split.
    pub(super) fn split(mut self) -> Result<(Self, Self), Self> {
        let half = self.records / 2;
        let (mut front, mut back) = (self.like(), self.like());
        while let Some(part) = self.pop() {
            let wanted = half.saturating_sub(front.records);
            if !back.parts.is_empty() {
                back.push(part);
            } else if part.records <= wanted {
                front.push(part);
            } else {
                match part.split(wanted) {
                    Ok((first, second)) => {
                        front.push(first);
                        back.push(second);
                    }
                    Err(part) if front.parts.is_empty() => front.push(part),
                    Err(part) => back.push(part),
                }
            }
        }
        if back.parts.is_empty() {
            return Err(front);
        }
        Ok((front, back))
    }

    /// Its single record, in at most so many bytes where leaving out attributes, events and links can achieve that. It comes
    /// back when it has several, or nothing can be left out, as when that was done before.
    pub(super) fn shorten(mut self, signal: Signal, limit: usize) -> Result<Self, Self> {
        if self.records != 1 {
            return Err(self);
        }
        let Some(part) = self.pop() else {
            return Err(self);
        };
        let mut short = self.like();
        match part.shorten(signal, limit) {
            Ok(part) => {
                short.push(part);
                Ok(short)
            }
            Err(part) => {
                self.push(part);
                Err(self)
            }
        }
    }

    /// Its records are resolved: gives the chunks of which nothing else is left.
    pub(super) fn release(self) -> Vec<Sealed> {
        self.parts.into_iter().filter_map(Part::release).collect()
    }

    /// An empty one with the same history.
    fn like(&self) -> Self {
        Self {
            doubts: self.doubts,
            ..Self::default()
        }
    }
}

impl Part {
    pub(super) fn new(number: u64, chunk: Rc<Sealed>) -> Self {
        Self {
            number,
            records: u64::from(chunk.records),
            content: Content::Whole(chunk),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match &self.content {
            Content::Whole(chunk) => chunk.bytes.len(),
            Content::Cut { stretches, .. } => stretches.iter().map(Stretch::len).sum(),
        }
    }

    pub(super) fn charge(&self) -> usize {
        match &self.content {
            Content::Whole(chunk) => chunk.charge,
            Content::Cut { .. } => self.bytes(),
        }
    }

    /// Its records are resolved: gives the chunk if nobody else needs anything of it.
    pub(super) fn release(self) -> Option<Sealed> {
        match self.content {
            Content::Whole(chunk) => Rc::into_inner(chunk),
            Content::Cut { chunk, stretches } => {
                drop(stretches);
                Rc::into_inner(chunk)
            }
        }
    }

    /// Cuts behind the first `count` records. It comes back when that cannot be done.
    fn split(self, count: u64) -> Result<(Self, Self), Self> {
        let Some((front, back)) = runs::split(&self.stretches(), count) else {
            return Err(self);
        };
        let (number, records) = (self.number, self.records);
        let chunk = self.into_chunk();
        let part = |records, stretches| Self {
            number,
            records,
            content: Content::Cut {
                chunk: Rc::clone(&chunk),
                stretches,
            },
        };
        Ok((part(count, front), part(records - count, back)))
    }

    fn shorten(self, signal: Signal, limit: usize) -> Result<Self, Self> {
        let stretches = self.stretches();
        let short = match stretches.as_slice() {
            [stretch] => runs::only_record(stretch).and_then(|(scope, record)| {
                runs::of_one(scope, &shorten::record(signal, record, limit)?)
            }),
            _ => None,
        };
        drop(stretches);
        let Some(stretch) = short else {
            return Err(self);
        };
        Ok(Self {
            number: self.number,
            records: self.records,
            content: Content::Cut {
                chunk: self.into_chunk(),
                stretches: vec![stretch],
            },
        })
    }

    fn stretches(&self) -> Vec<Stretch> {
        match &self.content {
            Content::Whole(chunk) => vec![Stretch::Runs(chunk.bytes.clone())],
            Content::Cut { stretches, .. } => stretches.clone(),
        }
    }

    fn into_chunk(self) -> Rc<Sealed> {
        match self.content {
            Content::Whole(chunk) | Content::Cut { chunk, .. } => chunk,
        }
    }
}
