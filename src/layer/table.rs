//! From a span's id to its place in the shard: open addressing with linear probing.
//!
//! The Registry's ids are dense in their low bits (an index of a slab of each thread). Four neighbours share a cache line, so
//! spans that were opened one after the other lie side by side; the lines are spread by a multiplicative hash, since lines
//! side by side would grow together into one run that probing and removing have to walk.

#[derive(Debug)]
pub(crate) struct Table<V> {
    places: Vec<Option<(u64, V)>>,
    /// What is left of the hash is the number of a line: 64 less the bits that it has.
    shift: u32,
    len: usize,
    /// It grows when it has so many,
    high: usize,
    /// and shrinks when it has less: far below the size at which it grew, so that a load that swings does not resize all the
    /// time.
    low: usize,
    least: usize,
}

/// Places that neighbours share: a cache line of 64 bytes.
const LINE: u64 = 4;
/// 2^64 divided by the golden ratio (Knuth's multiplicative hash).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl<V> Table<V> {
    /// With so many places at least: a power of two, and two lines or more.
    pub(crate) fn new(least: usize) -> Self {
        Self {
            places: places(least),
            shift: shift(least),
            len: 0,
            high: least / 2,
            low: 0,
            least,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn mask(&self) -> usize {
        self.places.len() - 1
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.places.iter().flatten().map(|(_, value)| value)
    }

    /// The values at so many places from this one on; `None` behind the last place.
    pub(super) fn values_at(
        &mut self,
        from: usize,
        places: usize,
    ) -> Option<impl Iterator<Item = &mut V>> {
        let end = from.saturating_add(places).min(self.places.len());
        let some = self.places.get_mut(from..end)?;
        (!some.is_empty()).then(|| some.iter_mut().flatten().map(|(_, value)| value))
    }

    /// Where the id is when nothing is in its way.
    #[inline]
    fn home(&self, id: u64) -> usize {
        let line = (id / LINE).wrapping_mul(SPREAD) >> self.shift;
        (line * LINE + id % LINE) as usize
    }

    /// Whether the id is at home; `None` where nothing is.
    ///
    /// As a rule it is: looked at first, so that the common case needs no loop.
    #[inline]
    fn is_at(&self, home: usize, id: u64) -> Option<bool> {
        let (known, _) = self.places.get(home)?.as_ref()?;
        Some(*known == id)
    }

    /// Where the id is, or where it would be inserted.
    #[inline(never)]
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
    pub(crate) fn get(&self, id: u64) -> Option<&V> {
        let home = self.home(id);
        if self.is_at(home, id)? {
            return self.places.get(home)?.as_ref().map(|(_, value)| value);
        }
        self.places[self.find(id)].as_ref().map(|(_, value)| value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut V> {
        let home = self.home(id);
        if self.is_at(home, id)? {
            return self.places.get_mut(home)?.as_mut().map(|(_, value)| value);
        }
        let at = self.find(id);
        self.places[at].as_mut().map(|(_, value)| value)
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, id: u64, value: V) {
        if self.len >= self.high {
            self.resize(self.places.len() * 2);
        }
        let home = self.home(id);
        if let Some(place @ None) = self.places.get_mut(home) {
            *place = Some((id, value));
            self.len += 1;
        } else {
            self.insert_behind(id, value);
        }
    }

    #[inline(never)]
    fn insert_behind(&mut self, id: u64, value: V) {
        let at = self.find(id);
        let place = &mut self.places[at];
        self.len += usize::from(place.is_none());
        *place = Some((id, value));
    }

    #[inline(always)]
    pub(crate) fn remove(&mut self, id: u64) -> Option<V> {
        let home = self.home(id);
        if !self.is_at(home, id)? {
            return self.remove_at(self.find(id));
        }
        let next = (home + 1) & self.mask();
        let has_next = self.places.get(next).is_some_and(Option::is_some);
        if has_next | (self.len <= self.low) {
            return self.remove_at(home);
        }
        let (_, value) = self.places.get_mut(home)?.take()?;
        self.len -= 1;
        Some(value)
    }

    #[inline(never)]
    fn remove_at(&mut self, hole: usize) -> Option<V> {
        let (_, value) = self.places.get_mut(hole)?.take()?;
        self.len -= 1;
        self.close_gap(hole);
        if self.len < self.low {
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
        self.high = size / 2;
        self.low = if size > self.least {
            size.div_ceil(32)
        } else {
            0
        };
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
