//! Who gives up records when memory is short. The budget is one for all signals and destinations, so the whole is looked at.

use super::outlet::Outlet;
use super::stream::Stream;
use crate::queue::Budget;

/// Gives up the oldest records while memory is short: of the outlet that holds the most, so that one that is dead costs no other a
/// record that could be delivered.
pub(super) fn make_room(budget: &Budget, streams: &mut [Stream]) {
    let mut outlets: Vec<&mut Outlet> = streams.iter_mut().flat_map(Stream::outlets).collect();
    // Of several, none holds more than its share, so that there is room for what the others are sent.
    if outlets.len() > 1 {
        let share = budget.limit() / outlets.len();
        for outlet in &mut outlets {
            while outlet.charge() > share && outlet.evict() {}
        }
    }
    if budget.exceeds(7, 8) {
        while budget.exceeds(3, 4) && give_up_of_the_largest(&mut outlets) {}
    }
    outlets.iter_mut().for_each(|outlet| outlet.book_evicted());
}

/// `false` where nobody has anything left to give up.
fn give_up_of_the_largest(outlets: &mut [&mut Outlet]) -> bool {
    outlets.sort_by_key(|outlet| std::cmp::Reverse(outlet.charge()));
    outlets.iter_mut().any(|outlet| outlet.evict())
}
