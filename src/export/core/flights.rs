//! Batches that were taken out of the backlog: those in flight, and those that wait to be sent again.

use std::collections::VecDeque;

use super::super::batch::{Batch, Part};
use super::Nanos;
use super::backlog::Age;
use super::sizing::Sample;

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) batch: Batch,
    pub(super) age: Age,
    /// Requests are numbered as they are begun; a batch that is sent again is another request.
    pub(super) id: u64,
    pub(super) begun: Nanos,
    /// The request's length.
    pub(super) bytes: u64,
    /// How often in a row it was refused for now.
    pub(super) refusals: u32,
}

impl Flight {
    pub(super) fn new(age: Age, batch: Batch) -> Self {
        Self {
            batch,
            age,
            id: 0,
            begun: 0,
            bytes: 0,
            refusals: 0,
        }
    }

    /// What it says of the destination, now that it has ended.
    pub(super) fn sample(&self, now: Nanos) -> Sample {
        Sample {
            id: self.id,
            bytes: self.batch.bytes(),
            took: now.saturating_sub(self.begun),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Flights {
    in_flight: Vec<Flight>,
    /// The oldest first.
    waiting: VecDeque<Flight>,
    /// The number of the next request.
    next: u64,
}

impl Flights {
    /// The number of the next request that is begun.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// A request begins; gives its number.
    pub(super) fn begin(&mut self, flight: Flight, now: Nanos) -> u64 {
        let id = self.next;
        self.next += 1;
        let begun = now;
        self.in_flight.push(Flight {
            id,
            begun,
            ..flight
        });
        id
    }

    /// The request of this number has ended.
    pub(super) fn land(&mut self, id: u64) -> Option<Flight> {
        let at = self.in_flight.iter().position(|flight| flight.id == id)?;
        Some(self.in_flight.swap_remove(at))
    }

    /// Its batch is sent again before anything newer. Of halves that share a chunk, the one that comes last goes first.
    pub(super) fn wait(&mut self, flight: Flight) {
        let oldest = flight.batch.oldest();
        let older = |other: &Flight| other.batch.oldest() < oldest;
        let at = self.waiting.partition_point(older);
        self.waiting.insert(at, flight);
    }

    /// What was to be sent again next, the oldest first.
    pub(super) fn resume(&mut self) -> Option<Flight> {
        self.waiting.pop_front()
    }

    /// The newest of what was to be sent again.
    pub(super) fn give_back(&mut self) -> Option<Flight> {
        self.waiting.pop_back()
    }

    /// Takes the oldest part out of what waits to be sent again.
    pub(super) fn evict(&mut self) -> Option<Part> {
        let oldest = self.waiting.front_mut()?;
        let part = oldest.batch.pop();
        if oldest.batch.oldest().is_none() {
            self.waiting.pop_front();
        }
        part
    }

    /// How many are in flight.
    pub(super) fn count(&self) -> usize {
        self.in_flight.len()
    }

    /// The length of what is in flight.
    pub(super) fn bytes(&self) -> usize {
        self.in_flight
            .iter()
            .map(|flight| flight.batch.bytes())
            .sum()
    }

    /// The length of what is sent again next.
    pub(super) fn next_bytes(&self) -> Option<usize> {
        self.waiting.front().map(|flight| flight.batch.bytes())
    }

    /// The numbers of those in flight.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        self.in_flight.iter().map(|flight| flight.id)
    }

    /// What all of them hold of the memory.
    pub(super) fn charge(&self) -> usize {
        self.all().map(|flight| flight.batch.charge()).sum()
    }

    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn records(&self) -> u64 {
        self.all().map(|flight| flight.batch.records()).sum()
    }

    /// The number of the oldest chunk in any of them.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.all().filter_map(|flight| flight.batch.oldest()).min()
    }

    fn all(&self) -> impl Iterator<Item = &Flight> {
        self.in_flight.iter().chain(&self.waiting)
    }
}
