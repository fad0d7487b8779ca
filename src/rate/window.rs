//! A window of time that never has more than its share, wherever it begins.

use std::collections::VecDeque;

/// A window is told apart into so many pieces. What is charged within one counts as one, as old as the youngest.
const PIECES: u64 = 64;

/// Moments are in nanoseconds.
#[derive(Debug)]
pub(crate) struct Window {
    most: u64,
    length: u64,
    /// When something was charged, and how much.
    charges: VecDeque<(u64, u64)>,
    sum: u64,
}

impl Window {
    /// At least one in each.
    pub(crate) fn new(per_second: f64, length: u64) -> Self {
        Self {
            most: ((per_second * length as f64 / 1e9) as u64).max(1),
            length,
            charges: VecDeque::new(),
            sum: 0,
        }
    }

    /// How much a whole window has.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// When so much has left the window that there is room in it.
    pub(crate) fn ready_at(&self) -> u64 {
        let mut sum = self.sum;
        let mut ready = 0;
        for (at, count) in &self.charges {
            if sum < self.most {
                break;
            }
            sum -= count;
            ready = at.saturating_add(self.length);
        }
        ready
    }

    pub(crate) fn left(&self, now: u64) -> u64 {
        let is_in = |(at, _): &&(u64, u64)| at.saturating_add(self.length) > now;
        let inside = self.charges.iter().filter(is_in);
        let sum: u64 = inside.map(|(_, count)| count).sum();
        self.most.saturating_sub(sum)
    }

    /// So much is taken, also where there is not as much.
    pub(crate) fn charge(&mut self, now: u64, count: u64) {
        while let Some((at, count)) = self.charges.front()
            && at.saturating_add(self.length) <= now
        {
            self.sum -= count;
            self.charges.pop_front();
        }
        self.sum += count;
        let piece = (self.length / PIECES).max(1);
        match self.charges.back_mut() {
            Some((at, sum)) if *at / piece >= now / piece => {
                // A thread that read the clock earlier may come later.
                *at = now.max(*at);
                *sum += count;
            }
            _ => self.charges.push_back((now, count)),
        }
    }

    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.charges.len()
    }
}
