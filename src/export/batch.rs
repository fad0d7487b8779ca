//! The backlog: chunks in the order in which they came, cut into batches by size.

use std::collections::VecDeque;

use bytes::Bytes;

use super::transport::Request;
use crate::proto::request;
use crate::queue::Sealed;

/// A batch ends before it exceeds either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) records: u64,
}

#[derive(Debug, Default)]
pub(super) struct Backlog {
    chunks: VecDeque<Sealed>,
    /// The number of the first chunk; chunks are numbered as they come.
    first: u64,
    bytes: usize,
    records: u64,
}

/// Chunks that are sent together, until they are resolved.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) chunks: Vec<Sealed>,
    pub(super) records: u64,
    /// The number of its first chunk.
    pub(super) first: u64,
}

impl Backlog {
    pub(super) fn push(&mut self, chunk: Sealed) {
        self.bytes += chunk.bytes.len();
        self.records += u64::from(chunk.records);
        self.chunks.push_back(chunk);
    }

    /// Gives up the oldest chunk.
    pub(super) fn pop(&mut self) -> Option<Sealed> {
        let chunk = self.chunks.pop_front()?;
        self.first += 1;
        self.bytes -= chunk.bytes.len();
        self.records -= u64::from(chunk.records);
        Some(chunk)
    }

    /// The oldest chunks, as many as fit, and at least one.
    pub(super) fn cut(&mut self, size: Size) -> Option<Batch> {
        let first = self.first;
        let chunk = self.pop()?;
        let (mut bytes, mut records) = (chunk.bytes.len(), u64::from(chunk.records));
        let mut chunks = vec![chunk];
        while let Some(next) = self.chunks.front()
            && bytes + next.bytes.len() <= size.bytes
            && records + u64::from(next.records) <= size.records
            && let Some(chunk) = self.pop()
        {
            bytes += chunk.bytes.len();
            records += u64::from(chunk.records);
            chunks.push(chunk);
        }
        Some(Batch {
            chunks,
            records,
            first,
        })
    }

    pub(super) fn fills(&self, size: Size) -> bool {
        self.bytes >= size.bytes || self.records >= size.records
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// The number of the oldest chunk.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next chunk gets.
    pub(super) fn next(&self) -> u64 {
        self.first + self.chunks.len() as u64
    }
}

impl Batch {
    /// The message: a header of known length, then the chunks, untouched.
    pub(super) fn request(&self, resource: &[u8]) -> Request {
        let runs = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        let mut parts = Vec::with_capacity(self.chunks.len() + 1);
        parts.push(Bytes::from(request::header(resource, runs)));
        parts.extend(self.chunks.iter().map(|chunk| chunk.bytes.clone()));
        Request::new(parts, self.records)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealed(bytes: usize, records: u32) -> Sealed {
        Sealed {
            bytes: Bytes::from(vec![0; bytes]),
            records,
            number: 0,
            charge: bytes,
        }
    }

    proptest! {
        /// The naive model: walk the list and start a new batch whenever the next chunk does not fit.
        #[test]
        fn batches_are_those_of_a_plain_walk(
            chunks in proptest::collection::vec((1_usize..50, 1_u32..20), 0..60),
            bytes in 1_usize..200,
            records in 1_u64..60,
        ) {
            let size = Size { bytes, records };
            let mut backlog = Backlog::default();
            let mut model: Vec<Vec<(usize, u32)>> = Vec::new();
            for (length, count) in chunks {
                backlog.push(sealed(length, count));
                match model.last_mut() {
                    Some(last)
                        if last.iter().map(|(length, _)| length).sum::<usize>() + length <= bytes
                            && last.iter().map(|(_, count)| u64::from(*count)).sum::<u64>() + u64::from(count)
                                <= records =>
                    {
                        last.push((length, count));
                    }
                    _ => model.push(vec![(length, count)]),
                }
            }
            let batches: Vec<Vec<_>> = std::iter::from_fn(|| backlog.cut(size))
                .map(|batch| batch.chunks.iter().map(|chunk| (chunk.bytes.len(), chunk.records)).collect())
                .collect();
            prop_assert_eq!(batches, model);
            prop_assert_eq!((backlog.bytes, backlog.records), (0, 0));
        }
    }
}
