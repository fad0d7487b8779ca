//! Who gives up records when memory is short. The budget is one for all signals and destinations, so the whole is looked at.

/// Who holds records for one destination, beside others that may hold the same.
pub(super) trait Holder {
    /// What it holds of the memory.
    fn charge(&self) -> usize;

    /// Gives up its oldest records; `false` where it has none to give.
    fn evict(&mut self) -> bool;
}

/// When more sixteenths than the first are used, the oldest go until no more than the second are.
pub(super) const USUAL: (usize, usize) = (14, 12);

/// Gives up the oldest records while memory is short: of who holds the most, so that a destination that is dead costs no other a
/// record that could be delivered. `exceeds` tells whether more than so many parts of so many of the budget are used.
pub(super) fn make_room<H: Holder>(
    limit: usize,
    (high, low): (usize, usize),
    exceeds: impl Fn(usize, usize) -> bool,
    holders: &mut [H],
) {
    // Of several, none holds more than its share, so that there is room for what the others are sent.
    if holders.len() > 1 {
        let share = limit / holders.len();
        for holder in holders.iter_mut() {
            while holder.charge() > share && holder.evict() {}
        }
    }
    if exceeds(high, 16) {
        while exceeds(low, 16) && largest_gives_up(holders) {}
    }
}

/// `false` where nobody has anything left to give up.
fn largest_gives_up<H: Holder>(holders: &mut [H]) -> bool {
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.charge()));
    holders.iter_mut().any(Holder::evict)
}
