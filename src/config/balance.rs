//! Which of several endpoints has the next request.

/// Which of several endpoints, and of the addresses that a name has, gets the next request
/// ([`Builder::with_endpoints`](crate::Builder::with_endpoints)).
///
/// In either way one that fails is left out for a while (half a second, with each failure in a row twice as long, up to half a
/// minute), and comes back slowly: one request at a time, then two, four, eight. Where none is well, the one that is soonest to be
/// is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Balance {
    /// The one with the fewest requests in flight, where one that takes more than an eighth of the time-out for a request counts
    /// as busier than it is. Of several that are as good, the one that took the last request: a thread's records stay in their
    /// order, and the connection is there. So with one request in flight, which is the default, all go to one endpoint as long as
    /// that one does well; each process begins at a random one.
    #[default]
    LeastOutstanding,
    /// The first one in the order given that is well.
    Failover,
}
