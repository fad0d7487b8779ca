//! How many requests are in flight at a time.

use super::within;
use crate::error::Error;

/// How many requests are in flight at a time, at most. Each has a connection of its own.
///
/// With one, which is the default, a thread's records arrive in the order in which they ended. With more, requests are begun in
/// this order, and arrive as the network and the destination make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concurrency {
    /// So many, 1 to 64.
    Fixed(usize),
    /// From one up to so many, 1 to 64, as long as the destination takes them without letting them wait: more while there is more
    /// to send and requests take hardly longer than the shortest, fewer when they take two and a half times as long, or are
    /// refused.
    Adaptive(usize),
}

impl Default for Concurrency {
    /// One at a time, as the specification's processors call an exporter. More is for the exporter to offer ("OTLP/gRPC
    /// Concurrent Requests").
    fn default() -> Self {
        Self::Fixed(1)
    }
}

impl Concurrency {
    pub(crate) const MOST: usize = 64;

    /// The most that there ever are.
    pub(crate) fn most(self) -> usize {
        match self {
            Self::Fixed(requests) | Self::Adaptive(requests) => requests,
        }
    }

    /// The same, with no more than a transport takes.
    pub(crate) fn at_most(self, most: usize) -> Self {
        match self {
            Self::Fixed(requests) => Self::Fixed(requests.min(most).max(1)),
            Self::Adaptive(requests) => Self::Adaptive(requests.min(most).max(1)),
        }
    }

    pub(super) fn validate(self) -> Result<(), Error> {
        within("Builder::with_concurrency", self.most(), 1, Self::MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_2_30_the_number_is_one_by_default_and_bounded() {
        assert_eq!(Concurrency::default().most(), 1);
        for requests in [1, 64] {
            assert!(Concurrency::Fixed(requests).validate().is_ok());
        }
        for wrong in [Concurrency::Fixed(0), Concurrency::Adaptive(65)] {
            let error = wrong.validate().expect_err("it is out of bounds");
            let message = error.to_string();
            assert!(message.ends_with("is not from 1 to 64"), "{message}");
        }
    }

    #[test]
    fn a_transport_can_take_fewer_and_takes_one() {
        let adaptive = Concurrency::Adaptive(8);
        assert_eq!(adaptive.at_most(usize::MAX), adaptive);
        assert_eq!(adaptive.at_most(3), Concurrency::Adaptive(3));
        assert_eq!(Concurrency::Fixed(8).at_most(0), Concurrency::Fixed(1));
    }
}
