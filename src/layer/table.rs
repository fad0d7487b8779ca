//! From a span's id to its place in the shard: open addressing with linear probing.
//!
//! The Registry's ids are dense in their low bits (an index of a slab of each thread), so the low bits are the hash, and
//! spans that were opened one after the other lie side by side. Ids of another kind work too, with more probing.

#[derive(Debug)]
pub(super) struct Table<V> {
    places: Vec<Option<(u64, V)>>,
    len: usize,
}

const LEAST: usize = 64;

impl<V> Table<V> {
    pub(super) fn new() -> Self {
        Self {
            places: places(LEAST),
            len: 0,
        }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.places.len() - 1
    }

    /// Where the id is, or where it would be inserted.
    #[inline]
    fn find(&self, id: u64) -> usize {
        let mut at = id as usize & self.mask();
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

    pub(super) fn insert(&mut self, id: u64, value: V) {
        if self.len * 2 >= self.places.len() {
            self.resize(self.places.len() * 2);
        }
        let at = self.find(id);
        self.len += usize::from(self.places[at].is_none());
        self.places[at] = Some((id, value));
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<V> {
        let mut hole = self.find(id);
        let (_, value) = self.places[hole].take()?;
        self.len -= 1;
        // Close the gap: whatever follows and would no longer be found moves up.
        let mut at = (hole + 1) & self.mask();
        while let Some((next, _)) = &self.places[at] {
            let home = *next as usize & self.mask();
            if (at.wrapping_sub(home) & self.mask()) >= (at.wrapping_sub(hole) & self.mask()) {
                self.places.swap(hole, at);
                hole = at;
            }
            at = (at + 1) & self.mask();
        }
        // Far below the size at which it grew, so that a load that swings does not resize all the time.
        if self.len * 32 < self.places.len() && self.places.len() > LEAST {
            self.resize(self.places.len() / 4);
        }
        Some(value)
    }

    #[cold]
    fn resize(&mut self, size: usize) {
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
    (0..size.max(LEAST)).map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Ids of few low bits collide all the time.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0_u64..8, 0_u64..40, any::<bool>()), 0..400)) {
            let (mut table, mut model) = (Table::new(), HashMap::new());
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
