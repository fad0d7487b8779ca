//! From a span's id to what is kept of it, with the span that was opened last beside the table.
//!
//! Most spans have no children that are open when they are closed, so most are opened and closed there, without a look at the table;
//! and what one leaves there is used again by the next.

use super::table::Table;

#[derive(Debug)]
pub(super) struct Newest<V> {
    /// The span that was opened last, if it is still open and here; else 0, which is no id.
    newest: u64,
    /// What is kept of it; where it is not open, what it has left.
    place: Option<V>,
    others: Table<V>,
}

impl<V> Newest<V> {
    /// With a table of so many places at least: see [`Table::new`].
    pub(super) fn new(least: usize) -> Self {
        Self {
            newest: 0,
            place: None,
            others: Table::new(least),
        }
    }

    #[inline]
    pub(super) fn is_newest(&self, id: u64) -> bool {
        self.newest == id
    }

    /// Whether none but the newest can be open.
    #[inline]
    pub(super) fn has_no_others(&self) -> bool {
        self.others.is_empty()
    }

    /// What is kept of the newest span, or what the last one has left.
    #[inline]
    pub(super) fn place_mut(&mut self) -> Option<&mut V> {
        self.place.as_mut()
    }

    #[inline]
    pub(super) fn get(&self, id: u64) -> Option<&V> {
        if self.newest == id {
            return self.place.as_ref();
        }
        self.others.get(id)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut V> {
        if self.newest == id {
            return self.place.as_mut();
        }
        self.others.get_mut(id)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        let newest = self.place.as_ref().filter(|_| self.newest != 0);
        newest.into_iter().chain(self.others.values())
    }

    /// The newest with the first places of the table, and the values at so many places from this one on; `None` behind the last
    /// place.
    pub(super) fn values_at(
        &mut self,
        from: usize,
        places: usize,
    ) -> Option<impl Iterator<Item = &mut V>> {
        let is_shown = from == 0 && self.newest != 0;
        let newest = self.place.as_mut().filter(|_| is_shown);
        let others = self.others.values_at(from, places)?;
        Some(newest.into_iter().chain(others))
    }

    /// Opens a span with what the last one has left, if that is here and fits.
    #[inline(always)]
    pub(super) fn renew(&mut self, id: u64, fits: impl FnOnce(&mut V) -> bool) -> Option<&mut V> {
        if self.newest != 0 {
            return None;
        }
        let left = self.place.as_mut()?;
        if !fits(left) {
            return None;
        }
        self.newest = id;
        Some(left)
    }

    /// Whether the newest span is open.
    #[inline]
    pub(super) fn has_newest(&self) -> bool {
        self.newest != 0
    }

    /// The newest span goes into the table, and `left` is for the next one.
    #[inline]
    pub(super) fn make_way(&mut self, left: Option<V>) {
        if let Some(before) = std::mem::replace(&mut self.place, left) {
            self.others.insert(self.newest, before);
        }
        self.newest = 0;
    }

    /// Opens a span beside the table. Returns what the last one has left, if that is not open any more.
    #[inline]
    pub(super) fn insert(&mut self, id: u64, value: V) -> Option<V> {
        let open = std::mem::replace(&mut self.newest, id);
        let before = self.place.replace(value);
        if open == 0 {
            return before;
        }
        if let Some(before) = before {
            self.others.insert(open, before);
        }
        None
    }

    /// The newest span is closed; what it leaves stays.
    #[inline]
    pub(super) fn retire(&mut self) {
        self.newest = 0;
    }

    /// What the last span has left, if it is not open any more.
    pub(super) fn take_left(&mut self) -> Option<V> {
        if self.newest != 0 {
            return None;
        }
        self.place.take()
    }

    #[inline]
    pub(super) fn remove(&mut self, id: u64) -> Option<V> {
        if self.newest == id {
            self.newest = 0;
            return self.place.take();
        }
        self.others.remove(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a span has left is nobody's: it is neither found nor shown.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((1_u64..12, 0..4_usize), 0..200)) {
            let (mut spans, mut model) = (Newest::new(8), HashMap::new());
            for (value, (id, step)) in (1_usize..).zip(steps) {
                match step {
                    0 if !model.contains_key(&id) => {
                        let left = spans.insert(id, value);
                        prop_assert!(left.is_none_or(|left| !model.values().any(|open| *open == left)));
                        model.insert(id, value);
                    }
                    1 if !model.contains_key(&id) => {
                        if let Some(place) = spans.renew(id, |left| *left % 2 == 0) {
                            *place = value;
                            model.insert(id, value);
                        }
                    }
                    2 => prop_assert_eq!(spans.remove(id), model.remove(&id)),
                    3 if spans.has_newest() && id % 2 == 0 => spans.make_way((id > 6).then_some(0)),
                    3 if spans.is_newest(id) => {
                        spans.retire();
                        model.remove(&id);
                    }
                    _ => {}
                }
                for id in 1..12 {
                    prop_assert_eq!(spans.get(id), model.get(&id));
                    prop_assert_eq!(spans.get_mut(id), model.get_mut(&id));
                }
                let mut expected: Vec<usize> = model.values().copied().collect();
                let mut found: Vec<usize> = spans.values().copied().collect();
                let mut in_parts = Vec::new();
                let mut from = 0;
                while let Some(some) = spans.values_at(from, 3) {
                    in_parts.extend(some.map(|value| *value));
                    from += 3;
                }
                expected.sort_unstable();
                found.sort_unstable();
                in_parts.sort_unstable();
                prop_assert_eq!(&found, &expected);
                prop_assert_eq!(&in_parts, &expected);

            }
        }
    }
}
