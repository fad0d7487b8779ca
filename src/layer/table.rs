//! From a span's id to its place in the shard: open addressing with linear probing.
//!
//! The Registry's ids are dense in their low bits (an index of a slab of each thread). Four neighbours share a cache line, so
//! spans that were opened one after the other lie side by side; the lines are spread by a multiplicative hash, since lines
//! side by side would grow together into one run that probing and removing have to walk.

#[derive(Debug)]
pub(super) struct Table<V> {
    places: Vec<Option<(u64, V)>>,
    /// What is left of the hash is the number of a line: 64 less the bits that it has.
    shift: u32,
    len: usize,
    least: usize,
}

/// Places that neighbours share: a cache line of 64 bytes.
const LINE: u64 = 4;
/// 2^64 divided by the golden ratio (Knuth's multiplicative hash).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl<V> Table<V> {
    /// With so many places at least: a power of two, and two lines or more.
    pub(super) fn new(least: usize) -> Self {
        Self {
            places: places(least),
            shift: shift(least),
            len: 0,
            least,
        }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.places.len() - 1
    }

    /// Where the id is when nothing is in its way.
    #[inline]
    fn home(&self, id: u64) -> usize {
        let line = (id / LINE).wrapping_mul(SPREAD) >> self.shift;
        (line * LINE + id % LINE) as usize
    }

    /// Where the id is, or where it would be inserted.
    #[inline]
    fn find(&self, id: u64) -> usize {
        let mut at = self.home(id);
        while let Some((known, _)) = &self.places[at]
            && *known != id
        {
            at = (at + 1) & self.mask();
        }
        at
    }

    #[inline]
    pub(super) fn get(&self, id: u64) -> Option<&V> {
        self.places[self.find(id)].as_ref().map(|(_, value)| value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut V> {
        let at = self.find(id);
        self.places[at].as_mut().map(|(_, value)| value)
    }

    #[inline]
    pub(super) fn insert(&mut self, id: u64, value: V) {
        if self.len * 2 >= self.places.len() {
            self.resize(self.places.len() * 2);
        }
        let at = self.find(id);
        let place = &mut self.places[at];
        self.len += usize::from(place.is_none());
        *place = Some((id, value));
    }

    #[inline]
    pub(super) fn remove(&mut self, id: u64) -> Option<V> {
        let hole = self.find(id);
        let (_, value) = self.places[hole].take()?;
        self.len -= 1;
        if self.places[(hole + 1) & self.mask()].is_some() {
            self.close_gap(hole);
        }
        // Far below the size at which it grew, so that a load that swings does not resize all the time.
        if self.len * 32 < self.places.len() && self.places.len() > self.least {
            self.resize(self.places.len() / 4);
        }
        Some(value)
    }

    /// Whatever follows a hole and would no longer be found moves up.
    #[inline(never)]
    fn close_gap(&mut self, mut hole: usize) {
        let mut at = (hole + 1) & self.mask();
        while let Some((next, _)) = &self.places[at] {
            let home = self.home(*next);
            if (at.wrapping_sub(home) & self.mask()) >= (at.wrapping_sub(hole) & self.mask()) {
                self.places.swap(hole, at);
                hole = at;
            }
            at = (at + 1) & self.mask();
        }
    }

    #[cold]
    fn resize(&mut self, size: usize) {
        let size = size.max(self.least);
        self.shift = shift(size);
        for (id, value) in std::mem::replace(&mut self.places, places(size))
            .into_iter()
            .flatten()
        {
            let at = self.find(id);
            self.places[at] = Some((id, value));
        }
    }
}

fn places<V>(size: usize) -> Vec<Option<(u64, V)>> {
    (0..size).map(|_| None).collect()
}

/// `size` is a power of two.
fn shift(size: usize) -> u32 {
    u64::BITS - (size as u64 / LINE).trailing_zeros()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Ids as the Registry makes them, of several threads, replaced in any order: what is probed stays short.
    #[test]
    fn dense_ids_do_not_grow_into_one_run() {
        let mut table = Table::new(64);
        let id = |number: u64| (number % 3) << 38 | (number / 3 + 1);
        (0..30_000).for_each(|number| table.insert(id(number), number));
        let probed = |number| {
            let home = table.home(id(number));
            table.find(id(number)).wrapping_sub(home) & table.mask()
        };
        let probes: Vec<usize> = (0..30_000).map(probed).collect();
        let (sum, most) = (probes.iter().sum::<usize>(), probes.iter().max());
        assert!(
            sum < 3 * 30_000 && most < Some(&200),
            "{sum} in all, {most:?} at most"
        );
    }

    proptest! {
        /// Ids of few low bits collide all the time.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0_u64..8, 0_u64..40, any::<bool>()), 0..400)) {
            let (mut table, mut model) = (Table::new(8), HashMap::new());
            for (value, (high, low, insert)) in steps.into_iter().enumerate() {
                let id = high << 40 | (low + 1);
                if insert {
                    table.insert(id, value as u32);
                    model.insert(id, value as u32);
                } else {
                    prop_assert_eq!(table.remove(id), model.remove(&id));
                }
            }
            for high in 0..8 {
                for low in 0..41 {
                    let id = high << 40 | low;
                    prop_assert_eq!(table.get(id), model.get(&id));
                }
            }
            prop_assert_eq!(table.len, model.len());
        }
    }
}
