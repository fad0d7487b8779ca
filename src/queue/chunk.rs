//! A chunk: runs of records of one scope each, ready to be sent as they are.

use bytes::Bytes;

use super::pool::Pool;
use crate::proto::request;

/// One record on its way into a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) scope: Scope,
    pub(crate) message: &'a [u8],
}

impl Record<'_> {
    /// At least what the record adds to a chunk, with a run of its own.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.scope.bytes.len() + self.message.len() + request::OVERHEAD
    }
}

/// What a run begins with, by whose address runs are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    bytes: &'static [u8],
    /// Whether they are the encoded fields of a run before its records, and not the scope's name.
    is_encoded: bool,
}

impl Scope {
    #[inline]
    pub(crate) fn named(name: &'static str) -> Self {
        Self {
            bytes: name.as_bytes(),
            is_encoded: false,
        }
    }

    #[allow(dead_code, reason = "only a bridge has such scopes")]
    pub(crate) fn encoded(fields: &'static [u8]) -> Self {
        Self {
            bytes: fields,
            is_encoded: true,
        }
    }
}

/// A chunk being filled. Without a buffer it holds no memory worth counting.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    buffer: Vec<u8>,
    records: u32,
    /// Where the last run starts, and its scope.
    run: Option<(usize, Scope)>,
    /// When it was begun, among all chunks of the queue.
    number: u64,
    closed: bool,
}

/// A full chunk, on its way to the exporter.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) bytes: Bytes,
    pub(crate) records: u32,
    /// A thread's chunks have rising numbers.
    pub(crate) number: u64,
    /// What the buffer takes of the budget: its capacity.
    pub(crate) charge: usize,
}

impl Chunk {
    /// A chunk that refuses every record: the exporter has gone.
    pub(crate) fn closed() -> Self {
        Self {
            closed: true,
            ..Self::default()
        }
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    #[inline]
    pub(crate) fn records(&self) -> usize {
        self.records as usize
    }

    /// Whether so many bytes fit without a new allocation.
    #[inline]
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.buffer.capacity() - self.buffer.len() >= bytes
    }

    /// Makes sure that so many bytes fit, by a buffer out of the pool; `false` when the budget has none.
    pub(crate) fn refill(&mut self, bytes: usize, number: u64, pool: &Pool) -> bool {
        debug_assert!(self.records == 0);
        self.number = number;
        if self.fits(bytes) {
            return true;
        }
        pool.give_back(std::mem::take(&mut self.buffer));
        match pool.take(bytes) {
            Some(buffer) => self.buffer = buffer,
            None => return false,
        }
        true
    }

    #[inline(always)]
    pub(crate) fn append<const N: usize>(&mut self, record: &Record<'_>, ending: [u8; N]) {
        match self.run {
            Some((_, scope)) if std::ptr::eq(scope.bytes, record.scope.bytes) => {}
            _ => self.begin_run(record),
        }
        request::put_record(&mut self.buffer, record.message, ending);
        self.records += 1;
    }

    #[cold]
    fn begin_run(&mut self, record: &Record<'_>) {
        if let Some((start, _)) = self.run {
            request::end_run(&mut self.buffer, start);
        }
        self.run = Some((self.buffer.len(), record.scope));
        let Scope { bytes, is_encoded } = record.scope;
        if is_encoded {
            request::begin_encoded_run(&mut self.buffer, bytes);
        } else {
            request::begin_run(&mut self.buffer, bytes);
        }
    }

    /// Ends the last run and takes the content out; `None` when there is none. The chunk stays, without a buffer.
    pub(crate) fn take_sealed(&mut self) -> Option<Sealed> {
        let (start, _) = self.run.take()?;
        request::end_run(&mut self.buffer, start);
        let charge = self.buffer.capacity();
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        Some(Sealed {
            bytes,
            records: std::mem::take(&mut self.records),
            number: self.number,
            charge,
        })
    }
}
